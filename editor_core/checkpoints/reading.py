"""Reads tensors from safetensors and torch files; nothing in a file is ever executed.

What a file is, its content tells, for names are often wrong. `pickles.py` says why reading pickles
is safe. An error names the file, what is wrong, and what to do.
"""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..autograd import gradients
from ..loading import known_files
from ..loading.known_files import MissingModel
from .errors import CheckpointError as CheckpointError
from .errors import DamagedCheckpoint, UnsafeCheckpoint, UnsupportedCheckpoint, shown
from .state_dicts import unprefixed
from .torch_files import describe

DAMAGE = (  # what reading raises over a file that is cut off, or lies, or is of another kind
    SafetensorError,
    RuntimeError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    ArithmeticError,
    struct.error,
)
MAX_HEADER = 1 << 22  # bytes of a safetensors header; some 100 describe a tensor
HEADER_SIZE = struct.Struct("<Q")


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
    """The tensors of a file, on the CPU, and its metadata with that of `<file>.json` beside it.

    Most tensors are views of the file, read when they are used.
    """
    file = _existing(Path(path))
    with gradients(), _naming(file):
        tensors = _safetensors(file) if _is_safetensors(file) else describe(file).load()
    return Checkpoint(file, unprefixed(tensors), read_metadata(file))


def read_outline(path: str | os.PathLike[str]) -> Checkpoint:
    """As `read_checkpoint`, with tensors on the meta device: names, shapes and types alone."""
    file = _existing(Path(path))
    with gradients(), _naming(file):
        if _is_safetensors(file):
            tensors = {name: tensor.to("meta") for name, tensor in _safetensors(file).items()}
        else:
            tensors = describe(file).outline()
    return Checkpoint(file, unprefixed(tensors), read_metadata(file))


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata in a safetensors file, overridden by that of `<file>.json` beside it."""
    metadata: dict[str, Any] = {}
    if _is_safetensors(path):
        with _naming(path), _open(path) as opened:
            metadata = opened.metadata() or {}
    sidecar = path.with_name(f"{path.name}.json")
    if sidecar.is_file():
        metadata = {**metadata, **_json_object(sidecar, sidecar.read_bytes())}
    return {**metadata, "config": _json_object(path, metadata.get("config", {}))}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MissingModel(f"no model file {path}: put it there ({known_files.describe(path)})")
    return path


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do; its name decides where it begins as no file does."""
    with path.open("rb") as file:
        start = file.read(HEADER_SIZE.size + 1)
    if start.endswith(b"\0\0\0\0{"):
        return True
    return path.suffix == ".safetensors" and not start.startswith((b"PK", b"\x80"))


def _open(path: Path) -> Any:
    with path.open("rb") as file:
        (header,) = HEADER_SIZE.unpack(file.read(HEADER_SIZE.size))
    if header > MAX_HEADER:
        raise ValueError(f"its header of {header:,} bytes is too large")
    return safe_open(path, framework="pt", device="cpu")


def _safetensors(path: Path) -> dict[str, Tensor]:
    with _open(path) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns what goes wrong with a file into an error that names it and says what to do."""
    try:
        yield
    except UnsafeCheckpoint as error:
        raise UnsafeCheckpoint(
            f"{path}: expected tensors alone, got a pickle that {error}: "
            "save the network's state_dict() as safetensors where you trust the pickle"
        ) from error
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from error
    except DAMAGE as error:
        kind = "safetensors" if _is_safetensors(path) else "torch"
        raise DamagedCheckpoint(
            f"{path}: expected a whole {kind} file, got {path.stat().st_size:,} bytes that cannot "
            f"be read ({_reason(error)}): fetch the file again"
        ) from error


def _reason(error: Exception) -> str:
    return shown(str(error).strip().partition(". ")[0] or type(error).__name__)


def _json_object(path: Path, value: Any) -> dict[str, Any]:
    """The object, decoded where it is text."""
    try:
        value = json.loads(value) if isinstance(value, str | bytes) else value
    except ValueError as error:
        value = f"{value[:40]!r} ({error})"
    if not isinstance(value, dict):
        raise DamagedCheckpoint(f"{path}: expected a JSON object, got {value}: mend or remove it")
    return value
