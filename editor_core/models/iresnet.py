"""The identity network of SimSwap and DiffFace: an improved residual network (ArcFace, Deng et al.
2019) with squeeze and excitation, under the names of their published file."""

from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn

from .blocks import SQUEEZE, make_stages, shortcut
from .configs import ArcFaceConfig, StateDict


@dataclass(frozen=True)
class IResNetConfig(ArcFaceConfig):
    """What shapes the network."""

    layers: tuple[int, ...] = (3, 4, 23, 3)
    use_se: bool = True

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "IResNetConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        use_se = "layer1.0.se.fc.0.weight" in tensors
        return replace(super().from_state_dict(tensors), use_se=use_se)


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
        stages = make_stages(make, stem, config.widths, config.layers, first_stride=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(last)
        self.fc = nn.Linear(config.features, config.embedding)
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

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H/stride,W/stride)
        h = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        h = self.se(self.bn2(self.conv2(h)))
        return self.prelu(h + self.downsample(x))


class SqueezeExcitation(nn.Module):
    """Weighs the channels by their means (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = channels // SQUEEZE
        self.fc = nn.Sequential(
            nn.Linear(channels, squeezed), nn.PReLU(), nn.Linear(squeezed, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C,H,W)
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]
