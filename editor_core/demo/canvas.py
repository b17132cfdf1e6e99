"""What portraits are painted on: a batch of images and labels, and soft-edged brushes."""

from __future__ import annotations

import torch

from ..face.records import Size
from .colours import rgb_colour
from .people import Scene


class Canvas:
    """Images (B,3,H,W) in [0,1] and labels (B,H,W), painted back to front.

    Coordinates `x`, `y` (1,H,W) run from -1 to 1 over a portrait, y downwards; `pixel` is how far
    apart they are.
    """

    def __init__(self, scene: Scene, x: torch.Tensor, y: torch.Tensor, pixel: float):
        self.x, self.y, self.pixel = x, y, pixel
        self.image = torch.zeros(len(scene), 3, *x.shape[1:])
        self.labels = torch.zeros(len(scene), *x.shape[1:], dtype=torch.int64)
        warmth = 1 + column(scene["light_warmth"])[:, None] * rgb_colour(0.04, 0.0, -0.05)
        self.light = column(scene["light_strength"])[:, None] * warmth  # (B,3,1,1)

    @classmethod
    def over(cls, scene: Scene, size: Size) -> Canvas:
        """A whole picture, over which a portrait's coordinates are stretched."""
        y, x = ((torch.arange(length) + 0.5) / length * 2 - 1 for length in size)
        y, x = torch.meshgrid(y, x, indexing="ij")
        return cls(scene, x[None], y[None], 2 / max(size))

    def coverage(self, distance: torch.Tensor) -> torch.Tensor:
        """How much of each pixel lies inside a shape, from its signed distance."""
        return (0.5 - distance / self.pixel).clamp(0, 1)

    def tint(self, amount: torch.Tensor, colour: torch.Tensor) -> None:
        """Blend `colour` (B,3,...) in by `amount` (B,S,S); labels stay."""
        self.image = self.image + amount[:, None] * (colour - self.image)

    def paint(self, amount: torch.Tensor, colour: torch.Tensor, label: int) -> None:
        """Blend `colour` in and claim the pixels that it mostly covers for `label`."""
        self.tint(amount, colour)
        self.labels = torch.where(amount > 0.5, int(label), self.labels)


def smooth(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Hermite step from 0 at `low` to 1 at `high`."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def column(values: torch.Tensor) -> torch.Tensor:  # (B,) -> (B,1,1)
    """Shape per-picture values for use against pixels."""
    return values[:, None, None]
