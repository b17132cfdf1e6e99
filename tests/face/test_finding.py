"""Faces from landmarks, boxes, masks and numbers; choosing and tracking them."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.demo.groups import draw_references
from guided_face_edit.editor_core.demo.models import load_demo_models
from guided_face_edit.editor_core.face.aligning import align_faces, quads
from guided_face_edit.editor_core.face.choosing import (
    ORDERS,
    FaceChoice,
    choose_by_likeness,
    choose_by_mask,
    choose_by_number,
    numbers_in,
)
from guided_face_edit.editor_core.face.detecting import FaceDetector
from guided_face_edit.editor_core.face.finding import (
    eye_corners_of,
    faces_in_boxes,
    faces_in_landmarks,
    faces_in_masks,
    faces_in_text,
    missing_faces,
    whole_pictures,
)
from guided_face_edit.editor_core.face.identity import embed_identity
from guided_face_edit.editor_core.face.locate import embed_faces
from guided_face_edit.editor_core.face.records import make_faces
from guided_face_edit.editor_core.face.templates import template_named
from guided_face_edit.editor_core.face.tracking import flicker, smooth_faces, track_faces
from guided_face_edit.editor_core.images import to_signed
from guided_face_edit.tests.support.groups import PHOTO, aligned, group_photo

SIZE = (100, 200)


@pytest.mark.parametrize(
    ("count", "eyes", "nose", "mouth"),
    [(68, (36, 39, 42, 45), 30, (48, 54)), (478, (33, 133, 362, 263), 1, (61, 291))],
)
def test_landmarks_give_the_five_points_and_the_eyes(count, eyes, nose, mouth):
    points = torch.zeros(count, 2)
    for index, x in zip(eyes, (10.0, 20, 40, 50), strict=True):
        points[index] = torch.tensor([x, 30.0])
    points[nose] = torch.tensor([30.0, 45])
    points[list(mouth)] = torch.tensor([[20.0, 60], [40, 60]])
    marks = [[], [{"landmarks_xy": points.numpy(), "score": 0.5}]]
    faces = faces_in_landmarks(marks, SIZE)
    assert faces.points.tolist() == [[[15, 30], [45, 30], [30, 45], [20, 60], [40, 60]]]
    assert faces.frame.tolist() == [1] and faces.score.tolist() == [0.5] and faces.frames == 2
    assert eye_corners_of(faces.landmarks)[0, :, 0].tolist() == [10, 20, 40, 50]
    with pytest.raises(ValueError, match="a face has 5 landmarks, expected 68, 468 or 478"):
        faces_in_landmarks([[{"landmarks_xy": torch.zeros(5, 2)}]], SIZE)


def test_boxes_masks_and_numbers_tell_the_same_face():
    box = {"x": 20, "y": 10, "width": 40, "height": 50, "label": "face"}
    mask = torch.zeros(1, *SIZE)
    mask[:, 10:60, 20:60] = 1
    found = [
        faces_in_boxes([[box]], SIZE, 1),
        faces_in_masks(mask, SIZE, 1),
        faces_in_text("20, 10, 60, 60", SIZE, 1),
    ]
    for faces in found:
        assert faces.box.tolist() == [[20, 10, 60, 60]]
        assert torch.equal(faces.points, found[0].points)
        assert (faces.points[:, 1, 0] > faces.points[:, 0, 0]).all()


def test_numbers_may_be_points_and_name_their_frame():
    points = "1: 60 30 80 30 70 45 62 60 78 60\n\n5,5,25,25"
    faces = faces_in_text(points, SIZE, 2)
    assert faces.frame.tolist() == [0, 1, 1]
    assert faces.points[2].tolist() == [[60, 30], [80, 30], [70, 45], [62, 60], [78, 60]]


@pytest.mark.parametrize("text", ["1 2 3", "2: 1 2 3 4", "left: 1 2 3 4", "a b c d"])
def test_a_line_that_tells_no_face_is_refused(text):
    with pytest.raises(ValueError, match="gives no face in 2 frames, expected 4 numbers of a box"):
        faces_in_text(text, SIZE, 2)


def test_a_whole_picture_is_cut_to_its_square():
    faces = align_faces(whole_pictures(SIZE, 2), template_named("whole box"), 50)
    assert quads(faces)[1].tolist() == [[50, 0], [150, 0], [150, 100], [50, 100]]


def test_frames_without_a_face_are_named():
    faces = faces_in_masks(torch.zeros(1, *SIZE), SIZE, 3)
    assert missing_faces(faces, "no face") == "no face in picture 0, 1, 2 of 3"
    assert missing_faces(whole_pictures(SIZE, 3), "no face") is None
    with pytest.raises(ValueError, match=r"mask has shape \(2, 9, 9\), expected \(1 or 3, 100, 2"):
        faces_in_masks(torch.zeros(2, 9, 9), SIZE, 3)


def test_a_detector_that_is_no_file_or_no_network_is_named(tmp_path):
    photo = torch.zeros(1, 32, 32, 3)
    with pytest.raises(FileNotFoundError, match="no detector .*yunet.onnx: put face_detection_yu"):
        FaceDetector(tmp_path / "yunet.onnx").find(photo)


def _row(boxes, frame=None, size=SIZE):
    boxes = torch.tensor(boxes).float()
    return make_faces(frame or [0] * len(boxes), boxes, torch.zeros(len(boxes), 5, 2), size, 9)


def test_faces_are_ordered_as_asked_for():
    faces = _row([[0, 50, 10, 60], [20, 0, 60, 40], [100, 20, 120, 40]])
    faces = replace(faces, score=torch.tensor([0.7, 0.6, 0.9]))
    first = {
        order: choose_by_number(faces, FaceChoice(order, "0")).box[0, 0].item() for order in ORDERS
    }
    assert first == {
        "left to right": 0,
        "top to bottom": 20,
        "largest first": 20,
        "smallest first": 0,
        "surest first": 100,
    }
    assert len(choose_by_number(faces, FaceChoice(numbers="0, 2, 7"))) == 2
    assert len(choose_by_number(faces, FaceChoice("largest first"))) == 3
    with pytest.raises(ValueError, match='order is "best", expected "left to right" or "top to'):
        FaceChoice("best")


def test_numbers_count_in_each_frame_and_people_in_all():
    """Somebody who is missing in one frame moves nobody else up, once people are known."""
    boxes = [[0, 0, 20, 20], [50, 0, 70, 20], [50, 0, 70, 20]]
    faces = _row(boxes, [0, 0, 1])
    assert choose_by_number(faces, FaceChoice(numbers="0")).box[:, 0].tolist() == [0, 50]
    tracked = track_faces(faces)
    assert choose_by_number(tracked, FaceChoice(numbers="1")).frame.tolist() == [0, 1]
    assert choose_by_number(tracked, FaceChoice(numbers="0")).frame.tolist() == [0]


def test_numbers_are_read():
    assert numbers_in(" 0, 2 5") == [0, 2, 5] and numbers_in(" ") is None
    with pytest.raises(ValueError, match='faces are "first", expected numbers from 0 on'):
        numbers_in("first")


def test_the_face_under_a_mask_is_chosen():
    photos = group_photo()
    mask = torch.zeros(1, *PHOTO)
    x0, y0, x1, y1 = photos.faces.box[3].long().tolist()
    mask[:, y0:y1, x0:x1] = 1
    assert torch.equal(choose_by_mask(photos.faces, mask).box, photos.faces.box[[3]])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_person_of_a_reference_is_found_among_five(seed):
    photos = group_photo(seed)
    encoder = load_demo_models().identity
    faces = aligned(photos)
    faces = embed_faces(faces, photos.image, encoder)
    for known in (0, 2, 4):
        portrait = to_signed(draw_references(seed, 5, [known]))
        chosen = choose_by_likeness(faces, embed_identity(encoder, portrait), max_distance=2.0)
        assert torch.equal(chosen.box, photos.faces.box[[known]])


def test_nobody_is_chosen_who_is_not_alike_enough():
    photos = group_photo()
    encoder = load_demo_models().identity
    faces = aligned(photos)
    faces = embed_faces(faces, photos.image, encoder)
    reference = embed_identity(encoder, to_signed(draw_references(0, 5, [1])))
    assert len(choose_by_likeness(faces, reference, max_distance=0.01)) == 0
    with pytest.raises(ValueError, match="the faces have no embeddings, expected some to compare"):
        choose_by_likeness(photos.faces, reference)


def test_people_are_tracked_through_a_clip():
    photos = group_photo(people=3, frames=5)
    assert track_faces(photos.faces).person.tolist() == [0, 1, 2] * 5


def test_likeness_tracks_people_who_cross_and_come_back():
    boxes = [[0, 0, 20, 20], [60, 0, 80, 20], [0, 0, 20, 20], [60, 0, 80, 20], [30, 50, 50, 70]]
    faces = _row(boxes, [0, 0, 1, 1, 4])
    one, two = torch.eye(2)
    crossed = replace(faces, embedding=torch.stack([one, two, two, one, two]))
    assert track_faces(faces).person.tolist() == [0, 1, 0, 1, 2]
    assert track_faces(crossed).person.tolist() == [0, 1, 1, 0, 1]


def _clip(jitter):
    """A face that moves evenly to the right, but for what shakes it."""
    frames = torch.arange(9.0)
    x = 20 + 8 * frames + torch.tensor(jitter)
    boxes = torch.stack([x, x * 0 + 20, x + 40, x * 0 + 60], 1)
    faces = make_faces(range(9), boxes, torch.zeros(9, 5, 2), SIZE, 9)
    return align_faces(track_faces(faces), template_named("whole box"), 40)


SHAKEN = [0.0, 3, -2, 3, -3, 2, -3, 3, 0]


def test_smoothing_takes_the_shaking_and_leaves_the_way():
    shaken, steady = _clip(SHAKEN), _clip([0.0] * 9)

    def left(faces):
        return quads(faces)[:, 0, 0]

    smooth = smooth_faces(shaken, 1.5)
    before, after = ((left(f) - left(steady))[2:-2].abs().max() for f in (shaken, smooth))
    assert after < 0.6 * before
    assert torch.equal(smooth_faces(shaken, 0).affine, shaken.affine)
    torch.testing.assert_close(left(smooth_faces(steady, 1.0))[4:5], left(steady)[4:5])


def test_smoothing_mixes_no_two_people():
    faces = aligned(group_photo(people=2, frames=3))
    tracked = track_faces(faces)
    both = smooth_faces(tracked, 2.0)
    rows = (tracked.person == 1).nonzero().flatten()
    torch.testing.assert_close(smooth_faces(tracked.rows(rows), 2.0).affine, both.affine[rows])
    with pytest.raises(ValueError, match="only tracked faces can be smoothed over time: track"):
        smooth_faces(faces, 1.0)


def test_flicker_is_the_change_over_that_of_the_photo():
    faces = track_faces(_row([[0, 0, 20, 20]] * 3 + [[60, 0, 80, 20]], [0, 1, 2, 0]))
    before = torch.tensor([0.0, 0.1, 0.2, 0.0])[[0, 3, 1, 2]].view(4, 1, 1, 1).expand(-1, 3, 4, 4)
    rows = (faces.person == 0).nonzero().flatten()
    edited = before.clone()
    edited[rows] = torch.tensor([0.0, 0.3, 0.0]).view(3, 1, 1, 1)
    assert flicker(faces, before, before).tolist() == pytest.approx([1.0])
    assert flicker(faces, before, edited).tolist() == pytest.approx([3.0])
    assert len(flicker(_row([[0, 0, 20, 20]]), before[:1], before[:1])) == 0
