"""Networks that judge edits and never guide them, each in the runtime that it was published with.

Their packages are imported where they are needed; whoever lacks one is told what to install.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ...editor_core.images import resize

DLIB_WHEELS = "pip install --no-deps dlib-bin face_recognition_models"
DLIB_SIDE = 256  # pixels that a crop is enlarged to, so that dlib's smallest face fits
DLIB_BOX = (0.194, 0.283, 0.802, 0.894)  # where its detector finds the face of an FFHQ crop: mean
CHIP_SIDE, CHIP_PADDING = 150, 0.25  # what its network was trained on

MESH_SIDE = 512  # pixels that a crop is enlarged to
IRISES = (468, 473)  # centres, of MediaPipe's 478 points
EYE_ENDS = ((33, 133), (362, 263))  # corners, left to right in the picture
BALL = 24 / 30  # an eyeball's diameter in lengths of the eye's opening, both in millimetres


class IdentityJudge(Protocol):
    """Says whose face a picture shows, and has no part in making it."""

    def embed(self, pictures: Tensor) -> Tensor:
        """Crops (n,3,H,W) in [0,1], aligned as FFHQ's -> (n,E), of any length."""
        ...


class GazeJudge(Protocol):
    """Says where the eyes of a picture look, and has no part in making it."""

    def gaze(self, pictures: Tensor) -> Tensor:
        """Crops (n,3,H,W) in [0,1] -> (n,2) degrees, pitch and yaw to the head; NaN: no face."""
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
    """MediaPipe's face mesh with irises: how far each lies from the middle of its eye."""

    mesh: Any

    @classmethod
    def from_wheel(cls) -> IrisJudge:
        """The networks that the wheel mediapipe brings.

        Raises:
            ValueError: The wheel is missing; the message says what to install.
        """
        try:
            from mediapipe.python.solutions.face_mesh import FaceMesh
        except ImportError as error:
            raise ValueError(
                "the judge of the gaze needs mediapipe, which is missing: pip install "
                "mediapipe==0.10.21, or measure without with --gaze-judge none"
            ) from error
        return cls(FaceMesh(static_image_mode=True, refine_landmarks=True))

    def gaze(self, pictures: Tensor) -> Tensor:  # (n,3,H,W) in [0,1] -> (n,2)
        """Pitch and yaw in degrees, the mean of both eyes."""
        found = [
            self.mesh.process(each).multi_face_landmarks for each in enlarged(pictures, MESH_SIDE)
        ]
        return torch.stack([self._gaze_of(faces) for faces in found])

    @staticmethod
    def _gaze_of(faces: Sequence[Any] | None) -> Tensor:  # -> (2,)
        if not faces:
            return torch.full((2,), torch.nan)
        points = torch.tensor([(point.x, point.y) for point in faces[0].landmark])
        return gaze_by_irises(points[None])[0]


def gaze_by_irises(points: Tensor) -> Tensor:  # (n,478,2), of a square picture -> (n,2)
    """Pitch and yaw in degrees to the head, the mean of both eyes, up and right positive.

    The offset of an iris from the middle between the corners of its eye, in radii of the eyeball.
    The corners alone say where that is: the lids move with the gaze.
    """
    eyes = []
    for iris, (left, right) in zip(IRISES, EYE_ENDS, strict=True):
        across = points[:, right] - points[:, left]
        opening = across.norm(dim=1, keepdim=True)
        along = across / opening
        offset = (points[:, iris] - (points[:, left] + points[:, right]) / 2) / opening
        up = torch.stack([along[:, 1], -along[:, 0]], 1)
        sides = torch.stack([(offset * up).sum(1), (offset * along).sum(1)], 1)
        eyes.append(torch.rad2deg((sides / (BALL / 2)).clamp(-1, 1).asin()))
    return torch.stack(eyes).mean(0)


def enlarged(pictures: Tensor, side: int) -> list[np.ndarray]:  # (n,3,H,W) in [0,1]
    """Pictures of 8 bits (side,side,3), as other runtimes read them."""
    levels = resize(pictures, side).clamp(0, 1).mul(255).round().to(torch.uint8)
    return [each.movedim(0, -1).contiguous().numpy() for each in levels]


IDENTITY_JUDGES: Mapping[str, Callable[[], IdentityJudge]] = {"dlib": DlibJudge.from_wheels}
GAZE_JUDGES: Mapping[str, Callable[[], GazeJudge | None]] = {
    "mediapipe": IrisJudge.from_wheel,
    "none": lambda: None,
}
"""By their names on the command line."""
