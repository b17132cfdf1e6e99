"""Guidance that knows its networks and not yet its pictures: what presets and graphs are made of.

A chain of these is bound to a scene for every run, so that one chain serves many pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Generator, Tensor

from ..face.eyes import EyeBoxes
from ..face.gaze import GazeEstimator
from ..face.identity import IdentityEncoder
from ..face.parsing import FaceParser, parse_face
from .terms import (
    GazeTerm,
    GuidanceTerm,
    IdentityTerm,
    LpipsTerm,
    ParsingTerm,
    Perceptual,
    PixelTerm,
    Pull,
)
from .views import RandomViews

MakeViews = Callable[[Sequence[Generator]], Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Scene:
    """What terms are bound to: n targets, of each of which `candidates` edits are made."""

    target: Tensor  # (n,3,H,W) in [-1,1]
    mask: Tensor  # (n,1,H,W), 1 where the edit is free
    embedding: Tensor | None  # (n,E) of the sources
    generators: Sequence[Generator]  # one for each of the n x candidates pictures
    candidates: int = 1

    def repeated(self, rows: Tensor) -> Tensor:  # (n,...) -> (n x candidates,...)
        """One row a target as one row a candidate."""
        return rows.repeat_interleave(self.candidates, 0)

    @property
    def repeated_embedding(self) -> Tensor | None:  # (n x candidates,E)
        """The embedding of each candidate's source."""
        return None if self.embedding is None else self.repeated(self.embedding)


class Guidance(Protocol):
    """A term to be, under the term's name."""

    name: ClassVar[str]

    def bind(self, scene: Scene) -> GuidanceTerm:
        """The term, holding what it asks of each picture of the scene."""
        ...


class Unbound(Pull):
    """What all guidance shares: it hands its scale and window on to the term."""

    @property
    def pull(self) -> dict[str, Any]:
        return {"scale": self.scale, "window": self.window}


@dataclass(frozen=True)
class IdentityGuidance(Unbound):
    """Towards the source's identity, seen from random views."""

    name: ClassVar[str] = IdentityTerm.name
    encoder: IdentityEncoder
    views: MakeViews = RandomViews

    def bind(self, scene: Scene) -> IdentityTerm:
        """Asks for the identity that the scene's sources have."""
        embedding, mask = scene.repeated_embedding, scene.repeated(scene.mask)
        if embedding is None:
            raise ValueError("identity guidance needs an embedding, got none: embed the source")
        return IdentityTerm(
            self.encoder, embedding, mask, self.views(scene.generators), **self.pull
        )


@dataclass(frozen=True)
class ParsingGuidance(Unbound):
    """Towards the target's own parts."""

    name: ClassVar[str] = ParsingTerm.name
    parser: FaceParser

    def bind(self, scene: Scene) -> ParsingTerm:
        """Asks for the parts that the parser sees in the targets."""
        seen = parse_face(self.parser, scene.target)
        return ParsingTerm(self.parser, scene.repeated(seen.logits), **self.pull)


@dataclass(frozen=True)
class GazeGuidance(Unbound):
    """Towards the target's gaze; `boxes` are of its eyes, one row a target."""

    name: ClassVar[str] = GazeTerm.name
    estimator: GazeEstimator
    boxes: EyeBoxes

    def bind(self, scene: Scene) -> GazeTerm:
        """Asks for the gaze that the estimator reads in the targets."""
        if len(self.boxes.left) != len(scene.target):
            raise ValueError(
                f"the eyes are of {len(self.boxes.left)} pictures, there are {len(scene.target)} "
                "targets: crop the eyes of these targets"
            )
        left, right = scene.repeated(self.boxes.left), scene.repeated(self.boxes.right)
        boxes = EyeBoxes(left, right, self.boxes.size)
        return GazeTerm.bind(self.estimator, scene.repeated(scene.target), boxes, **self.pull)


@dataclass(frozen=True)
class LpipsGuidance(Unbound):
    """Towards the target outside the mask, as LPIPS sees it."""

    name: ClassVar[str] = LpipsTerm.name
    lpips: Perceptual

    def bind(self, scene: Scene) -> LpipsTerm:
        """Asks for the targets' background."""
        target, mask = scene.repeated(scene.target), scene.repeated(scene.mask)
        return LpipsTerm(self.lpips, target, mask, **self.pull)


@dataclass(frozen=True)
class PixelGuidance(Unbound):
    """Towards the target, pixel by pixel."""

    name: ClassVar[str] = PixelTerm.name

    def bind(self, scene: Scene) -> PixelTerm:
        """Asks for the targets' colours."""
        return PixelTerm(scene.repeated(scene.target), **self.pull)
