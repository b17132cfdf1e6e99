"""Detecting faces: YuNet through OpenCV, which nothing else needs and may be missing.

YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20, 2023.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..declare import check, setting
from ..images import rgb, to_levels, to_unit
from .aligning import align_faces, crop_face
from .records import Faces, box_iou, make_faces
from .resampling import invert, transform
from .templates import template_named

SIDES = (1280, 320)  # pixels of a picture's longer side: YuNet finds faces of 10 to 300
SAME_FACE = 0.4  # intersection over union from which two boxes are of one face
CROP = 256  # pixels of the upright crops in which the points are found again
REFINEMENTS = 2  # of the points
MOST_BOXES = 5000
PUBLISHED = "face_detection_yunet_2023mar.onnx of OpenCV's model zoo (MIT)"


@dataclass(frozen=True)
class FaceDetector:
    """A YuNet file, and how sure and how large the faces must be that it reports."""

    path: str | os.PathLike[str]
    min_score: float = setting(
        0.6,
        "How sure the detector must be. More finds fewer faces and fewer things that are none.",
        low=0.0,
        high=1.0,
        step=0.05,
    )
    min_size: int = setting(
        24, "Pixels of the longer side of a face; more leaves small faces out.", low=4, high=4096
    )

    def __post_init__(self) -> None:
        check(self)

    def find(self, photos: Tensor) -> Faces:
        """The faces of every frame, each looked for at several sizes of the picture.

        Args:
            photos: (frames,H,W,3 or 4) in [0,1].

        Raises:
            FileNotFoundError: There is no file at the path.
            ValueError: OpenCV is not installed, or cannot read the file.
        """
        network = _open(self.path, self.min_score)
        frames = [self._find_in_frame(network, photos[k : k + 1]) for k in range(len(photos))]
        found = torch.cat(frames)
        faces = make_faces(
            [k for k, each in enumerate(frames) for _ in each],
            _corners(found),
            found[:, 4:14].unflatten(1, (5, 2)),
            (photos.shape[1], photos.shape[2]),
            len(photos),
            score=found[:, 14],
        )
        for _ in range(REFINEMENTS):
            faces = _refine_points(network, photos, faces)
        return faces

    def _find_in_frame(self, network: Any, photo: Tensor) -> Tensor:  # (1,H,W,C) -> (n,15)
        longest = max(photo.shape[1:3])
        scales = {min(1.0, side / longest) for side in SIDES}
        found = torch.cat([_detect(network, photo, scale) for scale in sorted(scales)])
        found = found[found[:, 2:4].amax(1) >= self.min_size]
        return found[_suppress_doubles(found)]


def _open(path: str | os.PathLike[str], min_score: float) -> Any:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no detector {path}: put {PUBLISHED} there")
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            "finding faces needs OpenCV, which is not installed: pip install "
            "opencv-python-headless, or tell where the faces are by landmarks, boxes or a mask"
        ) from error
    try:
        return cv2.FaceDetectorYN.create(
            str(path), "", (320, 320), min_score, SAME_FACE, MOST_BOXES
        )
    except cv2.error as error:
        raise ValueError(f"OpenCV cannot read {path}: put {PUBLISHED} there") from error


def _detect(network: Any, photo: Tensor, scale: float) -> Tensor:  # -> (n,15)
    """Rows of x, y, width, height, five points and a score, in pixels of the photo."""
    height, width = (max(1, round(side * scale)) for side in photo.shape[1:3])
    picture = to_levels(rgb(photo).float(), (height, width))
    network.setInputSize((width, height))
    _, found = network.detect(picture.flip(2).contiguous().numpy())  # it reads BGR
    rows = torch.zeros(0, 15) if found is None else torch.from_numpy(found).float()
    factor = torch.tensor([photo.shape[2] / width, photo.shape[1] / height]).repeat(7)
    return torch.cat([rows[:, :14] * factor, rows[:, 14:]], 1)


def _refine_points(network: Any, photos: Tensor, faces: Faces) -> Faces:
    """The faces with their points found again in upright crops: leaning heads' are off."""
    points = faces.points.clone()
    for row, face in enumerate(align_faces(faces, template_named("ffhq"), CROP)):
        found = _detect(network, to_unit(crop_face(photos, face).image), 1.0)
        if len(found):  # the face nearest to the middle of the crop is the one
            away = (found[:, :2] + found[:, 2:4] / 2 - CROP / 2).norm(dim=1)
            refined = found[[int(away.argmin())], 4:14].unflatten(1, (5, 2))
            points[row] = transform(invert(face.aligned()[0]), refined)[0]
    return replace(faces, points=points)


def _suppress_doubles(found: Tensor) -> list[int]:  # (n,15)
    """The rows of the surest box of every face: non-maximum suppression."""
    boxes = _corners(found)
    shared = box_iou(boxes, boxes)
    kept: list[int] = []
    for row in found[:, 14].argsort(descending=True, stable=True).tolist():
        if not (shared[row, kept] > SAME_FACE).any():
            kept.append(row)
    return kept


def _corners(found: Tensor) -> Tensor:  # (n,15) -> (n,4)
    return torch.cat([found[:, :2], found[:, :2] + found[:, 2:4]], 1)
