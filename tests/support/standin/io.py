"""`comfy_api.latest.io`, as far as the pack uses it: what 0.3.64, the oldest version, knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any


@dataclass
class Input:
    id: str
    display_name: str | None = None
    optional: bool = False
    tooltip: str | None = None
    io_type: str = field(default="", init=False)


@dataclass
class WidgetInput(Input):
    default: Any = None


@dataclass
class NumberInput(WidgetInput):
    min: float | None = None
    max: float | None = None
    step: float | None = None


@dataclass
class IntInput(NumberInput):
    control_after_generate: bool | None = None


@dataclass
class ComboInput(WidgetInput):
    options: list[str] | None = None


@dataclass
class StringInput(WidgetInput):
    multiline: bool = False


@dataclass
class Output:
    id: str | None = None
    display_name: str | None = None
    tooltip: str | None = None
    is_output_list: bool = False
    io_type: str = field(default="", init=False)


def socket(name: str, base: type[Input] = Input) -> Any:
    """A socket type, whose inputs and outputs carry its name."""

    def named(kind: type) -> type:
        def stamp(self: Any, *args: Any, **options: Any) -> None:
            kind.__init__(self, *args, **options)
            self.io_type = name

        return type(kind.__name__, (kind,), {"__init__": stamp})

    return type(name, (), {"io_type": name, "Input": named(base), "Output": named(Output)})


def Custom(io_type: str) -> Any:  # noqa: N802  the host's name
    return socket(io_type)


Image, Mask = socket("IMAGE"), socket("MASK")
Clip, ClipVision = socket("CLIP"), socket("CLIP_VISION")
Model, Vae, Latent, Conditioning = map(socket, ("MODEL", "VAE", "LATENT", "CONDITIONING"))
Noise, Guider, Sampler, Sigmas = map(socket, ("NOISE", "GUIDER", "SAMPLER", "SIGMAS"))
Int, Float = socket("INT", IntInput), socket("FLOAT", NumberInput)
String, Boolean = socket("STRING", StringInput), socket("BOOLEAN", WidgetInput)
Combo = socket("COMBO", ComboInput)


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[Any] = field(default_factory=list)
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False

    def validate(self) -> None:
        """Refuse an id that occurs twice, among inputs, outputs, or both."""
        ids = [each.id for each in (*self.inputs, *self.outputs) if each.id is not None]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"Ids must be unique, but {twice} are not.")


class NodeOutput:
    def __init__(self, *args: Any, ui: Any = None, block_execution: str | None = None) -> None:
        self.args, self.ui, self.block_execution = args, ui, block_execution


class _Locked(type):
    """The class of a node while it executes: no attribute can be set on it."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise AttributeError(f"cannot set {name} on {cls.__name__}: nodes hold no state")


class FolderType(str, Enum):
    output = "output"


class ComfyNode:
    hidden = SimpleNamespace(prompt=None, extra_pnginfo=None)  # the host fills it when executing

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls) -> bool | str:
        return True

    @classmethod
    def GET_SCHEMA(cls) -> Schema:  # noqa: N802  the host's name
        schema = cls.define_schema()
        schema.validate()
        return schema

    @classmethod
    def run(cls, inputs: dict[str, Any]) -> NodeOutput:
        """Execute on a locked copy of the class, and refuse what the host refuses."""
        locked = _Locked(cls.__name__, (cls,), {})
        output = locked.execute(**inputs)
        if not isinstance(output, NodeOutput):
            raise TypeError(f"{cls.__name__} returned {type(output).__name__}, not a NodeOutput")
        return output
