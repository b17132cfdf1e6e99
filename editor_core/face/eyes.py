"""Where the eyes are; the pixels of eyes and faces that the gaze networks read."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images import resize
from ..models.eyenet import CROP_SIZE
from .errors import FaceError, require_no_faults, without_faulty
from .parsing import FaceParsing, FacePart

PADDING = (5, 9)  # pixels beside and above an eye's corners, in a picture of 256 x 256
EYE_CORNERS = [36, 39, 42, 45]  # of 68 landmarks: outer and inner left, inner and outer right
STRAY = 0.03  # of an eye's pixels, ignored at either end
CROP_WIDTH = 1.5  # of a parsed eye's width, as in the crops that EyeNet learned from
FACE_REACH = (-1.05, -0.95, 1.05, 1.65)  # of a detector's box from between the eyes, in their gaps


@dataclass(frozen=True)
class EyeBoxes:
    """Integer pixels (x0, y0, x1, y1), the second corner exclusive; sides as in the picture."""

    left: Tensor  # (B,4)
    right: Tensor  # (B,4)
    size: tuple[int, int] | None = None  # (height, width) of the pictures, where it is known
    missing: FaceError | None = (
        None  # the pictures without eyes: their boxes are all of the picture
    )


def find_eyes(parsing: FaceParsing, landmarks: Tensor | None = None) -> EyeBoxes:
    """The eyes from landmarks (B,68,2) or (B,4,2) where there are any, else from the parsing.

    Raises:
        ValueError: A picture shows no eye, or the landmarks lie outside it.
    """
    if landmarks is None:
        return find_eyes_in_labels(parsing.labels)
    height, width = parsing.logits.shape[-2:]
    return find_eyes_in_landmarks(landmarks.to(parsing.logits.device), (height, width))


def find_eyes_in_labels(labels: Tensor) -> EyeBoxes:  # (B,H,W)
    """Boxes around the two labelled eyes, shaped as the gaze network's input."""
    _require_labelled(labels)
    one, other = (_box(labels, part) for part in (FacePart.L_EYE, FacePart.R_EYE))
    in_order = (one[:, :1] <= other[:, :1]).expand(-1, 4)
    boxes = EyeBoxes(torch.where(in_order, one, other), torch.where(in_order, other, one))
    return _within_picture(boxes, labels.shape[1], labels.shape[2])


def find_eyes_in_landmarks(points: Tensor, size: tuple[int, int]) -> EyeBoxes:
    """Boxes around the eyes of 68 landmarks, or of their four corners alone.

    `points` (B,68,2) or (B,4,2) are x, y in pictures of `size` (height, width).
    """
    if points.ndim != 3 or points.shape[1:] not in ((68, 2), (4, 2)):
        raise ValueError(
            f"landmarks have shape {tuple(points.shape)}, expected (batch, 68, 2): "
            "give x, y of 68 points, or of points 36, 39, 42, 45 alone"
        )
    corners = points if points.shape[1] == 4 else points[:, EYE_CORNERS]
    height, width = size
    padding = (round(PADDING[0] * width / 256), round(PADDING[1] * height / 256))
    return _within_picture(boxes_around(corners, padding), height, width)


def eyes_where_seen(
    find: Callable[[list[int]], EyeBoxes], names: Sequence[str], if_missing: str
) -> EyeBoxes:
    """The eyes of all faces or, passing through, of those that show some: see `without_faulty`."""
    found, rows, missing = without_faulty(find, names, if_missing)
    if missing is None:
        return found
    assert found.size is not None  # they were looked for in pictures
    whole = found.left.new_tensor([0, 0, *found.size[::-1]]).repeat(len(names), 1)
    left, right = whole.clone(), whole.clone()
    left[rows], right[rows] = found.left, found.right
    return EyeBoxes(left, right, found.size, missing)


def report_eyes(boxes: EyeBoxes) -> str:
    """How many faces show eyes, and which do not."""
    missing = boxes.missing.lines if boxes.missing else []
    for line in missing:
        logging.warning("Guided Face Edit: %s; passed through", line)
    count = len(boxes.left)
    return "\n".join([f"eyes in {count - len(missing)} of {count} faces", *missing])


def boxes_around(corners: Tensor, padding: tuple[int, int]) -> EyeBoxes:  # (B,4,2): x, y
    """Boxes around four eye corners, left to right; they may reach beyond the picture's edge."""
    beside, above = padding
    x = corners[..., 0].long()
    y = corners[..., 1].unflatten(1, (2, 2)).mean(2).floor().long()
    left = [x[:, 0] - beside, y[:, 0] - above, x[:, 1] + beside, y[:, 0] + above]
    right = [x[:, 2] - beside, y[:, 1] - above, x[:, 3] + beside, y[:, 1] + above]
    return EyeBoxes(torch.stack(left, 1), torch.stack(right, 1))


def _require_labelled(labels: Tensor) -> None:
    faults: dict[int, str] = {}
    for part in (FacePart.R_EYE, FacePart.L_EYE):
        eye = part.name.lower()
        fault = f"shows no {eye}, expected both eyes: give landmarks, or leave the gaze out"
        blind = (labels == part).sum((1, 2)) == 0
        faults |= dict.fromkeys(blind.nonzero().flatten().tolist(), fault)
    require_no_faults(faults, "picture")


def _box(labels: Tensor, part: FacePart) -> Tensor:  # (B,H,W) -> (B,4)
    pixels = (labels == part).float()
    (x0, x1), (y0, y1) = _without_strays(pixels.sum(1)), _without_strays(pixels.sum(2))
    half_width = CROP_WIDTH * (x1 - x0) / 2
    half = torch.stack([half_width, half_width * CROP_SIZE[0] / CROP_SIZE[1]], 1)
    middle = torch.stack([x0 + x1, y0 + y1], 1) / 2
    return torch.cat([(middle - half).floor(), (middle + half).ceil()], 1).long()


def _without_strays(weight: Tensor) -> tuple[Tensor, Tensor]:  # (B,N) -> (B,), (B,)
    """Begin and end of all but the outermost pixels, which may be strays of the parser."""
    share = weight.cumsum(1) / weight.sum(1, keepdim=True)
    return (share <= STRAY).sum(1), (share < 1 - STRAY).sum(1) + 1


def _within_picture(boxes: EyeBoxes, height: int, width: int) -> EyeBoxes:
    left, right = (_clamp(eye, height, width) for eye in (boxes.left, boxes.right))
    faults = {
        row: f"is {height}x{width}, its eye box {eye[row].tolist()} lies outside: give landmarks "
        "inside the picture, or leave the gaze out"
        for eye, inside in ((boxes.right, right), (boxes.left, left))
        for row in (inside[:, 2:] <= inside[:, :2]).any(1).nonzero().flatten().tolist()
    }
    require_no_faults(faults, "picture")
    return EyeBoxes(left, right, (height, width))


def _clamp(boxes: Tensor, height: int, width: int) -> Tensor:  # (B,4) -> (B,4)
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def crop_eyes(image: Tensor, boxes: EyeBoxes) -> tuple[Tensor, Tensor]:  # each (B,1,96,160)
    """Grey pixels in [0, 1] of the left and the right eye of (B,3,H,W) in [-1, 1].

    They are squeezed to the gaze network's input, and differentiable.
    """
    _require_boxes(boxes, image)
    grey = (image * 0.5 + 0.5).mean(1, keepdim=True)
    return _crop(grey, boxes.left, CROP_SIZE, False), _crop(grey, boxes.right, CROP_SIZE, False)


def crop_around_eyes(image: Tensor, boxes: EyeBoxes, size: int) -> Tensor:  # -> (B,3,size,size)
    """The pixels of the face that the eyes belong to, squeezed to a square, differentiable.

    It is cut out as face detectors box it, from forehead to chin, if it looks ahead.
    """
    _require_boxes(boxes, image)
    left, right = ((box[:, :2] + box[:, 2:]) / 2 for box in (boxes.left, boxes.right))
    middle, gap = (left + right) / 2, torch.linalg.vector_norm(right - left, dim=1)
    reach = middle.new_tensor(FACE_REACH) * gap[:, None]
    faces = (middle.repeat(1, 2) + reach).round().long()
    return _crop(image, _clamp(faces, *image.shape[-2:]), (size, size))


def _require_boxes(boxes: EyeBoxes, image: Tensor) -> None:
    size, count = tuple(image.shape[-2:]), len(boxes.left)
    if count != len(image) or boxes.size not in (None, size):
        found = "" if boxes.size is None else f" of {boxes.size[0]}x{boxes.size[1]}"
        raise ValueError(
            f"the eyes were found in {count} pictures{found}, these are {len(image)} of "
            f"{size[0]}x{size[1]}: find the eyes in these"
        )


def _crop(image: Tensor, boxes: Tensor, size: tuple[int, int], antialias: bool = True) -> Tensor:
    """(B,C,H,W), (B,4) -> (B,C,h,w)"""
    crops = [
        resize(row[None, :, y0:y1, x0:x1], size, antialias)
        for row, (x0, y0, x1, y1) in zip(image, boxes.tolist(), strict=True)
    ]
    return torch.cat(crops) if crops else image.new_zeros(0, image.shape[1], *size)
