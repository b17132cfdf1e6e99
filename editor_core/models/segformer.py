"""SegFormer (Xie et al. 2021, arXiv 2105.15203): a transformer whose four stages halve the picture,
and a head that joins them. The names are those under which the transformers library publishes it.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, relu, scaled_dot_product_attention

from .configs import StateDict, count_children

PATCHES = ((7, 4), (3, 2), (3, 2), (3, 2))  # kernel and stride with which each stage begins
HIDDEN = 4  # factor by which the layers between are wider
ENCODER = "segformer.encoder"


@dataclass(frozen=True)
class SegFormerConfig:
    """What shapes the network, a number a stage; as much as B5."""

    num_classes: int = 19
    widths: tuple[int, ...] = (64, 128, 320, 512)
    depths: tuple[int, ...] = (3, 6, 40, 3)  # blocks
    reductions: tuple[int, ...] = (8, 4, 2, 1)  # factors by which keys and values are coarser
    decoder_width: int = 768

    @classmethod
    def from_state_dict(cls, tensors: StateDict) -> "SegFormerConfig":
        """The configuration of a network, from the names and shapes of its tensors."""
        stages = range(len(PATCHES))
        coarser = (f"{ENCODER}.block.{stage}.0.attention.self.sr.weight" for stage in stages)
        return cls(
            num_classes=len(tensors["decode_head.classifier.weight"]),
            widths=tuple(len(tensors[f"{ENCODER}.layer_norm.{stage}.weight"]) for stage in stages),
            depths=tuple(count_children(tensors, f"{ENCODER}.block.{stage}") for stage in stages),
            reductions=tuple(tensors[n].shape[-1] if n in tensors else 1 for n in coarser),
            decoder_width=len(tensors["decode_head.linear_fuse.weight"]),
        )

    @property
    def heads(self) -> tuple[int, ...]:
        """Heads of attention a stage, all as wide as the first stage in every published size."""
        return tuple(width // self.widths[0] for width in self.widths)


class SegFormer(nn.Module):
    """Labels every pixel of a picture."""

    def __init__(self, config: SegFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.segformer = nn.Sequential(OrderedDict(encoder=MixTransformer(config)))
        self.decode_head = JoiningHead(config)

    def forward(self, x: Tensor) -> Tensor:
        """(B,3,H,W) normalised as ImageNet -> logits (B,K,H/4,W/4)"""
        return self.decode_head(self.segformer(x))

    def logits(self, x: Tensor) -> Tensor:
        """(B,3,H,W) normalised as ImageNet -> logits (B,K,H,W)"""
        return interpolate(self(x), x.shape[2:], mode="bilinear")


class MixTransformer(nn.Module):
    """The encoder, without positions: its convolutions tell where a pixel is."""

    def __init__(self, config: SegFormerConfig) -> None:
        super().__init__()
        channels, stages = (3, *config.widths), range(len(PATCHES))
        self.patch_embeddings = nn.ModuleList(
            PatchEmbedding(channels[stage], channels[stage + 1], *PATCHES[stage])
            for stage in stages
        )
        self.block = nn.ModuleList(
            nn.Sequential(*(MixBlock(config, stage) for _ in range(config.depths[stage])))
            for stage in stages
        )
        self.layer_norm = nn.ModuleList(nn.LayerNorm(width) for width in config.widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B,3,H,W) -> features of each stage (B,H',W',C), at 1/4 to 1/32 of the size"""
        features = []
        stages = zip(self.patch_embeddings, self.block, self.layer_norm, strict=True)
        for embed, blocks, norm in stages:
            features.append(norm(blocks(embed(x))))
            x = _channels_first(features[-1])
        return features


class PatchEmbedding(nn.Module):
    """A strided convolution whose patches overlap, and a normalisation."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,H',W',C')
        return self.layer_norm(_channels_last(self.proj(x)))


class MixBlock(nn.Module):
    """Attention over all pixels, then layers that mix neighbouring ones."""

    def __init__(self, config: SegFormerConfig, stage: int) -> None:
        super().__init__()
        width = config.widths[stage]
        attention = CoarseAttention(width, config.heads[stage], config.reductions[stage])
        output = nn.Sequential(OrderedDict(dense=nn.Linear(width, width)))
        self.layer_norm_1 = nn.LayerNorm(width)
        self.attention = nn.Sequential(OrderedDict([("self", attention), ("output", output)]))
        self.layer_norm_2 = nn.LayerNorm(width)
        self.mlp = MixLayers(width)

    def forward(self, x: Tensor) -> Tensor:  # (B,H,W,C) -> (B,H,W,C)
        x = x + self.attention(self.layer_norm_1(x))
        return x + self.mlp(self.layer_norm_2(x))


class CoarseAttention(nn.Module):
    """Attention of every pixel to a coarser picture, so that large pictures cost little."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        if reduction > 1:
            self.sr = nn.Conv2d(width, width, reduction, stride=reduction)
            self.layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:  # (B,H,W,C) -> (B,H,W,C)
        seen = self._coarser(x) if self.reduction > 1 else x
        q, k, v = map(self._split, (self.query(x), self.key(seen), self.value(seen)))
        attended = scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return attended.flatten(2).unflatten(1, x.shape[1:3])

    def _coarser(self, x: Tensor) -> Tensor:  # (B,H,W,C) -> (B,H',W',C)
        return self.layer_norm(_channels_last(self.sr(_channels_first(x))))

    def _split(self, x: Tensor) -> Tensor:  # (B,H,W,C) -> (B,heads,HW,C/heads)
        return x.flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2)


class MixLayers(nn.Module):
    """Two linear layers with a convolution of each channel between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = HIDDEN * width
        convolution = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.dense1 = nn.Linear(width, hidden)
        self.dwconv = nn.Sequential(OrderedDict(dwconv=convolution))
        self.dense2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:  # (B,H,W,C) -> (B,H,W,C)
        mixed = _channels_last(self.dwconv(_channels_first(self.dense1(x))))
        return self.dense2(gelu(mixed))


class JoiningHead(nn.Module):
    """Brings all stages to one width and size, and labels them together."""

    def __init__(self, config: SegFormerConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.linear_c = nn.ModuleList(
            nn.Sequential(OrderedDict(proj=nn.Linear(channels, width)))
            for channels in config.widths
        )
        self.linear_fuse = nn.Conv2d(len(config.widths) * width, width, 1, bias=False)
        self.batch_norm = nn.BatchNorm2d(width)
        self.classifier = nn.Conv2d(width, config.num_classes, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features of each stage (B,H,W,C), the finest first -> logits (B,K,H,W) of the finest"""
        size = features[0].shape[1:3]
        joined = (
            interpolate(_channels_first(project(feature)), size, mode="bilinear")
            for project, feature in zip(self.linear_c, features, strict=True)
        )
        fused = self.linear_fuse(torch.cat([*joined][::-1], dim=1))
        return self.classifier(relu(self.batch_norm(fused)))


def _channels_first(x: Tensor) -> Tensor:  # (B,H,W,C) -> (B,C,H,W)
    return x.permute(0, 3, 1, 2)


def _channels_last(x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,H,W,C)
    return x.permute(0, 2, 3, 1)
