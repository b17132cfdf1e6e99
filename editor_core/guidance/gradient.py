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
from ..diffusion.process import Denoiser, GaussianDiffusion, Prediction
from ..diffusion.sampling import GuidedPrediction, Guider, batch_index
from .terms import BoundTerm


@dataclass(frozen=True)
class GradientGuider:
    """A denoiser with the terms that guide it."""

    denoiser: Denoiser
    diffusion: GaussianDiffusion
    terms: Sequence[BoundTerm]

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        """Predict at index t, and differentiate the terms active there to x_t (B,3,H,W)."""
        active = [
            term for term in self.terms if term.scale and term.window.active(t, self.diffusion)
        ]
        if not active:
            return GuidedPrediction(self.predict(x_t, t))
        with gradients():
            x_t = x_t.detach().requires_grad_()
            prediction = self.denoiser(x_t, batch_index(t, x_t))
            # Blended Diffusion: pred_x0 early, ever more x_t as it clears
            share = float(self.diffusion.sqrt_one_minus_alphas_cumprod[t])
            image = share * prediction.pred_x0 + (1 - share) * x_t
            losses, slope = weighted_gradient(active, image.detach())
            (slope,) = torch.autograd.grad(image, x_t, slope)
        detached = {name: value.detach() for name, value in vars(prediction).items()}
        return GuidedPrediction(replace(prediction, **detached), -slope, losses)

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        with torch.no_grad():
            return self.denoiser(x_t, batch_index(t, x_t))


@dataclass(frozen=True)
class NormalisedGuider:
    """Moves every picture's pred_x0 by a share of its own length, whatever the gradient's.

    As the steps of DSG (arXiv 2402.03201) are of a length that the model and the losses do not
    change. A gradient g moves DDIM's pred_x0 by (1 - a) / sqrt(a) g, a = alphas_cumprod.
    """

    guider: Guider
    diffusion: GaussianDiffusion
    strength: float

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        """Predict at index t, with a gradient of that length; none stays none."""
        guided = self.guider(x_t, t)
        if guided.gradient is None:
            return guided
        aim = self.strength * picture_norm(guided.prediction.pred_x0)
        kept = float(self.diffusion.alphas_cumprod[t])
        aim = aim * (kept**0.5 / (1 - kept))
        own = picture_norm(guided.gradient)
        scale = torch.where(own > 0, aim / own, 0)
        return replace(guided, gradient=guided.gradient * scale)

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        return self.guider.predict(x_t, t)


def picture_norm(x: Tensor) -> Tensor:  # (B,C,H,W) -> (B,1,1,1)
    """The Euclidean length of every picture."""
    return torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)


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
