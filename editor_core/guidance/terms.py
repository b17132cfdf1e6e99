"""The guidance terms: each a loss per picture, with its weight and its window.

A term is made of what it knows before there are pictures (a network, the eyes). `bind` gives it the
batch of a run and returns its loss, which is zero where an edit has what the batch asks for. One
term serves any number of runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..declare import setting, shared
from ..face.clip import ClipEncoder, TextWish
from ..face.expression import expression_of
from ..face.eyes import EyeBoxes
from ..face.gaze import GazeEstimator, GazeGoal
from ..face.identity import IdentityEncoder, identity_distance
from ..face.landmarks import FaceLandmarker
from ..face.parsing import FACE_PARTS, FaceParser, FacePart
from ..images import one_for_each, resize
from ..models.lpips import Lpips
from .batch import EditBatch
from .views import RandomViews, Views
from .windows import ALWAYS, Window

Loss = Callable[[Tensor], Tensor]
"""Pictures (B,3,H,W) in [-1,1] -> (B,), unscaled and differentiable."""


@dataclass(frozen=True)
class TermSettings:
    """How hard a guidance term acts, 0 for not at all, and when."""

    scale: float = setting(
        1.0,
        "How hard this term pulls; 0 leaves it out. More follows it more closely and tears the "
        "picture in the end.",
        low=0.0,
        high=1_000_000.0,
        step=0.1,
    )
    window: Window = ALWAYS


@dataclass(frozen=True, kw_only=True)
class GuidanceTerm(TermSettings, ABC):
    """What a term is: its settings, what it knows, and the loss that it binds to a batch.

    Its `mask` (n or 1,H,W) in [0,1] says where and how much it may move the edit: the loss is of
    the whole picture, its gradient is weighted. Without one it acts everywhere.
    """

    name: ClassVar[str]  # also of its settings in `EditSettings`, and of its series in the metrics
    mask: Tensor | None = None

    @abstractmethod
    def bind(self, batch: EditBatch) -> Loss:
        """The loss of the batch's pictures, one row for each of its candidates.

        Raises:
            ValueError: The batch has not what the term needs, or another number of rows.
        """


@dataclass(frozen=True, kw_only=True)
class IdentityTerm(GuidanceTerm):
    """1 - cos between the face in the mask and the source's identity, mean over random views.

    An `embedding` (n or 1,E) of its own is somebody else's than the batch's source; with a `mask`,
    that person's in one region.
    """

    name: ClassVar[str] = "identity"
    identity: IdentityEncoder
    views: Views = RandomViews()
    embedding: Tensor | None = None

    def bind(self, batch: EditBatch) -> Loss:
        embedding = batch.embedding if self.embedding is None else self.embedding
        if embedding is None:
            raise ValueError("identity guidance needs an embedding, got none: embed the source")
        embedding = one_for_each(embedding, "embeddings", len(batch.target)).to(batch.target.device)
        source, mask = batch.repeated(embedding), batch.repeated(batch.mask)
        encoder, view = self.identity, batch.viewer_of(self.identity)

        def loss(image: Tensor) -> Tensor:
            masked = encoder.normalise(image) * mask  # outside: the colour it takes for 0
            views = self.views(view(masked), batch.generators)
            embedded = embed_views(encoder, views)
            return identity_distance(embedded, source[:, None]).mean(1)

        return loss


@dataclass(frozen=True, kw_only=True)
class ParsingTerm(GuidanceTerm):
    """Mean absolute difference of class scores to the target's, summed over `parts`."""

    name: ClassVar[str] = "parsing"
    parser: FaceParser
    parts: Sequence[FacePart] = FACE_PARTS

    def bind(self, batch: EditBatch) -> Loss:
        target = batch.repeated(batch.parsing_by(self.parser).logits)
        height, width = target.shape[-2:]

        def loss(image: Tensor) -> Tensor:
            difference = self.parser.logits(image, (height, width)) - target
            return difference[:, list(self.parts)].abs().mean((2, 3)).sum(1)

        return loss


@dataclass(frozen=True, kw_only=True)
class GazeTerm(GuidanceTerm):
    """Mean absolute difference of pitch and yaw to the target's, or to those of a goal.

    Summed over what is read. `eyes` are the target's, one row a target, and stay where they are.
    """

    name: ClassVar[str] = "gaze"
    gaze: GazeEstimator
    eyes: EyeBoxes
    goal: GazeGoal = GazeGoal()

    def bind(self, batch: EditBatch) -> Loss:
        left, right = self.eyes.left, self.eyes.right
        if len(left) != len(batch.target):
            raise ValueError(
                f"the eyes are of {len(left)} pictures, there are {len(batch.target)} targets: "
                "crop the eyes of these targets"
            )
        eyes = EyeBoxes(batch.repeated(left), batch.repeated(right), self.eyes.size)
        with torch.no_grad():
            target = self.gaze.estimate(batch.repeated(batch.target), eyes)
        asked = self.goal.asked(target, self.gaze.frame)

        def loss(image: Tensor) -> Tensor:
            return (self.gaze.estimate(image, eyes) - asked).abs().mean(2).sum(1)

        return loss


@dataclass(frozen=True, kw_only=True)
class LpipsTerm(GuidanceTerm):
    """LPIPS distance to the target outside the mask, as in Blended Diffusion (2111.14818)."""

    name: ClassVar[str] = "lpips"
    lpips: Lpips

    def bind(self, batch: EditBatch) -> Loss:
        outside = 1 - batch.repeated(batch.mask)
        with torch.no_grad():
            target = self.lpips.features(batch.repeated(batch.target) * outside)
        return lambda image: self.lpips.distance(self.lpips.features(image * outside), target)


@dataclass(frozen=True, kw_only=True)
class PixelTerm(GuidanceTerm):
    """Mean squared difference to the target over the whole picture."""

    name: ClassVar[str] = "pixel"

    def bind(self, batch: EditBatch) -> Loss:
        target = batch.repeated(batch.target)
        return lambda image: (image - target).square().mean((1, 2, 3))


@dataclass(frozen=True, kw_only=True)
class LightTerm(GuidanceTerm):
    """Mean squared difference of the face's coarse colours to the target's: its light and skin.

    The colours are the mask's means in `cells` x `cells` cells of the picture, each as much as the
    mask covers of it, so that features finer than a cell are free.
    """

    name: ClassVar[str] = "light"
    cells: int = setting(
        8,
        "Cells along the picture's side, of which each has one colour; more holds finer shades.",
        low=1,
        high=64,
    )

    def bind(self, batch: EditBatch) -> Loss:
        target, mask = batch.repeated(batch.target), batch.repeated(batch.mask)
        covered = resize(mask, self.cells)
        weight = covered / covered.sum((2, 3), keepdim=True).clamp(min=1e-6)

        def loss(image: Tensor) -> Tensor:
            colours = resize((image - target) * mask, self.cells) / covered.clamp(min=1e-6)
            return (colours.square() * weight).sum((2, 3)).mean(1)

        return loss


@dataclass(frozen=True, kw_only=True)
class ExpressionTerm(GuidanceTerm):
    """Mean squared distance, in cm of a head, of eyes, brows and mouth to the target's contours.

    They are compared in each head's own axes, see `expression_of`.
    """

    name: ClassVar[str] = "expression"
    landmarks: FaceLandmarker

    def bind(self, batch: EditBatch) -> Loss:
        face = batch.mesh_by(self.landmarks)
        with torch.no_grad():
            target = expression_of(face(batch.repeated(batch.target)))
        return lambda image: (expression_of(face(image)) - target).square().sum(2).mean(1)


@dataclass(frozen=True, kw_only=True)
class BlendshapeTerm(GuidanceTerm):
    """Mean squared difference of blendshapes to those `asked` (n or 1,52), NaN where free."""

    name: ClassVar[str] = "blendshapes"
    landmarks: FaceLandmarker
    asked: Tensor

    def bind(self, batch: EditBatch) -> Loss:
        face = batch.mesh_by(self.landmarks)
        asked = one_for_each(self.asked.to(batch.target), "rows of blendshapes", len(batch.target))
        asked = batch.repeated(asked)
        count = asked.isfinite().sum(1).clamp(min=1)

        def loss(image: Tensor) -> Tensor:
            shown = self.landmarks.blendshapes(face(image))
            return torch.where(asked.isfinite(), shown - asked, 0).square().sum(1) / count

        return loss


@dataclass(frozen=True, kw_only=True)
class TextTerm(GuidanceTerm):
    """How much CLIP's cosine misses of each text's margin, mean over random views.

    A hinge on CLIP's own decision between two texts, so that it is zero for a picture that shows
    what is asked, as the target may already. The views are what keeps guidance by CLIP from
    patterns that only the network takes for it (Blended Diffusion, arXiv 2111.14818).
    """

    name: ClassVar[str] = "text"
    clip: ClipEncoder
    texts: Tensor  # (k,E), what is asked of every picture, from `text_directions`
    margin: float = shared(TextWish, "margin")
    views: Views = RandomViews()

    def bind(self, batch: EditBatch) -> Loss:
        clip = self.clip

        def loss(image: Tensor) -> Tensor:
            views = self.views(resize(image, clip.size), batch.generators)
            embedded = embed_views(clip, views)
            reached = embedded @ self.texts.to(embedded).T  # (B,V,k)
            return (self.margin - reached).relu().mean(1).sum(1)

        return loss


TERMS: tuple[type[GuidanceTerm], ...] = (
    IdentityTerm,
    ParsingTerm,
    GazeTerm,
    PixelTerm,
    LpipsTerm,
    LightTerm,
    ExpressionTerm,
    BlendshapeTerm,
    TextTerm,
)
"""Every kind of term, in the order in which an edit applies them."""


def embed_views(encoder: IdentityEncoder | ClipEncoder, views: Tensor) -> Tensor:
    """The vectors of all views (B,V,3,S,S) of every picture, (B,V,E)."""
    return encoder.embed_view(views.flatten(0, 1)).unflatten(0, views.shape[:2])


@dataclass(frozen=True)
class BoundTerm:
    """A term of a run, as the gradient needs it."""

    name: str
    scale: float
    window: Window
    loss: Loss
    mask: Tensor | None = None  # (B,1,H,W): the weight of its gradient at each pixel


def bind_terms(terms: Iterable[GuidanceTerm], batch: EditBatch) -> list[BoundTerm]:
    """Bind terms to a batch; a bound loss refuses pictures of another one: `ValueError`."""
    return [_bind(term, batch) for term in terms]


def _bind(term: GuidanceTerm, batch: EditBatch) -> BoundTerm:
    loss = _of_batch(term.name, term.bind(batch), len(batch))
    mask = None if term.mask is None else batch.rows_of(term.mask, f"the {term.name} term's mask")
    return BoundTerm(term.name, term.scale, term.window, loss, mask)


def _of_batch(name: str, loss: Loss, rows: int) -> Loss:
    """The loss, for pictures of its own batch alone."""

    def checked(image: Tensor) -> Tensor:
        if len(image) != rows:
            raise ValueError(
                f"the {name} term holds {rows} pictures, the batch has {len(image)}: "
                "bind it to this batch"
            )
        return loss(image)

    return checked
