"""The identity network of SimSwap and DiffFace: an improved residual network (ArcFace, Deng et al.
2019) with squeeze and excitation, under the names of their published file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from .blocks import RESNET_STAGES, SQUEEZE, count_children, make_stages, shortcut


@dataclass(frozen=True)
class IResNetConfig:
    """What shapes the network; the stem is as wide as the first stage."""

    layers: tuple[int, ...] = (3, 4, 23, 3)  # blocks of each of the four stages
    widths: tuple[int, ...] = (64, 128, 256, 512)
    embedding: int = 512
    input_size: int = 112
    use_se: bool = True

    def __post_init__(self) -> None:
        if len(self.layers) != RESNET_STAGES or len(self.widths) != RESNET_STAGES:
            raise ValueError(
                f"expected {RESNET_STAGES} layers and widths, got {self.layers} and {self.widths}: "
                "give one number a stage"
            )
        if self.input_size % self.stride:
            raise ValueError(
                f"input_size is {self.input_size}: expected a multiple of {self.stride}"
            )

    @property
    def stride(self) -> int:
        """Input pixels to a pixel of the last stage."""
        return 2**RESNET_STAGES

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor]) -> "IResNetConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        names = [f"layer{index}" for index in range(1, RESNET_STAGES + 1)]
        widths = tuple(len(tensors[f"{name}.0.bn2.weight"]) for name in names)
        embedding, features = tensors["fc.weight"].shape
        return cls(
            layers=tuple(count_children(tensors, name) for name in names),
            widths=widths,
            embedding=embedding,
            input_size=math.isqrt(features // widths[-1]) * 2**RESNET_STAGES,
            use_se="layer1.0.se.fc.0.weight" in tensors,
        )


class IResNet(nn.Module):
    """Embeds an aligned face; faces of one person point the same way."""

    def __init__(self, config: IResNetConfig) -> None:
        super().__init__()
        self.config = config
        stem, *_, last = config.widths
        self.conv1 = nn.Conv2d(3, stem, 3, bias=False)  # unpadded, as it was trained
        self.bn1 = nn.BatchNorm2d(stem)
        self.prelu = nn.PReLU()
        self.maxpool = nn.MaxPool2d(2)
        make = partial(IResNetBlock, use_se=config.use_se)
        stages = make_stages(make, stem, config.widths, config.layers, (1, 2, 2, 2))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(last)
        self.fc = nn.Linear(last * (config.input_size // config.stride) ** 2, config.embedding)
        self.bn3 = nn.BatchNorm1d(config.embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) normalised -> (B,E), not of unit length"""
        x = self.maxpool(self.prelu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.bn3(self.fc(self.bn2(x).flatten(1)))


class IResNetBlock(nn.Module):
    """Pre-normalised residual block; both its activations share one slope."""

    def __init__(self, channels: int, out_channels: int, stride: int, use_se: bool) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.se = SqueezeExcitation(out_channels) if use_se else nn.Identity()
        self.downsample = shortcut(channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C',H/stride,W/stride)"""
        h = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        h = self.se(self.bn2(self.conv2(h)))
        return self.prelu(h + self.downsample(x))


class SqueezeExcitation(nn.Module):
    """Weighs the channels by their means (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // SQUEEZE),
            nn.PReLU(),
            nn.Linear(channels // SQUEEZE, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)"""
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]
