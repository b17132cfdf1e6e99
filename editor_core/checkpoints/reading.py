"""Reads tensors from safetensors, torch, ONNX and tflite files; nothing in a file is executed.

The content of a file decides what it is, for names are often wrong. `pickles.py` says why reading
pickles is safe. An error names the file, what is wrong, and what to do.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..autograd import gradients
from ..files import StrPath, parse_json, read_json
from .errors import (
    MISFITS,
    DamagedCheckpoint,
    MissingModel,
    UnsafeCheckpoint,
    UnsupportedCheckpoint,
    printable,
)
from .onnx_networks import read_onnx_file
from .state_dicts import unprefixed
from .tflite_files import is_tflite, read_tflite
from .torch_files import read_torch_file

# What reading raises over a file that is cut off, or lies, or is of another kind.
DAMAGE = (*MISFITS, AttributeError, SafetensorError, struct.error)
MAX_HEADER = 1 << 22  # bytes of a safetensors header; some 100 describe a tensor
HEADER_SIZE = struct.Struct("<Q")
ONNX_VERSION = b"\x08"  # the field of it, with which all writers begin
SAFETENSORS, TORCH, ONNX, TFLITE = "safetensors", "torch", "ONNX", "tflite"


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file, and its metadata."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]

    @property
    def config(self) -> Mapping[str, Any]:
        """The metadata on the network itself, such as what its tensors leave open."""
        return self.metadata["config"]


def read_checkpoint(path: StrPath) -> Checkpoint:
    """The tensors of a model file, and its metadata with that of `<path>.json` beside it.

    Args:
        path: a safetensors, torch, ONNX or tflite file, whatever its name.

    Returns:
        Tensors by name, on the CPU, in the precision of the file and without prefixes such as
        `module.`. Most are views of the file, read when they are used. Those of an ONNX file have
        the names of the known network that its graph is; what was quantised or folded is float32.

    Raises:
        MissingModel: there is no such file.
        DamagedCheckpoint: it is cut off, or of no such form.
        UnsafeCheckpoint: its pickle would do more than hold tensors; nothing of it was run.
        UnsupportedCheckpoint: it holds no network, or one in a form that is not read.
    """
    with _model_file(path) as file:
        tensors = READERS[_form(file)](file)
    return Checkpoint(file, unprefixed(tensors), read_metadata(file))


def read_outline(path: StrPath) -> Checkpoint:
    """As `read_checkpoint`, with tensors on the meta device: names, shapes and types alone."""
    with _model_file(path) as file:
        if (form := _form(file)) == TORCH:
            tensors = read_torch_file(file).outline()
        else:
            tensors = {name: tensor.to("meta") for name, tensor in READERS[form](file).items()}
    return Checkpoint(file, unprefixed(tensors), read_metadata(file))


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata in a safetensors file, overridden by that of `<path>.json` beside it."""
    metadata: dict[str, Any] = {}
    if _form(path) == SAFETENSORS:
        with _model_file(path), _open(path) as opened:
            metadata = opened.metadata() or {}
    sidecar = path.with_name(f"{path.name}.json")
    try:
        if sidecar.is_file():
            metadata = {**metadata, **read_json(sidecar)}
        config = metadata.get("config", {})
        text = config if isinstance(config, str) else json.dumps(config)
        return {**metadata, "config": parse_json(text, path)}
    except ValueError as error:
        raise DamagedCheckpoint(str(error)) from error


def _form(path: Path) -> str:
    """What a file is, by how it begins; its name decides where no file begins as it does."""
    if is_tflite(path):
        return TFLITE
    with path.open("rb") as file:
        start = file.read(HEADER_SIZE.size + 1)
    if start.endswith(b"\0\0\0\0{"):
        return SAFETENSORS
    if start.startswith((b"PK", b"\x80")):
        return TORCH
    if start.startswith(ONNX_VERSION):
        return ONNX
    return {".safetensors": SAFETENSORS, ".onnx": ONNX}.get(path.suffix, TORCH)


def _open(path: Path) -> Any:
    with path.open("rb") as file:
        (header,) = HEADER_SIZE.unpack(file.read(HEADER_SIZE.size))
    if header > MAX_HEADER:
        raise ValueError(f"its header of {header:,} bytes is too large")
    return safe_open(path, framework="pt", device="cpu")


def _safetensors(path: Path) -> dict[str, Tensor]:
    with _open(path) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


READERS: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    SAFETENSORS: _safetensors,
    TORCH: lambda path: read_torch_file(path).load(),
    ONNX: read_onnx_file,
    TFLITE: read_tflite,
}


@contextmanager
def _model_file(path: StrPath) -> Iterator[Path]:
    """A model file; what then goes wrong becomes an error that names it and says what to do."""
    file = Path(path)
    if not file.is_file():
        raise MissingModel(f"no model file {file}: put it there")
    try:
        with gradients():
            yield file
    except UnsafeCheckpoint as error:
        raise UnsafeCheckpoint(
            f"{file}: expected tensors alone, got a pickle that {error}: "
            "save the network's state_dict() as safetensors where you trust the pickle"
        ) from error
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{file}: {error}") from error
    except DAMAGE as error:
        form, size = _form(file), file.stat().st_size
        reason = str(error).strip().partition(". ")[0] or type(error).__name__
        raise DamagedCheckpoint(
            f"{file}: expected a whole {form} file, got {size:,} bytes that cannot be read "
            f"({printable(reason)}): fetch the file again"
        ) from error
