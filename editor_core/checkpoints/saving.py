"""Writes tensors as safetensors, with metadata that says what they are."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..files import StrPath, atomic_write

Header = Mapping[str, str]  # metadata, which safetensors keep as text


def save_model(
    path: StrPath,
    module: nn.Module,
    kind: str,
    config: Mapping[str, Any],
    metadata: Header | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network's state dict as safetensors, whole or not at all.

    Args:
        path: where to write; a file that is there is replaced.
        module: the network.
        kind: what it does: diffusion, identity, parser, gaze, lpips or landmarks.
        config: what JSON can hold: the fields of the network's configuration, and what the loader
            reads besides (`image_size` in pixels, `schedule`, ...).
        metadata: more of it, such as a licence.
        dtype: of the floats in the file.

    Raises:
        ValueError: a value is not finite, or `dtype` cannot hold it.
        OSError: the file cannot be written, or reads other than it was written.
    """
    header = {**(metadata or {}), "kind": kind, "config": json.dumps(config)}
    save_tensors(path, module.state_dict(), header, dtype)


def save_tensors(
    path: StrPath, tensors: Mapping[str, Tensor], header: Header, dtype: torch.dtype | None = None
) -> None:
    """Write tensors, those of floats in `dtype` if one is named, whole or not at all.

    What was written is read back and compared before it takes its place.
    """
    packed = _unshared({name: _packed(name, tensor, dtype) for name, tensor in tensors.items()})
    with atomic_write(path) as part:
        try:
            save_file(packed, part, dict(header))
        except SafetensorError as error:
            raise OSError(f"cannot write {path} ({error}): is there room on the disk?") from error
        if not _reads_back(part, packed, header):
            raise OSError(f"{path} reads other than it was written: is the disk sound?")


def _packed(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    packed = tensor.detach().cpu().contiguous()
    packed = packed.to(dtype) if packed.is_floating_point() else packed
    if not packed.isfinite().all():
        raise ValueError(
            f"{name} has values that {packed.dtype} cannot hold, or none that are finite: "
            "save in full precision, or train the network again"
        )
    return packed


def _unshared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each in memory of its own, as safetensors wants them."""
    users = Counter(tensor.untyped_storage().data_ptr() for tensor in tensors.values())
    return {
        name: tensor.clone() if users[tensor.untyped_storage().data_ptr()] > 1 else tensor
        for name, tensor in tensors.items()
    }


def _reads_back(file: Path, tensors: Mapping[str, Tensor], header: Header) -> bool:
    with safe_open(file, framework="pt", device="cpu") as opened:
        same = opened.metadata() == header and set(opened.keys()) == set(tensors)
        return same and all(
            opened.get_tensor(name).dtype == tensor.dtype
            and torch.equal(opened.get_tensor(name), tensor)
            for name, tensor in tensors.items()
        )
