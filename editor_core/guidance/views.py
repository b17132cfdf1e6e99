"""Random views of a face, so that guidance convinces the encoder from more than one angle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from ..declare import setting

DRAWS = 13  # random numbers a copy: two coin tosses, an angle, a shift (2), four corners (8)


class Views(Protocol):
    """Looks at every picture several times; row k draws from generator k alone."""

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        """(B,C,S,S) -> (B,V,C,S,S), differentiable in `x`."""
        ...


@dataclass(frozen=True)
class RandomViews:
    """`copies` views of every picture: the first is plain, the others turned, shifted, tilted.

    Each copy is rotated and shifted with `probability`, and with the same probability seen in
    perspective, as in DiffFace; both make one homography and the picture is sampled once.
    """

    copies: int = setting(
        8,
        "Views of the face at each step, the first of them plain. More is steadier and slower.",
        low=1,
        high=64,
    )
    max_rotation: float = setting(
        15.0,
        "Degrees by which a view may be turned, either way.",
        low=0.0,
        high=90.0,
        step=1.0,
        advanced=True,
    )
    max_shift: float = setting(
        0.1,
        "Share of its side by which a view may be shifted, either way.",
        low=0.0,
        high=0.5,
        step=0.01,
        advanced=True,
    )
    max_inset: float = setting(
        0.35,
        "Share of its side by which a corner may move inwards: perspective.",
        low=0.0,
        high=0.45,
        step=0.01,
        advanced=True,
    )
    probability: float = setting(
        0.7,
        "That a view is turned and shifted, and that it is seen in perspective.",
        low=0.0,
        high=1.0,
        step=0.05,
        advanced=True,
    )

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        """Draw new views: (B,C,S,S) -> (B,copies,C,S,S); all draws are made on the CPU."""
        if len(x) != len(generators):
            raise ValueError(
                f"{len(x)} pictures and {len(generators)} generators, expected one for each: "
                "make the views for this batch"
            )
        plain = x[:, None]
        if self.copies == 1:
            return plain
        extra = self.copies - 1
        matrices = torch.stack([self._draw(generator, extra) for generator in generators])
        repeated = plain.expand(-1, extra, -1, -1, -1).flatten(0, 1)
        warped = warp(repeated, matrices.flatten(0, 1)).unflatten(0, (len(x), extra))
        return torch.cat([plain, warped], 1)

    def _draw(self, generator: Generator, count: int) -> Tensor:  # (count,3,3)
        u = torch.rand((count, DRAWS), generator=generator, dtype=torch.float64)
        toss, signed = u[:, :2] < self.probability, u[:, 2:5] * 2 - 1
        shift = signed[:, 1:] * 2 * self.max_shift
        turn = rigid(signed[:, 0] * math.radians(self.max_rotation), shift)
        tilt = perspective(u[:, 5:].view(-1, 4, 2) * 2 * self.max_inset)
        identity = torch.eye(3, dtype=u.dtype)
        turn, tilt = (
            torch.where(toss[:, k, None, None], each, identity)
            for k, each in enumerate((turn, tilt))
        )
        return tilt @ turn


def rigid(angle: Tensor, shift: Tensor) -> Tensor:  # (n,) radians, (n,2) -> (n,3,3)
    """Rotation about the centre, then a shift, in coordinates where a square spans [-1, 1]."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [cos, -sin, shift[:, 0], sin, cos, shift[:, 1], zero, zero, one]
    return torch.stack(rows, 1).view(-1, 3, 3)


def perspective(inset: Tensor) -> Tensor:  # (n,4,2) -> (n,3,3)
    """The homography that moves each corner of the square [-1, 1] inwards by `inset`."""
    from kornia.geometry.transform import get_perspective_transform

    corners = inset.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]]).expand_as(inset)
    return get_perspective_transform(corners, corners * (1 - inset))


def warp(x: Tensor, matrices: Tensor) -> Tensor:  # (n,C,S,S), (n,3,3) -> (n,C,S,S)
    """Moves every point p of [-1, 1] to `matrix @ p`: bilinear, the border repeated outside.

    -1 and 1 are the centres of the outermost pixels, so the identity leaves the picture as it is.
    """
    from kornia.geometry.transform import homography_warp

    side = (x.shape[-2], x.shape[-1])
    back = torch.linalg.inv(matrices).to(x)
    return homography_warp(x, back, side, padding_mode="border", align_corners=True)
