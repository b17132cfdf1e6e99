"""One row a guidance term: how the tests make it, and what it is asked of.

Every term test walks these rows. A term that is no row here fails `test_every_term_is_a_row`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...editor_core.face.eyes import EyeBoxes
from ...editor_core.guidance.batch import EditBatch
from ...editor_core.guidance.terms import (
    BoundTerm,
    GazeTerm,
    GuidanceTerm,
    IdentityTerm,
    LpipsTerm,
    ParsingTerm,
    PixelTerm,
    bind_terms,
)
from ...editor_core.guidance.views import RandomViews
from .tiny import tiny_encoder, tiny_estimator, tiny_face_estimator, tiny_lpips, tiny_parser

SIZE = 32


def pictures(count: int, seed: int) -> Tensor:  # (count,3,S,S) in [-0.9,0.9], float64
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, SIZE, SIZE, generator=generator, dtype=torch.float64) * 1.8 - 0.9


def face_mask(count: int) -> Tensor:  # (count,1,S,S)
    mask = torch.zeros(count, 1, SIZE, SIZE, dtype=torch.float64)
    mask[:, :, 8:24, 10:22] = 1
    return mask


def eyes(rows: slice) -> EyeBoxes:
    left = torch.tensor([[4, 8, 14, 14], [5, 9, 15, 15], [4, 9, 14, 15]])[rows]
    return EyeBoxes(left, left + torch.tensor([14, 0, 14, 0]), (SIZE, SIZE))


def batch_of(target: Tensor, candidates: int = 1, first: int = 0, **changes: Any) -> EditBatch:
    """A batch whose source is its own target, so that an edit equal to it has all that is asked."""
    count = len(target)
    generators = [torch.Generator().manual_seed(first + k) for k in range(count * candidates)]
    embedding = tiny_encoder().embed(target)
    facts = {"target": target, "mask": face_mask(count), "embedding": embedding, **changes}
    return EditBatch(generators=generators, candidates=candidates, **facts)


def bound_pixel(target: Tensor, **settings: Any) -> BoundTerm:
    """The pixel term of any targets (B,C,H,W), as a guider takes it."""
    batch = EditBatch(target, torch.ones_like(target[:, :1]), None, [])
    return bind_terms([PixelTerm(**settings)], batch)[0]


@dataclass(frozen=True)
class TermRow:
    """A term made for targets `rows` of three, and how it is made to see the whole picture once."""

    name: str
    make: Callable[..., GuidanceTerm]  # (rows, **settings)
    plain: Callable[..., GuidanceTerm] | None = None  # where `make` draws random views
    whole: bool = False  # whether `plain` needs a mask of the whole picture to be zero


def _identity(rows: slice, copies: int = 3, **settings: Any) -> GuidanceTerm:
    return IdentityTerm(identity=tiny_encoder(), views=RandomViews(copies), **settings)


ROWS = (
    TermRow("identity", _identity, lambda rows: _identity(rows, copies=1), whole=True),
    TermRow("parsing", lambda rows, **s: ParsingTerm(parser=tiny_parser(), **s)),
    TermRow("gaze", lambda rows, **s: GazeTerm(gaze=tiny_estimator(), eyes=eyes(rows), **s)),
    TermRow("gaze", lambda rows, **s: GazeTerm(gaze=tiny_face_estimator(), eyes=eyes(rows), **s)),
    TermRow("lpips", lambda rows, **s: LpipsTerm(lpips=tiny_lpips(), **s)),
    TermRow("pixel", lambda rows, **s: PixelTerm(**s)),
)
