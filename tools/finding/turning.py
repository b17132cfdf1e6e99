"""By how much the line of the eyes is off where a face is turned by a known angle."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...editor_core.face.detecting import FaceDetector, lean, look_upright, settle_points
from ...editor_core.face.landmarks import FaceLandmarker, landmark_faces
from ...editor_core.face.records import Faces
from ...editor_core.face.resampling import transform
from .pictures import turned


def plain_points(network: Any, photo: Tensor, face: Faces, looks: int) -> Tensor:  # -> (1,5,2)
    """A face's points after some looks at its upright crop, none of them in a mirror."""
    for _ in range(looks):
        points = look_upright(network, photo, face, mirror=False)
        face = face if points is None else replace(face, points=points)
    return face.points


SHIPPED = "as shipped"
POINT_FINDERS: Mapping[str, Callable[[Any, Tensor, Faces], Tensor]] = {
    "no look": partial(plain_points, looks=0),
    "one plain look": partial(plain_points, looks=1),
    "two plain looks": partial(plain_points, looks=2),
    SHIPPED: settle_points,
}


@dataclass(frozen=True)
class TurnedFace:
    """A face turned by some degrees, clockwise, and what is found of its lean."""

    degrees: int
    errors: Mapping[str, float]  # degrees, clockwise, by `POINT_FINDERS`; none: it was not found

    def along(self, finder: str) -> float:
        """The error in the direction of the turn: below 0, the face is taken for more upright."""
        return math.copysign(1, self.degrees) * self.errors[finder]


@dataclass(frozen=True)
class EyeLine:
    """Measures the lean that is found of turned faces.

    A picture's own lean is that of its landmarks or, without a landmarker, the mean over all of
    `POINT_FINDERS`, so that none is favoured; of the picture and its mirror image, whose bias is
    the opposite.
    """

    network: Any  # of the detector
    detector: FaceDetector
    landmarker: FaceLandmarker | None = None

    def measure(self, photo: Tensor, angles: Sequence[int]) -> list[TurnedFace]:
        """A photo (1,H,W,3) of one upright face, turned; none where it is not found upright."""
        faces = [self._search(x) for x in (photo, photo.flip(2))]
        if not all(map(len, faces)):
            return []
        straight, mirrored = map(self._own_lean, (photo, photo.flip(2)), faces)
        own, middle = (straight - mirrored) / 2, faces[0].points.mean(1, keepdim=True)
        return [self._turn(photo, middle, angle, own) for angle in angles]

    def _search(self, photo: Tensor) -> Faces:
        """The surest face, if there is any."""
        faces = self.detector.search(self.network, photo)
        return faces.rows(faces.score.argsort(descending=True)[:1])

    def _own_lean(self, photo: Tensor, face: Faces) -> float:
        if self.landmarker is None:
            return sum(self._leans(photo, face).values()) / len(POINT_FINDERS)
        face = replace(face, points=settle_points(self.network, photo, face))
        return lean(landmark_faces(self.landmarker, photo, face).points).item()

    def _leans(self, photo: Tensor, face: Faces) -> dict[str, float]:
        return {
            name: lean(find(self.network, photo, face)).item()
            for name, find in POINT_FINDERS.items()
        }

    def _turn(self, photo: Tensor, middle: Tensor, angle: int, own: float) -> TurnedFace:
        square, affine = turned(photo, angle)
        face = self._search(square)
        if not len(face) or not _holds(face.box, transform(affine, middle)[:, 0]):
            return TurnedFace(angle, {})
        leans = self._leans(square, face)
        errors = {name: math.remainder(each - angle - own, 360.0) for name, each in leans.items()}
        return TurnedFace(angle, errors)


def _holds(box: Tensor, point: Tensor) -> bool:  # (1,4), (1,2)
    return bool(((box[:, :2] <= point) & (point <= box[:, 2:])).all())


def seen_scores(
    detector: FaceDetector, network: Any, photos: Iterable[Tensor]
) -> list[Tensor]:  # each (n,)
    """The scores of all that is taken for a face in each photo, the highest first."""
    found = (detector.search(network, photo).score for photo in photos)
    return [scores.sort(descending=True).values for scores in found]


def highest(scores: Sequence[Tensor]) -> Tensor:  # -> (n,)
    """Each photo's highest score; 0 where nothing is seen."""
    return torch.stack([torch.cat([each, torch.zeros(1)])[0] for each in scores])
