from dataclasses import dataclass
from enum import Enum
from typing import Any

class Input:
    id: str
    io_type: str
    optional: bool
    tooltip: str | None
    advanced: bool | None
    def __init__(self, id: str, *, optional: bool = False, **facts: Any) -> None: ...

class Output:
    id: str | None
    io_type: str
    display_name: str | None
    tooltip: str | None
    def __init__(
        self, id: str | None = None, *, display_name: str | None = None, **facts: Any
    ) -> None: ...

class ComfyTypeIO:
    Input: type[Input]
    Output: type[Output]

def Custom(io_type: str) -> type[ComfyTypeIO]: ...

class Image(ComfyTypeIO): ...
class Mask(ComfyTypeIO): ...
class Clip(ComfyTypeIO): ...
class ClipVision(ComfyTypeIO): ...
class Int(ComfyTypeIO): ...
class Float(ComfyTypeIO): ...
class String(ComfyTypeIO): ...
class Boolean(ComfyTypeIO): ...
class Combo(ComfyTypeIO): ...

@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = ...
    outputs: list[Output] = ...
    description: str = ""
    is_output_node: bool = False

class NodeOutput:
    args: tuple[Any, ...]
    def __init__(self, *args: Any, ui: Any = None, block_execution: str | None = None) -> None: ...

class FolderType(str, Enum):
    output = "output"

class HiddenHolder:
    prompt: Any
    extra_pnginfo: dict[str, Any] | None

class ComfyNode:
    hidden: HiddenHolder
    @classmethod
    def define_schema(cls) -> Schema: ...
    @classmethod
    def GET_SCHEMA(cls) -> Schema: ...
    @classmethod
    def execute(cls, *args: Any, **kwargs: Any) -> NodeOutput: ...
    @classmethod
    def validate_inputs(cls, *args: Any, **kwargs: Any) -> bool | str: ...
    @classmethod
    def fingerprint_inputs(cls, *args: Any, **kwargs: Any) -> Any: ...
