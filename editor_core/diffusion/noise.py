"""Where noise comes from: one generator an image, so that a batch changes nobody's picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        drawn = torch.empty(like.shape)
        for row, generator in zip(drawn, self.generators, strict=True):
            row.normal_(generator=generator)
        return drawn.to(like)


@dataclass(frozen=True, eq=False)
class Normal:
    """Pictures yet to be drawn: around a mean (B,3,H,W), with a deviation that broadcasts to it."""

    mean: Tensor
    std: Tensor

    @classmethod
    def known(cls, pictures: Tensor) -> Normal:
        """Pictures (B,3,H,W) in which nothing is left to chance."""
        return cls(pictures, pictures.new_zeros(()))

    def draw(self, noise: Noise) -> Tensor:  # (B,3,H,W)
        """The pictures, drawn."""
        return self.at(noise.draw(self.mean))

    def at(self, noise: Tensor) -> Tensor:  # (B,3,H,W) -> (B,3,H,W)
        """The pictures of this standard normal noise."""
        return torch.addcmul(self.mean, self.std, noise)

    def scaled(self, factor: float) -> Normal:
        """The pictures times a factor."""
        return Normal(self.mean * factor, self.std * factor)

    def over(self, other: Normal, share: Tensor) -> Normal:
        """`share` of these pictures and the rest of others, independent of them, in one draw.

        The variances of independent noise add up, so nobody need draw both.
        """
        mean = other.mean.lerp(self.mean, share)
        return Normal(mean, torch.hypot(share * self.std, (1 - share) * other.std))
