"""YuNet through OpenCV, which is needed for nothing else and may be missing.

YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20, 2023.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..declare import check, setting
from ..images import rgb, to_levels, to_unit
from .aligning import align_faces, crop_face
from .records import Faces, make_faces, overlap
from .resampling import invert, transform
from .templates import template_named

SIDES = (1280, 320)  # pixels that the longer side is seen at: YuNet knows faces of 10 to 300
SAME = 0.4  # intersection over union from which two finds are one face
CROP, LOOKS = 256, 2  # pixels of the crops in which the points are found anew, and how often
MOST = 5000  # finds before doubles are taken out
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
        24,
        "Pixels of the longer side of a face; more leaves small faces out.",
        low=4,
        high=4096,
    )

    def __post_init__(self) -> None:
        check(self)

    def find(self, photos: Tensor) -> Faces:  # (frames,H,W,3 or 4) in [0,1]
        """The faces of every frame; each is looked for at several sizes of the picture."""
        network = _open(self.path, self.min_score)
        frames = [self._in_picture(network, photos[k : k + 1]) for k in range(len(photos))]
        found = torch.cat(frames)
        faces = make_faces(
            [k for k, each in enumerate(frames) for _ in each],
            torch.cat([found[:, :2], found[:, :2] + found[:, 2:4]], 1),
            found[:, 4:14].unflatten(1, (5, 2)),
            (photos.shape[1], photos.shape[2]),
            len(photos),
            score=found[:, 14],
        )
        for _ in range(LOOKS):
            faces = _seen_upright(network, photos, faces)
        return faces

    def _in_picture(self, network: Any, photo: Tensor) -> Tensor:  # (1,H,W,C) -> (n,15)
        longest = max(photo.shape[1:3])
        scales = {min(1.0, side / longest) for side in SIDES}
        found = torch.cat([_seen_at(network, photo, scale) for scale in sorted(scales)])
        found = found[found[:, 2:4].amax(1) >= self.min_size]
        return found[_distinct(found)]


def _open(path: str | os.PathLike[str], score: float) -> Any:
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
        return cv2.FaceDetectorYN.create(str(path), "", (320, 320), score, SAME, MOST)
    except cv2.error as error:
        raise ValueError(f"OpenCV cannot read {path}: put {PUBLISHED} there") from error


def _seen_at(network: Any, photo: Tensor, scale: float) -> Tensor:  # -> (n,15)
    """Rows of x, y, width, height, five points and a score, in pixels of the photo."""
    height, width = (max(1, round(side * scale)) for side in photo.shape[1:3])
    picture = to_levels(rgb(photo).float(), (height, width))
    network.setInputSize((width, height))
    _, found = network.detect(picture.flip(2).contiguous().numpy())  # it reads BGR
    rows = torch.zeros(0, 15) if found is None else torch.from_numpy(found).float()
    factor = torch.tensor([photo.shape[2] / width, photo.shape[1] / height]).repeat(7)
    return torch.cat([rows[:, :14] * factor, rows[:, 14:]], 1)


def _seen_upright(network: Any, photos: Tensor, faces: Faces) -> Faces:
    """The faces with points that are found anew in upright crops: of leaning heads they are off."""
    aligned = align_faces(faces, template_named("ffhq"), CROP)
    points = [_points_in_crop(network, photos, face) for face in aligned]
    return replace(faces, points=torch.cat([faces.points[:0], *points]))


def _points_in_crop(network: Any, photos: Tensor, face: Faces) -> Tensor:  # -> (1,5,2)
    """The points of the face in the middle of its crop, if it is found there, in the photo."""
    found = _seen_at(network, to_unit(crop_face(photos, face).image), 1.0)
    if not len(found):
        return face.points
    away = (found[:, :2] + found[:, 2:4] / 2 - CROP / 2).norm(dim=1)
    points = found[[int(away.argmin())], 4:14].unflatten(1, (5, 2))
    return transform(invert(face.aligned()[0]), points)


def _distinct(found: Tensor) -> list[int]:  # (n,15)
    """The surest find of every face."""
    boxes = torch.cat([found[:, :2], found[:, :2] + found[:, 2:4]], 1)
    shared = overlap(boxes, boxes)
    kept: list[int] = []
    for row in found[:, 14].argsort(descending=True, stable=True).tolist():
        if not (shared[row, kept] > SAME).any():
            kept.append(row)
    return kept
