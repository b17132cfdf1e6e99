"""The nodes that take photos apart into faces, and put them together again."""

import sys
from pathlib import Path

import pytest
import torch

from guided_face_edit.editor_core.face.pasting import PASTINGS
from guided_face_edit.tests.support.running import QUICK, load, run

FOUND = {"order": "left to right", "numbers": "", "template": "demo", "max_distance": 0.6}
TOLD = {"numbers": "", "already_aligned": False, "if_missing": "error"}
PASTED = {"feather": 2.0, "blending": "feather", "match_colours": False}
ALIGNED = {"template": "demo", "size": 64, "smoothing": 0.0}


def _draw(people=3, frames=1, known="0"):
    size = {"width": 384, "height": 216}
    return run("DrawDemoPhoto", seed=0, people=people, frames=frames, known=known, **size)


@pytest.fixture(scope="module")
def drawn():
    return _draw()


@pytest.fixture(scope="module")
def crops(drawn):
    """The crops, the aligned faces, and how much of each lies in the photo."""
    photo, faces, _ = drawn
    return run("AlignFaces", image=photo, faces=faces, **ALIGNED)


def _told(photo, **told):
    return run("FacesFromLandmarks", image=photo, **{**TOLD, **told})


def test_a_drawn_photo_comes_with_its_faces_and_references(drawn):
    photo, faces, references = drawn
    assert photo.shape == (1, 216, 384, 3) and len(faces) == 3
    assert references.shape == (1, 64, 64, 3)
    *_, all_ = _draw(known="")
    assert len(all_) == 3
    with pytest.raises(ValueError, match=r"known are \[3\], expected some of 0 to 2"):
        _draw(known="3")


def test_faces_are_told_by_core_boxes_masks_and_numbers(drawn):
    photo, faces, _ = drawn
    x0, y0, x1, y1 = faces.box[1].tolist()
    box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    mask = torch.zeros(1, 216, 384)
    mask[:, round(y0) : round(y1), round(x0) : round(x1)] = 1
    text = f"{x0} {y0} {x1} {y1}"
    for told in ({"bboxes": box}, {"bboxes": [box]}, {"bboxes": [[box]]}, {"numbers": text}):
        found, report = _told(photo, **told)
        torch.testing.assert_close(found.box, faces.box[1:2])
    found, report = _told(photo, mask=mask)
    assert (found.box - faces.box[1:2]).abs().max() < 1 and report == "1 faces in 1 pictures"
    points = torch.zeros(478, 2) + torch.arange(478)[:, None] % 40
    found, _ = _told(photo, face_landmarks={"frames": [[{"landmarks_xy": points.numpy()}]]})
    assert found.landmarks.shape == (1, 478, 2)


def test_an_aligned_picture_is_its_own_crop(drawn):
    *_, portrait = drawn
    faces, _ = _told(portrait, already_aligned=True)
    whole = {**ALIGNED, "template": "whole box"}
    crop, _, inside = run("AlignFaces", image=portrait, faces=faces, **whole)
    torch.testing.assert_close(crop, portrait, rtol=0, atol=1e-5)
    assert inside.min() == 1


@pytest.mark.parametrize(
    ("told", "given"),
    [({}, "nothing"), ({"numbers": "1 1 9 9", "already_aligned": True}, "numbers and already_al")],
)
def test_faces_are_told_in_one_way(drawn, told, given):
    with pytest.raises(ValueError, match=f"faces are given by {given}"):
        _told(drawn[0], **told)


def test_a_picture_without_a_face_stops_or_passes_with_the_reason(drawn):
    photo, empty = drawn[0], torch.zeros(1, 216, 384)
    message = "no face given by mask in picture 0 of 1"
    with pytest.raises(ValueError, match=f"{message}: give another picture, or choose pass"):
        _told(photo, mask=empty)
    faces, report = _told(photo, mask=empty, if_missing="pass through")
    assert len(faces) == 0 and f"{message}, passed through" in report
    with pytest.raises(ValueError, match='if_missing is "skip", expected one of: error, pass'):
        _told(photo, mask=empty, if_missing="skip")


def test_a_photo_without_faces_passes_through_the_whole_graph(drawn):
    """Whatever the crops of no face go through, the photo comes out as it went in."""
    photo, _, reference = drawn
    faces, _ = _told(photo, mask=torch.zeros(1, 216, 384), if_missing="pass through")
    model = load("IdentityModel")
    (wanted,) = run("EmbedIdentity", identity_model=model, image=reference, average=True)
    compared = {"embedding": wanted, "identity_model": model, "image": photo}
    faces, _ = run("SelectFaces", faces=faces, if_missing="pass through", **compared, **FOUND)
    crops, aligned, inside = run("AlignFaces", image=photo, faces=faces, **ALIGNED)
    parsing, _ = run("ParseFace", parser=load("FaceParser"), image=crops)
    (mask,) = run("FaceMask", parsing=parsing, parts="face", grow=0, feather=0.0)
    eyes, *_, preview = run("CropEyes", image=photo, parsing=parsing, faces=aligned)
    models = {"identity_model": load("IdentityModel"), "parser": load("FaceParser")}
    gaze = {"gaze_model": load("GazeModel"), "eyes": eyes}
    (chain,) = run("GuidancePreset", preset="demo", **models, **gaze)
    model = load("FaceDiffusionModel")
    candidates, best, metrics = run(
        "GuidedFaceSampler",
        **{"model": model, "target": photo, "mask": mask, "guidance": chain, "faces": aligned},
        **QUICK,
    )
    assert torch.equal(best, photo) and not metrics.series
    pasted, where = run("PasteFacesBack", image=photo, faces=aligned, crops=crops, **PASTED)
    assert torch.equal(pasted, photo) and not where.any()


def test_faces_are_selected_by_number_mask_and_reference(drawn):
    photo, faces, _ = drawn
    some, report = run(
        "SelectFaces", faces=faces, if_missing="error", **{**FOUND, "numbers": "0, 2"}
    )
    assert torch.equal(some.box, faces.box[[0, 2]]) and report == "2 faces in 1 pictures"
    mask = torch.zeros(1, 216, 384)
    mask[:, :, 128:256] = 1
    some, _ = run("SelectFaces", faces=faces, mask=mask, if_missing="error", **FOUND)
    assert torch.equal(some.box, faces.box[[1]])
    *_, references = _draw(known="1, 2")
    model = load("IdentityModel")
    (wanted,) = run("EmbedIdentity", identity_model=model, image=references, average=False)
    compared = {"embedding": wanted, "identity_model": model, "image": photo}
    some, _ = run("SelectFaces", faces=faces, if_missing="error", **compared, **FOUND)
    assert torch.equal(some.box, faces.box[[1, 2]])
    with pytest.raises(ValueError, match="give their image and an identity_model"):
        run("SelectFaces", faces=faces, if_missing="error", embedding=wanted, **FOUND)


def test_crops_and_photo_go_there_and_back(drawn, crops):
    photo, crop, (_, aligned, inside) = drawn[0], crops[0], crops
    assert crop.shape == (3, 64, 64, 3) and inside.shape == (3, 64, 64)
    for blending in PASTINGS:
        settings = {**PASTED, "blending": blending}
        back, where = run("PasteFacesBack", image=photo, faces=aligned, crops=crop, **settings)
        assert (back - photo).abs().max() < 1e-6 and where.max() > 0.9


def test_a_parsing_says_where_to_paste(drawn, crops):
    photo, (crop, aligned, _) = drawn[0], crops
    parsing, _ = run("ParseFace", parser=load("FaceParser"), image=crop)
    given = {"image": photo, "faces": aligned, "crops": 1 - crop, **PASTED}
    everywhere, wide = run("PasteFacesBack", **given)
    faces, narrow = run("PasteFacesBack", parsing=parsing, **given)
    one, mask = run("PasteFacesBack", mask=torch.ones(1, 64, 64), **given)
    assert 0 < narrow.sum() < wide.sum() < mask.sum()
    assert torch.equal(faces[narrow == 0], photo[narrow == 0])


@pytest.mark.parametrize("of_photo", [False, True])
def test_the_sampler_takes_a_photo_with_its_faces(drawn, crops, of_photo):
    photo, aligned, reference = drawn[0], crops[1], drawn[2]
    size = (1, 216, 384) if of_photo else (1, 64, 64)
    (embedding,) = run(
        "EmbedIdentity", identity_model=load("IdentityModel"), image=reference, average=True
    )
    candidates, best, metrics = run(
        "GuidedFaceSampler",
        **{"model": load("FaceDiffusionModel"), "target": photo, "mask": torch.ones(size)},
        **{"embedding": embedding, "faces": aligned, "noise": "per image"},
        **{**QUICK, "steps": 2},
    )
    assert candidates.shape == (6, 64, 64, 3) and best.shape == photo.shape
    for x, y in aligned.points[:, 2].long().tolist():
        assert not torch.equal(best[0, y, x], photo[0, y, x])


def test_eyes_and_gaze_are_shown_on_the_photo(drawn, crops):
    photo, (crop, aligned, _) = drawn[0], crops
    parsing, _ = run("ParseFace", parser=load("FaceParser"), image=crop)
    eyes, left, right, preview = run("CropEyes", image=photo, parsing=parsing, faces=aligned)
    assert left.shape == (3, 96, 160, 3) and preview.shape == photo.shape
    gaze = {"gaze_model": load("GazeModel"), "image": photo, "eyes": eyes, "faces": aligned}
    text, arrows = run("EstimateGaze", **gaze)
    assert len(text.splitlines()) == 3 and arrows.shape == photo.shape
    painted = (arrows - photo).abs().amax(3)[0].nonzero()
    for x, y in aligned.points[:, :2].flatten(0, 1).tolist():
        assert ((painted - torch.tensor([y, x])).norm(dim=1) < 12).any()


def test_eyes_come_from_the_landmarks_of_the_faces(drawn):
    photo, faces, _ = drawn
    points = torch.zeros(478, 2) + faces.points[1, 2]
    for index, x in zip((33, 133, 362, 263), (-30.0, -10, 10, 30), strict=True):
        points[index] += torch.tensor([x, -20])
    points[1] += torch.tensor([0.0, 0])
    points[[61, 291]] += torch.tensor([[-15.0, 25], [15, 25]])
    found, _ = _told(photo, face_landmarks={"frames": [[{"landmarks_xy": points.numpy()}]]})
    crop, aligned, _ = run("AlignFaces", image=photo, faces=found, **ALIGNED)
    eyes, *_ = run("CropEyes", image=photo, faces=aligned)
    assert eyes.left[0, 2] <= eyes.right[0, 0] and eyes.size == (64, 64)


def test_a_clip_is_tracked_and_smoothed():
    photo, faces, _ = _draw(people=2, frames=3)
    seen = {"identity_model": load("IdentityModel"), "image": photo, "template": "demo"}
    (tracked,) = run("TrackFaces", faces=faces, **seen)
    assert tracked.person.tolist() == [0, 1] * 3
    smooth = {**ALIGNED, "smoothing": 2.0}
    _, steady, _ = run("AlignFaces", image=photo, faces=tracked, **smooth)
    _, restless, _ = run("AlignFaces", image=photo, faces=tracked, **ALIGNED)
    assert not torch.equal(steady.affine, restless.affine)
    with pytest.raises(ValueError, match="only tracked faces can be smoothed over time"):
        run("AlignFaces", image=photo, faces=faces, **smooth)


DETECT = {"min_score": 0.6, "min_size": 24, "if_missing": "pass through"}


def test_a_missing_detector_says_where_it_belongs(folders, drawn):
    from guided_face_edit.tests.nodes.test_nodes import BY_NAME

    verdict = BY_NAME["DetectFaces"].validate_inputs(detector="yunet.onnx")
    assert "no detector yunet.onnx in models/face_edit/detection: put face_detection" in verdict
    assert BY_NAME["DetectFaces"].validate_inputs() is True
    with pytest.raises(FileNotFoundError, match="no detector yunet.onnx"):
        run("DetectFaces", image=drawn[0], detector="yunet.onnx", **DETECT)


def test_without_opencv_the_node_says_what_to_install(folders, drawn, monkeypatch):
    path = Path(folders.models_dir, "face_edit", "detection", "found.onnx")
    path.touch()
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert "found.onnx" in folders.get_filename_list("face_edit_detection")
    with pytest.raises(ValueError, match="pip install opencv-python-headless"):
        run("DetectFaces", image=drawn[0], detector="found.onnx", **DETECT)
