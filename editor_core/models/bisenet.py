"""BiSeNet (Yu et al. 2018) on a ResNet-18 or 34, as published for parsing faces into 19 classes.

The spatial path is the ResNet's own feature map at an eighth of the size. Two lineages of files
have the same network under other names.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu, sigmoid

from .blocks import BasicBlock, ResNet, conv_norm_relu
from .configs import StateDict, resnet_layers

RENAMED = (
    tuple(  # from the names of yakhyo/face-parsing to those of zllrunning/face-parsing.PyTorch
        (re.compile(pattern), name)
        for pattern, name in (
            (r"^fpn\.backbone\.", "cp.resnet."),
            (r"^fpn\.", "cp."),
            (r"\.norm\.", ".bn."),
            (r"^(conv_out\d*)\.conv\.", r"\1.conv_out."),
            (r"^ffm\.conv_block\.", "ffm.convblk."),
            (r"\.conv_block\.", ".conv."),
            (r"\.attention\.0\.", ".conv_atten."),
            (r"\.attention\.1\.", ".bn_atten."),
        )
    )
)
UNUSED = "cp.resnet.fc."  # ImageNet's classifier


@dataclass(frozen=True)
class BiSeNetConfig:
    """What shapes the network: the ResNet's stages are 1, 2, 4 and 8 times `width` wide."""

    num_classes: int = 19
    width: int = 64
    layers: tuple[int, ...] = (2, 2, 2, 2)  # blocks of each of the ResNet's stages

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "BiSeNetConfig":
        """The configuration of a network, from the shapes of its tensors."""
        classes, width = tensors["conv_out.conv_out.weight"], tensors["cp.resnet.conv1.weight"]
        return cls(len(classes), len(width), resnet_layers(tensors, "cp.resnet."))


class BiSeNet(nn.Module):
    """Labels every pixel; two auxiliary heads serve training alone."""

    def __init__(self, config: BiSeNetConfig) -> None:
        super().__init__()
        self.config = config
        width, classes = config.width, config.num_classes
        self.cp = ContextPath(width, config.layers)
        self.ffm = FeatureFusion(4 * width)
        self.conv_out = _head(4 * width, 4 * width, classes)
        self.conv_out16 = _head(2 * width, width, classes)
        self.conv_out32 = _head(2 * width, width, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B,3,H,W) normalised as ImageNet -> logits of the main and the other heads (B,K,H,W)"""
        spatial, context8, context16 = self.cp(x)
        main = self.conv_out(self.ffm(spatial, context8))
        heads = (main, self.conv_out16(context8), self.conv_out32(context16))
        main, aux16, aux32 = (_resize_to(head, x) for head in heads)
        return main, aux16, aux32

    def logits(self, x: Tensor) -> Tensor:
        """(B,3,H,W) normalised as ImageNet -> logits of the main head alone (B,K,H,W)"""
        spatial, context8, _ = self.cp(x)
        return _resize_to(self.conv_out(self.ffm(spatial, context8)), x)


class ContextPath(nn.Module):
    """The ResNet, and its two deepest stages refined by attention and by the global mean."""

    def __init__(self, width: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.resnet = ResNet(BasicBlock, width, 1, layers)
        self.arm16 = AttentionRefinement(4 * width, 2 * width)
        self.arm32 = AttentionRefinement(8 * width, 2 * width)
        self.conv_head32 = _conv_block(2 * width, 2 * width, 3)
        self.conv_head16 = _conv_block(2 * width, 2 * width, 3)
        self.conv_avg = _conv_block(8 * width, 2 * width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """-> features at 1/8 (B,2w,..), context at 1/8 (B,2w,..), context at 1/16 (B,2w,..)"""
        features8, features16, features32 = self.resnet(x)
        refined32 = self.arm32(features32) + self.conv_avg(_global_mean(features32))
        context16 = self.conv_head32(interpolate(refined32, features16.shape[2:]))
        refined16 = self.arm16(features16) + context16
        context8 = self.conv_head16(interpolate(refined16, features8.shape[2:]))
        return features8, context8, context16


class AttentionRefinement(nn.Module):
    """Convolves, then weighs the channels by their global means."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = _conv_block(channels, out_channels, 3)
        self.conv_atten = nn.Conv2d(out_channels, out_channels, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C',H,W)
        features = self.conv(x)
        return features * sigmoid(self.bn_atten(self.conv_atten(_global_mean(features))))


class FeatureFusion(nn.Module):
    """Joins the spatial and the context path, and strengthens channels by their global means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convblk = _conv_block(channels, channels, 1)
        self.conv1 = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1, bias=False)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:  # (B,C/2,H,W) x2 -> (B,C,H,W)
        features = self.convblk(torch.cat([spatial, context], dim=1))
        weights = sigmoid(self.conv2(relu(self.conv1(_global_mean(features)))))
        return features + features * weights


def _conv_block(channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False)
    return conv_norm_relu(conv)


def _head(channels: int, hidden: int, num_classes: int) -> nn.Sequential:
    conv = _conv_block(channels, hidden, 3)
    conv_out = nn.Conv2d(hidden, num_classes, 1, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, conv_out=conv_out))


def _global_mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)  # (B,C,H,W) -> (B,C,1,1)


def _resize_to(logits: Tensor, image: Tensor) -> Tensor:
    return interpolate(logits, image.shape[2:], mode="bilinear", align_corners=True)


def with_first_names(tensors: StateDict) -> StateDict:
    """The tensors of yakhyo's files under the names of the first ones, without what is unused."""
    renamed = {_first_name(name): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in renamed.items() if not name.startswith(UNUSED)}


def _first_name(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = pattern.sub(replacement, name)
    return name
