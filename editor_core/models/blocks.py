"""What several of the networks share: blocks, and reading sizes from the names of tensors."""

import math
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

ArcFace = TypeVar("ArcFace", bound="ArcFaceConfig")
Module = TypeVar("Module", bound=nn.Module)
MakeBlock = Callable[[int, int, int], nn.Module]  # channels, channels out, stride

MAX_PERIOD = 10000  # of the slowest wave of the time embedding, in steps
RESNET_STAGES = 4
RESNET_STRIDE = 2**RESNET_STAGES  # where every stage halves the size
SQUEEZE = 16  # factor by which squeeze and excitation narrows


def run_block(block: Callable[..., Any], *inputs: Any, recompute: bool) -> Any:
    """Run a block; with `recompute`, keep its inputs alone for the backward pass.

    The backward pass then runs the block again (Chen et al. 2016): less memory for more time.
    """
    if not recompute:
        return block(*inputs)
    return checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)


def embed_time(t: Tensor, channels: int, shift: float = 0) -> Tensor:  # (B,) -> (B,channels)
    """Cosines, then sines, of t at geometrically falling frequencies (Vaswani et al. 2017).

    With a `shift` of 1 the last frequency is 1 / MAX_PERIOD, with 0 that would be the next one.
    """
    half = channels // 2
    exponents = torch.arange(half, dtype=torch.float32, device=t.device) / (half - shift)
    angles = t[:, None].float() * torch.exp(-math.log(MAX_PERIOD) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def conv3x3(channels: int, out_channels: int) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(channels, out_channels, 3, padding=1)


def conv_norm_relu(convolution: nn.Conv2d, eps: float = 1e-5) -> nn.Sequential:
    """A convolution, normalised and rectified, its parameters under `conv` and `bn`."""
    norm = nn.BatchNorm2d(convolution.out_channels, eps)
    return nn.Sequential(OrderedDict(conv=convolution, bn=norm, relu=nn.ReLU()))


def zero_module(module: Module) -> Module:
    """Set all parameters to zero, so that training begins with a residual block as identity."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


class Upsample(nn.Sequential):
    """Doubles the size by repeating pixels, then convolves: (B,C,H,W) -> (B,C,2H,2W)"""

    def __init__(self, channels: int) -> None:
        repeat = nn.Upsample(scale_factor=2)
        super().__init__(OrderedDict(repeat=repeat, conv=conv3x3(channels, channels)))


def make_stages(
    make: MakeBlock, stem: int, widths: Sequence[int], depths: Sequence[int], first_stride: int = 2
) -> list[nn.Sequential]:
    """The stages of a residual network; the first block of each changes width and size."""
    channels, stages = stem, []
    for width, depth in zip(widths, depths, strict=True):
        stride = 2 if stages else first_stride
        rest = (make(width, width, 1) for _ in range(depth - 1))
        stages.append(nn.Sequential(make(channels, width, stride), *rest))
        channels = width
    return stages


def projection(channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """The shortcut past a block that changes the width or the size."""
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def shortcut(channels: int, out_channels: int, stride: int) -> nn.Module:
    """The shortcut past a block: the identity wherever shapes allow."""
    same = stride == 1 and channels == out_channels
    return nn.Identity() if same else projection(channels, out_channels, stride)


@dataclass(frozen=True)
class ArcFaceConfig:
    """What shapes an improved residual network of ArcFace (Deng et al. 2019)."""

    layers: tuple[int, ...] = (3, 4, 14, 3)  # blocks of each of the four stages
    widths: tuple[int, ...] = (64, 128, 256, 512)  # the stem is as wide as the first stage
    embedding: int = 512
    input_size: int = 112  # pixels, halved by each stage

    def __post_init__(self) -> None:
        if len(self.layers) != RESNET_STAGES or len(self.widths) != RESNET_STAGES:
            raise ValueError(
                f"expected {RESNET_STAGES} layers and widths, got {self.layers} and {self.widths}: "
                "give one number a stage"
            )
        if self.input_size % RESNET_STRIDE:
            raise ValueError(
                f"input_size is {self.input_size}: expected a multiple of {RESNET_STRIDE}"
            )

    @property
    def features(self) -> int:
        """How many values the last stage gives."""
        return self.widths[-1] * (self.input_size // RESNET_STRIDE) ** 2

    @classmethod
    def from_state_dict(cls: type[ArcFace], tensors: Mapping[str, Tensor]) -> ArcFace:
        """The configuration of a network, from the names and shapes of its tensors."""
        names = [f"layer{index}" for index in range(1, RESNET_STAGES + 1)]
        widths = tuple(len(tensors[f"{name}.0.conv2.weight"]) for name in names)
        embedding, features = tensors["fc.weight"].shape
        return cls(
            layers=tuple(count_children(tensors, name) for name in names),
            widths=widths,
            embedding=embedding,
            input_size=math.isqrt(features // widths[-1]) * RESNET_STRIDE,
        )


def count_children(tensors: Mapping[str, Tensor], name: str) -> int:
    """How many numbered modules with tensors there are under a name."""
    below = f"{name}."
    return len({key[len(below) :].split(".")[0] for key in tensors if key.startswith(below)})


def warn_assumed(
    lacking: str, defaults: Mapping[str, Any], hints: Mapping[str, Any], remedy: str
) -> None:
    """Warn of the defaults that are taken because no file and no user gave the values."""
    assumed = ", ".join(f"{key} {value}" for key, value in defaults.items() if key not in hints)
    if assumed:
        warnings.warn(f"{lacking}: assuming {assumed}; {remedy}", stacklevel=4)
