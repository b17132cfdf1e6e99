"""Finds the network's tensors in what a training script saved: a state dict, or a whole module."""

import os
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from .errors import UnsupportedCheckpoint, printable
from .pickles import Stub, title
from .rebuilders import PickledTensor

Value = TypeVar("Value")

WRAPPERS = (  # names under which scripts put the network, the one that is best to use first
    *("params_ema", "ema_state_dict", "model_ema", "ema"),
    *("model_state_dict", "state_dict", "model_state", "params", "model", "net", "network"),
    "module",
)
# Of DataParallel, of torch.compile, and of the class in which CVLface wraps its own wrapper.
PREFIXES = re.compile(r"\A(?:module\.|_orig_mod\.|model\.(?=net\.))*")
MODULE_PARTS = ("_parameters", "_buffers", "_modules")  # of a module
MAX_MEMBERS = 50_000  # parameters, buffers and modules of a module
MAX_NAME = 500  # characters


def find_tensors(content: Any) -> dict[str, PickledTensor]:
    """The tensors of the first network in an object of plain data."""
    waiting, visited = [content], set()
    while waiting:
        value = waiting.pop()
        if id(value) in visited:
            continue
        visited.add(id(value))
        if tensors := _network(value):
            return tensors
        waiting.extend(reversed(_wrapped(value)))
    found = title(content)
    if isinstance(content, dict):
        found = f"a dictionary of {', '.join(map(printable, list(content)[:5]))}"
    raise UnsupportedCheckpoint(
        f"expected a network or a dictionary of tensors (or one under {', '.join(WRAPPERS)}), "
        f"got {found}: save the network's state_dict() alone"
    )


def unprefixed(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """The tensors without prefixes that all names have and that are no part of the network."""
    prefix = PREFIXES.findall(os.path.commonprefix(list(tensors)))[0]
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def _network(value: Any) -> dict[str, PickledTensor] | None:
    """The tensors of a module or of a dictionary that holds nothing else."""
    if isinstance(value, Stub) and not value.state.keys().isdisjoint(MODULE_PARTS):
        return _extract(value)
    entries = _entries(value)
    return entries if all(isinstance(entry, PickledTensor) for entry in entries.values()) else None


def _entries(value: Any) -> dict[str, Any]:
    value = value.entries if isinstance(value, Stub) else value
    return value if isinstance(value, dict) else {}


def _wrapped(value: Any) -> list[Any]:
    """The values among which a network may be: members, or entries under one of `WRAPPERS`."""
    if isinstance(value, list | tuple):
        return list(value)
    entries = _entries(value)
    return [entries[name] for name in WRAPPERS if name in entries]


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
        parameters, buffers, children = (_members(prefix, module, part) for part in MODULE_PARTS)
        for name, tensor in {**parameters, **buffers}.items():
            if not isinstance(tensor, PickledTensor):
                raise ValueError(f"its member {printable(name)} is no tensor")
            tensors[name] = tensor
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
