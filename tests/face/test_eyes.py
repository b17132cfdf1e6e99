"""Where the eyes are, and the pixels that the gaze networks read."""

import math

import pytest
import torch

from guided_face_edit.editor_core.face.eyes import (
    EyeBoxes,
    crop_around_eyes,
    crop_eyes,
    find_eyes_in_labels,
    find_eyes_in_landmarks,
)
from guided_face_edit.editor_core.face.parsing import (
    FacePart,
)
from guided_face_edit.tests.support.labels import face_labels


@pytest.mark.parametrize("mirrored", [False, True])
def test_eye_boxes_surround_the_labelled_eyes(mirrored):
    boxes = find_eyes_in_labels(face_labels(mirrored))
    for box, middle in ((boxes.left[0], 21), (boxes.right[0], 45)):
        x0, y0, x1, y1 = box.tolist()
        assert x0 + x1 == 2 * middle and y0 + y1 == 2 * 31
        assert 17 <= x1 - x0 <= 20 and math.isclose((y1 - y0) / (x1 - x0), 0.6, abs_tol=0.08)


def test_a_stray_pixel_does_not_move_an_eye_box():
    labels = face_labels()
    clean = find_eyes_in_labels(labels)
    labels[0, 60, 60] = FacePart.L_EYE
    moved = find_eyes_in_labels(labels)
    assert torch.equal(moved.left, clean.left)
    assert torch.equal(moved.right, clean.right)


def test_a_missing_eye_is_named():
    labels = torch.cat([face_labels(), face_labels()])
    labels[1][labels[1] == FacePart.R_EYE] = FacePart.SKIN
    with pytest.raises(ValueError, match="picture 1 shows no r_eye, expected both eyes"):
        find_eyes_in_labels(labels)


def test_landmarks_give_the_corners_their_padding():
    corners = torch.tensor([[[79.97, 110.61], [106.56, 121.6], [145.86, 115.4], [166.18, 121.49]]])
    boxes = find_eyes_in_landmarks(corners, (256, 256))
    assert boxes.left.tolist() == [[74, 107, 111, 125]]
    assert boxes.right.tolist() == [[140, 109, 171, 127]]
    points = torch.zeros(1, 68, 2)
    points[:, [36, 39, 42, 45]] = corners
    assert torch.equal(find_eyes_in_landmarks(points, (256, 256)).left, boxes.left)
    half = find_eyes_in_landmarks(corners / 2, (128, 128))
    assert (half.left * 2 - boxes.left).abs().max() <= 2


def test_landmark_boxes_stay_in_the_picture():
    corners = torch.tensor([[[-35.0, 4.0], [20.0, 4.0], [240.0, 250.0], [300.0, 252.0]]])
    boxes = find_eyes_in_landmarks(corners, (256, 256))
    assert boxes.left.tolist() == [[0, 0, 25, 13]] and boxes.right.tolist() == [
        [235, 242, 256, 256]
    ]
    with pytest.raises(ValueError, match=r"picture 0 is 256x256, its eye box .* lies outside"):
        find_eyes_in_landmarks(corners - 400, (256, 256))


@pytest.mark.parametrize("shape", [(68, 2), (1, 5, 2), (1, 68, 3)])
def test_other_landmarks_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(batch, 68, 2\)"):
        find_eyes_in_landmarks(torch.zeros(shape), (64, 64))


def test_crops_are_grey_and_squeezed():
    image = torch.full((2, 3, 32, 32), -1.0)
    image[:, 1, 4:8, 2:12] = 1
    left = torch.tensor([[2, 4, 12, 8], [12, 8, 22, 12]])
    one, other = crop_eyes(image, EyeBoxes(left, left))
    assert one.shape == other.shape == (2, 1, 96, 160)
    torch.testing.assert_close(one[0], torch.full((1, 96, 160), 1 / 3))
    assert one[1].max() == 0


def _eyes_at(left, right):
    """Boxes of 12 x 8 pixels around two points x, y."""
    boxes = (torch.tensor([[x - 6, y - 4, x + 6, y + 4]]) for x, y in (left, right))
    return EyeBoxes(*boxes)


def test_a_face_is_cut_out_as_detectors_box_it():
    image = torch.full((1, 3, 100, 100), -1.0)
    image[:, :, 21:73, 29:71] = 1  # of eyes 20 pixels apart: 21 to either side, 19 up, 33 down
    face = crop_around_eyes(image, _eyes_at((40, 40), (60, 40)), 16)
    torch.testing.assert_close(face, torch.ones(1, 3, 16, 16))
    image[:, :, 21, 29:71] = -1
    image[:, :, 21:73, 70] = -1
    face = crop_around_eyes(image, _eyes_at((40, 40), (60, 40)), 64)
    assert (face[0, 0, 0] < 1).all() and (face[0, 0, :, -1] < 1).all()
    torch.testing.assert_close(face[:, :, 2:, :-2], torch.ones(1, 3, 62, 62))


def test_a_face_beyond_the_edge_is_cut_off_there():
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = crop_around_eyes(image, _eyes_at((8, 30), (56, 30)), 64)
    torch.testing.assert_close(whole, image)


def test_the_face_of_other_pictures_is_refused():
    boxes = _eyes_at((20, 20), (40, 20))
    with pytest.raises(ValueError, match="found in 1 pictures, these are 2 of 64x64"):
        crop_around_eyes(torch.zeros(2, 3, 64, 64), boxes, 8)


def test_eyes_of_another_size_are_refused():
    boxes = find_eyes_in_labels(face_labels())
    with pytest.raises(ValueError, match="1 pictures of 64x64, these are 1 of 32x32"):
        crop_eyes(torch.zeros(1, 3, 32, 32), boxes)
