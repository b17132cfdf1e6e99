"""Crops of photos: where they lie and what they show."""

import pytest
import torch

from guided_face_edit.editor_core.demo.groups import random_groups
from guided_face_edit.editor_core.demo.portraits import draw
from guided_face_edit.editor_core.face.aligning import (
    align_faces,
    crop_faces,
    crop_masks,
    quads,
)
from guided_face_edit.editor_core.face.parsing import FacePart
from guided_face_edit.editor_core.face.records import make_faces, no_faces
from guided_face_edit.editor_core.face.resampling import transform
from guided_face_edit.editor_core.face.templates import (
    TEMPLATES,
    template_named,
)
from guided_face_edit.tests.support.groups import PHOTO, UPRIGHT, aligned, face_at, group_photo


def test_faces_are_aligned_within_half_a_pixel():
    """Of the photo: parts of the crops lie where the numbers of the drawing put them."""
    photos, size = group_photo(), 256
    faces = aligned(photos, size=size)
    (group,) = random_groups(0, 5, 1, PHOTO)
    large = draw(group.identity, group.scene, 384).labels
    for part in (FacePart.NOSE, FacePart.L_EYE):
        shown = crop_masks((photos.labels == part).float(), faces)
        shown[:, :, [*range(60), *range(size - 60, size)]] = 0  # the neighbours
        drawn = _middle((large == part).float()) / 384 * 2 - 1
        truth = transform(faces.affine, transform(group.place, drawn[:, None]))[:, 0]
        half_a_pixel = 0.5 * faces.affine[:, :, :2].det().sqrt()
        assert ((_middle(shown) - truth).norm(dim=1) < half_a_pixel).all()


def _middle(shown):  # (n,h,w) -> (n,2)
    line = torch.arange(shown.shape[1]) + 0.5
    weight = shown.sum((1, 2))
    x, y = (shown.sum(1) * line).sum(1), (shown.sum(2) * line).sum(1)
    return torch.stack([x, y], 1) / weight[:, None]


def test_beyond_the_photo_a_crop_is_reflected_and_says_so():
    photo = torch.linspace(0, 1, 40).expand(1, 40, 40)[..., None].expand(-1, -1, -1, 3)
    face = make_faces([0], torch.tensor([[-10.0, 0, 30, 40]]), torch.zeros(1, 5, 2), (40, 40), 1)
    crops = crop_faces(photo, align_faces(face, TEMPLATES["whole box"], 40))
    row = (crops.image[0, 0, 20] + 1) / 2
    assert crops.inside[0, 0, 20].tolist() == [0.0] * 10 + [1.0] * 30
    torch.testing.assert_close(row[10:], photo[0, 0, :30, 0], rtol=0, atol=1e-5)
    torch.testing.assert_close(row[:10], photo[0, 0, :10, 0].flip(0), rtol=0, atol=1e-5)


def test_a_crop_reads_no_more_of_the_photo_than_it_shows():
    """NaN elsewhere would be refused."""
    photo = group_photo().image.clone()
    faces = aligned(group_photo()).rows([0])
    expected = crop_faces(photo, faces).image
    photo[:, :, int(quads(faces)[0, :, 0].max()) + 4 :] = torch.nan
    assert torch.equal(crop_faces(photo, faces).image, expected)


def test_crops_are_those_of_each_face_alone():
    photos = group_photo()
    faces = aligned(photos)
    crops = crop_faces(photos.image, faces).image
    for k, face in enumerate(faces):
        assert torch.equal(crop_faces(photos.image, face).image[0], crops[k])
    none = align_faces(no_faces(PHOTO, 1), TEMPLATES["demo"], 64)
    assert crop_faces(photos.image, none).image.shape == (0, 3, 64, 64)


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        (
            face_at([[5.0, 5]] * 5),
            "face 0 of picture 0 has a crop of .* pixels of the photo, expected 4 to 1200",
        ),
        (
            face_at([[500 + x, y] for x, y in UPRIGHT]),
            "face 0 of picture 0 lies outside its photo of 200x300",
        ),
        (face_at([[torch.nan, 1.0]] * 5), "face 0 of picture 0 has a crop of nan pixels"),
    ],
)
def test_points_that_cannot_be_are_refused(faces, message):
    with pytest.raises(ValueError, match=message):
        align_faces(faces, TEMPLATES["ffhq"], 64)


def test_other_photos_and_unaligned_faces_are_refused():
    photos = group_photo()
    with pytest.raises(ValueError, match="expected aligned ones: align them first"):
        crop_faces(photos.image, photos.faces)
    with pytest.raises(ValueError, match="the faces are of 1 pictures of 270x480, these are 1 of"):
        crop_faces(photos.image[:, 1:], aligned(photos))
    with pytest.raises(ValueError, match='template is "vgg", expected one of: ffhq, arcface'):
        template_named("vgg")
