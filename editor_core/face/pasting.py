"""Edited crops back in their photos: several faces on one canvas, at the photo's own resolution.

What is pasted is the difference between the edited crop and the one that was cut out, so that an
unchanged crop changes nothing, and a changed one brings no blur where it did not change.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ..declare import check, setting
from ..images import add_change, blur, rgb, to_signed
from .aligning import Box, crop_face, quads, require_frames
from .finding import require_masks
from .records import Faces
from .resampling import offset_input, resample

UNCHANGED, CHANGED = 2 / 255, 16 / 255  # of the range [-1,1]: where detail of the photo gives way
BORDER = 0.06  # of a crop's side over which a mask that was not given fades out
BANDS = 4  # of multi-band blending (Burt and Adelson 1983), each twice as coarse as the last
PASTINGS = ("feather", "multi-band")


@dataclass(frozen=True)
class Pasting:
    """How crops are blended in."""

    feather: float = setting(
        4.0,
        "Pixels of the photo (sigma) over which the mask fades inwards; more blends more softly.",
        low=0.0,
        high=256.0,
        step=0.5,
    )
    blending: str = setting(
        "feather",
        "multi-band: coarse differences fade more widely than fine ones, which hides seams of "
        "light and colour.",
        choices=PASTINGS,
    )
    match_colours: bool = setting(
        False, "On: the crops get the mean and the contrast of the photo's colours."
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Pasted:
    """Photos with edited faces."""

    image: Tensor  # (frames,H,W,C) in [0,1]: outside the mask the photo, bit for bit
    mask: Tensor  # (frames,H,W) in [0,1]: where, and how much, something was pasted


def paste_faces(
    photos: Tensor,
    faces: Faces,
    edited: Tensor,
    masks: Tensor | None = None,
    pasting: Pasting | None = None,
    skin: Tensor | None = None,
    keep: Tensor | None = None,
) -> Pasted:
    """Paste every aligned face's edited crop back into its photo.

    Where faces meet, the first one stays on top.

    Args:
        photos: (frames,H,W,3 or 4) in [0,1]; alpha stays.
        faces: As they were aligned when their crops were cut out.
        edited: (n,3,S,S) in [-1,1], a crop a face.
        masks: (n,S,S) in [0,1], where the crops are pasted; by default nearly everywhere.
        pasting: How they are blended in.
        skin: (n,S,S) in [0,1], where colours are matched; by default as the masks.
        keep: (1 or frames,H,W) in [0,1] of the photos: where it is 1 they stay bit for bit.

    Raises:
        ValueError: The photos, crops or masks are not those of the faces.

    Examples:
        >>> from guided_face_edit.editor_core.face.aligning import crop_faces
        >>> from guided_face_edit.editor_core.face.locate import locate_faces
        >>> photo = torch.rand(1, 96, 128, 3)
        >>> faces = locate_faces(photo, "ffhq", 64, at="40, 20, 90, 80")
        >>> crops = crop_faces(photo, faces).image
        >>> torch.equal(paste_faces(photo, faces, crops).image, photo)  # nothing was edited
        True
    """
    pasting = pasting or Pasting()
    require_frames(photos, faces)
    masks = _border_masks(faces).to(edited) if masks is None else masks
    skin = masks if skin is None else skin
    for name, given in (("crops", edited), ("masks", masks), ("skin", skin)):
        _require_crops(given, faces, name)
    if keep is not None:
        require_masks(keep, faces.size, faces.frames, "keep")
        keep = keep.expand(faces.frames, -1, -1)
    canvas = Pasted(photos.clone(), photos.new_zeros(photos.shape[:3]))
    for face, crop, mask, where in zip(faces, edited, masks, skin, strict=True):
        original = crop_face(photos, face).image.to(crop)
        new = _match_colours(crop[None], original, where) if pasting.match_colours else crop[None]
        mask = mask.to(crop)[None, None]
        here, change, weight = _change_photo(photos, face, original, new, mask, pasting)
        free = 1 if keep is None else (1 - keep[here])[:, None].to(weight)
        _add(canvas, here, free * change, free * weight)
    return canvas


def _change_photo(
    photos: Tensor, face: Faces, original: Tensor, edited: Tensor, mask: Tensor, pasting: Pasting
) -> tuple[tuple, Tensor, Tensor]:  # -> place, (1,3,h,w), (1,1,h,w)
    """The part of the photo that a crop touches, its change there, and the change's weight."""
    x0, y0, x1, y1 = _bounds(face, margin=3 * pasting.feather + 1)
    here = (face.frame, slice(y0, y1), slice(x0, x1))
    to_crop = offset_input(face.aligned()[0], (x0, y0)).to(edited)

    def in_photo(x: Tensor) -> Tensor:  # (1,C,S,S) -> (1,C,h,w)
        return resample(x, to_crop, (y1 - y0, x1 - x0), "zeros")

    photo = to_signed(rgb(photos[here]).float(), "photo").to(edited)
    change = in_photo(edited - original)
    change = change - in_photo(_edited_share(edited - original)) * (photo - in_photo(original))
    crop_pixel = 1 / to_crop[0, :, :2].det().sqrt().item()  # in the photo's: no edge is finer
    feather = pasting.feather and max(pasting.feather, crop_pixel)
    return here, *_blend(change, in_photo(mask), replace(pasting, feather=feather))


def _add(canvas: Pasted, here: tuple, change: Tensor, weight: Tensor) -> None:
    """Add a change where its weight is above 0, as far as no earlier face covers it."""
    free = (1 - canvas.mask[here])[:, None].to(weight)
    change, weight, before = free * change, free * weight, canvas.image[here]
    after = add_change(rgb(before).to(change), change).to(before)
    touched = (weight > 0).movedim(1, -1)
    canvas.image[here] = torch.cat([torch.where(touched, after, rgb(before)), before[..., 3:]], -1)
    canvas.mask[here] += weight[:, 0].to(canvas.mask)


def _blend(change: Tensor, mask: Tensor, pasting: Pasting) -> tuple[Tensor, Tensor]:
    """A change (1,3,h,w) weighted by its mask (1,1,h,w), and the weight of its finest band."""
    weight = mask * _fade(mask, pasting.feather)
    if pasting.blending == "feather":
        return change * weight, weight
    sigmas = [max(pasting.feather, 1.0) * 2**k for k in range(BANDS)]
    coarser = [change, *(blur(change, sigma) for sigma in sigmas[1:]), torch.zeros_like(change)]
    bands = [fine - coarse for fine, coarse in pairwise(coarser)]
    weights = [mask * _fade(mask, sigma) for sigma in sigmas]
    weighted = [band * each for band, each in zip(bands, weights, strict=True)]
    return torch.stack(weighted).sum(0), weights[0]


def _fade(mask: Tensor, sigma: float) -> Tensor:  # (1,1,h,w) -> (1,1,h,w)
    """Grows from 0 at the edge of the mask to 1 within it, about two sigma further in."""
    return (2 * blur((mask > 0).to(mask), sigma) - 1).clamp(0, 1)


def _edited_share(difference: Tensor) -> Tensor:  # (1,3,S,S) -> (1,1,S,S) in [0,1]
    """Where a crop was edited, so that finer detail of the photo must not show through."""
    most = F.max_pool2d(difference.abs().amax(1, keepdim=True), 3, stride=1, padding=1)
    return ((most - UNCHANGED) / (CHANGED - UNCHANGED)).clamp(0, 1)


def _match_colours(edited: Tensor, original: Tensor, where: Tensor) -> Tensor:  # (1,3,S,S), (S,S)
    """The edit with the original's mean and deviation of every colour, measured in `where`."""
    share = where / where.sum().clamp(min=1e-6)

    def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
        mean = (x * share).sum((2, 3), keepdim=True)
        return mean, ((x - mean).square() * share).sum((2, 3), keepdim=True).sqrt()

    (mean, deviation), (aim, spread) = statistics(edited), statistics(original)
    return ((edited - mean) * spread / deviation.clamp(min=1e-3) + aim).clamp(-1, 1)


def _bounds(face: Faces, margin: float) -> Box:
    """The bounds of a face's crop with a margin in pixels, as far as the photo goes."""
    height, width = face.size
    corners = quads(face)[0]
    left, top = (corners.amin(0) - margin).floor().long().tolist()
    right, bottom = (corners.amax(0) + margin).ceil().long().tolist()
    return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def _border_masks(faces: Faces) -> Tensor:  # -> (n,S,S)
    _, size = faces.aligned()
    line = (torch.arange(size) + 0.5) / size
    inwards = (torch.minimum(line, 1 - line) / BORDER).clamp(0, 1)
    return torch.minimum(inwards[:, None], inwards).expand(len(faces), -1, -1)


def _require_crops(given: Tensor, faces: Faces, name: str) -> None:
    _, size = faces.aligned()
    expected = (len(faces), size, size)
    shape = (len(given), *given.shape[-2:])
    if shape != expected:
        raise ValueError(
            f"got {name} {' x '.join(map(str, shape))}, expected {' x '.join(map(str, expected))}: "
            "give one for each of these faces, as large as it was aligned"
        )
