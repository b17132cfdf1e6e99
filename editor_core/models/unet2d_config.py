"""The shape of a diffusers `UNet2DModel`: from its tensors, and from what is written beside it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

PUBLISHED_PARAMETERS = {113_673_219}  # Google's DDPMs of 256x256 pictures
PUBLISHED = {  # how Google's DDPMs are read; of any other it is an assumption
    "attention_head_dim": None,
    "norm_num_groups": 32,
    "norm_eps": 1e-6,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "center_input_sample": False,
}
REQUIRED = {  # what the network is built for; a file that says otherwise is refused
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
    """What shapes the network, in the words of diffusers."""

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
        """Number of attention heads at a width."""
        heads, rest = divmod(channels, self.attention_head_dim or channels)
        if rest:
            raise ValueError(
                f"{channels} channels cannot be split into heads of {self.attention_head_dim}: "
                "choose an attention_head_dim that divides every attended width"
            )
        return heads


def config_from_state_dict(
    tensors: Mapping[str, Tensor], hints: Mapping[str, Any] | None = None
) -> UNet2DConfig:
    """The configuration of a network, from the names and shapes of its tensors.

    What they do not tell comes from `hints`, in the words of diffusers' `config.json`, else from
    the published networks, else is assumed aloud.
    """
    told = hints or {}
    _require_known(told)
    levels = len({name.split(".")[1] for name in tensors if name.startswith("down_blocks.")})
    layers = sum(name.startswith("down_blocks.0.resnets.") for name in tensors if _is_conv1(name))
    attended = (f"down_blocks.{i}.attentions.0.to_q.weight" in tensors for i in range(levels))
    return UNet2DConfig(
        block_out_channels=tuple(
            len(tensors[f"down_blocks.{i}.resnets.0.conv1.bias"]) for i in range(levels)
        ),
        layers_per_block=layers,
        attention_levels=tuple(i for i, found in enumerate(attended) if found),
        in_channels=tensors["conv_in.weight"].shape[1],
        out_channels=len(tensors["conv_out.bias"]),
        **_untold(tensors, told),
    )


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the attention's old names replaced by the present ones."""
    return {_present_name(name): tensor for name, tensor in tensors.items()}


def is_published(tensors: Mapping[str, Tensor]) -> bool:
    """Whether it is one of the known networks, by the number of its parameters."""
    return sum(tensor.numel() for tensor in tensors.values()) in PUBLISHED_PARAMETERS


def _present_name(name: str) -> str:
    path = name.split(".")
    if "attentions" in path and path[-2] in ATTENTION_NAMES:
        path[-2] = ATTENTION_NAMES[path[-2]]
    return ".".join(path)


def _is_conv1(name: str) -> bool:
    return name.endswith(".conv1.weight")


def _require_known(told: Mapping[str, Any]) -> None:
    for key, values in REQUIRED.items():
        if key in told and told[key] not in values:
            known = " or ".join(map(str, values))
            raise ValueError(f"{key} is {told[key]}: expected {known}; choose another U-Net")


def _untold(tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> dict[str, Any]:
    """What the tensors do not tell: as told, as published, or as assumed with a warning."""
    missing = {key: value for key, value in PUBLISHED.items() if key not in told}
    if missing and not is_published(tensors):
        assumed = ", ".join(f"{key} {value}" for key, value in missing.items())
        warnings.warn(
            f"the tensors do not tell all of the network: assuming {assumed}; put its config.json "
            "beside the file, or name what is wrong",
            stacklevel=3,
        )
    return {key: told.get(key, value) for key, value in PUBLISHED.items()}
