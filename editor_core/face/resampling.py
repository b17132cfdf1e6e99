"""Pictures resampled by an affine: one bilinear pass, antialiased, differentiable.

Coordinates are x, y in pixels; the upper left corner of the first pixel is (0, 0).
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .records import Size

STRIP = 1 << 21  # samples held at a time


def invert(affine: Tensor) -> Tensor:  # (n,2,3) -> (n,2,3)
    """The inverse affine."""
    turn = torch.linalg.inv(affine[:, :, :2])
    return torch.cat([turn, -turn @ affine[:, :, 2:]], 2)


def transform(affine: Tensor, points: Tensor) -> Tensor:  # (n,2,3), (n,L,2) -> (n,L,2)
    """Points where an affine takes them."""
    return points @ affine[:, :, :2].mT + affine[:, :, 2][:, None]


def offset_input(affine: Tensor, corner: tuple[int, int]) -> Tensor:  # (n,2,3)
    """The affine for points that are counted from `corner` (x, y)."""
    offset = affine[:, :, :2] @ affine.new_tensor(corner)
    return torch.cat([affine[:, :, :2], affine[:, :, 2:] + offset[..., None]], 2)


def offset_output(affine: Tensor, corner: tuple[int, int]) -> Tensor:  # (n,2,3)
    """The affine whose results are counted from `corner` (x, y)."""
    offset = affine.new_tensor(corner)[:, None]
    return torch.cat([affine[:, :, :2], affine[:, :, 2:] - offset], 2)


def resample(x: Tensor, affine: Tensor, size: Size, padding: str) -> Tensor:
    """A picture (1,C,H,W) at `size` (h,w); `affine` (1,2,3) takes its points to those of `x`.

    Where pixels of `x` would be passed over, several samples are averaged. Beyond its edges `x` is
    `"zeros"`, or goes on in `"reflection"`.
    """

    def sample(points: Tensor) -> Tensor:  # (1,h,w,2) -> (1,C,h,w)
        grid = (points / points.new_tensor([x.shape[3], x.shape[2]]) * 2 - 1).to(x)
        return F.grid_sample(x, grid, "bilinear", padding, align_corners=False)

    return supersample(sample, affine, size)


def coverage(affine: Tensor, size: Size, of: Size) -> Tensor:  # (1,2,3) -> (1,1,h,w) in [0,1]
    """How much of each pixel of a picture of `size` lies within one of size `of`."""

    def sample(points: Tensor) -> Tensor:  # (1,h,w,2) -> (1,1,h,w)
        within = (points >= 0) & (points <= points.new_tensor([of[1], of[0]]))
        return within.all(-1)[:, None].to(affine)

    return supersample(sample, affine, size)


def supersample(sample: Callable[[Tensor], Tensor], affine: Tensor, size: Size) -> Tensor:
    """The mean of several samples a pixel, strip by strip so that few are held at a time."""
    factor, (height, width) = samples_along(affine[0]), size
    step = max(1, STRIP // (width * factor**2))
    strips = []
    for top in range(0, height, step):
        strip = (min(step, height - top), width)
        points = sample_points(offset_input(affine, (0, top)), strip, factor)
        strips.append(F.avg_pool2d(sample(points), factor))
    return torch.cat(strips, 2)


def samples_along(affine: Tensor) -> int:  # (2,3)
    """Samples along a pixel's side so that they are at most a pixel of the other picture apart."""
    return max(1, math.ceil(affine[:, :2].det().abs().sqrt().item() - 0.01))


def resampler(affine: Tensor, size: Size, of: Size) -> Callable[[Tensor], Tensor]:
    """What `resample` does to pictures (n,C,H,W) of size `of`, each by its own affine (n,2,3).

    Where the samples lie is computed once, and brought to the pictures' device at the first call.
    Beyond their edges pictures go on in reflection.
    """
    counts = [samples_along(row) for row in affine]
    factors = sorted({*counts})
    rows = [[k for k, each in enumerate(counts) if each == factor] for factor in factors]
    order = [k for some in rows for k in some]
    back = [order.index(k) for k in range(len(order))]
    side = affine.new_tensor([of[1], of[0]]) / 2
    grids = [
        torch.cat([sample_points(affine[[k]], size, factor) for k in some]) / side - 1
        for some, factor in zip(rows, factors, strict=True)
    ]

    def run(x: Tensor) -> Tensor:  # (n,C,H,W) -> (n,C,h,w)
        grids[:] = [grid.to(x) for grid in grids]
        parts = []
        for some, factor, grid in zip(rows, factors, grids, strict=True):
            pictures = x if len(rows) == 1 else x[some]
            sampled = F.grid_sample(pictures, grid, "bilinear", "reflection", align_corners=False)
            parts.append(F.avg_pool2d(sampled, factor))
        return parts[0] if len(rows) == 1 else torch.cat(parts)[back]

    return run


def sample_points(affine: Tensor, size: Size, factor: int) -> Tensor:  # -> (1,kh,kw,2)
    """Where the samples of a picture, k = `factor` along a pixel's side, lie in the other one."""
    x, y = ((torch.arange(length * factor) + 0.5) / factor for length in (size[1], size[0]))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).to(affine)
    return transform(affine, grid.flatten(0, 1)[None]).unflatten(1, grid.shape[:2])
