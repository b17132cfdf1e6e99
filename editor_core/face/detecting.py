"""Detecting faces: searched for at several sizes of a photo, and looked at again upright."""

import math
import os
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..declare import check, setting
from ..images import to_unit
from .aligning import align_faces, crop_face
from .errors import FaceError
from .records import Faces, box_iou, make_faces
from .resampling import invert, transform
from .templates import template_named
from .yunet import detect_faces, open_network

SIDES = (1280, 320)  # pixels of a picture's longer side: YuNet finds faces of 10 to 300
SAME_FACE = 0.4  # intersection over union from which two boxes are of one face
CROP = 256  # pixels of the upright crops in which the points are found again
LOOKS = 8  # at most, at each face
SETTLED = 1.0  # degrees that the line of the eyes is turned from one look to the next
LOOK_SCORE = 0.5  # of what is taken for the face whose crop it is
NEAR = 0.25  # of a crop's side: how far from its middle that is
MIRRORED = [1, 0, 2, 4, 3]  # the five points in a mirror


@dataclass(frozen=True)
class FaceDetector:
    """A YuNet file, and how sure and how large the faces must be that it reports."""

    path: str | os.PathLike[str]
    min_score: float = setting(
        0.75,
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
        network = open_network(self.path)
        faces = self.search(network, photos)
        points = [settle_points(network, photos, face) for face in faces]
        return replace(faces, points=torch.cat([faces.points[:0], *points]))

    def search(self, network: Any, photos: Tensor) -> Faces:
        """The faces as they are seen first, whose points are off where a head leans."""
        frames = [self._find_in_frame(network, photos[k : k + 1]) for k in range(len(photos))]
        found = torch.cat(frames)
        return make_faces(
            [k for k, each in enumerate(frames) for _ in each],
            _corners(found),
            found[:, 4:14].unflatten(1, (5, 2)),
            (photos.shape[1], photos.shape[2]),
            len(photos),
            score=found[:, 14],
        )

    def _find_in_frame(self, network: Any, photo: Tensor) -> Tensor:  # (1,H,W,C) -> (n,15)
        longest = max(photo.shape[1:3])
        scales = {min(1.0, side / longest) for side in SIDES}
        looks = [detect_faces(network, photo, scale, self.min_score) for scale in sorted(scales)]
        found = torch.cat(looks)
        found = found[found[:, 2:4].amax(1) >= self.min_size]
        return found[_suppress_doubles(found)]


def settle_points(network: Any, photos: Tensor, face: Faces) -> Tensor:  # -> (1,5,2)
    """A face's points, found again in upright crops until the line of the eyes stays as it is.

    The first points of a leaning head are off, and its crop is upright only by them.
    """
    for _ in range(LOOKS):
        points = look_upright(network, photos, face)
        if points is None:
            break
        turned = (lean(points) - lean(face.points)).item()
        face = replace(face, points=points)
        if abs(math.remainder(turned, 360)) < SETTLED:
            break
    return face.points


def look_upright(network: Any, photos: Tensor, face: Faces, mirror: bool = True) -> Tensor | None:
    """The points (1,5,2) of one face, found again in its upright crop; None: not found there.

    With `mirror`, the mean of what is found there and in its mirror image, whose bias is the
    opposite.
    """
    try:
        aligned = align_faces(face, template_named("ffhq"), CROP)
    except FaceError:  # no face, however sure the detector is
        return None
    crop = to_unit(crop_face(photos, aligned).image)
    found = _middle_face(detect_faces(network, crop, 1.0, LOOK_SCORE))
    if mirror:
        x, y = _middle_face(detect_faces(network, crop.flip(2), 1.0, LOOK_SCORE)).unbind(2)
        found = torch.cat([found, torch.stack([CROP - x, y], 2)[:, MIRRORED]])
    if not len(found):
        return None
    return transform(invert(aligned.aligned()[0]), found.mean(0, keepdim=True))


def _middle_face(found: Tensor) -> Tensor:  # (n,15) -> (0 or 1,5,2)
    """The points of the surest face around the middle of a crop."""
    away = (found[:, :2] + found[:, 2:4] / 2 - CROP / 2).norm(dim=1)
    near = found[away < NEAR * CROP]
    return near[near[:, 14].argsort(descending=True)[:1], 4:14].unflatten(1, (5, 2))


def lean(points: Tensor) -> Tensor:  # (n,5,2) -> (n,)
    """Degrees by which the line of the eyes is turned, clockwise."""
    x, y = (points[:, 1] - points[:, 0]).unbind(1)
    return torch.rad2deg(torch.atan2(y, x))


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
