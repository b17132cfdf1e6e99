"""The gradient of the guidance terms to x_t, through one pass of the U-Net.

Classifier guidance (arXiv 2105.05233) with the picture-space losses of Blended Diffusion
(arXiv 2111.14818) and DiffFace (arXiv 2212.13344).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..autograd import gradients
from ..diffusion.level import Level
from ..diffusion.process import Denoiser, GaussianDiffusion, Prediction
from ..diffusion.sampling import GuidedPrediction, Guider, batch_index
from ..images import blur
from .sight import Sight, see_pixels
from .terms import BoundTerm

COLOUR_BLUR = 8.0  # sigmas of the blur of brightness


@dataclass(frozen=True)
class GradientGuider:
    """A denoiser with the terms that guide it."""

    denoiser: Denoiser
    diffusion: GaussianDiffusion
    terms: Sequence[BoundTerm]

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        """Predict at index t, and differentiate the terms active there to x_t (B,3,H,W)."""
        level = self.diffusion.level(t)
        active = active_terms(self.terms, level)
        if not active:
            return GuidedPrediction(self.predict(x_t, t))
        with gradients():
            x_t = x_t.detach().requires_grad_()
            prediction = self.denoiser(x_t, batch_index(t, x_t))
            losses, slope = slope_at(prediction.pred_x0, x_t, level, active, see_pixels)
        detached = {name: value.detach() for name, value in vars(prediction).items()}
        return GuidedPrediction(replace(prediction, **detached), -slope, losses)

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        with torch.no_grad():
            return self.denoiser(x_t, batch_index(t, x_t))


@dataclass(frozen=True)
class NormalisedGuider:
    """Moves every picture's pred_x0 by a share of its own length, whatever the gradient's.

    The share is `strength` of what noise is left: as the steps of DSG (arXiv 2402.03201) it ends
    with the noise, so that the finished picture is the network's.
    """

    guider: Guider
    diffusion: GaussianDiffusion
    strength: float

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        """Predict at index t, with a gradient of that length; none stays none."""
        guided = self.guider(x_t, t)
        if guided.gradient is None:
            return guided
        level = self.diffusion.level(t)
        length = step_length(guided.prediction.pred_x0, level, self.strength)
        return replace(guided, gradient=unit_length(guided.gradient) * length * (1 / level.reach))

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        return self.guider.predict(x_t, t)


@dataclass(frozen=True)
class PredictionGuider:
    """Moves pred_x0 itself, several times a step, after one pass of the U-Net without a graph.

    The terms see the prediction as moved so far, without the noise of x_t: gradient descent as in
    Universal Guidance (arXiv 2302.07121, backward guidance). As in MPGD (arXiv 2311.16424) the
    noise that the U-Net saw is kept, so that the next sample goes along with the prediction; else
    DDIM takes back most of a move. All moves of a step together have the length of the one of
    `NormalisedGuider`.
    """

    denoiser: Denoiser
    diffusion: GaussianDiffusion
    terms: Sequence[BoundTerm]
    strength: float
    repeats: int = 1
    smooth: float = 0.0  # sigma of a blur of every move, as a share of the picture's side

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        """Predict at index t, and let the terms active there move the prediction."""
        prediction = self.predict(x_t, t)
        level = self.diffusion.level(t)
        active = active_terms(self.terms, level)
        if not active:
            return GuidedPrediction(prediction)
        length = step_length(prediction.pred_x0, level, self.strength / self.repeats)
        move, losses = torch.zeros_like(x_t), {}
        for _ in range(self.repeats):
            with gradients():
                losses, slope = weighted_gradient(active, (prediction.pred_x0 + move).detach())
            move = move - unit_length(smoothed(slope, self.smooth * x_t.shape[-1])) * length
        moved = self.diffusion.moved(prediction, move, batch_index(t, x_t))
        return GuidedPrediction(moved, None, losses, unmoved=prediction.pred_x0)

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        with torch.no_grad():
            return self.denoiser(x_t, batch_index(t, x_t))


def smoothed(x: Tensor, sigma: float) -> Tensor:  # (B,3,H,W), pixels
    """Blurred, and the colour as much farther than the brightness as eyes are blunter for it."""
    grey = x.mean(1, keepdim=True)
    return blur(grey, sigma) + blur(x - grey, COLOUR_BLUR * sigma)


def active_terms(terms: Sequence[BoundTerm], level: Level) -> list[BoundTerm]:
    """The terms that have a weight at a level."""
    return [term for term in terms if term.scale and term.window.active(level)]


def step_length(pred_x0: Tensor, level: Level, strength: float) -> Tensor:  # -> (B,1,...)
    """How far guidance moves pred_x0 at a level."""
    return strength * level.noise * picture_norm(pred_x0)


def unit_length(x: Tensor) -> Tensor:  # (B,...)
    """Every picture at length 1; one of length 0 stays so."""
    length = picture_norm(x)
    return torch.where(length > 0, x / length, 0)


def picture_norm(x: Tensor) -> Tensor:  # (B,...) -> (B,1,...)
    """The Euclidean length of every picture; a latent may have an axis for time."""
    return torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)


@dataclass(frozen=True)
class IntervalGuider:
    """Guides one step in `every`, counted so that the last step is the first to go without."""

    guider: Guider
    every: int

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        """Predict at index t, with the gradient where it is the step's turn."""
        turn = (t + 1) % self.every == 0
        return self.guider(x_t, t) if turn else GuidedPrediction(self.predict(x_t, t))

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        return self.guider.predict(x_t, t)


def slope_at(
    pred_x0: Tensor,
    x_t: Tensor,
    level: Level,
    terms: Sequence[BoundTerm],
    sight: Sight,
    keep_graph: bool = False,
) -> tuple[dict[str, Tensor], Tensor]:
    """Every term's loss by name, and the gradient of their weighted sum to x_t (B,C,H,W).

    `pred_x0` has a graph to `x_t`: the network's, or that of `estimated`. Past it and a decoder the
    gradient goes with values near 1, since half precision loses small ones.
    """
    seen = sight(pred_x0, x_t, level)
    losses, slope = weighted_gradient(terms, seen.detach())
    _, exponent = torch.frexp(slope.abs().amax())  # powers of two round nothing
    slope = torch.ldexp(slope, -exponent)
    (slope,) = torch.autograd.grad(seen, x_t, slope, retain_graph=keep_graph)
    return losses, torch.ldexp(slope, exponent)


def weighted_gradient(
    terms: Sequence[BoundTerm], image: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Every term's loss (B,) by name, and the gradient of their weighted sum to the image.

    One term after the other, so that there is never more than one term's graph; a loss without a
    graph is measured and has no weight. A second term of a kind is called `name 2`.
    """
    counts: Counter[str] = Counter()
    losses, total, image = {}, torch.zeros_like(image), image.requires_grad_()
    for term in terms:
        loss = term.loss(image)
        if loss.requires_grad:
            (slope,) = torch.autograd.grad(term.scale * loss.sum(), image)
            total += slope if term.mask is None else slope * term.mask
        counts[term.name] += 1
        number = counts[term.name]
        losses[f"{term.name} {number}" if number > 1 else term.name] = loss.detach()
    return losses, total
