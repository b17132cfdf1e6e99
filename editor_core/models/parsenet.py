"""ParseNet, the parser of facexlib and PSFRGAN (Chen et al. 2021): residual blocks down to a
sixteenth of the picture's size, blocks there, and up again. A second head reconstructs the face."""

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from .configs import StateDict, count_children

SLOPE = 0.2  # of the rectifier below zero


@dataclass(frozen=True)
class ParseNetConfig:
    """What shapes the network: widths on the way down and up, and blocks between."""

    num_classes: int = 19
    encoder: tuple[int, ...] = (64, 128, 256, 256, 256)  # the stem, then one for each halving
    depth: int = 10
    decoder: tuple[int, ...] = (256, 256, 128, 64)  # one for each doubling

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "ParseNetConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        stem = len(tensors["encoder.0.conv2d.weight"])
        down = range(1, count_children(tensors, "encoder"))
        up = range(count_children(tensors, "decoder"))
        return cls(
            num_classes=len(tensors["out_mask_conv.conv2d.weight"]),
            encoder=(stem, *(len(tensors[f"encoder.{i}.conv2.conv2d.weight"]) for i in down)),
            depth=count_children(tensors, "body"),
            decoder=tuple(len(tensors[f"decoder.{i}.conv2.conv2d.weight"]) for i in up),
        )


class ParseNet(nn.Module):
    """Labels every pixel of a picture whose sides its halvings divide."""

    def __init__(self, config: ParseNetConfig) -> None:
        super().__init__()
        self.config = config
        stem, *lower = config.encoder
        deepest, last = config.encoder[-1], (config.encoder[-1:] + config.decoder)[-1]
        halve, double = partial(ParseNetBlock, scale=0.5), partial(ParseNetBlock, scale=2)
        self.encoder = nn.Sequential(_conv(3, stem), *map(halve, config.encoder[:-1], lower))
        self.body = nn.Sequential(*(ParseNetBlock(deepest, deepest) for _ in range(config.depth)))
        upper = (deepest, *config.decoder[:-1])
        self.decoder = nn.Sequential(*map(double, upper, config.decoder))
        self.out_img_conv = _conv(last, 3)
        self.out_mask_conv = _conv(last, config.num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,H,W) in [-1,1] -> logits (B,K,H,W), the reconstructed face (B,3,H,W)"""
        features = self._features(x)
        return self.out_mask_conv(features), self.out_img_conv(features)

    def logits(self, x: Tensor) -> Tensor:
        """(B,3,H,W) in [-1,1] -> logits alone (B,K,H,W)"""
        return self.out_mask_conv(self._features(x))

    def _features(self, x: Tensor) -> Tensor:
        encoded = self.encoder(x)
        return self.decoder(encoded + self.body(encoded))


class ParseNetBlock(nn.Module):
    """Residual block of two convolutions, which may halve or double the size."""

    def __init__(self, channels: int, out_channels: int, scale: float = 1) -> None:
        super().__init__()
        stride = 2 if scale < 1 else 1
        self.enlarge = nn.Upsample(scale_factor=2) if scale > 1 else nn.Identity()
        self.conv1 = _conv_norm(channels, out_channels)
        self.conv2 = _conv_norm(out_channels, out_channels, stride)
        self.shortcut_func = _conv(channels, out_channels, stride) if scale != 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',scale*H,scale*W)
        x = self.enlarge(x)
        h = self.conv2(leaky_relu(self.conv1(x), SLOPE))
        return self.shortcut_func(x) + h


def _conv(channels: int, out_channels: int, stride: int = 1, bias: bool = True) -> nn.Sequential:
    """A convolution alone, the picture mirrored at its edges."""
    conv = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=bias, padding_mode="reflect")
    return nn.Sequential(OrderedDict(conv2d=conv))


def _conv_norm(channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """A convolution and a normalisation, which the published names put two levels down."""
    conv = _conv(channels, out_channels, stride, bias=False)
    conv.add_module("norm", nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(out_channels))))
    return conv
