"""Finds the network's tensors in what a training script saved: a state dict, or a whole module."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from .errors import UnsupportedCheckpoint, printable
from .pickles import Stub
from .rebuilders import PickledTensor

Value = TypeVar("Value")

WRAPPERS = (  # names under which scripts put the network, the one that is best to use first
    *("params_ema", "ema_state_dict", "model_ema", "ema"),
    *("model_state_dict", "state_dict", "model_state", "params", "model", "net", "network"),
    "module",
)
PREFIXES = re.compile(r"(?:module\.|_orig_mod\.)*")  # of DataParallel and of torch.compile
MODULE_PARTS = ("_parameters", "_buffers", "_modules")  # of a module
MAX_MEMBERS = 50_000  # parameters, buffers and modules of a module
MAX_NAME = 500  # characters


def find_tensors(content: Any) -> dict[str, PickledTensor]:
    """The tensors of the first network in an object of plain data."""
    waiting, seen = [content], set()
    while waiting:
        held = waiting.pop()
        if id(held) in seen:
            continue
        seen.add(id(held))
        if tensors := _network(held):
            return tensors
        waiting.extend(reversed(_wrapped(held)))
    raise UnsupportedCheckpoint(
        "expected a network or a dictionary of tensors (or one under "
        f"{', '.join(WRAPPERS)}), got {_title(content)}: save the network's state_dict() alone"
    )


def unprefixed(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """The tensors without prefixes that all names have and that are no part of the network."""
    prefix = PREFIXES.findall(os.path.commonprefix(list(tensors)))[0]
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def _network(held: Any) -> dict[str, PickledTensor] | None:
    if isinstance(held, Stub) and not held.state.keys().isdisjoint(MODULE_PARTS):
        return _extract(held)
    entries = _entries(held)
    if entries and all(isinstance(value, PickledTensor) for value in entries.values()):
        return entries
    return None


def _entries(held: Any) -> dict[str, Any]:
    held = held.entries if isinstance(held, Stub) else held
    return held if isinstance(held, dict) else {}


def _wrapped(held: Any) -> list[Any]:
    if isinstance(held, list | tuple):
        return list(held)
    entries = _entries(held)
    return [entries[name] for name in WRAPPERS if name in entries]


def _title(content: Any) -> str:
    if isinstance(content, Stub):
        return f"an object of {printable(content.cls)}"
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    return f"a dictionary of {', '.join(map(printable, list(content)[:5]))}"


def _extract(root: Stub) -> dict[str, PickledTensor]:
    """A module's parameters and buffers under the names that its state dict would give them.

    Raises `ValueError` where a member is no tensor, or modules stand in each other without end.
    """
    tensors: dict[str, PickledTensor] = {}
    waiting, members = [("", root)], 0
    while waiting:
        prefix, module = waiting.pop()
        if not isinstance(module, Stub):
            raise ValueError(f"no module stands at {printable(prefix)}")
        members += sum(len(module.state.get(part, ())) for part in MODULE_PARTS)
        if members > MAX_MEMBERS:
            raise ValueError(f"its modules have more than {MAX_MEMBERS:,} members")
        *own, children = (_members(prefix, module, part) for part in MODULE_PARTS)
        tensors.update(_tensors(own))
        waiting.extend((f"{name}.", child) for name, child in reversed(children.items()))
    return tensors


def _members(prefix: str, module: Stub, part: str) -> dict[str, Any]:
    """A module's members under their full names, but for the buffers that it does not save."""
    transient = module.state.get("_non_persistent_buffers_set", set())
    members = {}
    for name, member in module.state.get(part, {}).items():
        if len(prefix) + len(name) > MAX_NAME:
            raise ValueError("its modules stand in each other without end")
        if member is not None and not set.__contains__(transient, name):  # no list: that is slow
            members[f"{prefix}{name}"] = member
    return members


def _tensors(members: Iterable[Mapping[str, Any]]) -> dict[str, PickledTensor]:
    tensors = {name: member for part in members for name, member in part.items()}
    for name, tensor in tensors.items():
        if not isinstance(tensor, PickledTensor):
            raise ValueError(f"its member {printable(name)} is no tensor")
    return tensors
