"""Crops of photos: where they lie, what they show, and that they can be differentiated."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.demo.groups import draw_group_photos, random_groups
from guided_face_edit.editor_core.demo.landmarks import five_points
from guided_face_edit.editor_core.demo.people import Identity, Scene
from guided_face_edit.editor_core.demo.portraits import draw
from guided_face_edit.editor_core.face.aligning import (
    align_faces,
    crop_faces,
    crop_masks,
    quads,
)
from guided_face_edit.editor_core.face.parsing import FacePart
from guided_face_edit.editor_core.face.records import box_iou, make_faces, no_faces
from guided_face_edit.editor_core.face.resampling import invert, resample, transform
from guided_face_edit.editor_core.face.templates import (
    TEMPLATES,
    similarity,
    template_named,
)
from guided_face_edit.tests.support.groups import PHOTO, aligned, group_photo


def _one(points, size=(200, 300)):
    points = torch.tensor(points).float()[None]
    box = torch.tensor([[50.0, 50, 150, 150]])
    return make_faces([0], box, points, size, 1)


UPRIGHT = [[80.0, 80], [120, 80], [100, 100], [85, 120], [115, 120]]


def test_the_drawn_points_are_where_the_picture_shows_them(generator):
    people, scenes = Identity.random(12, generator), Scene.random(12, generator)
    points = (five_points(people, scenes) + 1) / 2 * 256
    labels = draw(people, scenes, 256).labels
    line = torch.arange(256) + 0.5
    for k, part in ((0, FacePart.L_EYE), (1, FacePart.R_EYE)):
        seen = (labels == part).float()
        count = seen.sum((1, 2))
        middle = torch.stack([(seen.sum(1) * line).sum(1), (seen.sum(2) * line).sum(1)], 1)
        apart = (middle / count[:, None] - points[:, k]).norm(dim=1)
        assert (apart[count > 300] < 2).all() and (count > 300).sum() >= 6


def test_ffhqs_square_has_the_published_size_and_place():
    """Half a side of 2 eye distances, or of 1.8 times the way to the mouth, here the former."""
    corners = quads(align_faces(_one(UPRIGHT), template_named("ffhq"), 256))[0]
    assert corners.tolist() == [
        pytest.approx(corner, abs=1e-3) for corner in ([20, 4], [180, 4], [180, 164], [20, 164])
    ]


def test_arcfaces_points_lie_on_their_places():
    places = torch.tensor(TEMPLATES["arcface"].places) * 112
    turned = places @ torch.tensor([[0.8, 0.6], [-0.6, 0.8]]) * 3 + 40
    faces = align_faces(_one(turned.tolist(), (500, 500)), TEMPLATES["arcface"], 112)
    torch.testing.assert_close(transform(faces.affine, faces.points)[0], places, rtol=0, atol=1e-3)


def test_a_similarity_is_the_least_squares_one(generator):
    points = torch.rand(3, 5, 2, generator=generator)
    places = torch.rand(5, 2, generator=generator)
    best = similarity(points, places)

    def error(affine):
        return (transform(affine, points) - places).square().sum((1, 2))

    for nudge in torch.eye(4).unflatten(1, (2, 2)) * 1e-2:
        a, b = nudge[0]
        c, d = nudge[1]
        turn = torch.tensor([[a, -b], [b, a]])
        changed = best + torch.cat([turn, torch.tensor([[c], [d]])], 1)
        assert (error(changed) > error(best)).all()


def test_faces_are_aligned_within_half_a_pixel():
    """Of the photo: parts of the crops lie where the numbers of the drawing put them."""
    photos, size = group_photo(), 256
    faces = aligned(photos, size=size)
    (group,) = random_groups(0, 5, 1, PHOTO)
    large = draw(group.identity, group.scene, 384).labels
    for part in (FacePart.NOSE, FacePart.L_EYE):
        seen = crop_masks((photos.labels == part).float(), faces)
        seen[:, :, [*range(60), *range(size - 60, size)]] = 0  # the neighbours
        drawn = _middle((large == part).float()) / 384 * 2 - 1
        truth = transform(faces.affine, transform(group.place, drawn[:, None]))[:, 0]
        half_a_pixel = 0.5 * faces.affine[:, :, :2].det().sqrt()
        assert ((_middle(seen) - truth).norm(dim=1) < half_a_pixel).all()


def _middle(seen):  # (n,h,w) -> (n,2)
    line = torch.arange(seen.shape[1]) + 0.5
    weight = seen.sum((1, 2))
    x, y = (seen.sum(1) * line).sum(1), (seen.sum(2) * line).sum(1)
    return torch.stack([x, y], 1) / weight[:, None]


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_turns_with_the_face(name):
    """Crops of a photo and of the photo turned by 90 degrees are the same, but for the box's."""
    photos = group_photo().image
    face = group_photo().faces.rows([2])
    turned = photos.transpose(1, 2).flip(2)

    def turn(points):
        return torch.stack([PHOTO[0] - points[..., 1], points[..., 0]], -1)

    box = turn(face.box.unflatten(1, (2, 2)))
    box = torch.cat([box.amin(1), box.amax(1)], 1)
    other = make_faces([0], box, turn(face.points), PHOTO[::-1], 1)
    one = crop_faces(photos, align_faces(face, TEMPLATES[name], 48)).image
    two = crop_faces(turned, align_faces(other, TEMPLATES[name], 48)).image
    if name == "whole box":
        two = two.transpose(2, 3).flip(2)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-4)


@pytest.mark.parametrize("factor", [3, 7])
def test_a_smaller_crop_is_the_mean_of_the_pixels_it_covers(factor, generator):
    x = torch.rand(1, 3, 8 * factor, 8 * factor, generator=generator)
    affine = torch.tensor([[[float(factor), 0, 0], [0, factor, 0]]])
    expected = torch.nn.functional.avg_pool2d(x, factor)
    torch.testing.assert_close(resample(x, affine, (8, 8), "reflection"), expected)


def test_fine_stripes_do_not_turn_into_coarse_ones():
    stripes = (torch.arange(256) % 2).float().expand(1, 1, 256, 256)
    affine = torch.tensor([[[3.7, 0.4, 1.0], [-0.4, 3.7, 12.0]]])
    inner = resample(stripes, affine, (60, 60), "reflection")[..., 4:-4, 4:-4]
    assert (inner - 0.5).abs().max() < 0.2


def test_a_crop_has_gradients(generator):
    x = torch.rand(1, 1, 7, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    affine = torch.tensor([[[1.3, 0.2, -1.0], [-0.2, 1.3, 2.0]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: resample(x, affine, (5, 5), "reflection"), x)


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


def test_there_and_back_is_the_same_place():
    faces = aligned(group_photo())
    back = transform(invert(faces.affine), transform(faces.affine, faces.points))
    torch.testing.assert_close(back, faces.points, rtol=0, atol=1e-3)


def test_faces_come_by_frame_and_from_left_to_right():
    faces = group_photo(frames=3).faces
    assert faces.frame.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert (faces.centre[:, 0].view(3, 5).diff(dim=1) > 0).all()
    boxes = torch.tensor([[20.0, 0, 30, 10], [0.0, 0, 10, 10]])
    points = torch.zeros(2, 5, 2)
    assert make_faces([0, 0], boxes, points, (50, 50), 1).box[0].tolist() == [0, 0, 10, 10]
    assert box_iou(boxes, boxes).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        (_one([[5.0, 5]] * 5), "crop of face 0 is .* pixels of the photo wide, expected 4 to 1200"),
        (_one([[500 + x, y] for x, y in UPRIGHT]), "face 0 lies outside its photo of 200x300"),
        (_one([[torch.nan, 1.0]] * 5), "crop of face 0 is nan pixels"),
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


def test_the_demos_template_is_the_mean_of_the_drawn_world(generator):
    people, scenes = Identity.random(400, generator), Scene.random(400, generator)
    mean = ((five_points(people, scenes) + 1) / 2).mean(0)
    places = torch.tensor(TEMPLATES["demo"].places)
    assert (mean - places).abs().max() < 0.01


def test_a_group_photo_is_the_same_for_a_seed():
    again = draw_group_photos(0, 5, 1, PHOTO)
    assert torch.equal(again.image, group_photo().image)
    assert not torch.equal(draw_group_photos(1, 5, 1, PHOTO).image, again.image)
    assert replace(again.faces, size=(1, 1)) != again.faces
