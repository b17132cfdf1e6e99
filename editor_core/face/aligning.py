"""The crops of faces, each cut out of its photo to the template of a model family."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..images import rgb, to_signed
from .errors import require_no_faults
from .finding import require_masks
from .records import Faces
from .resampling import coverage, invert, offset_output, resample, transform
from .templates import Template

Box = tuple[int, int, int, int]  # x0, y0, x1, y1, the second corner exclusive
MIN_SIDE = 4  # pixels of the photo that a crop's side covers
MAX_PHOTOS = 4  # photos that it covers, side by side
READ_MARGIN = 2  # pixels around a crop that its interpolation may read


def align_faces(faces: Faces, template: Template, size: int) -> Faces:
    """The faces with the affines of their crops.

    Args:
        faces: From a detector, `locate_faces` or a `faces_in_...` function.
        template: Where a crop has its face, for instance `template_named("ffhq")`.
        size: Pixels of a crop's side.

    Raises:
        FaceError: A crop lies outside its photo, or is too small or too large to be meant.
    """
    affine = template.affine(faces) * size
    aligned = replace(faces, affine=affine, crop_size=size, template=template.name)
    require_usable(aligned)
    return aligned


def require_usable(faces: Faces) -> None:
    """Refuse crops that lie outside their photo, or are too small or too large to be meant."""
    _require_sides(faces)
    _require_touching(faces)


def _require_sides(faces: Faces) -> None:
    affine, size = faces.aligned()
    most = MAX_PHOTOS * max(faces.size)
    sides = enumerate((size / affine[:, :, :2].det().abs().sqrt()).tolist())
    faults = {
        row: f"has a crop of {side:.4g} pixels of the photo, expected {MIN_SIDE} to {most}: give "
        "its box or points in pixels of the photo"
        for row, side in sides
        if not MIN_SIDE <= side <= most
    }
    require_no_faults(faults, "face", faces.names())


def _require_touching(faces: Faces) -> None:
    height, width = faces.size
    corners = quads(faces)
    low, high = corners.amin(1), corners.amax(1)
    outside = (high <= 0).any(1) | (low[:, 0] >= width) | (low[:, 1] >= height)
    fault = f"lies outside its photo of {height}x{width}: give its box or points in pixels of it"
    faults = dict.fromkeys(outside.nonzero().flatten().tolist(), fault)
    require_no_faults(faults, "face", faces.names())


def quads(faces: Faces) -> Tensor:  # (n,4,2)
    """The corners of the crops in the photo, clockwise from the crop's upper left."""
    affine, size = faces.aligned()
    corners = affine.new_tensor([[0, 0], [size, 0], [size, size], [0, size]])
    return transform(invert(affine), corners.expand(len(affine), -1, -1))


@dataclass(frozen=True)
class Crops:
    """The pixels of faces, as they were aligned."""

    image: Tensor  # (n,3,S,S) in [-1,1]; beyond the photo's edges it is reflected
    inside: Tensor  # (n,1,S,S) in [0,1]: how much of each pixel lies in the photo


def crop_faces(photos: Tensor, faces: Faces) -> Crops:  # (frames,H,W,3 or 4) in [0,1]
    """The crop of every aligned face; of a photo no more is converted than its crops need.

    Raises:
        ValueError: The faces are not aligned, or are of other photos.
    """
    require_frames(photos, faces)
    _, size = faces.aligned()
    crops = [crop_face(photos, face) for face in faces]
    none = photos.new_zeros(0, 3, size, size)
    image = torch.cat([none, *(each.image for each in crops)])
    return Crops(image, torch.cat([none[:, :1], *(each.inside for each in crops)]))


def crop_face(photos: Tensor, face: Faces) -> Crops:
    """The crop of one face."""
    affine, size = face.aligned()
    to_photo, corners = invert(affine), quads(face)[0]
    sides = zip(corners.amin(0).tolist(), corners.amax(0).tolist(), face.size[::-1], strict=True)
    (x0, x1), (y0, y1) = (_pixels_read(*side) for side in sides)
    window = to_signed(rgb(photos[face.frame, y0:y1, x0:x1]).float(), "photo")
    image = resample(window, offset_output(to_photo, (x0, y0)), (size, size), "reflection")
    return Crops(image, coverage(to_photo, (size, size), face.size).to(image))


def crop_masks(
    masks: Tensor, faces: Faces, name: str = "mask"
) -> Tensor:  # (frames or 1,H,W) -> (n,S,S)
    """The crops of the photos' masks; beyond the photo's edges there is none.

    Raises:
        ValueError: The masks, which the error calls `name`, are of other photos.
    """
    require_masks(masks, faces.size, faces.frames, name)
    _, size = faces.aligned()
    rows = masks.expand(faces.frames, -1, -1)
    crops = [
        resample(rows[face.frame][:, None], invert(face.aligned()[0]), (size, size), "zeros")[0]
        for face in faces
    ]
    return torch.cat([masks.new_zeros(0, size, size), *crops])


def _pixels_read(low: float, high: float, length: int) -> tuple[int, int]:
    """Those along a side that a crop reads: within it, and reflected beyond the photo."""
    mirrored_low, mirrored_high = -low, 2 * length - high
    first = math.floor(min(low, mirrored_high)) - READ_MARGIN
    last = math.ceil(max(high, mirrored_low)) + READ_MARGIN
    return min(max(first, 0), length - 1), max(min(last, length), 1)


def require_frames(photos: Tensor, faces: Faces) -> None:
    """Refuse photos other than those in which the faces were found."""
    count, (height, width) = len(photos), photos.shape[1:3]
    if (count, (height, width)) != (faces.frames, faces.size):
        h, w = faces.size
        raise ValueError(
            f"the faces are of {faces.frames} pictures of {h}x{w}, these are {count} of "
            f"{height}x{width}: find the faces of these"
        )
