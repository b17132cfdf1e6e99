"""The judge: an identity encoder that guidance never sees, unlike the editor's own on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn


@dataclass(frozen=True)
class JudgeConfig:
    """Widths of the levels, each of which halves the picture; the embedding's; pixels a side."""

    widths: tuple[int, ...] = (32, 64, 96, 128)
    embedding: int = 128
    input_size: int = 64

    @property
    def features(self) -> int:
        """Numbers that the last level hands to the embedding."""
        return self.widths[-1] * (self.input_size >> len(self.widths)) ** 2


class Judge(nn.Module):
    """Plain 3x3 convolutions: no residuals, no squeeze and excitation, no mask."""

    def __init__(self, config: JudgeConfig):
        super().__init__()
        self.config = config
        self.levels = nn.Sequential(*(level(a, b) for a, b in pairwise((3, *config.widths))))
        self.embed = nn.Linear(config.features, config.embedding, bias=False)
        self.centre = nn.BatchNorm1d(config.embedding)  # else all faces may end up alike

    def forward(self, x: Tensor) -> Tensor:  # (B,3,S,S) normalised -> (B,E)
        """Embed pictures, not to unit length."""
        return self.centre(self.embed(self.levels(x).flatten(1)))


def level(channels: int, width: int) -> nn.Sequential:
    """A strided convolution and one that keeps the size."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.1),
    )
