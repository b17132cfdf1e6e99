"""The judge: an identity encoder that guidance never sees, unlike the editor's own on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class JudgeConfig:
    """Width of each level of plain convolutions, and the embedding's."""

    widths: tuple[int, ...] = (32, 64, 96, 160)
    embedding: int = 128


class Judge(nn.Module):
    """Plain 3x3 convolutions with group normalisation and a global mean: no residuals, no SE."""

    def __init__(self, config: JudgeConfig):
        super().__init__()
        self.config = config
        self.levels = nn.Sequential(*(level(a, b) for a, b in pairwise((3, *config.widths))))
        self.head = nn.Linear(2 * config.widths[-1], config.embedding)

    def forward(self, x: Tensor) -> Tensor:  # (B,3,S,S) normalised -> (B,E)
        """Embed pictures of a size that the levels can halve."""
        features = self.levels(x).flatten(2)
        return self.head(torch.cat([features.mean(2), features.amax(2)], 1))


def level(channels: int, width: int) -> nn.Sequential:
    """A strided convolution and one that keeps the size."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1),
        nn.GroupNorm(8, width),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, width, 3, padding=1),
        nn.GroupNorm(8, width),
        nn.LeakyReLU(0.1),
    )
