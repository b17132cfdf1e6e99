"""The ADM U-Net of guided diffusion (Dhariwal and Nichol 2021), every published form of it.

The identity condition is DiffFace's (Kim et al. 2022): the embedded face is added to the embedded
time step. Parameter names are those of the published files, so they load with `strict=True`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from .unet_config import GROUPS, UNetConfig, config_from_state_dict, is_published

__all__ = ["UNet", "UNetConfig", "config_from_state_dict", "embed_time", "is_published"]

Layer = TypeVar("Layer", bound=nn.Module)
Run = Callable[..., Any]  # (a block, its inputs) -> its output

MAX_PERIOD = 10000  # slowest wave of the time embedding, in steps


def straight(block: Callable[..., Any], *inputs: Any) -> Any:
    """Run a block and keep what its backward pass needs."""
    return block(*inputs)


def recomputed(block: Callable[..., Any], *inputs: Any) -> Any:
    """Run a block and keep its inputs alone: the backward pass runs it again (arXiv 1604.06174)."""
    return checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)


class UNet(nn.Module):
    """Predicts the noise in x_t, and with 6 channels out the variance's interpolation too."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.time_embed = _perceptron(config.model_channels, config.embedding_channels)
        if config.identity_channels is not None:
            self.id_embed = _perceptron(config.identity_channels, config.embedding_channels)
        if config.num_classes is not None:
            self.label_emb = nn.Embedding(config.num_classes, config.embedding_channels)
        self.input_blocks, skips = _down_path(config)
        self.middle_block = _middle(config)
        self.output_blocks = _up_path(config, skips)
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, config.width(0)),
            nn.SiLU(),
            _zeroed(_conv3x3(config.width(0), config.out_channels)),
        )

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        identity: Tensor | None = None,
        label: Tensor | None = None,
        run: Run = straight,
    ) -> Tensor:
        """(B,3,H,W) at model time steps t (B,), identity (B,D), label (B,) -> (B,out,H,W).

        H and W are multiples of 2^(levels - 1). Computes in the precision of its weights and
        answers in that of x. `run` runs each block: `recomputed` saves memory for time.
        """
        self._check_conditions(identity, label)
        dtype = next(self.parameters()).dtype
        embedding = self._embed(t, identity, label, dtype)
        h, skips = x.to(dtype), []
        for block in self.input_blocks:
            h = run(block, h, embedding)
            skips.append(h)
        h = run(self.middle_block, h, embedding)
        for block in self.output_blocks:
            h = run(partial(_joined, block), h, skips.pop(), embedding)
        return self.out(h).to(x.dtype)

    def _embed(
        self, t: Tensor, identity: Tensor | None, label: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
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
                raise ValueError(f"this U-Net takes {expected}, got {got}: pass what it takes")


def _joined(block: nn.Module, h: Tensor, skip: Tensor, embedding: Tensor) -> Tensor:
    return block(torch.cat([h, skip], dim=1), embedding)


def embed_time(t: Tensor, channels: int, shift: float = 0) -> Tensor:
    """Cosines, then sines, of t at geometrically falling frequencies: (B,) -> (B,channels).

    With a `shift` of 1 the last frequency is 1 / MAX_PERIOD, with 0 that would be the next one.
    """
    half = channels // 2
    exponents = torch.arange(half, dtype=torch.float32, device=t.device) / (half - shift)
    angles = t[:, None].float() * torch.exp(-math.log(MAX_PERIOD) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResBlock(nn.Module):
    """Residual block under a condition, which may resize by `resample` on both its ways."""

    def __init__(
        self, config: UNetConfig, channels: int, out_channels: int, resample: nn.Module
    ) -> None:
        super().__init__()
        self.scale_shift = config.scale_shift_norm
        self.resample = resample
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, channels), nn.SiLU(), _conv3x3(channels, out_channels)
        )
        conditioned = 2 * out_channels if self.scale_shift else out_channels
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(config.embedding_channels, conditioned)
        )
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, out_channels),
            nn.SiLU(),
            nn.Identity(),  # dropout's place in the published names
            _zeroed(_conv3x3(out_channels, out_channels)),
        )
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B,C,H,W), (B,E) -> (B,C',H',W')"""
        norm, activation, convolution = self.in_layers
        h = convolution(self.resample(activation(norm(x))))
        h = self._condition(h, self.emb_layers(embedding)[:, :, None, None])
        return self.skip_connection(self.resample(x)) + h

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
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = _zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)"""
        pixels = self.norm(x).flatten(2).mT  # (B,N,C)
        q, k, v = self._split(_at_each(self.qkv, pixels))
        attended = scaled_dot_product_attention(q, k, v)
        merged = attended.transpose(1, 2).flatten(2)
        return x + _at_each(self.proj_out, merged).mT.unflatten(2, x.shape[2:])

    def _split(self, qkv: Tensor) -> tuple[Tensor, ...]:
        """(B,N,3C) -> queries, keys, values (B,heads,N,C/heads), each pixel's numbers together.

        The legacy order of channels is (head, qkv, width), the new one (qkv, head, width).
        """
        order = (self.heads, 3) if self.order == "legacy" else (3, self.heads)
        parts = qkv.unflatten(2, (*order, -1)).unbind(3 if self.order == "legacy" else 2)
        return tuple(part.transpose(1, 2) for part in parts)


def _at_each(convolution: nn.Conv1d, pixels: Tensor) -> Tensor:
    """A convolution of size 1 in the order (B,N,C), which attention's fast kernels ask for."""
    return linear(pixels, convolution.weight[:, :, 0], convolution.bias)


class Downsample(nn.Module):
    """Halves the size by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H/2,W/2)"""
        return self.op(x)


class Upsample(nn.Module):
    """Doubles the size by repeating pixels, then convolves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.repeat = nn.Upsample(scale_factor=2)
        self.conv = _conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,2H,2W)"""
        return self.conv(self.repeat(x))


class Stage(nn.Sequential):
    """Layers in a row; the residual blocks among them take the condition."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # pyright: ignore
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResBlock) else layer(x)
        return x


def _down_path(config: UNetConfig) -> tuple[nn.ModuleList, list[int]]:
    """The encoder, and the width of each of its outputs."""
    width = config.width(0)
    blocks, skips = [Stage(_conv3x3(config.in_channels, width))], [width]
    for level in range(config.levels):
        for _ in range(config.num_res_blocks):
            blocks.append(Stage(*_layers(config, level, width)))
            width = config.width(level)
            skips.append(width)
        if level < config.levels - 1:
            blocks.append(Stage(_downsampler(config, width)))
            skips.append(width)
    return nn.ModuleList(blocks), skips


def _middle(config: UNetConfig) -> Stage:
    width = config.width(config.levels - 1)
    return Stage(
        ResBlock(config, width, width, nn.Identity()),
        Attention(config, width),
        ResBlock(config, width, width, nn.Identity()),
    )


def _up_path(config: UNetConfig, skips: list[int]) -> nn.ModuleList:
    width, blocks, remaining = config.width(config.levels - 1), [], list(skips)
    for level in reversed(range(config.levels)):
        for index in range(config.num_res_blocks + 1):
            layers = _layers(config, level, width + remaining.pop())
            width = config.width(level)
            if level and index == config.num_res_blocks:
                layers.append(_upsampler(config, width))
            blocks.append(Stage(*layers))
    return nn.ModuleList(blocks)


def _layers(config: UNetConfig, level: int, channels: int) -> list[nn.Module]:
    width = config.width(level)
    layers: list[nn.Module] = [ResBlock(config, channels, width, nn.Identity())]
    if 2**level in config.attention_factors:
        layers.append(Attention(config, width))
    return layers


def _downsampler(config: UNetConfig, width: int) -> nn.Module:
    if config.resblock_updown:
        return ResBlock(config, width, width, nn.AvgPool2d(2))
    return Downsample(width)


def _upsampler(config: UNetConfig, width: int) -> nn.Module:
    if config.resblock_updown:
        return ResBlock(config, width, width, nn.Upsample(scale_factor=2))
    return Upsample(width)


def _perceptron(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(channels, out_channels), nn.SiLU(), nn.Linear(out_channels, out_channels)
    )


def _conv3x3(channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 3, padding=1)


def _zeroed(layer: Layer) -> Layer:
    """A residual branch that begins as nothing trains from the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
