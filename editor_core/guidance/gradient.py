"""The gradient of the guidance terms to x_t, through one pass of the U-Net.

Classifier guidance (arXiv 2105.05233) with the picture-space losses of Blended Diffusion
(arXiv 2111.14818) and DiffFace (arXiv 2212.13344).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..autograd import gradients
from ..diffusion.process import Denoiser, GaussianDiffusion, Prediction
from ..diffusion.sampling import Guided, GuidedDenoiser, batch_index
from .terms import GuidanceTerm


@dataclass(frozen=True)
class Guide:
    """A denoiser with the terms that steer it."""

    denoiser: Denoiser
    diffusion: GaussianDiffusion
    terms: Sequence[GuidanceTerm]

    def __call__(self, x_t: Tensor, t: int) -> Guided:
        """Predict at index t, and differentiate the terms active there to x_t (B,3,H,W)."""
        active = [term for term in self.terms if term.scale and self._reaches(term, t)]
        if not active:
            return Guided(self.predict(x_t, t))
        with gradients():
            x_t = x_t.detach().requires_grad_()
            prediction = self.denoiser(x_t, batch_index(t, x_t))
            seen = self._seen(prediction.pred_x0, x_t, t)
            losses, slope = _slope(active, seen.detach())
            (slope,) = torch.autograd.grad(seen, x_t, slope)
        return Guided(_detached(prediction), -slope, _named(losses))

    def _reaches(self, term: GuidanceTerm, t: int) -> bool:
        return term.window.active(t, self.diffusion)

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        with torch.no_grad():
            return self.denoiser(x_t, batch_index(t, x_t))

    def _seen(self, pred_x0: Tensor, x_t: Tensor, t: int) -> Tensor:
        """What the terms look at: pred_x0 early, ever more x_t as it clears (Blended Diffusion)."""
        share = float(self.diffusion.sqrt_one_minus_alphas_cumprod[t])
        return share * pred_x0 + (1 - share) * x_t


@dataclass(frozen=True)
class EveryNth:
    """Guides one step in `every`, counted so that the last step is the first to go without."""

    guide: GuidedDenoiser
    every: int

    def __call__(self, x_t: Tensor, t: int) -> Guided:
        """Predict at index t, with the gradient where it is the step's turn."""
        turn = (t + 1) % self.every == 0
        return self.guide(x_t, t) if turn else Guided(self.predict(x_t, t))

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        return self.guide.predict(x_t, t)


def _slope(
    terms: Sequence[GuidanceTerm], seen: Tensor
) -> tuple[list[tuple[GuidanceTerm, Tensor]], Tensor]:
    """Every term's loss (B,), and the gradient of their weighted sum to what they see (B,3,H,W).

    One term after the other, so that there is never more than one term's graph; a loss without one
    is only measured.
    """
    losses, total, seen = [], torch.zeros_like(seen), seen.requires_grad_()
    for term in terms:
        loss = term.loss(seen)
        if loss.requires_grad:
            total += torch.autograd.grad(term.scale * loss.sum(), seen)[0]
        losses.append((term, loss.detach()))
    return losses, total


def _named(losses: Sequence[tuple[GuidanceTerm, Tensor]]) -> dict[str, Tensor]:
    """Losses by their term's name; a second term of a kind is `name 2`."""
    values: dict[str, Tensor] = {}
    for term, loss in losses:
        count = sum(name.split()[0] == term.name for name in values)
        values[f"{term.name} {count + 1}" if count else term.name] = loss
    return values


def _detached(prediction: Prediction) -> Prediction:
    return replace(prediction, **{k: v.detach() for k, v in vars(prediction).items()})
