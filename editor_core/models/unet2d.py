"""The unconditional U-Net of DDPM (Ho et al. 2020) as the diffusers library publishes it.

Parameter names are those of its `UNet2DModel`, so that published files load with `strict=True`.
"""

from collections import OrderedDict
from dataclasses import dataclass, fields
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from .blocks import Upsample, conv3x3, embed_time, run_block
from .configs import Hints, StateDict, count_children, is_published, warn_assumed

PUBLISHED_UNET2DS = {113_673_219}  # by parameter count: Google's DDPMs of 256x256 pictures
SUPPORTED_OPTIONS = {  # what the network is built for; a config that says otherwise is refused
    "act_fn": ("silu", "swish"),
    "add_attention": (True,),
    "class_embed_type": (None,),
    "downsample_type": ("conv",),
    "mid_block_scale_factor": (1,),
    "mid_block_type": ("UNetMidBlock2D",),
    "resnet_time_scale_shift": ("default",),
    "time_embedding_type": ("positional",),
    "upsample_type": ("conv",),
}
ATTENTION_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True)
class UNet2DConfig:
    """What shapes the network, in the words of diffusers.

    The defaults are those of Google's DDPMs; of any other network they are an assumption.
    """

    block_out_channels: tuple[int, ...]  # width of each level
    layers_per_block: int  # residual blocks of a level on the way down; one more on the way up
    attention_levels: tuple[int, ...]  # on both ways; the middle has attention always
    attention_head_dim: int | None = None  # channels of a head; None: one head of all of them
    norm_num_groups: int = 32
    norm_eps: float = 1e-6
    downsample_padding: int = 0  # 0: the picture is padded at its right and lower edges alone
    flip_sin_to_cos: bool = False  # cosines come first in the embedding of the time step
    freq_shift: float = 1  # taken off the number of frequencies it is spread over
    center_input_sample: bool = False  # the input is doubled and lowered by 1
    in_channels: int = 3
    out_channels: int = 3

    identity_channels: ClassVar[None] = None  # the network takes no condition
    num_classes: ClassVar[None] = None

    def __post_init__(self) -> None:
        if any(width % self.norm_num_groups for width in self.block_out_channels):
            raise ValueError(
                f"widths {self.block_out_channels} are not all multiples of "
                f"{self.norm_num_groups}: choose another norm_num_groups"
            )

    @classmethod
    def from_state_dict(cls, tensors: StateDict, hints: Hints | None = None) -> "UNet2DConfig":
        """The configuration of a network, from the names and shapes of its tensors.

        Args:
            tensors: The state dict, under the current names (see `with_current_names`).
            hints: What the tensors do not tell, in the words of diffusers' `config.json`. Where
                it is missing, the published networks' values are taken, with a warning for any
                other network.

        Raises:
            ValueError: The hints describe a network of another make.
            KeyError: The tensors are not those of a whole network.
        """
        hints = hints or {}
        _require_supported(hints)
        levels = [f"down_blocks.{index}" for index in range(count_children(tensors, "down_blocks"))]
        attended = (f"{level}.attentions.0.to_q.weight" in tensors for level in levels)
        widths = [len(tensors[f"{level}.resnets.0.conv1.bias"]) for level in levels]
        sizes = {
            "block_out_channels": tuple(widths),
            "layers_per_block": count_children(tensors, "down_blocks.0.resnets"),
            "attention_levels": tuple(index for index, found in enumerate(attended) if found),
            "in_channels": tensors["conv_in.weight"].shape[1],
            "out_channels": len(tensors["conv_out.bias"]),
        }
        defaults = {field.name: field.default for field in fields(cls) if field.name not in sizes}
        if not is_published(tensors, PUBLISHED_UNET2DS):
            remedy = "put its config.json beside the file, or name what is wrong"
            warn_assumed("the tensors do not tell all of the network", defaults, hints, remedy)
        return cls(**sizes, **{key: hints.get(key, value) for key, value in defaults.items()})

    @property
    def levels(self) -> int:
        return len(self.block_out_channels)

    @property
    def model_channels(self) -> int:
        return self.block_out_channels[0]

    @property
    def embedding_channels(self) -> int:
        return 4 * self.model_channels

    def heads(self, channels: int) -> int:
        heads, rest = divmod(channels, self.attention_head_dim or channels)
        if rest:
            raise ValueError(
                f"{channels} channels cannot be split into heads of {self.attention_head_dim}: "
                "choose an attention_head_dim that divides every attended width"
            )
        return heads


def with_current_names(tensors: StateDict) -> dict[str, Tensor]:
    """The tensors, with diffusers' first names of attention layers replaced by its current ones."""
    current = {}
    for name, tensor in tensors.items():
        path = name.split(".")
        if "attentions" in path and path[-2] in ATTENTION_NAMES:
            path[-2] = ATTENTION_NAMES[path[-2]]
        current[".".join(path)] = tensor
    return current


def _require_supported(hints: Hints) -> None:
    for key, values in SUPPORTED_OPTIONS.items():
        if key in hints and hints[key] not in values:
            known = " or ".join(map(str, values))
            raise ValueError(f"{key} is {hints[key]}: expected {known}; choose another U-Net")


class UNet2D(nn.Module):
    """Predicts the noise in x_t, or v, as it was trained to; it takes no condition."""

    def __init__(self, config: UNet2DConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.model_channels, config.block_out_channels[-1]
        self.conv_in = conv3x3(config.in_channels, first)
        self.time_embedding = TimeEmbedding(config)
        levels = range(config.levels)
        self.down_blocks = nn.ModuleList(DownBlock(config, level) for level in levels)
        self.mid_block = MiddleBlock(config, last)
        self.up_blocks = nn.ModuleList(UpBlock(config, level) for level in reversed(levels))
        self.conv_norm_out = _norm(config, first)
        self.conv_out = conv3x3(first, config.out_channels)

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
            identity: Must be None, and `label` too: the network takes no condition.
            recompute: Let the backward pass run every block again: less memory for more time.

        Returns:
            (B,out_channels,H,W) in the dtype of `x`, computed in that of the weights.

        Raises:
            ValueError: A condition is given.
        """
        if identity is not None or label is not None:
            raise ValueError("this U-Net takes no identity and no label: pass none")
        run = partial(run_block, recompute=recompute)
        embedding = self.time_embedding(t)
        h = self.conv_in((2 * x - 1 if self.config.center_input_sample else x).to(embedding.dtype))
        skips = [h]
        for block in self.down_blocks:
            h, outputs = run(block, h, embedding)
            skips += outputs
        h = run(self.mid_block, h, embedding)
        for block in self.up_blocks:
            joined = [skips.pop() for _ in range(self.config.layers_per_block + 1)]
            h = run(block, h, joined, embedding)
        return self.conv_out(silu(self.conv_norm_out(h))).to(x.dtype)


class TimeEmbedding(nn.Module):
    def __init__(self, config: UNet2DConfig) -> None:
        super().__init__()
        self.channels = config.model_channels
        self.shift, self.cosines_first = config.freq_shift, config.flip_sin_to_cos
        self.linear_1 = nn.Linear(self.channels, config.embedding_channels)
        self.linear_2 = nn.Linear(config.embedding_channels, config.embedding_channels)

    def forward(self, t: Tensor) -> Tensor:  # (B,) -> (B,E)
        waves = embed_time(t, self.channels, self.shift).to(self.linear_1.weight.dtype)
        ordered = waves if self.cosines_first else waves.roll(self.channels // 2, 1)
        return self.linear_2(silu(self.linear_1(ordered)))


class ResnetBlock(nn.Module):
    def __init__(self, config: UNet2DConfig, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = _norm(config, channels)
        self.conv1 = conv3x3(channels, out_channels)
        self.time_emb_proj = nn.Linear(config.embedding_channels, out_channels)
        self.norm2 = _norm(config, out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        same = channels == out_channels
        self.conv_shortcut = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # (B,C,H,W), (B,E) -> (B,C',H,W)
        h = self.conv1(self.activation(self.norm1(x)))
        h = h + self.time_emb_proj(self.activation(embedding))[:, :, None, None]
        return self.conv_shortcut(x) + self.conv2(self.activation(self.norm2(h)))


class UNet2DAttention(nn.Module):
    def __init__(self, config: UNet2DConfig, channels: int) -> None:
        super().__init__()
        self.heads = config.heads(channels)
        self.group_norm = _norm(config, channels)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,C,H,W)
        pixels = self.group_norm(x).flatten(2).transpose(1, 2)  # (B,N,C)
        q, k, v = (self._split(layer(pixels)) for layer in (self.to_q, self.to_k, self.to_v))
        attended = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.to_out[0](attended).transpose(1, 2).view_as(x)

    def _split(self, pixels: Tensor) -> Tensor:  # (B,N,C) -> (B,heads,N,C/heads)
        return pixels.unflatten(2, (self.heads, -1)).transpose(1, 2)


class UNet2DDownsample(nn.Sequential):
    """Halves the size by a strided convolution; without padding it adds a row and a column."""

    def __init__(self, config: UNet2DConfig, channels: int) -> None:
        padding = config.downsample_padding
        pad = nn.Identity() if padding else nn.ZeroPad2d((0, 1, 0, 1))
        conv = nn.Conv2d(channels, channels, 3, stride=2, padding=padding)
        super().__init__(OrderedDict(pad=pad, conv=conv))


class DownBlock(nn.Module):
    """A level of the encoder, every output of which is kept for the decoder."""

    def __init__(self, config: UNet2DConfig, level: int) -> None:
        super().__init__()
        widths, width = config.block_out_channels, config.block_out_channels[level]
        inputs = [widths[max(level - 1, 0)], *[width] * (config.layers_per_block - 1)]
        self.resnets = nn.ModuleList(ResnetBlock(config, size, width) for size in inputs)
        self.attentions = _attentions(config, level, len(inputs))
        halves = level < config.levels - 1
        self.downsamplers = nn.ModuleList([UNet2DDownsample(config, width)] if halves else [])

    def forward(self, h: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B,C,H,W), (B,E) -> the last output, and all of them."""
        outputs = []
        for resnet, attend in zip(self.resnets, self.attentions, strict=True):
            h = attend(resnet(h, embedding))
            outputs.append(h)
        for downsample in self.downsamplers:
            h = downsample(h)
            outputs.append(h)
        return h, outputs


class MiddleBlock(nn.Module):
    def __init__(self, config: UNet2DConfig, channels: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([UNet2DAttention(config, channels)])
        self.resnets = nn.ModuleList(ResnetBlock(config, channels, channels) for _ in range(2))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:  # (B,C,H,W), (B,E) -> (B,C,H,W)
        first, last = self.resnets
        return last(self.attentions[0](first(h, embedding)), embedding)


class UpBlock(nn.Module):
    def __init__(self, config: UNet2DConfig, level: int) -> None:
        super().__init__()
        widths, width = config.block_out_channels, config.block_out_channels[level]
        repeated = [width] * config.layers_per_block
        inputs = [widths[min(level + 1, config.levels - 1)], *repeated]
        skips = [*repeated, widths[max(level - 1, 0)]]
        self.resnets = nn.ModuleList(
            ResnetBlock(config, size + skip, width)
            for size, skip in zip(inputs, skips, strict=True)
        )
        self.attentions = _attentions(config, level, len(inputs))
        self.upsamplers = nn.ModuleList([Upsample(width)] if level else [])

    def forward(self, h: Tensor, skips: list[Tensor], embedding: Tensor) -> Tensor:
        """(B,C,H,W), the encoder's outputs that it joins, (B,E) -> (B,C',2H,2W)"""
        for resnet, attend, skip in zip(self.resnets, self.attentions, skips, strict=True):
            h = attend(resnet(torch.cat([h, skip], dim=1), embedding))
        for upsample in self.upsamplers:
            h = upsample(h)
        return h


def _attentions(config: UNet2DConfig, level: int, count: int) -> nn.ModuleList:
    """One after each residual block of a level, the identity where the level has no attention."""
    width, attended = config.block_out_channels[level], level in config.attention_levels
    return nn.ModuleList(
        UNet2DAttention(config, width) if attended else nn.Identity() for _ in range(count)
    )


def _norm(config: UNet2DConfig, channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(config.norm_num_groups, channels, eps=config.norm_eps)
