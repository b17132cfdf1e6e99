"""Where noise comes from: one generator an image, so that a batch changes nobody's picture."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """A source of standard normal noise."""

    def draw(self, like: Tensor) -> Tensor: ...  # (B,3,H,W) -> (B,3,H,W), its device and dtype


class PerImageNoise:
    """Noise whose row k depends on seed k alone; drawn on the CPU, so equal on every device."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw(self, like: Tensor) -> Tensor:
        """Standard normal of the shape of `like`, one row a generator."""
        if len(like) != len(self.generators):
            raise ValueError(
                f"noise has {len(self.generators)} seeds, the batch {len(like)} images: "
                "give one seed an image"
            )
        rows = [torch.randn(like.shape[1:], generator=generator) for generator in self.generators]
        return torch.stack(rows).to(like)
