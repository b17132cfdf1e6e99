"""FaceNet's Inception-ResNet v1 (Szegedy et al. 2017), under the names of facenet-pytorch.

Its design, its data (VGGFace2) and its loss differ from those of the ArcFace networks.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from .blocks import conv_norm_relu
from .configs import StateDict, count_children

Kernel = int | tuple[int, int]
EPSILON = 1e-3  # of batch normalisation, as it was trained


@dataclass(frozen=True)
class FaceNetConfig:
    """What shapes the network: all widths are multiples of the stem's."""

    repeats: tuple[int, int, int] = (5, 10, 5)  # blocks of each of the three levels
    width: int = 32
    embedding: int = 512
    num_classes: int = 0  # people of the training set, where the file keeps that layer

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "FaceNetConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        one, two, three = (count_children(tensors, f"repeat_{level}") for level in (1, 2, 3))
        return cls(
            repeats=(one, two, three),
            width=len(tensors["conv2d_1a.conv.weight"]),
            embedding=len(tensors["last_linear.weight"]),
            num_classes=len(tensors.get("logits.weight", ())),
        )


class FaceNet(nn.Module):
    """Embeds a face; faces of one person point the same way."""

    def __init__(self, config: FaceNetConfig) -> None:
        super().__init__()
        self.config = config
        w, repeats = config.width, config.repeats
        block17 = partial(_factored_block, 28 * w, 4 * w, size=7, scale=0.1)
        block8 = partial(_factored_block, 56 * w, 6 * w, size=3)
        self.conv2d_1a = _conv(3, w, 3, 2)
        self.conv2d_2a = _conv(w, w, 3)
        self.conv2d_2b = _conv(w, 2 * w, 3, padding="same")
        self.maxpool_3a = nn.MaxPool2d(3, stride=2)
        self.conv2d_3b = _conv(2 * w, 5 * w // 2, 1)
        self.conv2d_4a = _conv(5 * w // 2, 6 * w, 3)
        self.conv2d_4b = _conv(6 * w, 8 * w, 3, 2)
        self.repeat_1 = nn.Sequential(*(_block35(w) for _ in range(repeats[0])))
        self.mixed_6a = _reduction_a(w)
        self.repeat_2 = nn.Sequential(*(block17() for _ in range(repeats[1])))
        self.mixed_7a = _reduction_b(w)
        self.repeat_3 = nn.Sequential(*(block8(scale=0.2) for _ in range(repeats[2])))
        self.block8 = block8(scale=1.0, rectified=False)
        self.last_linear = nn.Linear(56 * w, config.embedding, bias=False)
        self.last_bn = nn.BatchNorm1d(config.embedding, eps=EPSILON)
        if config.num_classes:
            self.logits = nn.Linear(config.embedding, config.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,S,S) nearly in [-1,1] -> (B,E), not of unit length"""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_3b(self.maxpool_3a(x))
        x = self.repeat_1(self.conv2d_4b(self.conv2d_4a(x)))
        x = self.repeat_2(self.mixed_6a(x))
        x = self.block8(self.repeat_3(self.mixed_7a(x)))
        return self.last_bn(self.last_linear(x.mean((2, 3))))


class Inception(nn.Module):
    """Branches side by side, their outputs concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.names = [f"branch{index}" for index in range(len(branches))]
        for name, branch in zip(self.names, branches, strict=True):
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',h,w)
        return torch.cat([self.get_submodule(name)(x) for name in self.names], dim=1)


class InceptionResidual(Inception):
    """Adds the branches' output to the input, scaled down to keep training stable."""

    def __init__(
        self, *branches: nn.Module, widths: tuple[int, int], scale: float, rectified: bool = True
    ) -> None:
        super().__init__(*branches)
        self.conv2d = nn.Conv2d(*widths, 1)  # of the joined branches, of the input
        self.scale, self.rectified = scale, rectified

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C,H,W)
        x = x + self.scale * self.conv2d(super().forward(x))
        return relu(x) if self.rectified else x


def _conv(
    channels: int, out_channels: int, kernel: Kernel, stride: int = 1, padding: str = "valid"
) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out_channels, kernel, stride, padding, bias=False)
    return conv_norm_relu(convolution, EPSILON)


_same = partial(_conv, padding="same")


def _block35(w: int) -> InceptionResidual:
    return InceptionResidual(
        _same(8 * w, w, 1),
        nn.Sequential(_same(8 * w, w, 1), _same(w, w, 3)),
        nn.Sequential(_same(8 * w, w, 1), _same(w, w, 3), _same(w, w, 3)),
        widths=(3 * w, 8 * w),
        scale=0.17,
    )


def _factored_block(
    channels: int, width: int, size: int, scale: float, rectified: bool = True
) -> InceptionResidual:
    """A residual block whose square kernel is factored into a row and a column."""
    pointwise = _same(channels, width, 1)
    factored = nn.Sequential(
        _same(channels, width, 1), _same(width, width, (1, size)), _same(width, width, (size, 1))
    )
    widths = (2 * width, channels)
    return InceptionResidual(pointwise, factored, widths=widths, scale=scale, rectified=rectified)


def _reduction_a(w: int) -> Inception:
    return Inception(
        _conv(8 * w, 12 * w, 3, 2),
        nn.Sequential(_same(8 * w, 6 * w, 1), _same(6 * w, 6 * w, 3), _conv(6 * w, 8 * w, 3, 2)),
        nn.MaxPool2d(3, stride=2),
    )


def _reduction_b(w: int) -> Inception:
    return Inception(
        nn.Sequential(_same(28 * w, 8 * w, 1), _conv(8 * w, 12 * w, 3, 2)),
        nn.Sequential(_same(28 * w, 8 * w, 1), _conv(8 * w, 8 * w, 3, 2)),
        nn.Sequential(_same(28 * w, 8 * w, 1), _same(8 * w, 8 * w, 3), _conv(8 * w, 8 * w, 3, 2)),
        nn.MaxPool2d(3, stride=2),
    )
