"""The nodes of the face landmarker: a head in a photo is found, masked and turned upright."""

from pathlib import Path

import pytest
import torch

from guided_face_edit.editor_core.checkpoints.saving import save_model
from guided_face_edit.editor_core.face.landmarks import FaceLandmarker
from guided_face_edit.editor_core.images import to_unit
from guided_face_edit.editor_core.models.face_mesh import FaceMesh, FaceMeshConfig
from guided_face_edit.nodes.host import ManagedModel
from guided_face_edit.tests.support.families import randomised
from guided_face_edit.tests.support.mesh import SpotMesh, head_points, spot_picture
from guided_face_edit.tests.support.running import BY_NAME, run

SIZE = (200, 240)


@pytest.fixture(scope="module")
def landmarker():
    network = SpotMesh().requires_grad_(False)
    return ManagedModel.of(FaceLandmarker(network), network)


@pytest.fixture(scope="module")
def head():
    """Points (478,3) of a head in a photo of SIZE, 6 pixels a cm."""
    return head_points() * 6 + torch.tensor([110.0, 95, 0])


@pytest.fixture(scope="module")
def photo(head):
    return to_unit(spot_picture(head, SIZE, 6))


@pytest.fixture
def faces(photo):
    return run("FacesFromLandmarks", image=photo, numbers="60 50 165 155")[0]


def test_a_face_gets_landmarks_a_mask_and_a_report(landmarker, photo, head, faces):
    found, mask, core, report = run(
        "FindFaceLandmarks", landmarker=landmarker, image=photo, faces=faces
    )
    assert (found.landmarks[0] - head[:, :2]).abs().max() < 1
    assert mask.shape == (1, *SIZE) and mask[0, 95, 110] == 1 and mask[0, 5, 5] == 0
    assert report.startswith("0: face 1.00; head +0 up, +0 right, leaning +0; eyes ")
    again, _ = run("FacesFromLandmarks", image=photo, face_landmarks=core)
    torch.testing.assert_close(again.points, found.points)


def test_the_eyes_of_crops_come_from_the_landmarks(landmarker, photo, faces):
    found = run("FindFaceLandmarks", landmarker=landmarker, image=photo, faces=faces)[0]
    _, aligned, _ = run("AlignFaces", image=photo, faces=found, template="ffhq", size=128)
    eyes, *_ = run("CropEyes", image=photo, faces=aligned)
    (gaze_model,) = run("IrisGazeModel", landmarker=landmarker)
    text, arrows = run("EstimateGaze", gaze_model=gaze_model, image=photo, eyes=eyes, faces=aligned)
    assert text.startswith("0: ") and arrows.shape == (1, *SIZE, 3)
    up, right = (float(word) for word in text.split() if word[0] in "+-")
    assert abs(up) < 10 and abs(right) < 5


def test_without_faces_a_picture_is_one_aligned_face(landmarker, photo, head):
    found, *_ = run("FindFaceLandmarks", landmarker=landmarker, image=photo)
    assert (found.landmarks[0] - head[:, :2]).abs().max() < 1


def test_pictures_without_faces_have_an_empty_mask(landmarker, photo, faces):
    found, mask, core, report = run(
        "FindFaceLandmarks", landmarker=landmarker, image=photo, faces=faces.rows([])
    )
    assert len(found) == 0 and not mask.any() and core["frames"] == [[]] and report == ""


def test_a_landmarker_is_loaded_from_its_folder(folders, photo):
    path = Path(folders.models_dir, "face_edit", "landmarks", "mesh.safetensors")
    network = randomised(FaceMesh(FaceMeshConfig((2, 3, 4, 4, 5, 6), 3)))
    save_model(path, network, "landmarks", {}, dtype=torch.float32)
    (managed,) = run("LoadFaceLandmarker", model_name=path.name)
    assert managed.model.network.config == network.config
    report = run("FindFaceLandmarks", landmarker=managed, image=photo)[3]
    assert report.split("; ")[-1].count(", ") == 2  # the three expressions that show most
    path.unlink()
    answer = BY_NAME["LoadFaceLandmarker"].validate_inputs(model_name="face_landmark.tflite")
    assert "models/face_edit/landmarks" in answer and "Apache-2.0" in answer
