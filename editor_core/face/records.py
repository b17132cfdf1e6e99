"""The faces in a batch of photos: where they are, and where their crops lie.

Coordinates are x, y in pixels of the photo; the upper left corner of its first pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Size = tuple[int, int]  # (height, width)

POINTS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


@dataclass(frozen=True)
class Faces:
    """n faces of some frames, ordered by frame, then from left to right. Sides as in the photo.

    `affine` takes a point of the photo to the square crop of `crop_size` pixels. Both are there
    once the faces are aligned, `person` once they are tracked, `embedding` once they are embedded.
    """

    frame: Tensor  # (n,) int64
    box: Tensor  # (n,4): x0, y0, x1, y1
    points: Tensor  # (n,5,2), in the order of POINTS
    score: Tensor  # (n,): how sure the detector is, 0..1
    size: Size  # of every frame
    frames: int
    landmarks: Tensor | None = None  # (n,68,2) or (n,468 or 478,2) where they are known
    person: Tensor | None = None  # (n,) int64, the same number for the same person in all frames
    embedding: Tensor | None = None  # (n,E) of unit length
    affine: Tensor | None = None  # (n,2,3)
    crop_size: int | None = None
    template: str | None = None  # what they were aligned to, one of TEMPLATES
    number: Tensor | None = None  # (n,) int64: from 0 in its frame, in the order they were found in

    def __len__(self) -> int:
        return len(self.frame)

    def __iter__(self) -> Iterator[Faces]:
        """Every face by itself."""
        return (self.rows([k]) for k in range(len(self)))

    def rows(self, index: Tensor | Sequence[int]) -> Faces:
        """Some of the faces, in the order of `index`."""
        index = torch.as_tensor(index, dtype=torch.int64)
        tensors = {name: each for name, each in vars(self).items() if isinstance(each, Tensor)}
        return replace(self, **{name: each[index] for name, each in tensors.items()})

    @property
    def centre(self) -> Tensor:  # (n,2)
        """The middle of every box."""
        return (self.box[:, :2] + self.box[:, 2:]) / 2

    @property
    def area(self) -> Tensor:  # (n,)
        """The pixels that every box covers."""
        return (self.box[:, 2:] - self.box[:, :2]).clamp(min=0).prod(1)

    def names(self, pictures: Sequence[object] = ()) -> list[str]:
        """What errors call the faces: by their numbers and what the frames are called."""
        called = pictures or [f"picture {frame}" for frame in range(self.frames)]
        rows = zip(numbers_of(self), self.frame.tolist(), strict=True)
        return [f"face {number} of {called[frame]}" for number, frame in rows]

    def without_faces(self) -> list[int]:
        """The frames in which there is no face."""
        return sorted(set(range(self.frames)) - set(self.frame.tolist()))

    def aligned(self) -> tuple[Tensor, int]:  # (n,2,3), pixels
        """The affine and the side of the crops; `ValueError` where there are none yet."""
        if self.affine is None or self.crop_size is None:
            raise ValueError("the faces have no crops yet, expected aligned ones: align them first")
        return self.affine, self.crop_size


def make_faces(
    frame: Sequence[int],
    box: Tensor,
    points: Tensor,
    size: Size,
    frames: int,
    *,
    score: Tensor | None = None,
    landmarks: Tensor | None = None,
) -> Faces:
    """Faces in their order: by frame, then from left to right, then from above; see `Faces`."""
    score = torch.ones(len(box)) if score is None else score
    index = torch.tensor(frame, dtype=torch.int64)
    faces = Faces(index, box.float(), points.float(), score.float(), size, frames, landmarks)
    keys = zip(frame, faces.centre.tolist(), range(len(faces)), strict=True)
    faces = faces.rows([k for _, _, k in sorted(keys)])
    return replace(faces, number=_places(faces.frame))


def numbers_of(faces: Faces) -> list[int]:
    """Every face's number in its frame; by place where they have none."""
    return (_places(faces.frame) if faces.number is None else faces.number).tolist()


def _places(frame: Tensor) -> Tensor:  # (n,) -> (n,)
    """Every face's place among those of its frame."""
    earlier = (frame[:, None] == frame[None]).tril(-1)
    return earlier.sum(1)


def require_points(points: Tensor, count: int) -> None:
    """Refuse points that are not five of each of `count` faces."""
    if points.shape != (count, 5, 2):
        raise ValueError(
            f"points have shape {tuple(points.shape)}, expected ({count}, 5, 2): give "
            f"{', '.join(POINTS)} of each face, x and y in pixels of its crop"
        )


def groups_of(numbers: Tensor) -> list[list[int]]:  # (n,)
    """The rows of every number that occurs, the lowest number's first."""
    return [(numbers == each).nonzero().flatten().tolist() for each in numbers.unique()]


def no_faces(size: Size, frames: int) -> Faces:
    """Frames without any face."""
    return make_faces([], torch.zeros(0, 4), torch.zeros(0, 5, 2), size, frames)


def box_iou(a: Tensor, b: Tensor) -> Tensor:  # (n,4), (m,4) -> (n,m)
    """Intersection over union of boxes."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    areas = [(each[:, 2:] - each[:, :2]).prod(1) for each in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None] - shared).clamp(min=1e-9)
