"""What the networks' configurations share: how sizes are read from tensors, and ArcFace's."""

import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from torch import Tensor

ArcFace = TypeVar("ArcFace", bound="ArcFaceConfig")
StateDict = Mapping[str, Tensor]  # under the published names
Hints = Mapping[str, Any]  # what tensors do not tell, by the name of a field

RESNET_STAGES = 4
STRIDE = 2**RESNET_STAGES  # of all stages together, where each halves the size


def count_children(tensors: StateDict, name: str) -> int:
    """How many numbered modules with tensors there are under a name."""
    below = f"{name}."
    return len({key[len(below) :].split(".")[0] for key in tensors if key.startswith(below)})


def resnet_layers(tensors: StateDict, prefix: str = "") -> tuple[int, ...]:
    """How many blocks each stage of a residual network has."""
    stages = range(1, RESNET_STAGES + 1)
    return tuple(count_children(tensors, f"{prefix}layer{index}") for index in stages)


def is_published(tensors: StateDict, parameter_counts: Collection[int]) -> bool:
    """Whether a network has as many parameters as one of the published ones."""
    return count_values(tensors) in parameter_counts


def count_values(tensors: StateDict) -> int:
    """How many numbers all tensors have together."""
    return sum(tensor.numel() for tensor in tensors.values())


def warn_assumed(lacking: str, defaults: Hints, hints: Hints, remedy: str) -> None:
    """Warn of the defaults that are taken because no file and no user gave the values."""
    assumed = ", ".join(f"{key} {value}" for key, value in defaults.items() if key not in hints)
    if assumed:
        warnings.warn(f"{lacking}: assuming {assumed}; {remedy}", stacklevel=4)


def row_sizes(tensors: StateDict, last_convolution: str) -> dict[str, Any]:
    """The fields of an `ArcFaceConfig`, of a network whose blocks stand in one row, `body`."""
    blocks = range(count_children(tensors, "body"))
    all_widths = [len(tensors[f"body.{index}.{last_convolution}.weight"]) for index in blocks]
    widths, layers = zip(*((w, len(list(run))) for w, run in groupby(all_widths)), strict=True)
    embedding, features = tensors["output_layer.3.weight"].shape
    input_size = math.isqrt(features // widths[-1]) * STRIDE
    return {"layers": layers, "widths": widths, "embedding": embedding, "input_size": input_size}


@dataclass(frozen=True)
class ArcFaceConfig:
    """What shapes an improved residual network of ArcFace (Deng et al. 2019)."""

    layers: tuple[int, ...] = (3, 4, 14, 3)  # blocks of each of the four stages
    widths: tuple[int, ...] = (64, 128, 256, 512)  # the stem is as wide as the first stage
    embedding: int = 512
    input_size: int = 112  # pixels, halved by each stage

    def __post_init__(self) -> None:
        if len(self.layers) != RESNET_STAGES or len(self.widths) != RESNET_STAGES:
            raise ValueError(
                f"expected {RESNET_STAGES} layers and widths, got {self.layers} and {self.widths}: "
                "give one number a stage"
            )
        if self.input_size % STRIDE:
            raise ValueError(f"input_size is {self.input_size}: expected a multiple of {STRIDE}")

    @property
    def features(self) -> int:
        """How many values the last stage gives."""
        return self.widths[-1] * (self.input_size // STRIDE) ** 2

    @classmethod
    def from_state_dict(cls: type[ArcFace], tensors: StateDict) -> ArcFace:
        """The configuration of a network, from the names and shapes of its tensors."""
        layers = resnet_layers(tensors)
        stages = range(1, RESNET_STAGES + 1)
        widths = tuple(len(tensors[f"layer{index}.0.conv2.weight"]) for index in stages)
        embedding, features = tensors["fc.weight"].shape
        input_size = math.isqrt(features // widths[-1]) * STRIDE
        return cls(layers, widths, embedding, input_size)
