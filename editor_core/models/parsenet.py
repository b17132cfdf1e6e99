"""ParseNet, the parser of facexlib and PSFRGAN (Chen et al. 2021): residual blocks down to a
sixteenth of the picture's size, blocks there, and up again. It also draws the face anew."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from .residual import children

SLOPE = 0.2  # of the rectifier below zero


@dataclass(frozen=True)
class ParseNetConfig:
    """What shapes the network: widths on the way down and up, and blocks between."""

    num_classes: int = 19
    encoder: tuple[int, ...] = (64, 128, 256, 256, 256)  # the stem, then one for each halving
    depth: int = 10
    decoder: tuple[int, ...] = (256, 256, 128, 64)  # one for each doubling


class ParseNet(nn.Module):
    """Labels every pixel of a picture whose sides its halvings divide."""

    def __init__(self, config: ParseNetConfig) -> None:
        super().__init__()
        self.config = config
        stem, *lower = config.encoder
        deepest, last = config.encoder[-1], (config.encoder[-1:] + config.decoder)[-1]
        self.encoder = nn.Sequential(
            Convolution(3, stem), *map(Shrinking, config.encoder[:-1], lower)
        )
        self.body = nn.Sequential(*(Residual(deepest, deepest) for _ in range(config.depth)))
        self.decoder = nn.Sequential(*map(Growing, (deepest, *config.decoder[:-1]), config.decoder))
        self.out_img_conv = Convolution(last, 3)
        self.out_mask_conv = Convolution(last, config.num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,3,H,W) in [-1,1] -> logits (B,K,H,W), the face as it drew it (B,3,H,W)"""
        features = self._features(x)
        return self.out_mask_conv(features), self.out_img_conv(features)

    def logits(self, x: Tensor) -> Tensor:
        """(B,3,H,W) in [-1,1] -> logits alone (B,K,H,W)"""
        return self.out_mask_conv(self._features(x))

    def _features(self, x: Tensor) -> Tensor:
        seen = self.encoder(x)
        return self.decoder(seen + self.body(seen))


class Convolution(nn.Module):
    """Convolution alone, the picture mirrored at its edges."""

    def __init__(
        self, channels: int, out_channels: int, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            channels, out_channels, 3, stride, padding=1, bias=bias, padding_mode="reflect"
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C',H/stride,W/stride)"""
        return self.conv2d(x)


class Normalised(Convolution):
    """Convolution and normalisation, which the published names put two levels down."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(channels, out_channels, stride, bias=False)
        self.norm = nn.ModuleDict({"norm": nn.BatchNorm2d(out_channels)})

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C',H/stride,W/stride)"""
        return self.norm["norm"](self.conv2d(x))


class Residual(nn.Module):
    """Residual block of two convolutions."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = Normalised(channels, out_channels)
        self.conv2 = Normalised(out_channels, out_channels, stride)
        self.shortcut_func: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C',H/stride,W/stride)"""
        h = self.conv2(leaky_relu(self.conv1(x), SLOPE))
        return self.shortcut_func(x) + h


class Shrinking(Residual):
    """Halves the size."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, stride=2)
        self.shortcut_func = Convolution(channels, out_channels, stride=2)


class Growing(Residual):
    """Doubles the size."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels)
        self.shortcut_func = Convolution(channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C',2H,2W)"""
        return super().forward(interpolate(x, scale_factor=2))


def config_from_state_dict(tensors: Mapping[str, Tensor]) -> ParseNetConfig:
    """The configuration of a network, from the names and shapes of its tensors."""
    stem = len(tensors["encoder.0.conv2d.weight"])
    down, up = range(1, children(tensors, "encoder")), range(children(tensors, "decoder"))
    return ParseNetConfig(
        num_classes=len(tensors["out_mask_conv.conv2d.weight"]),
        encoder=(stem, *(len(tensors[f"encoder.{i}.conv2.conv2d.weight"]) for i in down)),
        depth=children(tensors, "body"),
        decoder=tuple(len(tensors[f"decoder.{i}.conv2.conv2d.weight"]) for i in up),
    )
