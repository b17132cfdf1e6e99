"""Guidance of a model that is not ours: one call from x_t to x_0 in, the same call guided out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..autograd import gradients
from ..diffusion.level import Level
from .estimate import estimated
from .gradient import active_terms, slope_at, step_length, unit_length
from .sight import Sight
from .terms import BoundTerm

MAX_RATIO = 160.0  # of noise to picture, as DDPM's table begins; a flow begins at infinity

Predict = Callable[[Tensor], Tensor]
"""x_t (B,C,H,W) -> x_0 as a model predicts it, (B,C,H,W)."""


@dataclass(frozen=True)
class Steering:
    """Moves what a model predicts as its terms ask: the guidance of our samplers, for any other.

    The step is DDIM's under classifier guidance (arXiv 2105.05233, Algorithm 2). With `strength` it
    has the length of `NormalisedGuider`'s instead, which carries over between latent spaces.
    """

    terms: Sequence[BoundTerm]
    sight: Sight
    through_network: bool = False  # or the estimate's slope, without a graph of the model
    strength: float = 0.0

    def __call__(
        self, predict: Predict, x_t: Tensor, level: Level
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """x_0 moved, (B,C,H,W), and each active term's loss by name, one for every row it is shown.

        The caller's inference mode may be on; to go through the network, its parameters must be
        tensors that autograd may save. x_t with a graph, of steering around this one, keeps it.
        """
        active = active_terms(self.terms, level)
        if not active:
            return predict(x_t), {}
        outer, plain = x_t.requires_grad, None if self.through_network else predict(x_t)
        with gradients():
            x_t = x_t.clone() if outer else x_t.detach().clone().requires_grad_()
            pred_x0 = predict(x_t) if plain is None else plain.clone()
            follows = pred_x0 if plain is None else estimated(pred_x0.detach(), x_t, level)
            if not follows.requires_grad:
                raise ValueError(
                    "the model keeps no graph of its prediction, expected one for the gradient "
                    '"network": take the gradient "estimate"'
                )
            losses, slope = slope_at(follows, x_t, level, active, self.sight, keep_graph=outer)
            move = self.move(slope, pred_x0.detach(), level)
            return (pred_x0 if outer else pred_x0.detach()) - move, losses

    def move(self, slope: Tensor, pred_x0: Tensor, level: Level) -> Tensor:
        """How far against the slope (B,C,H,W) of the losses at x_t a step goes."""
        if self.strength:
            return unit_length(slope) * step_length(pred_x0, level, self.strength)
        bound = min(1.0, MAX_RATIO / level.ratio) ** 2 if self.through_network else 1.0
        return slope * (level.reach * bound)
