"""The shape of an ADM U-Net: said outright, or read from the names and sizes of its tensors."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

GROUPS = 32  # of every group normalisation: all widths are multiples of it
PUBLISHED_HEAD_CHANNELS = 64
DEFAULT_NUM_HEADS = 4
PUBLISHED_PARAMETERS = {  # counts; all have 64-channel heads in legacy order, for 256x256 pictures
    554_388_998,  # DiffFace
    552_814_086,  # OpenAI, unconditional
    553_838_086,  # OpenAI, class-conditional
    93_563_910,  # FFHQ and CelebA-HQ
}


@dataclass(frozen=True)
class UNetConfig:
    """What shapes the network. Exactly one of `num_heads` and `head_channels` is set."""

    model_channels: int
    channel_mult: tuple[float, ...]  # width of each level, in units of model_channels
    num_res_blocks: int  # of each level on the way down; one more on the way up
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
        if self.attention_order not in ("legacy", "new"):
            raise ValueError(
                f"attention_order is {self.attention_order!r}: expected 'legacy' or 'new'"
            )
        if any(self.width(level) % GROUPS for level in range(self.levels)):
            raise ValueError(
                f"widths {self.model_channels} x {self.channel_mult} are not all multiples of "
                f"{GROUPS}: choose another model_channels"
            )

    @property
    def levels(self) -> int:
        return len(self.channel_mult)

    @property
    def embedding_channels(self) -> int:
        return 4 * self.model_channels

    def width(self, level: int) -> int:
        return int(self.channel_mult[level] * self.model_channels)

    def heads(self, channels: int) -> int:
        """Number of attention heads at a width."""
        heads = self.num_heads or channels // (self.head_channels or 1)
        if not heads or channels % heads or channels % (self.head_channels or 1):
            raise ValueError(
                f"{channels} channels cannot be split evenly, num_heads is {self.num_heads} and "
                f"head_channels {self.head_channels}: choose a divisor of every attended width"
            )
        return heads


def config_from_state_dict(
    tensors: Mapping[str, Tensor], hints: Mapping[str, Any] | None = None
) -> UNetConfig:
    """The configuration of a network, from the names and shapes of its tensors.

    The names do not tell how attention is split: that comes from `hints` (`num_heads` or
    `head_channels`, and `attention_order`), else from the known networks, else is assumed aloud.
    """
    levels = 1 + sum(_is_upsampler(name) for name in tensors)
    stages = len({name.split(".")[1] for name in tensors if name.startswith("input_blocks.")})
    depth = stages // levels  # blocks of a level: residual blocks and the one that resizes
    first_of_level = [f"input_blocks.{1 + level * depth}" for level in range(levels)]
    widths = [len(tensors[f"{block}.0.out_layers.3.bias"]) for block in first_of_level]
    model_channels = tensors["time_embed.0.weight"].shape[1]
    attended = (f"{block}.1.qkv.weight" in tensors for block in first_of_level)
    return UNetConfig(
        model_channels=model_channels,
        channel_mult=tuple(width / model_channels for width in widths),
        num_res_blocks=depth - 1,
        attention_factors=tuple(2**level for level, found in enumerate(attended) if found),
        resblock_updown=any(_is_resizing_resblock(name) for name in tensors),
        scale_shift_norm=len(tensors["input_blocks.1.0.emb_layers.1.bias"]) == 2 * widths[0],
        identity_channels=_columns(tensors.get("id_embed.0.weight")),
        num_classes=_rows(tensors.get("label_emb.weight")),
        in_channels=tensors["input_blocks.0.0.weight"].shape[1],
        out_channels=len(tensors["out.2.bias"]),
        **_attention(tensors, hints or {}, widths),
    )


def is_published(tensors: Mapping[str, Tensor]) -> bool:
    """Whether it is one of the known networks, by the number of its parameters."""
    return sum(tensor.numel() for tensor in tensors.values()) in PUBLISHED_PARAMETERS


def _is_resizing_resblock(name: str) -> bool:
    """Whether it is the last block of an up level that has residual blocks to resize."""
    path = name.split(".")
    return path[0] == "output_blocks" and path[2] != "0" and name.endswith("in_layers.2.weight")


def _is_upsampler(name: str) -> bool:
    """Whether it is the weight of what ends an up level; all levels but the last have one."""
    convolution = name.startswith("output_blocks.") and name.endswith(".conv.weight")
    return convolution or _is_resizing_resblock(name)


def _rows(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.shape[0]


def _columns(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.shape[1]


def _attention(
    tensors: Mapping[str, Tensor], hints: Mapping[str, Any], widths: list[int]
) -> dict[str, Any]:
    """How attention is split: as hinted, as known, or as assumed with a warning."""
    known = is_published(tensors)
    heads = {key: hints[key] for key in ("num_heads", "head_channels") if hints.get(key)}
    order = hints.get("attention_order")
    if not known and not (heads and order):
        warnings.warn(_assumption(heads or _default_heads(widths), order or "legacy"), stacklevel=3)
    return {**(heads or _default_heads(widths)), "attention_order": order or "legacy"}


def _default_heads(widths: list[int]) -> dict[str, int]:
    if all(width % PUBLISHED_HEAD_CHANNELS == 0 for width in widths):
        return {"head_channels": PUBLISHED_HEAD_CHANNELS}
    return {"num_heads": DEFAULT_NUM_HEADS}


def _assumption(heads: Mapping[str, int], order: str) -> str:
    split = ", ".join(f"{key} {value}" for key, value in heads.items())
    return (
        f"the tensors do not tell how attention is split: assuming {split} in {order} order; "
        "name num_heads or head_channels, and attention_order, where that is wrong"
    )
