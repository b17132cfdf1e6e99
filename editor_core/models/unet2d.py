"""The unconditional U-Net of DDPM (Ho et al. 2020) as the diffusers library publishes it.

Parameter names are those of its `UNet2DModel`, so that published files load with `strict=True`.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from .unet import Run, Upsample, embed_time, straight
from .unet2d_config import UNet2DConfig, config_from_state_dict, is_published, renamed

__all__ = ["UNet2D", "UNet2DConfig", "config_from_state_dict", "is_published", "renamed"]


class UNet2D(nn.Module):
    """Predicts the noise in x_t, or v, by the training; it knows no identity and no class."""

    def __init__(self, config: UNet2DConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.model_channels, config.block_out_channels[-1]
        self.conv_in = _conv3x3(config.in_channels, first)
        self.time_embedding = TimeEmbedding(config)
        self.down_blocks, skips = _down_path(config)
        self.mid_block = MiddleBlock(config, last)
        self.up_blocks = _up_path(config, skips)
        self.conv_norm_out = _norm(config, first)
        self.conv_out = _conv3x3(first, config.out_channels)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        identity: Tensor | None = None,
        label: Tensor | None = None,
        run: Run = straight,
    ) -> Tensor:
        """(B,3,H,W) at model time steps t (B,) -> (B,out,H,W); there must be no condition.

        H and W are multiples of 2^(levels - 1). Computes in the precision of its weights and
        answers in that of x. `run` runs each block: `recomputed` saves memory for time.
        """
        if identity is not None or label is not None:
            raise ValueError("this U-Net takes no identity and no label: pass none")
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
        return self.conv_out(nn.functional.silu(self.conv_norm_out(h))).to(x.dtype)


class TimeEmbedding(nn.Module):
    """Waves of the time step through a perceptron."""

    def __init__(self, config: UNet2DConfig) -> None:
        super().__init__()
        self.channels = config.model_channels
        self.shift, self.cosines_first = config.freq_shift, config.flip_sin_to_cos
        self.linear_1 = nn.Linear(self.channels, config.embedding_channels)
        self.linear_2 = nn.Linear(config.embedding_channels, config.embedding_channels)

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B,E)"""
        waves = embed_time(t, self.channels, self.shift).to(self.linear_1.weight.dtype)
        ordered = waves if self.cosines_first else waves.roll(self.channels // 2, 1)
        return self.linear_2(nn.functional.silu(self.linear_1(ordered)))


class ResnetBlock(nn.Module):
    """Residual block to which the embedded time step is added."""

    def __init__(self, config: UNet2DConfig, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = _norm(config, channels)
        self.conv1 = _conv3x3(channels, out_channels)
        self.time_emb_proj = nn.Linear(config.embedding_channels, out_channels)
        self.norm2 = _norm(config, out_channels)
        self.conv2 = _conv3x3(out_channels, out_channels)
        same = channels == out_channels
        self.conv_shortcut = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B,C,H,W), (B,E) -> (B,C',H,W)"""
        h = self.conv1(self.activation(self.norm1(x)))
        h = h + self.time_emb_proj(self.activation(embedding))[:, :, None, None]
        return self.conv_shortcut(x) + self.conv2(self.activation(self.norm2(h)))


class Attention(nn.Module):
    """Self-attention over all pixels, as a residual."""

    def __init__(self, config: UNet2DConfig, channels: int) -> None:
        super().__init__()
        self.heads = config.heads(channels)
        self.group_norm = _norm(config, channels)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)"""
        pixels = self.group_norm(x).flatten(2).transpose(1, 2)  # (B,N,C)
        q, k, v = (self._split(layer(pixels)) for layer in (self.to_q, self.to_k, self.to_v))
        attended = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.to_out[0](attended).transpose(1, 2).view_as(x)

    def _split(self, pixels: Tensor) -> Tensor:  # (B,N,C) -> (B,heads,N,C/heads)
        return pixels.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Downsample(nn.Module):
    """Halves the size by a strided convolution; without padding it reads one row beyond the end."""

    def __init__(self, config: UNet2DConfig, channels: int) -> None:
        super().__init__()
        self.padding = config.downsample_padding
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=self.padding)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H/2,W/2)"""
        return self.conv(x if self.padding else pad(x, (0, 1, 0, 1)))


class DownBlock(nn.Module):
    """A level of the encoder, every output of which is kept for the decoder."""

    def __init__(self, config: UNet2DConfig, level: int, channels: int) -> None:
        super().__init__()
        width = config.block_out_channels[level]
        inputs = [channels, *[width] * (config.layers_per_block - 1)]
        self.resnets = nn.ModuleList(ResnetBlock(config, size, width) for size in inputs)
        self.attentions = _attentions(config, level, len(inputs))
        halves = level < config.levels - 1
        self.downsamplers = nn.ModuleList([Downsample(config, width)] if halves else [])

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
    """Attention between two residual blocks."""

    def __init__(self, config: UNet2DConfig, channels: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([Attention(config, channels)])
        self.resnets = nn.ModuleList(ResnetBlock(config, channels, channels) for _ in range(2))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """(B,C,H,W), (B,E) -> (B,C,H,W)"""
        first, last = self.resnets
        return last(self.attentions[0](first(h, embedding)), embedding)


class UpBlock(nn.Module):
    """A level of the decoder."""

    def __init__(
        self, config: UNet2DConfig, level: int, channels: int, skip_channels: list[int]
    ) -> None:
        super().__init__()
        width = config.block_out_channels[level]
        inputs = [channels, *[width] * (len(skip_channels) - 1)]
        self.resnets = nn.ModuleList(
            ResnetBlock(config, size + skip, width)
            for size, skip in zip(inputs, skip_channels, strict=True)
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


def _down_path(config: UNet2DConfig) -> tuple[nn.ModuleList, list[int]]:
    """The encoder, and the width of each of its outputs, that of the first convolution before."""
    width, blocks = config.block_out_channels[0], []
    skips = [width]
    for level in range(config.levels):
        blocks.append(DownBlock(config, level, width))
        width = config.block_out_channels[level]
        halves = level < config.levels - 1
        skips += [width] * (config.layers_per_block + halves)
    return nn.ModuleList(blocks), skips


def _up_path(config: UNet2DConfig, skips: list[int]) -> nn.ModuleList:
    width, blocks, remaining = config.block_out_channels[-1], [], list(skips)
    for level in reversed(range(config.levels)):
        taken = [remaining.pop() for _ in range(config.layers_per_block + 1)]
        blocks.append(UpBlock(config, level, width, taken))
        width = config.block_out_channels[level]
    return nn.ModuleList(blocks)


def _attentions(config: UNet2DConfig, level: int, count: int) -> nn.ModuleList:
    """One after each residual block of a level, which does nothing where there is none."""
    width, attended = config.block_out_channels[level], level in config.attention_levels
    return nn.ModuleList(
        Attention(config, width) if attended else nn.Identity() for _ in range(count)
    )


def _norm(config: UNet2DConfig, channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(config.norm_num_groups, channels, eps=config.norm_eps)


def _conv3x3(channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 3, padding=1)
