"""What the guidance terms see of a step: pixels, decoded latents, crops of faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ..diffusion.level import Level
from ..face.records import Size
from ..face.resampling import invert, resampler

Sight = Callable[[Tensor, Tensor, Level], Tensor]
"""(pred_x0, x_t, level) -> the pictures (B,3,H,W) in [-1,1] that the terms are shown.

Differentiable; pred_x0 and x_t are (B,C,h,w) as the model has them.
"""


def see_pixels(pred_x0: Tensor, x_t: Tensor, level: Level) -> Tensor:
    """pred_x0 early, and ever more x_t as it clears (Blended Diffusion, arXiv 2111.14818).

    x_t is taken at the variance of x_0, as a table of alphas_cumprod has it.
    """
    at_unit_variance = level.kept**0.5 / level.signal
    return level.noise * pred_x0 + (1 - level.noise) * at_unit_variance * x_t


def see_decoded(decode: Callable[[Tensor], Tensor]) -> Sight:
    """What a decoder (B,C,h,w) -> (B,3,H,W) makes of pred_x0, without the noise of x_t."""
    return lambda pred_x0, x_t, level: decode(pred_x0)


def require_seen(sight: Sight, size: Size) -> Sight:
    """The sight, whose pictures have to be as large as the targets, of height and width `size`."""

    def see(pred_x0: Tensor, x_t: Tensor, level: Level) -> Tensor:
        seen = sight(pred_x0, x_t, level)
        if seen.shape[2:] != size:
            (height, width), (h, w) = size, seen.shape[2:]
            raise ValueError(
                f"the target is {height}x{width}, what is drawn {h}x{w}: resize the target to "
                "what is drawn, or draw as large as the target"
            )
        return seen

    return see


def see_faces(sight: Sight, affine: Tensor, pictures: Sequence[int], size: int, of: Size) -> Sight:
    """The crops (F,3,size,size) of faces in what another sight shows.

    Args:
        sight: Shows the pictures.
        affine: (F,2,3), each from pixels of its picture to those of its crop.
        pictures: The row of each face's picture; a picture may have several, or none.
        size: Pixels of a crop's side.
        of: Height and width of the pictures.
    """
    crop, rows = resampler(invert(affine), (size, size), of), list(pictures)
    return lambda pred_x0, x_t, level: crop(sight(pred_x0, x_t, level)[rows])
