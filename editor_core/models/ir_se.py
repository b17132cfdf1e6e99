"""IR-SE50 and its kin: improved residual networks (ArcFace, Deng et al. 2019) with squeeze and
excitation (Hu et al. 2018) or without, under the names of the widely used `model_ir_se50.pth`."""

from dataclasses import dataclass
from functools import partial
from itertools import chain

from torch import Tensor, nn

from .blocks import SQUEEZE, MakeBlock, make_stages, projection
from .configs import ArcFaceConfig, StateDict, row_sizes


@dataclass(frozen=True)
class IRSEConfig(ArcFaceConfig):
    """What shapes the network; no stage is as wide as the next."""

    use_se: bool = True

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "IRSEConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        use_se = "body.0.res_layer.5.fc1.weight" in tensors
        return cls(**row_sizes(tensors, last_convolution="res_layer.3"), use_se=use_se)


class ImprovedResNet(nn.Module):
    """A stem, four stages of pre-normalised blocks and a linear head, by the names of IR-SE50."""

    def __init__(self, config: ArcFaceConfig, make_block: MakeBlock, affine: bool = True) -> None:
        super().__init__()
        self.config = config
        stem, *_, last = config.widths
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem), nn.PReLU(stem)
        )
        stages = make_stages(make_block, stem, config.widths, config.layers)
        self.body = nn.Sequential(*chain.from_iterable(stages))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(last),
            nn.Identity(),  # dropout, in training
            nn.Flatten(),
            nn.Linear(config.features, config.embedding),
            nn.BatchNorm1d(config.embedding, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) in [-1,1] -> (B,E), not of unit length"""
        return self.output_layer(self.body(self.input_layer(x)))


class IRSE(ImprovedResNet):
    """Embeds an aligned face, blue first; faces of one person point the same way."""

    def __init__(self, config: IRSEConfig) -> None:
        super().__init__(config, partial(IRSEBlock, use_se=config.use_se))


class IRSEBlock(nn.Module):
    """Pre-normalised residual block; its shortcut is convolved only where the width changes."""

    def __init__(self, channels: int, out_channels: int, stride: int, use_se: bool) -> None:
        super().__init__()
        if channels == out_channels:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = projection(channels, out_channels, stride)
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
            nn.PReLU(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            *([ConvSqueezeExcitation(out_channels)] if use_se else []),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H/stride,W/stride)
        return self.res_layer(x) + self.shortcut_layer(x)


class ConvSqueezeExcitation(nn.Module):
    """Weighs the channels by their means, through convolutions of size 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // SQUEEZE, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // SQUEEZE, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C,H,W)
        means = x.mean((2, 3), keepdim=True)
        return x * self.fc2(self.fc1(means).relu()).sigmoid()
