"""L2CS-Net (Abdelrahman et al. 2022): a ResNet-50 (He et al. 2016) that estimates gaze from a
whole face, each angle as the expectation over bins of equal width."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from .blocks import ResNet, shortcut
from .configs import RESNET_STAGES, StateDict, count_children

EXPANSION = 4  # of a bottleneck's width
BIN_DEGREES = {90: 4.0, 28: 3.0}  # by the number of bins: trained on Gaze360, on MPIIFaceGaze


@dataclass(frozen=True)
class L2CSConfig:
    """What shapes the network: the stages' bottlenecks are 1, 2, 4 and 8 times `width` wide."""

    layers: tuple[int, ...] = (3, 4, 6, 3)  # blocks of each of the four stages
    width: int = 64
    bins: int = 90

    def __post_init__(self) -> None:
        if self.bins not in BIN_DEGREES:
            raise ValueError(
                f"got {self.bins} bins of gaze: expected {' or '.join(map(str, BIN_DEGREES))}"
            )

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "L2CSConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        names = [f"layer{index}" for index in range(1, RESNET_STAGES + 1)]
        layers = tuple(count_children(tensors, name) for name in names)
        return cls(layers, len(tensors["conv1.weight"]), bins=len(tensors["fc_yaw_gaze.weight"]))


class L2CS(ResNet):
    """Estimates the gaze of a face cropped to the detector's box."""

    def __init__(self, config: L2CSConfig) -> None:
        super().__init__(Bottleneck, config.width, EXPANSION, config.layers)
        self.config = config
        features = EXPANSION * 2 ** (RESNET_STAGES - 1) * config.width
        self.fc_yaw_gaze = nn.Linear(features, config.bins)
        self.fc_pitch_gaze = nn.Linear(features, config.bins)
        self.fc_finetune = nn.Linear(features + 3, 3)  # unused, but in every published file

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) normalised -> (B,2): pitch upwards and yaw leftwards, in radians"""
        yaw, pitch = self.logits(x)
        return torch.stack([self._angle(pitch), self._angle(yaw)], dim=1)

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,S,S) normalised -> scores of the bins of yaw and of pitch, each (B,bins)"""
        features = super().forward(x)[-1].mean((2, 3))
        return self.fc_yaw_gaze(features), self.fc_pitch_gaze(features)

    def _angle(self, logits: Tensor) -> Tensor:  # (B,bins) -> (B,)
        bins = self.config.bins
        places = torch.arange(bins, dtype=logits.dtype, device=logits.device) - bins // 2
        return logits.softmax(dim=1) @ places * math.radians(BIN_DEGREES[bins])


class Bottleneck(nn.Module):
    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        width = out_channels // EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut(channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H/stride,W/stride)
        h = relu(self.bn1(self.conv1(x)))
        h = relu(self.bn2(self.conv2(h)))
        return relu(self.bn3(self.conv3(h)) + self.downsample(x))
