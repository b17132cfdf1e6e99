"""Edited crops back in their photos: what must stay stays to the bit, what was edited is there."""

import pytest
import torch

from guided_face_edit.editor_core.demo.groups import draw_group, random_groups
from guided_face_edit.editor_core.face.aligning import align_faces, crop_faces, crop_masks
from guided_face_edit.editor_core.face.parsing import FACE_PARTS
from guided_face_edit.editor_core.face.pasting import PASTINGS, Pasting, paste_faces
from guided_face_edit.editor_core.face.records import make_faces, no_faces
from guided_face_edit.editor_core.face.templates import template_named
from guided_face_edit.tests.support.groups import PHOTO, aligned, group_photo

LEVEL = 1 / 255


def _face_masks(photos, faces):
    """Where the crops show faces, of the drawn labels."""
    labels = torch.isin(photos.labels, torch.tensor(FACE_PARTS)).float()
    return crop_masks(labels, faces)


def _lighter(crops):
    return (crops + 0.4).clamp(-1, 1)


@pytest.mark.parametrize("blending", PASTINGS)
@pytest.mark.parametrize("size", [64, 256])
def test_unchanged_crops_leave_the_photo_bit_for_bit(size, blending):
    photos = group_photo()
    faces = aligned(photos, size=size)
    crops = crop_faces(photos.image, faces).image
    pasted = paste_faces(photos.image, faces, crops, None, Pasting(blending=blending))
    assert torch.equal(pasted.image, photos.image) and pasted.mask.max() > 0.99


def test_crops_that_went_through_8_bits_move_no_pixel_by_a_level():
    photos = group_photo()
    faces = aligned(photos)
    crops = crop_faces(photos.image, faces).image
    kept = ((crops + 1) * 127.5).round() / 127.5 - 1
    for colours in (False, True):
        pasted = paste_faces(photos.image, faces, kept, None, Pasting(match_colours=colours))
        assert (pasted.image - photos.image).abs().max() < LEVEL


@pytest.mark.parametrize("blending", PASTINGS)
def test_outside_the_masks_the_photo_is_kept_and_every_face_is_edited(blending):
    photos = group_photo()
    faces = aligned(photos)
    masks = _face_masks(photos, faces)
    edited = _lighter(crop_faces(photos.image, faces).image)
    pasted = paste_faces(photos.image, faces, edited, masks, Pasting(2.0, blending))
    outside = pasted.mask == 0
    assert torch.equal(pasted.image[outside], photos.image[outside])
    face_pixels = torch.isin(photos.labels, torch.tensor(FACE_PARTS))
    near = torch.nn.functional.max_pool2d(face_pixels.float()[:, None], 7, 1, 3)[:, 0] > 0
    assert (outside | near).all()
    for point in faces.points[:, 2].long():
        x, y = point.tolist()
        change = pasted.image[0, y, x] - photos.image[0, y, x]
        assert (change > 0.05).all()


def test_what_is_pasted_is_what_a_swap_would_have_drawn():
    """Crops of the photo of other people, pasted into the photo, give the photo of those people."""
    size = (2 * PHOTO[0], 2 * PHOTO[1])
    (group,) = random_groups(3, 3, 1, size)
    other = group.with_inner_face(group.identity.inner.rows(torch.tensor([1, 2, 0])))
    before, after = (draw_group(each, size) for each in (group, other))
    photo, truth = before[0][None], after[0][None]
    faces = make_faces([0] * 3, _boxes(group.points), group.points, size, 1)
    faces = _aligned(faces, "demo", 384)
    labels = torch.isin(before[1], torch.tensor(FACE_PARTS)).float()[None]
    masks = crop_masks(labels, faces)
    crops = crop_faces(truth, faces).image
    pasted = paste_faces(photo, faces, crops, masks, Pasting(feather=0)).image
    inside = labels > 0
    error = (pasted - truth)[inside].square().mean()
    assert error < 0.02 * (photo - truth)[inside].square().mean()


def _aligned(faces, template, size):
    return align_faces(faces, template_named(template), size)


def _boxes(points):
    return torch.cat([points.amin(1), points.amax(1)], 1)


def _square():
    """A grey photo, and a crop of 100 pixels in its middle."""
    box = torch.tensor([[50.0, 50, 150, 150]])
    face = make_faces([0], box, torch.zeros(1, 5, 2), (200, 200), 1)
    return torch.full((1, 200, 200, 3), 0.5), _aligned(face, "whole box", 100)


def test_a_mask_fades_inwards_over_the_feather():
    photo, face = _square()
    mask = torch.ones(1, 100, 100)
    edited = torch.full((1, 3, 100, 100), 0.5)
    row = paste_faces(photo, face, edited, mask, Pasting(feather=5)).mask[0, 100]
    assert (row[:49] == 0).all() and (row[152:] == 0).all() and row[100] == 1
    assert (row[50:100].diff() >= 0).all() and 0.4 < row[54] < 0.8 and row[62] > 0.95
    hard = paste_faces(photo, face, edited, mask, Pasting(feather=0)).mask[0, 100]
    assert (hard[50:150] > 0.999).all() and (hard[:49] == 0).all()


def test_coarse_bands_fade_more_widely_than_fine_ones():
    photo, face = _square()
    lighter, mask = torch.full((1, 3, 100, 100), 0.5), torch.ones(1, 100, 100)
    rows = [
        paste_faces(photo, face, lighter, mask, Pasting(2, blending)).image[0, 100, :, 0]
        for blending in PASTINGS
    ]
    assert rows[1][58] < rows[0][58] - 0.05
    assert rows[0][100] == pytest.approx(0.75, abs=1e-3) == rows[1][100].item()


def test_colours_are_brought_to_those_of_the_photo():
    photos = group_photo()
    faces = aligned(photos)
    masks = _face_masks(photos, faces)
    edited = crop_faces(photos.image, faces).image * 0.6 + 0.3
    kept = paste_faces(photos.image, faces, edited, masks, Pasting(match_colours=True))
    assert (kept.image - photos.image).abs().max() < 0.01


def test_alpha_survives():
    photos = group_photo()
    alpha = torch.rand(1, *PHOTO, 1, generator=torch.Generator().manual_seed(0))
    faces = aligned(photos)
    edited = _lighter(crop_faces(photos.image, faces).image)
    pasted = paste_faces(torch.cat([photos.image, alpha], 3), faces, edited).image
    plain = paste_faces(photos.image, faces, edited).image
    assert torch.equal(pasted[..., 3:], alpha) and torch.equal(pasted[..., :3], plain)


def test_where_faces_meet_the_first_stays_on_top():
    photo = torch.full((1, 100, 100, 3), 0.5)
    boxes = torch.tensor([[10.0, 30, 60, 80], [40.0, 30, 90, 80]])
    faces = make_faces([0, 0], boxes, torch.zeros(2, 5, 2), (100, 100), 1)
    faces = _aligned(faces, "whole box", 50)
    edited = torch.stack([torch.full((3, 50, 50), value) for value in (-0.5, 0.5)])
    pasted = paste_faces(photo, faces, edited, torch.ones(2, 50, 50), Pasting(feather=0))
    row = pasted.image[0, 55, :, 0]
    assert row[50] == pytest.approx(0.25) and row[75] == pytest.approx(0.75)
    assert pasted.mask.max() <= 1


def test_frames_are_pasted_each_into_its_own():
    photos = group_photo(people=2, frames=2)
    faces = aligned(photos).rows([2])
    edited = _lighter(crop_faces(photos.image, faces).image)
    pasted = paste_faces(photos.image, faces, edited).image
    assert torch.equal(pasted[0], photos.image[0]) and not torch.equal(pasted[1], photos.image[1])


def test_a_face_cut_by_the_border_is_edited_as_far_as_there_is_photo():
    photos = group_photo()
    x = int(photos.faces.points[0, 2, 0])
    cut = photos.image[:, :, x:]
    shift = torch.tensor([float(x), 0])
    face = photos.faces.rows([0])
    face = make_faces([0], face.box - shift.repeat(2), face.points - shift, cut.shape[1:3], 1)
    face = _aligned(face, "demo", 64)
    crops = crop_faces(cut, face)
    assert 0.3 < crops.inside.mean() < 0.8
    assert torch.equal(paste_faces(cut, face, crops.image).image, cut)
    assert not torch.equal(paste_faces(cut, face, _lighter(crops.image)).image, cut)


def test_no_faces_change_nothing():
    photos = group_photo()
    none = _aligned(no_faces(PHOTO, 1), "demo", 64)
    pasted = paste_faces(photos.image, none, torch.zeros(0, 3, 64, 64))
    assert torch.equal(pasted.image, photos.image) and not pasted.mask.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edited": torch.zeros(2, 3, 64, 64)}, "got crops 2 x 64 x 64, expected 5 x 64 x 64"),
        ({"masks": torch.zeros(5, 32, 64)}, "got masks 5 x 32 x 64, expected 5 x 64 x 64"),
        ({"photos": torch.zeros(1, 9, 9, 3)}, "the faces are of 1 pictures of 270x480"),
        ({"photos": torch.zeros(1, *PHOTO, 2)}, "expected .batch, height, width, 3 or 4."),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = {"photos": group_photo().image, "edited": torch.zeros(5, 3, 64, 64), **change}
    with pytest.raises(ValueError, match=message):
        paste_faces(given["photos"], aligned(group_photo()), given["edited"], given.get("masks"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feather": -1}, "feather is -1: expected 0 or more"),
        (
            {"blending": "poisson"},
            'blending is "poisson", expected "feather" or "multi-band": choose',
        ),
    ],
)
def test_settings_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        Pasting(**change)
