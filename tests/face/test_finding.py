"""Faces from landmarks, boxes, masks and numbers, and how those that are missing are reported."""

import pytest
import torch

from guided_face_edit.editor_core.face.aligning import align_faces, quads
from guided_face_edit.editor_core.face.finding import (
    eye_corners_of,
    faces_in_boxes,
    faces_in_landmarks,
    faces_in_masks,
    faces_in_text,
    given_faces,
    missing_faces,
    report_faces,
    whole_pictures,
)
from guided_face_edit.editor_core.face.templates import template_named

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


def test_boxes_masks_and_numbers_give_the_same_face():
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


def test_boxes_are_one_or_for_all_frames_or_a_list_a_frame():
    box = {"x": 20, "y": 10, "width": 40, "height": 50, "score": 0.5}
    for boxes, frame in ((box, [0, 1]), ([box], [0, 1]), ([[], [box]], [1])):
        faces = faces_in_boxes(boxes, SIZE, 2)
        assert faces.frame.tolist() == frame and faces.frames == 2
        assert faces.score.tolist() == [0.5] * len(frame)


def test_numbers_may_be_points_and_name_their_frame():
    points = "1: 60 30 80 30 70 45 62 60 78 60\n\n5,5,25,25"
    faces = faces_in_text(points, SIZE, 2)
    assert faces.frame.tolist() == [0, 1, 1]
    assert faces.points[2].tolist() == [[60, 30], [80, 30], [70, 45], [62, 60], [78, 60]]


@pytest.mark.parametrize("text", ["1 2 3", "2: 1 2 3 4", "left: 1 2 3 4", "a b c d"])
def test_a_line_that_gives_no_face_is_refused(text):
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


def test_faces_are_given_in_one_way():
    name, faces = given_faces(SIZE, 2, mask=None, numbers="20 10 60 60", already_aligned=None)
    assert name == "numbers" and faces.frame.tolist() == [0, 1]
    marks = {"frames": [[{"landmarks_xy": torch.arange(136.0).view(68, 2)}]]}
    assert given_faces(SIZE, 1, face_landmarks=marks)[1].landmarks.shape == (1, 68, 2)
    assert torch.equal(
        given_faces(SIZE, 1, already_aligned=True)[1].box, whole_pictures(SIZE, 1).box
    )
    for ways, given in (({}, "nothing"), ({"numbers": "1", "bboxes": []}, "numbers and bboxes")):
        with pytest.raises(ValueError, match=f"faces are given by {given}, expected one of face_l"):
            given_faces(SIZE, 1, **ways)


def test_missing_faces_are_an_error_or_a_line_of_the_report():
    faces = faces_in_masks(torch.zeros(1, *SIZE), SIZE, 2)
    assert report_faces(whole_pictures(SIZE, 2), "no face", "error") == "2 faces in 2 pictures"
    lines = report_faces(faces, "no face", "pass through").splitlines()
    assert lines == ["0 faces in 2 pictures", "no face in picture 0, 1 of 2, passed through"]
    with pytest.raises(ValueError, match="no face in picture 0, 1 of 2: give another picture"):
        report_faces(faces, "no face", "error")
    with pytest.raises(ValueError, match='if_missing is "skip", expected one of: error, pass thr'):
        report_faces(faces, "no face", "skip")
