"""The identity networks that insightface publishes as PyTorch files: improved residual networks
(ArcFace, Deng et al. 2019) of 18 to 200 layers, which the depths of their stages tell apart."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from .blocks import RESNET_STAGES, count_children, make_stages, shortcut


@dataclass(frozen=True)
class InsightFaceConfig:
    """What shapes the network; the stem is as wide as the first stage."""

    layers: tuple[int, ...] = (3, 4, 14, 3)  # blocks of each of the four stages
    widths: tuple[int, ...] = (64, 128, 256, 512)
    embedding: int = 512
    input_size: int = 112  # pixels, halved by each stage

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor]) -> "InsightFaceConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        names = [f"layer{index}" for index in range(1, RESNET_STAGES + 1)]
        widths = tuple(len(tensors[f"{name}.0.bn3.weight"]) for name in names)
        embedding, features = tensors["fc.weight"].shape
        return cls(
            layers=tuple(count_children(tensors, name) for name in names),
            widths=widths,
            embedding=embedding,
            input_size=math.isqrt(features // widths[-1]) * 2**RESNET_STAGES,
        )


class InsightFace(nn.Module):
    """Embeds an aligned face; faces of one person point the same way."""

    def __init__(self, config: InsightFaceConfig) -> None:
        super().__init__()
        self.config = config
        stem, last = config.widths[0], config.widths[-1]
        self.conv1 = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.prelu = nn.PReLU(stem)
        strides = (2,) * RESNET_STAGES
        stages = make_stages(InsightFaceBlock, stem, config.widths, config.layers, strides)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(last)
        self.fc = nn.Linear(last * (config.input_size // 2**RESNET_STAGES) ** 2, config.embedding)
        self.features = nn.BatchNorm1d(config.embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) in [-1,1] -> (B,E), not of unit length"""
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.bn2(x).flatten(1)))


class InsightFaceBlock(nn.Module):
    """Pre-normalised residual block with a slope for each channel."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.prelu = nn.PReLU(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut(channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C',H/stride,W/stride)"""
        h = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(h)) + self.downsample(x)
