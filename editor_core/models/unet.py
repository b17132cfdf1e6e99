"""The ADM U-Net of guided diffusion (Dhariwal and Nichol 2021), every published form of it.

The identity condition is DiffFace's (Kim et al. 2022): the embedded face is added to the embedded
time step. Parameter names are those of the published files, so they load with `strict=True`.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from .blocks import Upsample, conv3x3, embed_time, run_block, zero_module
from .configs import Hints, StateDict, count_children, is_published, warn_assumed

NORM_GROUPS = 32  # of every group normalisation: all widths are multiples of it
PUBLISHED_HEAD_CHANNELS = 64
PUBLISHED_UNETS = {  # picture sizes by parameter count; all have 64-channel heads, legacy order
    554_388_998: 256,  # DiffFace
    552_814_086: 256,  # OpenAI, unconditional
    553_838_086: 256,  # OpenAI, class-conditional
    93_563_910: 256,  # FFHQ and CelebA-HQ
    159_788_454: 512,  # DifFace, FFHQ
    124_056_710: 256,  # DifFace, FFHQ
}
UPSAMPLER = re.compile(r"output_blocks\.(\d+)\.[1-9]\d*\.(in_layers\.2|conv)\.weight")


@dataclass(frozen=True)
class UNetConfig:
    """What shapes the network. Exactly one of `num_heads` and `head_channels` is set."""

    model_channels: int
    channel_mult: tuple[float, ...]  # width of each level, in units of model_channels
    num_res_blocks: int | tuple[int, ...]  # of each level down, or level by level; up, one more
    attention_factors: tuple[int, ...]  # downsampling factors at which there is attention
    num_heads: int | None = None
    head_channels: int | None = None
    attention_order: Literal["legacy", "new"] = "legacy"
    resblock_updown: bool = True  # residual blocks change the size, else strided convolutions
    scale_shift_norm: bool = True  # the condition scales and shifts, else it is added
    identity_channels: int | None = None
    num_classes: int | None = None
    in_channels: int = 3
    out_channels: int = 6  # noise and variance; 3: noise alone

    def __post_init__(self) -> None:
        if (self.num_heads is None) == (self.head_channels is None):
            raise ValueError(
                "expected exactly one of num_heads and head_channels, "
                f"got {self.num_heads} and {self.head_channels}: set one, leave the other None"
            )
        if (order := self.attention_order) not in ("legacy", "new"):
            raise ValueError(f"attention_order is {order!r}: expected 'legacy' or 'new'")
        if len(self.res_blocks) != self.levels:
            raise ValueError(
                f"num_res_blocks is {self.num_res_blocks}: expected a number for each of "
                f"{self.levels} levels, or one for all"
            )
        if any(self.width(level) % NORM_GROUPS for level in range(self.levels)):
            raise ValueError(
                f"widths {self.model_channels} x {self.channel_mult} are not all multiples of "
                f"{NORM_GROUPS}: choose another model_channels"
            )

    @classmethod
    def from_state_dict(cls, tensors: StateDict, hints: Hints | None = None) -> "UNetConfig":
        """The configuration of a network, from the names and shapes of its tensors.

        Args:
            tensors: The state dict, under the published names.
            hints: How attention is split: `num_heads` or `head_channels`, and `attention_order`.
                Where they are missing and the network is not a published one, it is assumed with
                a warning.

        Raises:
            KeyError: The tensors are not those of a whole network.
        """
        upsamplers = [found for found in map(UPSAMPLER.fullmatch, tensors) if found]
        depths = _depths(tensors, [int(found[1]) for found in upsamplers])
        starts = accumulate(depths[:-1], lambda start, depth: start + depth + 1, initial=1)
        first_of_level = [f"input_blocks.{start}" for start in starts]
        widths = [len(tensors[f"{block}.0.out_layers.3.bias"]) for block in first_of_level]
        model_channels = tensors["time_embed.0.weight"].shape[1]
        attended = (f"{block}.1.qkv.weight" in tensors for block in first_of_level)
        return cls(
            model_channels=model_channels,
            channel_mult=tuple(width / model_channels for width in widths),
            num_res_blocks=depths[0] if len(set(depths)) == 1 else depths,
            attention_factors=tuple(2**level for level, found in enumerate(attended) if found),
            resblock_updown="in_layers.2" in [found[2] for found in upsamplers],
            scale_shift_norm=len(tensors["input_blocks.1.0.emb_layers.1.bias"]) == 2 * widths[0],
            identity_channels=_size(tensors, "id_embed.0.weight", dim=1),
            num_classes=_size(tensors, "label_emb.weight", dim=0),
            in_channels=tensors["input_blocks.0.0.weight"].shape[1],
            out_channels=len(tensors["out.2.bias"]),
            **_attention(tensors, hints or {}, widths),
        )

    @property
    def levels(self) -> int:
        return len(self.channel_mult)

    @property
    def res_blocks(self) -> tuple[int, ...]:
        """Residual blocks of each level on the way down."""
        blocks = self.num_res_blocks
        return (blocks,) * self.levels if isinstance(blocks, int) else tuple(blocks)

    @property
    def embedding_channels(self) -> int:
        return 4 * self.model_channels

    def width(self, level: int) -> int:
        return int(self.channel_mult[level] * self.model_channels)

    def heads(self, channels: int) -> int:
        heads = self.num_heads or channels // (self.head_channels or 1)
        if not heads or channels % heads or channels % (self.head_channels or 1):
            raise ValueError(
                f"{channels} channels cannot be split evenly, num_heads is {self.num_heads} and "
                f"head_channels {self.head_channels}: choose a divisor of every attended width"
            )
        return heads


def _depths(tensors: StateDict, last_of_level: list[int]) -> tuple[int, ...]:
    """Residual blocks of each level down; all levels but the first end in an upsampler going up."""
    ends = [-1, *sorted(last_of_level), count_children(tensors, "output_blocks") - 1]
    return tuple(end - before - 1 for before, end in pairwise(ends))[::-1]


def _size(tensors: StateDict, name: str, dim: int) -> int | None:
    return tensors[name].shape[dim] if name in tensors else None


def _attention(tensors: StateDict, hints: Hints, widths: list[int]) -> dict[str, Any]:
    """How attention is split: as hinted, else as published, with a warning where unsure."""
    heads = {key: hints[key] for key in ("num_heads", "head_channels") if hints.get(key)}
    order = hints.get("attention_order")
    published = is_published(tensors, PUBLISHED_UNETS)
    even = published or all(width % PUBLISHED_HEAD_CHANNELS == 0 for width in widths)
    default = {"head_channels": PUBLISHED_HEAD_CHANNELS} if even else {"num_heads": 4}
    split = {**(heads or default), "attention_order": order or "legacy"}
    if not published and not (heads and order):
        lacking = "the tensors do not tell how attention is split"
        remedy = "name num_heads or head_channels, and attention_order, where that is wrong"
        warn_assumed(lacking, split, {}, remedy)
    return split


class UNet(nn.Module):
    """Predicts the noise in x_t, and with 6 channels out also how to interpolate the variance."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.time_embed = _mlp(config.model_channels, config.embedding_channels)
        if config.identity_channels is not None:
            self.id_embed = _mlp(config.identity_channels, config.embedding_channels)
        if config.num_classes is not None:
            self.label_emb = nn.Embedding(config.num_classes, config.embedding_channels)
        self.input_blocks = _down_path(config)
        width, deepest = config.width(0), config.width(config.levels - 1)
        self.middle_block = ConditionedSequential(
            ResBlock(config, deepest, deepest),
            Attention(config, deepest),
            ResBlock(config, deepest, deepest),
        )
        self.output_blocks = _up_path(config)
        last = zero_module(conv3x3(width, config.out_channels))
        self.out = nn.Sequential(nn.GroupNorm(NORM_GROUPS, width), nn.SiLU(), last)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        identity: Tensor | None = None,
        label: Tensor | None = None,
        recompute: bool = False,
    ) -> Tensor:
        """Predict from a noised picture.

        Args:
            x: (B,3,H,W), H and W multiples of 2^(levels - 1).
            t: Time steps of the model's training (B,), not of a respaced schedule.
            identity: Embedded faces (B,identity_channels), where the network takes them.
            label: Classes (B,) int64, where the network takes them.
            recompute: Let the backward pass run every block again: less memory for more time.

        Returns:
            (B,out_channels,H,W) in the dtype of `x`, computed in that of the weights.

        Raises:
            ValueError: A condition is missing, or one is given that the network does not take.
        """
        self._check_conditions(identity, label)
        run = partial(run_block, recompute=recompute)
        embedding = self._embed(t, identity, label)
        h, skips = x.to(next(self.parameters()).dtype), []
        for block in self.input_blocks:
            h = run(block, h, embedding)
            skips.append(h)
        h = run(self.middle_block, h, embedding)
        for block in self.output_blocks:
            h = run(partial(_join_skip, block), h, skips.pop(), embedding)
        return self.out(h).to(x.dtype)

    def _embed(self, t: Tensor, identity: Tensor | None, label: Tensor | None) -> Tensor:
        dtype = next(self.parameters()).dtype
        embedding = self.time_embed(embed_time(t, self.config.model_channels).to(dtype))
        if identity is not None:
            embedding = embedding + self.id_embed(identity.to(dtype))
        if label is not None:
            embedding = embedding + self.label_emb(label)
        return embedding

    def _check_conditions(self, identity: Tensor | None, label: Tensor | None) -> None:
        conditions = {
            "identity": (identity, self.config.identity_channels),
            "label": (label, self.config.num_classes),
        }
        for name, (given, size) in conditions.items():
            missing = (given is None) != (size is None)
            if missing or (name == "identity" and given is not None and given.shape[-1] != size):
                expected = f"no {name}" if size is None else f"{name} (of {size})"
                got = "none" if given is None else f"one of shape {tuple(given.shape)}"
                remedy = "pass what it takes, an identity by the encoder that it was trained with"
                raise ValueError(f"this U-Net takes {expected}, got {got}: {remedy}")


def _join_skip(block: nn.Module, h: Tensor, skip: Tensor, embedding: Tensor) -> Tensor:
    """A block on joined inputs; joined in here, they need not be kept to recompute it."""
    return block(torch.cat([h, skip], dim=1), embedding)


class ResBlock(nn.Module):
    """Residual block under a condition; `resize` changes the size of both its branches."""

    def __init__(
        self, config: UNetConfig, channels: int, out_channels: int, resize: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.scale_shift = config.scale_shift_norm
        self.resize = resize or nn.Identity()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, channels), nn.SiLU(), conv3x3(channels, out_channels)
        )
        outputs = 2 * out_channels if self.scale_shift else out_channels
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(config.embedding_channels, outputs))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, out_channels),
            nn.SiLU(),
            nn.Identity(),  # dropout's place in the published names
            zero_module(conv3x3(out_channels, out_channels)),
        )
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # (B,C,H,W), (B,E) -> (B,C',H',W')
        norm, activation, convolution = self.in_layers
        h = convolution(self.resize(activation(norm(x))))
        h = self._condition(h, self.emb_layers(embedding)[:, :, None, None])
        return self.skip_connection(self.resize(x)) + h

    def _condition(self, h: Tensor, condition: Tensor) -> Tensor:
        if not self.scale_shift:
            return self.out_layers(h + condition)
        norm, activation, _, convolution = self.out_layers
        scale, shift = condition.chunk(2, dim=1)
        return convolution(activation(norm(h) * (1 + scale) + shift))


class Attention(nn.Module):
    """Self-attention over all pixels, as a residual."""

    def __init__(self, config: UNetConfig, channels: int) -> None:
        super().__init__()
        self.heads = config.heads(channels)
        self.order = config.attention_order
        self.norm = nn.GroupNorm(NORM_GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zero_module(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C,H,W)
        pixels = self.norm(x).flatten(2).mT  # (B,N,C)
        q, k, v = self._split(_at_each(self.qkv, pixels))
        attended = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + _at_each(self.proj_out, attended).mT.unflatten(2, x.shape[2:])

    def _split(self, qkv: Tensor) -> tuple[Tensor, ...]:
        """(B,N,3C) -> queries, keys, values (B,heads,N,C/heads), contiguous in each pixel.

        The legacy order of channels is (head, qkv, width), the new one (qkv, head, width).
        """
        order = (self.heads, 3) if self.order == "legacy" else (3, self.heads)
        parts = qkv.unflatten(2, (*order, -1)).unbind(3 if self.order == "legacy" else 2)
        return tuple(part.transpose(1, 2) for part in parts)


def _at_each(convolution: nn.Conv1d, pixels: Tensor) -> Tensor:
    """A convolution of size 1 in the order (B,N,C), which attention's fast kernels ask for."""
    return linear(pixels, convolution.weight[:, :, 0], convolution.bias)


class ConditionedSequential(nn.Sequential):
    """Layers in a row; the residual blocks among them take the condition."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # pyright: ignore
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResBlock) else layer(x)
        return x


def _down_path(config: UNetConfig) -> nn.ModuleList:
    width = config.width(0)
    blocks = [ConditionedSequential(conv3x3(config.in_channels, width))]
    for level in range(config.levels):
        for _ in range(config.res_blocks[level]):
            blocks.append(ConditionedSequential(*_layers(config, level, width)))
            width = config.width(level)
        if level < config.levels - 1:
            if config.resblock_updown:
                halves = ResBlock(config, width, width, nn.AvgPool2d(2))
            else:
                convolution = nn.Conv2d(width, width, 3, stride=2, padding=1)
                halves = nn.Sequential(OrderedDict(op=convolution))
            blocks.append(ConditionedSequential(halves))
    return nn.ModuleList(blocks)


def _up_path(config: UNetConfig) -> nn.ModuleList:
    width, blocks = config.width(config.levels - 1), []
    for level in reversed(range(config.levels)):
        for index in range(config.res_blocks[level] + 1):
            last = index == config.res_blocks[level]  # joins what the level above gave this one
            skip = config.width(max(level - 1, 0) if last else level)
            layers = _layers(config, level, width + skip)
            width = config.width(level)
            if last and level and config.resblock_updown:
                layers.append(ResBlock(config, width, width, nn.Upsample(scale_factor=2)))
            elif last and level:
                layers.append(Upsample(width))
            blocks.append(ConditionedSequential(*layers))
    return nn.ModuleList(blocks)


def _layers(config: UNetConfig, level: int, channels: int) -> list[nn.Module]:
    width = config.width(level)
    layers: list[nn.Module] = [ResBlock(config, channels, width)]
    if 2**level in config.attention_factors:
        layers.append(Attention(config, width))
    return layers


def _mlp(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(channels, out_channels), nn.SiLU(), nn.Linear(out_channels, out_channels)
    )
