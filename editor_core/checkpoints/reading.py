# ruff: noqa: N818  a name such as MissingModel says that it is an error
"""Reads tensors from safetensors and torch files; nothing in a file is ever executed."""

import json
import os
import pickle
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .known_files import MissingModel, describe

WRAPPERS = ("model_state_dict", "state_dict")  # names under which training scripts put the tensors
DAMAGE = (  # what torch raises over a file that is cut off or no torch file at all
    RuntimeError,
    ValueError,
    LookupError,
    EOFError,
    AttributeError,
    TypeError,
    struct.error,
    pickle.UnpicklingError,
)
FORBIDDEN = re.compile(r"(?:GLOBAL|class) ([\w.]+)")  # torch's word for what a pickle would call


class CheckpointError(ValueError):
    """A model file that cannot be used; the message names the file and what to do."""


class DamagedCheckpoint(CheckpointError):
    """Not a whole safetensors or torch file."""


class UnsafeCheckpoint(CheckpointError):
    """A pickle that holds more than tensors."""


class UnsupportedCheckpoint(CheckpointError):
    """Whole and safe, but of no kind that is known here."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds, and what is said of it."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]

    @property
    def config(self) -> Mapping[str, Any]:
        """What the metadata says of the network; some of it the tensors do not tell."""
        return self.metadata["config"]


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """The tensors of a file, on the CPU, and its metadata with that of `<file>.json` beside it."""
    file = _existing(Path(path))
    if file.suffix == ".safetensors":
        with _open(file) as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    else:
        tensors = _unwrap(file, _load_torch(file))
    return Checkpoint(file, tensors, read_metadata(file))


def read_names(path: Path) -> list[str]:
    """The tensors' names in a safetensors file, without their values."""
    with _open(path) as opened:
        return list(opened.keys())  # the opened file itself cannot be iterated


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata in a safetensors file, overridden by that of `<file>.json` beside it."""
    metadata: dict[str, Any] = {}
    if path.suffix == ".safetensors":
        with _open(path) as opened:
            metadata = opened.metadata() or {}
    sidecar = path.with_name(f"{path.name}.json")
    if sidecar.is_file():
        metadata = {**metadata, **_json_object(sidecar, sidecar.read_bytes())}
    return {**metadata, "config": _json_object(path, metadata.get("config", {}))}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MissingModel(f"no model file {path}: put it there ({describe(path.name)})")
    return path


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except SafetensorError as error:
        raise _damaged(path, "safetensors", error) from error


def _load_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        forbidden = FORBIDDEN.search(str(error))
        if isinstance(error, pickle.UnpicklingError) and forbidden:
            raise UnsafeCheckpoint(
                f"{path}: expected tensors alone, got a pickle that would run {forbidden[1]}: "
                "save the network's state_dict() as safetensors where you trust the pickle"
            ) from error
        raise _damaged(path, "torch", error) from error


def _unwrap(path: Path, loaded: Any) -> dict[str, Tensor]:
    """The state dict, which may stand inside the dictionary of a training script."""
    wrapped = next((loaded[key] for key in WRAPPERS if _has(loaded, key)), loaded)
    if not isinstance(wrapped, Mapping) or not all(map(torch.is_tensor, wrapped.values())):
        raise UnsupportedCheckpoint(
            f"{path}: expected a dictionary of tensors (or one under {' or '.join(WRAPPERS)}), "
            f"got {_contents(wrapped)}: save the network's state_dict() alone"
        )
    return dict(wrapped)


def _has(loaded: Any, key: str) -> bool:
    return isinstance(loaded, Mapping) and key in loaded


def _contents(loaded: Any) -> str:
    if not isinstance(loaded, Mapping):
        return f"a {type(loaded).__name__}"
    return f"a dictionary of {', '.join(map(str, list(loaded)[:5]))}"


def _json_object(path: Path, value: Any) -> dict[str, Any]:
    """The object, decoded where it is text."""
    try:
        value = json.loads(value) if isinstance(value, str | bytes) else value
    except ValueError as error:
        value = f"{value[:40]!r} ({error})"
    if not isinstance(value, dict):
        raise DamagedCheckpoint(f"{path}: expected a JSON object, got {value}: mend or remove it")
    return value


def _damaged(path: Path, kind: str, error: Exception) -> DamagedCheckpoint:
    reason = str(error).strip().partition(". ")[0] or type(error).__name__
    return DamagedCheckpoint(
        f"{path}: expected a whole {kind} file, got {path.stat().st_size:,} bytes that cannot be "
        f"read ({reason[:160]}): fetch the file again"
    )
