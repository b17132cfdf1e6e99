"""What the published implementation does at each step, to be measured beside ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...editor_core.diffusion.process import Denoiser, GaussianDiffusion, Prediction
from ...editor_core.diffusion.sampling import GuidedPrediction
from ...editor_core.guidance.gradient import GradientGuider
from ...editor_core.guidance.terms import BoundTerm
from ...editor_core.models.blocks import run_block
from ...editor_core.models.unet import Attention, UNet


@dataclass(frozen=True)
class NaiveGuider:
    """Predicts for the step, again for the gradient, and binds the terms at every step."""

    denoiser: Denoiser
    diffusion: GaussianDiffusion
    bind: Callable[[], Sequence[BoundTerm]]

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        """Predict at index t, with the gradient of the terms."""
        prediction = self.predict(x_t, t)
        guided = GradientGuider(self.denoiser, self.diffusion, self.bind())(x_t, t)
        return replace(guided, prediction=prediction)

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        """Predict at index t without a graph."""
        return GradientGuider(self.denoiser, self.diffusion, []).predict(x_t, t)


class PlainAttention(nn.Module):
    """Attention with its matrix written out, computed again by the backward pass."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)"""
        return run_block(self._attend, x, recompute=True)

    def _attend(self, x: Tensor) -> Tensor:
        own = self.attention
        pixels = x.flatten(2)
        qkv = own.qkv(own.norm(pixels)).unflatten(1, (own.heads, 3, -1))
        q, k, v = qkv.unbind(2)  # (B,heads,C/heads,N)
        weights = (q.mT @ k / q.shape[2] ** 0.5).softmax(3)
        merged = (v @ weights.mT).reshape_as(pixels)
        return (pixels + own.proj_out(merged)).view_as(x)


def to_plain_unet(network: UNet) -> UNet:
    """The U-Net with plain attention (its channels in legacy order), in the ordinary layout."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Attention):
                setattr(module, name, PlainAttention(child))
    return network.to(memory_format=torch.contiguous_format)
