"""The nodes that find, track and choose faces."""

import sys
from pathlib import Path

import pytest
import torch

from guided_face_edit.tests.support.running import BY_NAME, draw_photo, embed, load, run


def _given(photo, **ways):
    return run("FacesFromLandmarks", image=photo, **ways)


def test_faces_are_given_by_core_boxes_masks_and_numbers(drawn):
    photo, faces, _ = drawn
    x0, y0, x1, y1 = faces.box[1].tolist()
    box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    mask = torch.zeros(1, 216, 384)
    mask[:, round(y0) : round(y1), round(x0) : round(x1)] = 1
    text = f"{x0} {y0} {x1} {y1}"
    for way in ({"bboxes": box}, {"bboxes": [box]}, {"bboxes": [[box]]}, {"numbers": text}):
        found, report = _given(photo, **way)
        torch.testing.assert_close(found.box, faces.box[1:2])
    found, report = _given(photo, mask=mask)
    assert (found.box - faces.box[1:2]).abs().max() < 1 and report == "1 faces in 1 pictures"
    points = torch.zeros(478, 2) + torch.arange(478)[:, None] % 40
    found, _ = _given(photo, face_landmarks={"frames": [[{"landmarks_xy": points.numpy()}]]})
    assert found.landmarks.shape == (1, 478, 2)


def test_an_aligned_picture_is_its_own_crop(drawn):
    *_, portrait = drawn
    faces, _ = _given(portrait, already_aligned=True)
    crop, _, inside = run("AlignFaces", image=portrait, faces=faces, template="whole box", size=64)
    torch.testing.assert_close(crop, portrait, rtol=0, atol=1e-5)
    assert inside.min() == 1


@pytest.mark.parametrize(
    ("ways", "named"),
    [({}, "nothing"), ({"numbers": "1 1 9 9", "already_aligned": True}, "numbers and already_al")],
)
def test_faces_are_given_in_one_way(drawn, ways, named):
    with pytest.raises(ValueError, match=f"faces are given by {named}"):
        _given(drawn[0], **ways)


def test_a_picture_without_a_face_stops_or_passes_with_the_reason(drawn):
    photo, empty = drawn[0], torch.zeros(1, 216, 384)
    message = "no face given by mask in picture 0 of 1"
    with pytest.raises(ValueError, match=f"{message}: give another picture, or choose pass"):
        _given(photo, mask=empty)
    faces, report = _given(photo, mask=empty, if_missing="pass through")
    assert len(faces) == 0 and f"{message}, passed through" in report
    with pytest.raises(ValueError, match='if_missing is "skip", expected one of: error, pass'):
        _given(photo, mask=empty, if_missing="skip")


def test_faces_are_selected_by_number_mask_and_reference(drawn):
    photo, faces, _ = drawn
    some, report = run("SelectFaces", faces=faces, numbers="0, 2")
    assert torch.equal(some.box, faces.box[[0, 2]]) and report == "2 faces in 1 pictures"
    mask = torch.zeros(1, 216, 384)
    mask[:, :, 128:256] = 1
    some, _ = run("SelectFaces", faces=faces, mask=mask)
    assert torch.equal(some.box, faces.box[[1]])
    *_, references = draw_photo(known="1, 2")
    wanted, model = embed(references, average=False), load("IdentityModel")
    compared = {"embedding": wanted, "identity_model": model, "image": photo}
    some, _ = run("SelectFaces", faces=faces, **compared)
    assert torch.equal(some.box, faces.box[[1, 2]])
    with pytest.raises(ValueError, match="give their image and an identity_model"):
        run("SelectFaces", faces=faces, embedding=wanted)


def test_a_missing_detector_says_where_it_belongs(folders, drawn):
    answer = BY_NAME["DetectFaces"].validate_inputs(detector="yunet.onnx")
    assert "no detector yunet.onnx in models/face_edit/detection: put face_detection" in answer
    assert BY_NAME["DetectFaces"].validate_inputs() is True
    with pytest.raises(FileNotFoundError, match="no detector yunet.onnx"):
        run("DetectFaces", image=drawn[0], detector="yunet.onnx")


def test_without_opencv_the_node_says_what_to_install(folders, drawn, monkeypatch):
    path = Path(folders.models_dir, "face_edit", "detection", "found.onnx")
    path.touch()
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert "found.onnx" in folders.get_filename_list("face_edit_detection")
    with pytest.raises(ValueError, match="pip install opencv-python-headless"):
        run("DetectFaces", image=drawn[0], detector="found.onnx")
