"""Identity embeddings on disk: safetensors of one tensor."""

import torch
from torch import Tensor

from ..files import StrPath
from .errors import DamagedCheckpoint, UnsupportedCheckpoint
from .reading import read_checkpoint
from .saving import save_tensors

TENSOR = "identity"
TOLERANCE = 1e-3  # of the length of a unit vector


def save_embedding(path: StrPath, identity: Tensor) -> None:  # (n,E)
    """Write embeddings of unit length, whole or not at all."""
    save_tensors(path, {TENSOR: identity}, {"kind": "embedding"}, torch.float32)


def load_embedding(path: StrPath) -> Tensor:  # -> (n,E)
    """Embeddings of unit length."""
    tensors = read_checkpoint(path).tensors
    if set(tensors) != {TENSOR} or tensors[TENSOR].ndim != 2:
        raise UnsupportedCheckpoint(
            f"{path}: expected one tensor {TENSOR} (n,E), got {', '.join(sorted(tensors)[:5])}: "
            "choose a file that Save Identity Embedding wrote"
        )
    identity = tensors[TENSOR].float()
    if not ((torch.linalg.vector_norm(identity, dim=1) - 1).abs() < TOLERANCE).all():
        raise DamagedCheckpoint(f"{path}: expected rows of unit length: save the embedding again")
    return identity
