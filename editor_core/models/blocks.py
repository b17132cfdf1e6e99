"""What several of the networks are built of."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.utils.checkpoint import checkpoint

from .configs import RESNET_STAGES

Module = TypeVar("Module", bound=nn.Module)
MakeBlock = Callable[[int, int, int], nn.Module]  # channels, channels out, stride

MAX_PERIOD = 10000  # of the slowest wave of the time embedding, in steps
EXPANSION = 4  # of a bottleneck's width
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


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut, of ResNet-18 and 34."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut(channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H/stride,W/stride)
        h = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(h + self.downsample(x))


class Bottleneck(nn.Module):
    """Three convolutions, the middle one narrow, and a shortcut, of ResNet-50 and deeper ones."""

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


class ResNet(nn.Module):
    """A residual network (He et al. 2016) without its classifier; its stages double in width."""

    def __init__(self, make: MakeBlock, width: int, expansion: int, depths: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        widths = [expansion * 2**index * width for index in range(RESNET_STAGES)]
        stages = make_stages(make, width, widths, depths, first_stride=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B,3,H,W) -> features at 1/8, 1/16 and 1/32 of the size"""
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        features8 = self.layer2(self.layer1(x))
        features16 = self.layer3(features8)
        return features8, features16, self.layer4(features16)


def norm_unless(folded: bool, channels: int) -> nn.Module:
    """Batch normalisation; none where it is folded into the convolution before it."""
    return nn.Identity() if folded else nn.BatchNorm2d(channels)


def projection(
    channels: int, out_channels: int, stride: int, folded: bool = False
) -> nn.Sequential:
    """The shortcut past a block that changes the width or the size."""
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 1, stride, bias=folded),
        norm_unless(folded, out_channels),
    )


def shortcut(channels: int, out_channels: int, stride: int, folded: bool = False) -> nn.Module:
    """The shortcut past a block: the identity wherever shapes allow."""
    same = stride == 1 and channels == out_channels
    return nn.Identity() if same else projection(channels, out_channels, stride, folded)
