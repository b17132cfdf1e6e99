"""The nodes that read faces: parts, mask, eyes, gaze, identity."""

import re
from pathlib import Path

import pytest
import torch

from guided_face_edit.editor_core.face.parsing import FacePart
from guided_face_edit.tests.support.running import QUICK, draw_photo, embed, load, run


def test_a_mask_is_of_the_parts_that_are_named(parsing):
    (eyes,) = run("FaceMask", parsing=parsing, parts="l_eye, R_EYE")
    (face,) = run("FaceMask", parsing=parsing)
    (wide,) = run("FaceMask", parsing=parsing, parts="face", grow=3, feather=1.0)
    assert eyes.shape == face.shape == (1, 64, 64)
    assert 0 < eyes.sum() < face.sum() < wide.sum() and (eyes <= face).all()
    with pytest.raises(ValueError, match='no part "ear", expected face, background, skin'):
        run("FaceMask", parsing=parsing, parts="ear")


def test_eyes_are_found_in_a_parsing_and_in_landmarks(pair, parsing):
    boxes, left, right, preview, _ = run("CropEyes", image=pair[1], parsing=parsing)
    assert left.shape == right.shape == (1, 96, 160, 3)
    assert preview.shape == pair[1].shape and not torch.equal(preview, pair[1])
    points = torch.zeros(478, 2)
    for index, x in zip((33, 133, 362, 263), (18.0, 27, 37, 46), strict=True):
        points[index] = torch.tensor([x, 30.0])
    marks = {"frames": [[{"landmarks_xy": points.numpy()}]]}
    found, *_ = run("CropEyes", image=pair[1], parsing=parsing, face_landmarks=marks)
    assert found.left[0, 0] < 18 and found.right[0, 2] > 46
    with pytest.raises(ValueError, match="neither parsing nor landmarks"):
        run("CropEyes", image=pair[1])
    with pytest.raises(ValueError, match="picture 0 has no landmarks"):
        run("CropEyes", image=pair[1], face_landmarks={"frames": [[]]})


def test_gaze_is_given_in_degrees_and_drawn(pair, eyes):
    text, arrows = run("EstimateGaze", gaze_model=load("GazeModel"), image=pair[1], eyes=eyes)
    assert re.fullmatch(r"0: [+-]\d+\.\d up, [+-]\d+\.\d right", text)
    assert arrows.shape == pair[1].shape and not torch.equal(arrows, pair[1])


def test_an_identity_is_that_of_the_photo_whatever_the_crop():
    photo, faces, _ = draw_photo(people=2)
    model, kept = load("IdentityModel"), {"average": False}
    of_photo = run("EmbedIdentity", identity_model=model, image=photo, faces=faces, **kept)[0]
    assert of_photo.shape == (2, 256)
    shown = {"identity_model": model, "embedding": of_photo}
    assert run("IdentityDistance", image=photo, faces=faces, **shown)[0] < 1e-5
    for template, likely in (("demo", "automatic"), ("ffhq", "ffhq")):
        crops, _, _ = run("AlignFaces", image=photo, faces=faces, template=template, size=128)
        assert run("IdentityDistance", image=crops, template=likely, **shown)[0] < 0.1


def test_identities_are_averaged_or_kept_apart():
    source, target, _ = run("DrawDemoPortraits", seed=4, pairs=2)
    images = torch.cat([source, target])
    model, each, mean = load("IdentityModel"), embed(images, average=False), embed(images)
    assert each.shape == (4, 256) and mean.shape == (1, 256)
    torch.testing.assert_close(mean.norm(), torch.tensor(1.0))
    distance, text = run("IdentityDistance", identity_model=model, image=images, embedding=each)
    assert distance == pytest.approx(0, abs=1e-5) and len(text.splitlines()) == 4


def test_a_saved_identity_is_the_one_that_is_loaded(folders, embedding):
    (path,) = run("SaveIdentityEmbedding", embedding=embedding, filename_prefix="me")
    name = Path(path).name
    assert name in folders.get_filename_list("face_edit_embeddings")
    (loaded,) = run("LoadIdentityEmbedding", embedding_name=name)
    assert torch.equal(loaded, embedding)


def test_eyes_and_gaze_are_shown_on_the_photo(drawn, aligned):
    photo, (crop, faces, _) = drawn[0], aligned
    parsing, _ = run("ParseFace", parser=load("FaceParser"), image=crop)
    eyes, left, right, preview, _ = run("CropEyes", image=photo, parsing=parsing, faces=faces)
    assert left.shape == (3, 96, 160, 3) and preview.shape == photo.shape
    gaze = {"gaze_model": load("GazeModel"), "image": photo, "eyes": eyes, "faces": faces}
    text, arrows = run("EstimateGaze", **gaze)
    assert len(text.splitlines()) == 3 and arrows.shape == photo.shape
    painted = (arrows - photo).abs().amax(3)[0].nonzero()
    for x, y in faces.points[:, :2].flatten(0, 1).tolist():
        assert ((painted - torch.tensor([y, x])).norm(dim=1) < 12).any()


def test_faces_without_eyes_are_named_or_passed_through(drawn, aligned):
    photo, (crop, faces, _) = drawn[0], aligned
    parsing, _ = run("ParseFace", parser=load("FaceParser"), image=crop)
    parsing.logits[1, FacePart.L_EYE] = -1e4
    given = {"image": photo, "parsing": parsing, "faces": faces}
    with pytest.raises(ValueError, match="^face 1 of picture 0 shows no l_eye, expected both eyes"):
        run("CropEyes", **given)
    eyes, *_, report = run("CropEyes", **given, if_missing="pass through")
    lines = report.splitlines()
    assert lines[0] == "eyes in 2 of 3 faces"
    assert lines[1].startswith("face 1 of picture 0 shows no l_eye")
    model = load("GazeModel")
    text, _ = run("EstimateGaze", gaze_model=model, image=photo, eyes=eyes, faces=faces)
    assert text.splitlines()[1].startswith("1: shows no l_eye")
    guidance = run("GazeGuidance", gaze_model=model, eyes=eyes)[0]
    target = {"target": photo, "mask": torch.ones(1, 64, 64), "faces": faces}
    given = {"model": load("FaceDiffusionModel"), "embedding": embed(drawn[2]), **target}
    _, best, _ = run("GuidedFaceSampler", **given, guidance=guidance, **{**QUICK, "steps": 2})
    changed = [
        not torch.equal(best[0, y, x], photo[0, y, x])
        for x, y in faces.points[:, 2].long().tolist()
    ]
    assert changed == [True, False, True]


def test_eyes_come_from_the_landmarks_of_the_faces(drawn):
    photo, faces, _ = drawn
    points = torch.zeros(478, 2) + faces.points[1, 2]
    for index, x in zip((33, 133, 362, 263), (-30.0, -10, 10, 30), strict=True):
        points[index] += torch.tensor([x, -20])
    points[1] += torch.tensor([0.0, 0])
    points[[61, 291]] += torch.tensor([[-15.0, 25], [15, 25]])
    marks = {"frames": [[{"landmarks_xy": points.numpy()}]]}
    found, _ = run("FacesFromLandmarks", image=photo, face_landmarks=marks)
    crop, aligned, _ = run("AlignFaces", image=photo, faces=found, template="demo", size=64)
    eyes, *_ = run("CropEyes", image=photo, faces=aligned)
    assert eyes.left[0, 2] <= eyes.right[0, 0] and eyes.size == (64, 64)
