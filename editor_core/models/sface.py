"""SFace (Zhong et al. 2021), the identity network of OpenCV's model zoo: a MobileNet (Howard et al.
2017) with slopes, whose batch normalisation is folded into the convolutions."""

import math
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from .configs import StateDict, count_children

PUBLISHED = (32, 64, *(128,) * 2, *(256,) * 2, *(512,) * 6, *(1024,) * 2)


@dataclass(frozen=True)
class SFaceConfig:
    """What shapes the network. Where the width grows, but for the first block, the size halves."""

    widths: tuple[int, ...] = PUBLISHED  # of the stem, and of the blocks after it
    embedding: int = 128
    input_size: int = 112  # pixels

    @property
    def strides(self) -> tuple[int, ...]:
        """Of each block."""
        pairs = zip(self.widths[1:], self.widths[2:], strict=False)
        return (1, *(2 if after > before else 1 for before, after in pairs))

    @property
    def features(self) -> int:
        """How many values the last block gives."""
        return self.widths[-1] * (self.input_size // math.prod(self.strides)) ** 2

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "SFaceConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        blocks = range(count_children(tensors, "blocks"))
        widths = [len(tensors[f"blocks.{index}.pointwise.weight"]) for index in blocks]
        config = cls((len(tensors["stem.conv.weight"]), *widths))
        embedding, features = tensors["fc.weight"].shape
        side = math.isqrt(features // widths[-1]) * math.prod(config.strides)
        return cls(config.widths, embedding, side)


class SFace(nn.Module):
    """Embeds an aligned face; faces of one person point the same way."""

    def __init__(self, config: SFaceConfig) -> None:
        super().__init__()
        self.config = config
        stem, *widths = config.widths
        convolution = nn.Conv2d(3, stem, 3, padding=1)
        self.stem = nn.Sequential(OrderedDict(conv=convolution, prelu=nn.PReLU(stem)))
        sizes = zip(config.widths, widths, config.strides, strict=False)
        self.blocks = nn.Sequential(*(_block(*each) for each in sizes))
        self.norm = nn.BatchNorm2d(config.widths[-1])
        self.fc = nn.Linear(config.features, config.embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) in [-1,1] -> (B,E), not of unit length"""
        return self.fc(self.norm(self.blocks(self.stem(x))).flatten(1))


def _block(channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Filters each channel, then mixes them (B,C,H,W) -> (B,C',H/stride,W/stride)"""
    return nn.Sequential(
        OrderedDict(
            depthwise=nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels),
            prelu1=nn.PReLU(channels),
            pointwise=nn.Conv2d(channels, out_channels, 1),
            prelu2=nn.PReLU(out_channels),
        )
    )
