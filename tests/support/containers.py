"""The ways in which people hold the tensors of a network."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn


def _prefixed(network: nn.Module) -> dict[str, torch.Tensor]:
    return {f"module.{name}": tensor for name, tensor in network.state_dict().items()}


CONTAINERS: dict[str, Callable[[nn.Module, Path], None]] = {
    "zip": lambda network, path: torch.save(network.state_dict(), path),
    "legacy": lambda network, path: torch.save(
        network.state_dict(), path, _use_new_zipfile_serialization=False
    ),
    "wrapped": lambda network, path: torch.save({"state_dict": network.state_dict()}, path),
    "prefixed": lambda network, path: torch.save(_prefixed(network), path),
    "pickled module": torch.save,
    "pickled parallel module": lambda network, path: torch.save(
        {"model": nn.DataParallel(network)}, path
    ),
    "safetensors": lambda network, path: save_file(network.state_dict(), path),
}
