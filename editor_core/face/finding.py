"""Faces from what a caller knows of them: landmarks, boxes, masks, numbers, or nothing at all."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .errors import require_if_missing
from .eyes import EYE_CORNERS
from .records import Faces, Size, make_faces, no_faces
from .templates import template_named

# Points of the known sets of landmarks, sides as in the picture
CORNERS = {68: EYE_CORNERS, 478: [33, 133, 362, 263], 468: [33, 133, 362, 263]}
NOSE = {68: 30, 478: 1, 468: 1}
MOUTH = {68: (48, 54), 478: (61, 291), 468: (61, 291)}

POINTS_IN_BOX = ((0.26, 0.36), (0.74, 0.36), (0.5, 0.55), (0.3, 0.72), (0.7, 0.72))
"""Where a box from brows to chin usually has the five points, in its sides."""

BOX_REACH = 1.7  # of such a box, from the middle of its points


def faces_in_landmarks(landmarks: Sequence[Sequence[Mapping[str, Any]]], size: Size) -> Faces:
    """The faces of ComfyUI's landmarks: a list of faces a frame, each with `landmarks_xy`."""
    found = [face for faces in landmarks for face in faces]
    if not found:
        return no_faces(size, len(landmarks))
    points = torch.stack([torch.as_tensor(face["landmarks_xy"]).float() for face in found])
    return make_faces(
        [frame for frame, faces in enumerate(landmarks) for _ in faces],
        torch.cat([points.amin(1), points.amax(1)], 1),
        five_points_of(points),
        size,
        len(landmarks),
        score=torch.tensor([float(face.get("score", 1)) for face in found]),
        landmarks=points,
    )


def five_points_of(landmarks: Tensor) -> Tensor:  # (n,68, 468 or 478,2) -> (n,5,2)
    """The middles of the eyes, the nose's tip and the mouth's corners, in the order of POINTS."""
    eyes, count = eye_corners_of(landmarks).unflatten(1, (2, 2)).mean(2), landmarks.shape[1]
    return torch.cat([eyes, landmarks[:, [NOSE[count], *MOUTH[count]]]], 1)


def eye_corners_of(landmarks: Tensor) -> Tensor:  # (n,68, 468 or 478,2) -> (n,4,2)
    """The corners of both eyes, from left to right."""
    count = landmarks.shape[1]
    if count not in CORNERS:
        raise ValueError(
            f"a face has {count} landmarks, expected 68, 468 or 478: give those of another detector"
        )
    return landmarks[:, CORNERS[count]]


def faces_in_boxes(boxes: Any, size: Size, frames: int) -> Faces:
    """Upright faces that fill ComfyUI's boxes, each with x, y, width and height.

    `boxes` is one box, a list of them that counts for every frame, or a list a frame.
    """
    boxes = [boxes] if isinstance(boxes, Mapping) else boxes
    by_frame = [boxes] * frames if boxes and isinstance(boxes[0], Mapping) else boxes
    frame = [k for k, some in enumerate(by_frame) for _ in some]
    found = [each for some in by_frame for each in some]
    corners = [[b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]] for b in found]
    box = torch.tensor(corners).float().reshape(-1, 4)
    scores = torch.tensor([each.get("score", 1.0) for each in found]).float()
    return make_faces(frame, box, points_in(box), size, len(by_frame), score=scores)


def points_in(box: Tensor) -> Tensor:  # (n,4) -> (n,5,2)
    """Where an upright face that fills the box has its five points."""
    return box[:, None, :2] + box.new_tensor(POINTS_IN_BOX) * (box[:, None, 2:] - box[:, None, :2])


def faces_in_masks(masks: Tensor, size: Size, frames: int) -> Faces:  # (1 or frames,H,W)
    """One upright face a frame, which fills the extent of its mask; none where it is empty."""
    require_masks(masks, size, frames)
    boxes = [_filled_box(mask > 0.5) for mask in masks.expand(frames, -1, -1)]
    found = [(k, box) for k, box in enumerate(boxes) if box is not None]
    box = torch.tensor([box for _, box in found]).float().reshape(-1, 4)
    return make_faces([k for k, _ in found], box, points_in(box), size, frames)


def require_masks(masks: Tensor, size: Size, frames: int, name: str = "mask") -> None:
    """Refuse masks that are not of these frames."""
    if masks.ndim != 3 or masks.shape[1:] != size or len(masks) not in (1, frames):
        raise ValueError(
            f"{name} has shape {tuple(masks.shape)}, expected (1 or {frames}, {size[0]}, "
            f"{size[1]}): give one of the photo"
        )


def _filled_box(filled: Tensor) -> tuple[int, int, int, int] | None:  # (H,W) bool
    rows, columns = (filled.any(side).nonzero().flatten().tolist() for side in (1, 0))
    return (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else None


def faces_in_text(text: str, size: Size, frames: int) -> Faces:
    """Faces from a line of numbers each: x0 y0 x1 y1 of a box, or x y of the five points.

    A line may begin with its frame and a colon; without, it counts for all frames.
    """
    frame: list[int] = []
    box, points = [torch.zeros(0, 4)], [torch.zeros(0, 5, 2)]
    for line in filter(str.strip, text.replace(",", " ").splitlines()):
        given, numbers = _parse_line(line, frames)
        upright = len(numbers) == 4  # a box
        face = points_in(numbers[None]) if upright else numbers.view(1, 5, 2)
        box += [numbers[None] if upright else box_around(face)] * len(given)
        points += [face] * len(given)
        frame += given
    return make_faces(frame, torch.cat(box), torch.cat(points), size, frames)


def _parse_line(line: str, frames: int) -> tuple[Sequence[int], Tensor]:  # -> (4 or 10,)
    """The frames that a line counts for, and its numbers."""
    before, colon, numbers = line.rpartition(":")
    given: Sequence[int] = range(frames)
    try:
        given = [int(before)] if colon else given
        values = [float(word) for word in numbers.split()]
    except ValueError:
        values = []
    if len(values) not in (4, 10) or not set(given) <= set(range(frames)):
        raise ValueError(
            f'"{line.strip()}" gives no face in {frames} frames, expected 4 numbers of a box or 10 '
            "of five points, perhaps after a frame and a colon: correct the line"
        )
    return given, torch.tensor(values)


def box_around(points: Tensor) -> Tensor:  # (n,5,2) -> (n,4)
    """The upright box from brows to chin around five points."""
    low, high = points.amin(1), points.amax(1)
    half = (high - low).amax(1, keepdim=True) * BOX_REACH / 2
    middle = (low + high) / 2
    return torch.cat([middle - half, middle + half], 1)


def whole_pictures(size: Size, frames: int, template: str = "ffhq") -> Faces:
    """One face a frame in the largest square in the picture's middle: aligned already.

    Its points are where an average face of the template has them.
    """
    (height, width), side = size, min(size)
    corner = torch.tensor([(width - side) / 2, (height - side) / 2])
    box = torch.cat([corner, corner + side])[None]
    points = template_named(template).points((side, side))
    points = points_in(box) if points is None else points + corner
    faces = box.expand(frames, -1), points.expand(frames, -1, -1)
    return make_faces(range(frames), *faces, size, frames)


WAYS: dict[str, Callable[[Any, Size, int], Faces]] = {
    "face_landmarks": lambda landmarks, size, _: faces_in_landmarks(landmarks["frames"], size),
    "bboxes": faces_in_boxes,
    "mask": faces_in_masks,
    "numbers": faces_in_text,
    "already_aligned": lambda _, size, frames: whole_pictures(size, frames),
}
"""Ways to give faces, and how each is read."""


def given_faces(size: Size, frames: int, **ways: Any) -> tuple[str, Faces]:
    """The faces of some frames, and the one of `WAYS` that gives them; the others must be None."""
    given = {name: value for name, value in ways.items() if value is not None}
    if len(given) != 1:
        raise ValueError(
            f"faces are given by {' and '.join(given) or 'nothing'}, expected one of "
            "face_landmarks, bboxes, mask, numbers and already_aligned: give just one"
        )
    ((name, value),) = given.items()
    return name, WAYS[name](value, size, frames)


def report_faces(faces: Faces, what: str, if_missing: str) -> str:
    """How many faces there are, and `what` ("no face found") is missing in which frames.

    Raises:
        ValueError: A frame has no face and `if_missing`, one of IF_MISSING, is "error".
    """
    require_if_missing(if_missing)
    missing = missing_faces(faces, what)
    if missing and if_missing == "error":
        raise ValueError(f"{missing}: give another picture, or choose pass through")
    lines = [f"{len(faces)} faces in {faces.frames} pictures"]
    if missing:
        lines.append(f"{missing}, passed through")
        logging.warning("Guided Face Edit: %s", lines[-1])
    return "\n".join(lines)


def missing_faces(faces: Faces, what: str) -> str | None:
    """Which frames have no face, in words; None where every frame has one."""
    empty = faces.without_faces()
    if not empty:
        return None
    shown = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
    return f"{what} in picture {shown} of {faces.frames}"
