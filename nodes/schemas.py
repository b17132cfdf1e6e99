"""What schemas are made of: an input or output a line; settings as the core declares them."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..editor_core.declare import Declaration, declared

KINDS: dict[type, Any] = {bool: io.Boolean, int: io.Int, float: io.Float, str: io.String}


def node_schema(node: str, description: str, **facts: Any) -> io.Schema:
    """A schema without the fields that this version of ComfyUI does not know.

    Without a `display_name` the node shows the words of its class's name.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", node)
    known = {field.name for field in fields(io.Schema)}
    named = {"node_id": f"FaceEdit_{node}", "display_name": words, "description": description}
    return io.Schema(**{k: value for k, value in {**named, **facts}.items() if k in known})


def required(socket: type[io.ComfyTypeIO], name: str, help: str) -> io.Input:
    """A socket that must be wired."""
    return socket.Input(name, tooltip=help)


def optional(socket: type[io.ComfyTypeIO], name: str, help: str) -> io.Input:
    """A socket that may be left free."""
    return socket.Input(name, optional=True, tooltip=help)


def output(socket: type[io.ComfyTypeIO], name: str, help: str, **facts: Any) -> io.Output:
    """An output under its name; an id might be that of an input, which old hosts refuse."""
    return socket.Output(display_name=name, tooltip=help, **facts)


def setting_inputs(settings: Any, *names: str, **changes: Any) -> list[io.Input]:
    """Inputs of settings: type, default, bounds, choices and help as they are declared.

    Args:
        settings: A dataclass of settings; of an instance, its values are the defaults.
        names: Of the settings; by default all.
        changes: What these inputs say otherwise, as `optional=True` or another `tooltip`.
    """
    declarations = declared(settings)
    if not isinstance(settings, type):
        declarations = {
            name: replace(each, default=type(each.default)(getattr(settings, name)))
            for name, each in declarations.items()
        }
    return [_make_input(name, declarations[name], changes) for name in names or declarations]


def widget(name: str, default: Any, help: str, **facts: Any) -> io.Input:
    """An input that only a node has: a number, switch, choice or text, as its default is.

    `facts` are those of a `Declaration`, and others of the host's input.
    """
    own = {each.name: facts.pop(each.name) for each in fields(Declaration) if each.name in facts}
    return _make_input(name, Declaration(help, default, **own), facts)


def prefix_input(default: str) -> io.Input:
    """How the names of written files begin."""
    return widget("filename_prefix", default, "Begins the file's name, and may name a folder.")


def file_input(name: str, folders: str, help: str) -> io.Input:
    """A file that ComfyUI finds in some of its folders."""
    return io.Combo.Input(name, options=folder_paths.get_filename_list(folders), tooltip=help)


def seed_input(help: str, high: int = 0xFFFFFFFF) -> io.Input:
    """A seed, which the page can step after every run."""
    return widget("seed", 0, help, low=0, high=high, control_after_generate=True)


def _make_input(name: str, declaration: Declaration, changes: dict[str, Any]) -> io.Input:
    facts: dict[str, Any] = {"default": declaration.default, "tooltip": declaration.help}
    kind = KINDS[type(declaration.default)]
    if declaration.choices:
        kind, facts["options"] = io.Combo, list(declaration.choices)
    elif kind in (io.Int, io.Float):
        facts |= {"min": declaration.low, "max": declaration.high, "step": declaration.step}
    made = kind.Input(name, **facts | changes)
    if declaration.advanced:
        made.advanced = True  # no argument: old hosts do not know it, and do not read it
    return made
