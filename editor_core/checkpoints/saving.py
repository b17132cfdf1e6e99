"""Writes a network as safetensors that say what they are."""

import json
import os
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from ..files import atomic_write


def save_model(
    path: str | os.PathLike[str],
    module: nn.Module,
    kind: str,
    config: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write the state dict in `dtype`, whole or not at all.

    `kind` is one of diffusion, identity, parser, gaze, lpips. `config` is what JSON can hold: the
    fields of the network's configuration, and what the loader reads besides (`image_size`, ...).
    """
    tensors = {name: _packed(name, t, dtype) for name, t in module.state_dict().items()}
    header = {**(metadata or {}), "kind": kind, "config": json.dumps(config)}
    with atomic_write(path) as part:
        try:
            save_file(tensors, part, header)
        except SafetensorError as error:
            raise OSError(f"cannot write {path} ({error}): is there room on the disk?") from error


def _packed(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    packed = tensor.detach().cpu().contiguous()
    packed = packed.to(dtype) if packed.is_floating_point() else packed
    if not packed.isfinite().all():
        raise ValueError(
            f"{name} has values that {dtype} cannot hold, or none that are finite: "
            "save in torch.float32, or train the network again"
        )
    return packed
