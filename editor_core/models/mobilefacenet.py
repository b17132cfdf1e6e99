"""MobileFaceNet (Chen et al. 2018, arXiv 1804.07573) in insightface's form and under its names."""

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from .blocks import norm_unless
from .configs import STRIDE, StateDict, count_children

STAGES = (1, 3, 5, 7)  # the layers that are residual; the others between them halve the size


@dataclass(frozen=True)
class MobileFaceNetConfig:
    """What shapes the network."""

    stem: int = 128  # channels
    widths: tuple[int, ...] = (128, 256, 256, 512)  # after layers 2, 4 and 6, and at the end
    hidden: tuple[int, ...] = (64, 128, 128, 256, 256, 512, 256)  # channels within layers 1 to 7
    blocks: tuple[int, ...] = (1, 4, 6, 2)  # of layers 1, 3, 5 and 7
    embedding: int = 512
    input_size: int = 112  # pixels, halved four times
    folded: bool = False  # batch normalisation into convolutions, as ONNX files have it

    @property
    def plain(self) -> bool:
        """Whether layer 1 is one convolution, in as many groups as it has hidden channels."""
        return self.blocks[0] == 1

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "MobileFaceNetConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        stem, *inner = (_first_weight(tensors, index).shape[0] for index in range(8))
        plain = "layers.1.layers.0.weight" in tensors
        if plain:
            inner[0] = stem // tensors["layers.1.layers.0.weight"].shape[1]
        halving = [tensors[f"layers.{i}.layers.2.layers.0.weight"] for i in (2, 4, 6)]
        counts = [count_children(tensors, f"layers.{index}.layers") for index in STAGES]
        return cls(
            stem=stem,
            widths=tuple(map(len, [*halving, tensors["conv_sep.layers.0.weight"]])),
            hidden=tuple(inner),
            blocks=(1 if plain else counts[0], *counts[1:]),
            embedding=len(tensors["features.layers.2.weight"]),
            input_size=tensors["features.layers.0.layers.0.weight"].shape[-1] * STRIDE,
            folded="features.layers.2.bias" in tensors,
        )


def _first_weight(tensors: StateDict, index: int) -> Tensor:
    """Of the first convolution of a layer, however deep it stands in it."""
    name = f"layers.{index}.layers.0"
    while f"{name}.weight" not in tensors:
        name = f"{name}.layers.0"
        if len(name) > len("layers.0.layers.0.layers.0.layers.0"):
            raise KeyError(f"layers.{index}")
    return tensors[f"{name}.weight"]


class MobileFaceNet(nn.Module):
    """Embeds an aligned face; faces of one person point the same way."""

    def __init__(self, config: MobileFaceNetConfig) -> None:
        super().__init__()
        self.config = config
        folded, last = config.folded, config.widths[-1]
        layers = [_unit(3, config.stem, 3, folded, stride=2, padding=1)]
        if config.plain:
            groups = config.hidden[0]
            layers.append(_unit(config.stem, config.stem, 3, folded, padding=1, groups=groups))
        else:
            layers.append(_stage(config.stem, config.hidden[0], config.blocks[0], folded))
        channels = config.stem
        for index, width in enumerate(config.widths[:-1]):
            inner, residual = config.hidden[2 * index + 1 : 2 * index + 3]
            layers.append(DepthwiseBottleneck(channels, inner, width, folded, stride=2))
            layers.append(_stage(width, residual, config.blocks[index + 1], folded))
            channels = width
        self.layers = nn.ModuleList(layers)
        self.conv_sep = _unit(channels, last, 1, folded)
        size = config.input_size // STRIDE
        self.features = _layers(
            _unit(last, last, size, folded, linear=True, groups=last),
            nn.Flatten(),
            nn.Linear(last, config.embedding, bias=folded),
            nn.Identity() if folded else nn.BatchNorm1d(config.embedding),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) in [-1,1] -> (B,E), not of unit length"""
        for layer in self.layers:
            x = layer(x)
        return self.features(self.conv_sep(x))


class DepthwiseBottleneck(nn.Module):
    """Widens by a convolution of size 1, filters each channel, and narrows again."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        out_channels: int,
        folded: bool,
        stride: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        self.layers = nn.Sequential(
            _unit(channels, hidden, 1, folded),
            _unit(hidden, hidden, 3, folded, stride=stride, padding=1, groups=hidden),
            _unit(hidden, out_channels, 1, folded, linear=True),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H/stride,W/stride)
        return x + self.layers(x) if self.residual else self.layers(x)


def _layers(*modules: nn.Module) -> nn.Module:
    """Modules after each other, under the name that insightface gives them."""
    return nn.Sequential(OrderedDict(layers=nn.Sequential(*modules)))


def _unit(
    channels: int,
    out_channels: int,
    kernel: int,
    folded: bool,
    linear: bool = False,
    **options: Any,
) -> nn.Module:
    """A convolution, batch normalisation and slopes."""
    convolution = nn.Conv2d(channels, out_channels, kernel, bias=folded, **options)
    slopes = [] if linear else [nn.PReLU(out_channels)]
    return _layers(convolution, norm_unless(folded, out_channels), *slopes)


def _stage(channels: int, hidden: int, blocks: int, folded: bool) -> nn.Module:
    make = partial(DepthwiseBottleneck, channels, hidden, channels, folded, residual=True)
    return _layers(*(make() for _ in range(blocks)))
