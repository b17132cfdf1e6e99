"""Pictures seen through an affine: one bilinear pass, antialiased, differentiable.

Coordinates are x, y in pixels; the upper left corner of the first pixel is (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .records import Size

STRIP = 1 << 21  # samples held at a time


def invert(affine: Tensor) -> Tensor:  # (n,2,3) -> (n,2,3)
    """The way back."""
    turn = torch.linalg.inv(affine[:, :, :2])
    return torch.cat([turn, -turn @ affine[:, :, 2:]], 2)


def transform(affine: Tensor, points: Tensor) -> Tensor:  # (n,2,3), (n,L,2) -> (n,L,2)
    """Points where an affine takes them."""
    return points @ affine[:, :, :2].mT + affine[:, :, 2][:, None]


def shifted(affine: Tensor, corner: tuple[int, int]) -> Tensor:  # (n,2,3)
    """The affine for points that are counted from `corner` (x, y)."""
    offset = affine[:, :, :2] @ affine.new_tensor(corner)
    return torch.cat([affine[:, :, :2], affine[:, :, 2:] + offset[..., None]], 2)


def counted_from(affine: Tensor, corner: tuple[int, int]) -> Tensor:  # (n,2,3)
    """The affine whose results are counted from `corner` (x, y)."""
    offset = affine.new_tensor(corner)[:, None]
    return torch.cat([affine[:, :, :2], affine[:, :, 2:] - offset], 2)


def resample(x: Tensor, affine: Tensor, size: Size, beyond: str) -> Tensor:
    """A picture (1,C,H,W) at `size` (h,w); `affine` (1,2,3) takes its points to those of `x`.

    Where pixels of `x` would be passed over, several samples are averaged. Beyond its edges `x` is
    `"zeros"`, or goes on in `"reflection"`.
    """

    def seen(at: Tensor) -> Tensor:  # (1,h,w,2) -> (1,C,h,w)
        grid = (at / at.new_tensor([x.shape[3], x.shape[2]]) * 2 - 1).to(x)
        return F.grid_sample(x, grid, "bilinear", beyond, align_corners=False)

    return supersampled(seen, affine, size)


def inside(affine: Tensor, size: Size, of: Size) -> Tensor:  # (1,2,3) -> (1,1,h,w) in [0,1]
    """How much of each pixel of a picture of `size` lies within one of size `of`."""

    def seen(at: Tensor) -> Tensor:
        within = (at >= 0) & (at <= at.new_tensor([of[1], of[0]]))
        return within.all(-1)[:, None].to(affine)

    return supersampled(seen, affine, size)


def supersampled(seen: Callable[[Tensor], Tensor], affine: Tensor, size: Size) -> Tensor:
    """The mean of several samples a pixel, strip by strip so that few are held at a time."""
    finer = supersampling(affine)
    height, width = size
    step = max(1, STRIP // (width * finer**2))
    strips = []
    for top in range(0, height, step):
        at = sample_points(shifted(affine, (0, top)), (min(step, height - top), width), finer)
        strips.append(F.avg_pool2d(seen(at), finer))
    return torch.cat(strips, 2)


def supersampling(affine: Tensor) -> int:
    """Samples along a pixel's side, so that they lie at most a pixel of the other picture apart."""
    scale = affine[0, :, :2].det().abs().sqrt().item()
    return max(1, math.ceil(scale - 0.01))


def sample_points(affine: Tensor, size: Size, finer: int) -> Tensor:  # -> (1,kh,kw,2)
    """Where the samples of a picture lie in the other one."""
    x, y = ((torch.arange(length * finer) + 0.5) / finer for length in (size[1], size[0]))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).to(affine)
    return transform(affine, grid.flatten(0, 1)[None]).unflatten(1, grid.shape[:2])
