"""The ways in which people save the tensors of a network."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def _save_zip(content: Any, path: Path) -> None:
    torch.save(content, path)


def _save_legacy(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _save_newer_pickle(content: Any, path: Path) -> None:
    torch.save(content, path, pickle_protocol=4)


# How tensors by name become a file; torch saves any other content too.
TORCH_SAVERS: dict[str, Callable[[Any, Path], None]] = {
    "zip": _save_zip,
    "legacy": _save_legacy,
    "protocol 4": _save_newer_pickle,
}
SAVERS: dict[str, Callable[[Any, Path], None]] = {**TORCH_SAVERS, "safetensors": save_file}


def _prefixed(network: nn.Module) -> dict[str, Tensor]:
    return {f"module.{name}": tensor for name, tensor in network.state_dict().items()}


# How a network becomes a file.
CONTAINERS: dict[str, Callable[[nn.Module, Path], None]] = {
    "zip": lambda network, path: _save_zip(network.state_dict(), path),
    "legacy": lambda network, path: _save_legacy(network.state_dict(), path),
    "wrapped": lambda network, path: _save_zip({"state_dict": network.state_dict()}, path),
    "prefixed": lambda network, path: _save_zip(_prefixed(network), path),
    "pickled module": _save_zip,
    "pickled parallel module": lambda network, path: _save_zip(
        {"model": nn.DataParallel(network)}, path
    ),
    "safetensors": lambda network, path: save_file(network.state_dict(), path),
}


def assert_same_tensors(got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """The same names in the same order, shapes, types and values."""
    assert list(got) == list(expected)
    for name, values in expected.items():
        assert (got[name].shape, got[name].dtype) == (values.shape, values.dtype), name
        assert got[name].tolist() == values.tolist(), name
