"""Guidance without the U-Net's Jacobian: the gradient is taken at the predicted x_0 and moves it.

Manifold preserving guidance (He et al., ICLR 2024, arXiv 2311.16424): no graph and no backward pass
through the U-Net. Another result than the true gradient's, for about half the cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..diffusion.level import Level
from ..diffusion.process import Denoiser, GaussianDiffusion, Prediction


@dataclass(frozen=True)
class Estimate:
    """A denoiser whose pred_x0 follows x_t as `estimated` says, whatever its network."""

    denoiser: Denoiser
    diffusion: GaussianDiffusion

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:  # (B,3,H,W), (B,)
        """The denoiser's own prediction, without a graph through it."""
        with torch.no_grad():
            prediction = self.denoiser(x_t, t)
        level = self.diffusion.level(int(t[0]))
        return replace(prediction, pred_x0=estimated(prediction.pred_x0, x_t, level))


def estimated(pred_x0: Tensor, x_t: Tensor, level: Level) -> Tensor:  # (B,C,H,W)
    """A prediction that follows x_t with the slope of Gaussian data of unit variance.

    DDIM then moves it by 1 - alphas_cumprod times the gradient taken there.
    """
    return pred_x0 + level.slope * (x_t - x_t.detach())
