"""The reference's views of a face: two warps, each sampled by itself, from one stream of draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..guidance.views import perspective, rigid


@dataclass(frozen=True)
class Warps:
    """Two homographies a copy, from source to destination in [-1,1], and whether they apply."""

    affine: Tensor  # (n,3,3)
    affine_applied: Tensor  # (n,) bool
    perspective: Tensor  # (n,3,3)
    perspective_applied: Tensor  # (n,) bool


@dataclass(frozen=True)
class DrawnWarps:
    """Rotation and a vertical shift, then a perspective, each with probability 0.7."""

    generator: Generator

    def __call__(self, count: int, side: int) -> Warps:
        """Draw coins, angles, shifts in x (of no size) and y, coins, corners; `side` in pixels."""
        turned = self._coins(count)
        angle, _, shift = (self._uniform(int(turned.sum())) * 2 - 1 for _ in range(3))
        tilted = self._coins(count)
        inset = self._uniform(int(tilted.sum()), 4, 2) * 0.35
        unit = 2 * side / (side - 1)  # a side, where the outermost pixel centres are -1 and 1
        affine, tilt = torch.eye(3).repeat(2, count, 1, 1)
        down = torch.stack([torch.zeros_like(shift), shift * 0.1 * unit], 1)
        affine[turned] = rigid(torch.deg2rad(angle * 15), down)
        tilt[tilted] = perspective(inset * unit)
        return Warps(affine, turned, tilt, tilted)

    def _coins(self, count: int) -> Tensor:
        return torch.bernoulli(torch.full((count,), 0.7), generator=self.generator).bool()

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)


@dataclass(frozen=True)
class TwoWarpViews:
    """Copies of each picture resampled twice, the first left plain."""

    warps: Callable[[int, int], Warps]
    copies: int

    def __call__(self, x: Tensor, generators: Sequence[Generator] = ()) -> Tensor:
        """(B,3,S,S) -> (B,copies,3,S,S); the draws are those of `warps`."""
        return torch.stack([self._copies(picture) for picture in x])

    def _copies(self, picture: Tensor) -> Tensor:
        warps = self.warps(self.copies - 1, picture.shape[-1])
        tiled = picture.expand(self.copies - 1, -1, -1, -1)
        turned = _where(warps.affine_applied, warp_affine(tiled, warps.affine), tiled)
        tilted = warp_perspective(turned, warps.perspective)
        return torch.cat([picture[None], _where(warps.perspective_applied, tilted, turned)])


def warp_affine(x: Tensor, matrix: Tensor) -> Tensor:  # (n,3,S,S), (n,3,3)
    """Bilinear, the border repeated; pixel centres where the matrix means corners."""
    side = x.shape[-1]
    centres = (torch.arange(side) * 2 + 1) / side - 1
    return _sample(x, matrix, centres, "border")


def warp_perspective(x: Tensor, matrix: Tensor) -> Tensor:  # (n,3,S,S), (n,3,3)
    """Bilinear, zeros outside; a grid from corner to corner is read as one of pixel centres.

    The identity homography therefore enlarges the picture a little.
    """
    return _sample(x, matrix, torch.linspace(-1, 1, x.shape[-1]), "zeros")


def _sample(x: Tensor, matrix: Tensor, axis: Tensor, padding: str) -> Tensor:
    back = torch.linalg.inv(matrix).to(x)
    grid = torch.stack(
        [*torch.meshgrid(axis, axis, indexing="xy"), torch.ones(len(axis), len(axis))]
    )
    points = (back @ grid.to(x).flatten(1)).unflatten(2, (len(axis), len(axis)))
    grid = (points[:, :2] / points[:, 2:]).movedim(1, -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def _where(applied: Tensor, warped: Tensor, plain: Tensor) -> Tensor:
    return torch.where(applied.to(plain.device)[:, None, None, None], warped, plain)
