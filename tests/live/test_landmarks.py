"""Landmarks in a real ComfyUI: found in a photograph, and taken by its own nodes."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from guided_face_edit.tests.support import shipped

pytestmark = pytest.mark.live
PREFIX = "FaceEdit_"
GRAPH = {
    "photo": ("LoadImage", {"image": "astronaut.png"}),
    "faces": (
        f"{PREFIX}FacesFromLandmarks",
        {"image": ["photo", 0], "numbers": "170 60 275 200", "already_aligned": False},
    ),
    "mesh": (f"{PREFIX}LoadFaceLandmarker", {"model_name": "mesh.tflite"}),
    "found": (
        f"{PREFIX}FindFaceLandmarks",
        {"landmarker": ["mesh", 0], "image": ["photo", 0], "faces": ["faces", 0]},
    ),
    "white": ("MaskToImage", {"mask": ["found", 1]}),
    "mask": ("SaveImage", {"images": ["white", 0], "filename_prefix": "mask"}),
    "crops": (
        f"{PREFIX}AlignFaces",
        {"image": ["photo", 0], "faces": ["found", 0], "template": "ffhq", "size": 256},
    ),
    "eyes": (f"{PREFIX}CropEyes", {"image": ["photo", 0], "faces": ["crops", 1]}),
    "gaze": (f"{PREFIX}IrisGazeModel", {"landmarker": ["mesh", 0]}),
    "looks": (
        f"{PREFIX}EstimateGaze",
        {
            "gaze_model": ["gaze", 0],
            "image": ["photo", 0],
            "eyes": ["eyes", 0],
            "faces": ["crops", 1],
        },
    ),
    "arrows": ("SaveImage", {"images": ["looks", 1], "filename_prefix": "arrows"}),
}
CORE = {
    "drawn": (
        "MediaPipeFaceMask",
        {"face_landmarks": ["found", 2], "regions": "all"},
    ),
    "drawn white": ("MaskToImage", {"mask": ["drawn", 0]}),
    "core": ("SaveImage", {"images": ["drawn white", 0], "filename_prefix": "core"}),
}


def _pixels(server, saved):
    return np.array(Image.open(io.BytesIO(server.file(saved))).convert("L")) / 255


def test_landmarks_are_found_and_drawn_by_comfyuis_own_nodes(server):
    folder = server.base / "models" / "face_edit" / "landmarks"
    shutil.copy(shipped.attention_mesh(), folder / "mesh.tflite")
    shutil.copy(shipped.astronaut(), server.base / "input" / "astronaut.png")
    nodes = {**GRAPH, **(CORE if "MediaPipeFaceMask" in server.get("/object_info") else {})}
    graph = {name: {"class_type": kind, "inputs": values} for name, (kind, values) in nodes.items()}
    graph["faces"]["inputs"]["if_missing"] = "error"
    graph["crops"]["inputs"]["smoothing"] = 0.0
    outputs = server.run(graph)
    mask = _pixels(server, outputs["mask"]["images"][0])
    assert 0.03 < mask.mean() < 0.05 and mask[110:130, 215:235].all()
    assert outputs["arrows"]["images"]
    if "core" in outputs:
        assert abs(_pixels(server, outputs["core"]["images"][0]) - mask).mean() < 0.002
