"""Gaze from a whole face by a ResNet (He et al. 2016), each angle as the expectation over bins of
equal width: L2CS-Net (Abdelrahman et al. 2022), and MobileGaze, which leaves a vestige out."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .blocks import EXPANSION, BasicBlock, Bottleneck, ResNet
from .configs import RESNET_STAGES, StateDict, resnet_layers

BIN_DEGREES = {90: 4.0, 28: 3.0}  # by the number of bins: trained on Gaze360, on MPIIFaceGaze
YAW_HEADS = ("fc_yaw_gaze", "fc_yaw")  # names in L2CS-Net, in MobileGaze


@dataclass(frozen=True)
class L2CSConfig:
    """What shapes the network: the stages are 1, 2, 4 and 8 times `width` wide, bottlenecks four
    times that where they join."""

    layers: tuple[int, ...] = (3, 4, 6, 3)  # blocks of each of the four stages
    width: int = 64
    bins: int = 90
    bottleneck: bool = True  # as in ResNet-50, else as in ResNet-18 and 34

    def __post_init__(self) -> None:
        if self.bins not in BIN_DEGREES:
            raise ValueError(
                f"got {self.bins} bins of gaze: expected {' or '.join(map(str, BIN_DEGREES))}"
            )

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "L2CSConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        yaw = next(name for name in YAW_HEADS if f"{name}.weight" in tensors)
        return cls(
            resnet_layers(tensors),
            len(tensors["conv1.weight"]),
            bins=len(tensors[f"{yaw}.weight"]),
            bottleneck="layer1.0.conv3.weight" in tensors,
        )

    @property
    def expansion(self) -> int:
        return EXPANSION if self.bottleneck else 1

    @property
    def features(self) -> int:
        """How wide the last stage is."""
        return self.expansion * 2 ** (RESNET_STAGES - 1) * self.width


class BinnedGaze(ResNet):
    """Estimates the gaze of a face cropped to the detector's box, with a head for each angle."""

    HEADS: ClassVar[tuple[str, str]]  # the names of yaw's and of pitch's

    def __init__(self, config: L2CSConfig) -> None:
        block = Bottleneck if config.bottleneck else BasicBlock
        super().__init__(block, config.width, config.expansion, config.layers)
        self.config = config
        for name in self.HEADS:
            self.add_module(name, nn.Linear(config.features, config.bins))

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) normalised -> (B,2): pitch upwards and yaw leftwards, in radians"""
        yaw, pitch = self.logits(x)
        return torch.stack([self._angle(pitch), self._angle(yaw)], dim=1)

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,S,S) normalised -> scores of the bins of yaw and of pitch, each (B,bins)"""
        features = super().forward(x)[-1].mean((2, 3))
        yaw, pitch = map(self.get_submodule, self.HEADS)
        return yaw(features), pitch(features)

    def _angle(self, logits: Tensor) -> Tensor:  # (B,bins) -> (B,)
        bins = self.config.bins
        places = torch.arange(bins, dtype=logits.dtype, device=logits.device) - bins // 2
        return logits.softmax(dim=1) @ places * math.radians(BIN_DEGREES[bins])


class L2CS(BinnedGaze):
    """L2CS-Net, on a ResNet-50 in the published files."""

    HEADS = ("fc_yaw_gaze", "fc_pitch_gaze")

    def __init__(self, config: L2CSConfig) -> None:
        super().__init__(config)
        self.fc_finetune = nn.Linear(config.features + 3, 3)  # unused, but in every published file


class MobileGaze(BinnedGaze):
    """MobileGaze (Valikhujaev 2024, doi 10.5281/zenodo.14257640) on a ResNet-18, 34 or 50."""

    HEADS = ("fc_yaw", "fc_pitch")
