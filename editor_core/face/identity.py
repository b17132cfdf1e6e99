"""The identity of a face: a unit vector, whose cosine with another says how alike they are."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..images import ImageSize, imagenet_normalise, resize

SAME_PERSON = 0.6  # identity distance of one person's faces, where an encoder's own is not known


@dataclass(frozen=True)
class IdentityEncoder:
    """An identity network with the input it was trained on: size, levels, resize and template."""

    network: nn.Module
    size: int = 112
    normalise: Callable[[Tensor], Tensor] = imagenet_normalise
    resize: Callable[[Tensor, ImageSize], Tensor] = resize
    template: str = "arcface"  # what its pictures were aligned to, one of TEMPLATES
    same_person: float = SAME_PERSON  # identity distance up to which two faces are one person's

    def embed(self, image: Tensor) -> Tensor:  # (B,3,H,W) in [-1, 1] -> (B,E)
        """The embedding of a whole picture, of unit length."""
        return self.embed_view(self.resize(self.normalise(image), self.size))

    def embed_view(self, view: Tensor) -> Tensor:  # (B,3,size,size) -> (B,E)
        """The embedding, of unit length, of a picture that is normalised and resized already."""
        return F.normalize(self.network(view), dim=1)


@torch.no_grad()
def embed_identity(encoder: IdentityEncoder, image: Tensor) -> Tensor:  # (B,3,H,W) -> (B,E)
    """The identity of every face in [-1, 1], of unit length, without gradient.

    The faces are aligned as those that the encoder was trained on (arXiv 1801.07698).
    """
    return encoder.embed(image)


def average_identity(embeddings: Tensor) -> Tensor:  # (B,E) -> (1,E)
    """One person's identity from several pictures: their mean direction, of unit length."""
    return F.normalize(embeddings.mean(0, keepdim=True), dim=1)


def one_for_each(embedding: Tensor, count: int, name: str) -> Tensor:  # (1 or count,E)
    """The embedding of each of `count` pictures (count,E); one alone serves them all."""
    if len(embedding) not in (1, count):
        raise ValueError(
            f"got {len(embedding)} embeddings for {count} {name}: "
            "give one for all of them, or one for each"
        )
    return embedding.expand(count, -1)


def identity_distance(a: Tensor, b: Tensor) -> Tensor:  # (...,E), (...,E) -> (...)
    """1 - cos of two unit embeddings: 0 for the same face, about 1 for strangers, at most 2.

    Raises:
        ValueError: The embeddings are of different models.
    """
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"one embedding has {a.shape[-1]} numbers, the other {b.shape[-1]}: "
            "make both with the same identity model"
        )
    return 1 - (a * b).sum(-1)
