"""Identity embeddings on disk: one safetensors tensor that says what it is."""

import os

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..files import atomic_write
from .reading import DamagedCheckpoint, UnsupportedCheckpoint, read_checkpoint

NAME = "identity"
LENGTH = 1e-3  # by which a unit vector may miss 1


def save_embedding(path: str | os.PathLike[str], identity: Tensor) -> None:  # (n,E)
    """Write embeddings of unit length, whole or not at all."""
    rows = identity.detach().float().cpu().contiguous()
    with atomic_write(path) as part:
        save_file({NAME: rows}, part, {"kind": "embedding"})


def load_embedding(path: str | os.PathLike[str]) -> Tensor:  # -> (n,E)
    """Embeddings of unit length."""
    tensors = read_checkpoint(path).tensors
    if set(tensors) != {NAME} or tensors[NAME].ndim != 2:
        raise UnsupportedCheckpoint(
            f"{path}: expected one tensor {NAME} (n,E), got {', '.join(sorted(tensors)[:5])}: "
            "choose a file that Save Identity Embedding wrote"
        )
    identity = tensors[NAME].float()
    if not (torch.linalg.vector_norm(identity, dim=1) - 1).abs().max() < LENGTH:
        raise DamagedCheckpoint(f"{path}: expected rows of unit length: save the embedding again")
    return identity
