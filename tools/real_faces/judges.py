"""Networks that judge edits and never guide them.

Packages are imported where they are needed; whoever lacks one is told what to install.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ...editor_core.face.head import iris_gaze
from ...editor_core.face.landmarks import FaceLandmarker, locate_landmarks
from ...editor_core.images import resize, signed

DLIB_WHEELS = "pip install --no-deps dlib-bin face_recognition_models"
DLIB_SIDE = 256  # pixels that a crop is enlarged to, so that dlib's smallest face fits
DLIB_BOX = (0.194, 0.283, 0.802, 0.894)  # where its detector finds the face of an FFHQ crop: mean
CHIP_SIDE, CHIP_PADDING = 150, 0.25  # what its network was trained on

MESH_SIDE = 512  # pixels that a crop is enlarged to


class IdentityJudge(Protocol):
    """Says whose face a picture shows, and has no part in making it."""

    def embed(self, pictures: Tensor) -> Tensor:
        """Crops (n,3,H,W) in [0,1], aligned as FFHQ's -> (n,E), of any length."""
        ...


class GazeJudge(Protocol):
    """Says where the eyes of a picture look, and has no part in making it."""

    def gaze(self, pictures: Tensor) -> Tensor:
        """Crops (n,3,H,W) in [0,1] -> (n,2) degrees, pitch and yaw."""
        ...


@dataclass(frozen=True)
class DlibJudge:
    """dlib's ResNet on faces that dlib aligned by five points of its own."""

    dlib: Any
    points: Any
    network: Any

    @classmethod
    def from_wheels(cls) -> DlibJudge:
        """The networks that the wheel face_recognition_models brings.

        Raises:
            ValueError: A wheel is missing; the message says what to install.
        """
        try:
            dlib: Any = importlib.import_module("dlib")
        except ImportError as error:
            raise ValueError(f"the judge needs dlib, which is missing: {DLIB_WHEELS}") from error
        files = importlib.util.find_spec("face_recognition_models")  # its import asks for more
        if files is None or files.origin is None:
            raise ValueError(f"the judge needs dlib's networks, which are missing: {DLIB_WHEELS}")
        folder = Path(files.origin).parent / "models"
        points = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        network = folder / "dlib_face_recognition_resnet_model_v1.dat"
        return cls(dlib, points, dlib.face_recognition_model_v1(str(network)))

    def embed(self, pictures: Tensor) -> Tensor:  # (n,3,H,W) in [0,1] -> (n,128)
        """The descriptors of aligned crops."""
        rows = [self._describe(levels) for levels in enlarged(pictures, DLIB_SIDE)]
        return torch.tensor(np.array(rows), dtype=torch.float32)

    def _describe(self, levels: np.ndarray) -> np.ndarray:  # (S,S,3) uint8 -> (128,)
        box = self.dlib.rectangle(*(round(side * DLIB_SIDE) for side in DLIB_BOX))
        shape = self.points(levels, box)
        chip = self.dlib.get_face_chip(levels, shape, CHIP_SIDE, CHIP_PADDING)
        return np.array(self.network.compute_face_descriptor(chip))


@dataclass(frozen=True)
class IrisJudge:
    """A face landmarker with irises, which must not be what guides the gaze."""

    landmarker: FaceLandmarker

    def gaze(self, pictures: Tensor) -> Tensor:  # (n,3,H,W) in [0,1] -> (n,2)
        """Pitch and yaw in degrees, the mean of both eyes."""
        large = signed(resize(pictures, MESH_SIDE).clamp(0, 1))
        points, _ = locate_landmarks(self.landmarker, large)
        return torch.rad2deg(iris_gaze(points).mean(1))


def enlarged(pictures: Tensor, side: int) -> list[np.ndarray]:  # (n,3,H,W) in [0,1]
    """Pictures of 8 bits (side,side,3), as other runtimes read them."""
    levels = resize(pictures, side).clamp(0, 1).mul(255).round().to(torch.uint8)
    return [each.movedim(0, -1).contiguous().numpy() for each in levels]


IDENTITY_JUDGES: Mapping[str, Callable[[], IdentityJudge]] = {"dlib": DlibJudge.from_wheels}
"""By their names on the command line."""
