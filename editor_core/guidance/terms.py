"""The guidance terms: each a loss per picture, bound once to what it asks of the edit.

A term holds one row for every picture of the batch it guides, and takes pictures in [-1, 1]. Its
loss is unscaled: `scale` says how hard the term pulls, `window` when.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ..diffusion.process import GaussianDiffusion
from ..face.eyes import EyeBoxes
from ..face.gaze import GazeEstimator
from ..face.identity import IdentityEncoder, identity_distance
from ..face.parsing import FACE_PARTS, FaceParser, FacePart


class Window(Protocol):
    def active(self, t: int, diffusion: GaussianDiffusion) -> bool:
        """Whether the term pulls at step `t` of `diffusion`."""
        ...


@dataclass(frozen=True)
class PercentWindow:
    """A share of the full schedule: 0 is pure noise, 1 the finished picture, the end exclusive."""

    start_percent: float = 0.0
    end_percent: float = 1.0

    def active(self, t: int, diffusion: GaussianDiffusion) -> bool:
        """Whether step `t` lies in the window, whatever the respacing."""
        return self.start_percent <= diffusion.percent(t) < self.end_percent


ALWAYS = PercentWindow()


class Perceptual(Protocol):
    """LPIPS, in two halves, so that one of two pictures may be seen once and for all."""

    def features(self, x: Tensor) -> Sequence[Tensor]:  # (B,3,H,W) in [-1, 1]
        """What the pictures look like, layer by layer."""
        ...

    def between(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:  # -> (B,)
        """How unlike pictures of these features look."""
        ...


class GuidanceTerm(Protocol):
    """What the gradient needs of a term; a new term is one class and touches no loop."""

    name: ClassVar[str]

    @property
    def scale(self) -> float: ...

    @property
    def window(self) -> Window: ...

    def loss(self, image: Tensor) -> Tensor:  # (B,3,H,W) -> (B,)
        """How far each picture is from what the term asks; zero where it has it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Pull:
    """How hard and when."""

    scale: float = 1.0
    window: Window = ALWAYS


@dataclass(frozen=True)
class IdentityTerm(Pull):
    """1 - cos between the face in the mask and the source's identity, mean over views."""

    name: ClassVar[str] = "identity"
    encoder: IdentityEncoder
    embedding: Tensor  # (B,E) of the source, unit length
    mask: Tensor  # (B,1,H,W)
    views: Callable[[Tensor], Tensor]  # (B,3,S,S) -> (B,V,3,S,S)

    def loss(self, image: Tensor) -> Tensor:
        _require_rows(self.name, self.embedding, image)
        masked = self.encoder.normalise(image) * self.mask  # outside: the colour it takes for 0
        views = self.views(self.encoder.resize(masked, self.encoder.size))
        embedded = self.encoder.embed_view(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        return identity_distance(embedded, self.embedding[:, None]).mean(1)


@dataclass(frozen=True)
class ParsingTerm(Pull):
    """Mean absolute difference of class scores, summed over the parts that a swap replaces."""

    name: ClassVar[str] = "parsing"
    parser: FaceParser
    target: Tensor  # (B,19,h,w) class scores, compared at this size
    parts: Sequence[FacePart] = FACE_PARTS

    def loss(self, image: Tensor) -> Tensor:
        _require_rows(self.name, self.target, image)
        height, width = self.target.shape[-2:]
        difference = self.parser.logits(image, (height, width)) - self.target
        return difference[:, list(self.parts)].abs().mean((2, 3)).sum(1)


@dataclass(frozen=True)
class GazeTerm(Pull):
    """Mean absolute difference of pitch and yaw, summed over both eyes where each is read."""

    name: ClassVar[str] = "gaze"
    estimator: GazeEstimator
    target: Tensor  # (B,N,2)
    boxes: EyeBoxes

    @classmethod
    def bind(
        cls,
        estimator: GazeEstimator,
        target: Tensor,
        boxes: EyeBoxes,
        *,
        scale: float = 1.0,
        window: Window = ALWAYS,
    ) -> "GazeTerm":  # (B,3,H,W)
        """Asks for the gaze of `target`, whose eyes lie in `boxes` and stay there."""
        with torch.no_grad():
            gaze = estimator.estimate(target, boxes)
        return cls(estimator, gaze, boxes, scale=scale, window=window)

    def loss(self, image: Tensor) -> Tensor:
        _require_rows(self.name, self.boxes.left, image)
        difference = self.estimator.estimate(image, self.boxes) - self.target
        return difference.abs().mean(2).sum(1)


@dataclass(frozen=True)
class LpipsTerm(Pull):
    """LPIPS distance to the target outside the mask, as in Blended Diffusion (2111.14818)."""

    name: ClassVar[str] = "lpips"
    lpips: Perceptual
    target: Tensor  # (B,3,H,W)
    mask: Tensor  # (B,1,H,W), 1 where the edit is free

    def loss(self, image: Tensor) -> Tensor:
        _require_rows(self.name, self.target, image)
        seen = self.lpips.features(image * (1 - self.mask))
        return self.lpips.between(seen, self._asked)

    @cached_property
    def _asked(self) -> Sequence[Tensor]:
        with torch.no_grad():
            return self.lpips.features(self.target * (1 - self.mask))


@dataclass(frozen=True)
class PixelTerm(Pull):
    """Mean squared difference to the target over the whole picture."""

    name: ClassVar[str] = "pixel"
    target: Tensor  # (B,3,H,W)

    def loss(self, image: Tensor) -> Tensor:
        _require_rows(self.name, self.target, image)
        return (image - self.target).square().mean((1, 2, 3))


def _require_rows(name: str, bound: Tensor, image: Tensor) -> None:
    if len(bound) != len(image):
        raise ValueError(
            f"the {name} term holds {len(bound)} pictures, the batch has {len(image)}: "
            "bind it to this batch"
        )
