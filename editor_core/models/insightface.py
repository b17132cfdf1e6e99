"""The identity networks that insightface publishes as PyTorch and ONNX files: improved residual
networks (ArcFace, Deng et al. 2019) of 18 to 200 layers, which the depths of their stages tell
apart."""

from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn

from .blocks import make_stages, norm_unless, shortcut
from .configs import ArcFaceConfig, StateDict


@dataclass(frozen=True)
class InsightFaceConfig(ArcFaceConfig):
    """What shapes the network; no stage has squeeze and excitation."""

    folded: bool = False  # batch normalisation into convolutions, as ONNX files have it

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "InsightFaceConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        return replace(super().from_state_dict(tensors), folded="features.weight" not in tensors)


class InsightFace(nn.Module):
    """Embeds an aligned face; faces of one person point the same way."""

    def __init__(self, config: InsightFaceConfig) -> None:
        super().__init__()
        self.config = config
        folded, stem, last = config.folded, config.widths[0], config.widths[-1]
        self.conv1 = nn.Conv2d(3, stem, 3, padding=1, bias=folded)
        self.bn1 = norm_unless(folded, stem)
        self.prelu = nn.PReLU(stem)
        make = partial(InsightFaceBlock, folded=folded)
        stages = make_stages(make, stem, config.widths, config.layers)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(last)
        self.fc = nn.Linear(config.features, config.embedding)
        self.features = nn.Identity() if folded else nn.BatchNorm1d(config.embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) in [-1,1] -> (B,E), not of unit length"""
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.bn2(x).flatten(1)))


class InsightFaceBlock(nn.Module):
    """Pre-normalised residual block with a slope for each channel."""

    def __init__(self, channels: int, out_channels: int, stride: int, folded: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)  # before a padded convolution, thus never folded
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1, bias=folded)
        self.bn2 = norm_unless(folded, out_channels)
        self.prelu = nn.PReLU(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=folded)
        self.bn3 = norm_unless(folded, out_channels)
        self.downsample = shortcut(channels, out_channels, stride, folded)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H/stride,W/stride)
        h = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(h)) + self.downsample(x)
