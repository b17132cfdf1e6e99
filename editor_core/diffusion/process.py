"""Gaussian diffusion over spaced timesteps: forward process, posterior and what a network predicts.

DDPM is arXiv 2006.11239; Improved DDPM (cosine betas, learned range) is arXiv 2102.09672.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..models.unet import UNet
from ..models.unet2d import UNet2D
from .level import Level
from .noise import Normal
from .respacing import spaced_steps

FixedVariance = Literal["large", "small"]
Predicts = Literal["epsilon", "v"]


@dataclass(frozen=True)
class Prediction:
    """p(x_{t-1} | x_t) as a network sees it."""

    mean: Tensor  # (B,3,H,W)
    log_variance: Tensor  # (B,3,H,W) where it is learned, else (B,1,1,1)
    pred_x0: Tensor  # (B,3,H,W)

    @property
    def variance(self) -> Tensor:
        return self.log_variance.exp()


class Denoiser(Protocol):
    """A network with its identity or class already bound in."""

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction: ...  # (B,3,H,W), (B,) spaced indices


@dataclass(frozen=True, eq=False)
class GaussianDiffusion:
    """A schedule of T spaced steps; index t = 0 is the least noised, t = T - 1 the most.

    Tables are float64 on the CPU. Every `t` is a (B,) integer tensor of spaced indices unless it
    says `int`.
    """

    betas: Tensor  # (T,) float64
    timestep_map: Tensor  # (T,) int64: spaced index -> step of the full schedule
    original_steps: int
    time_span: int = 1000  # the timesteps that a network is given run from 0 up to this

    @classmethod
    def linear(cls, steps: int = 1000) -> GaussianDiffusion:
        """Betas from 1e-4 to 0.02 for 1000 steps (DDPM, section 4), scaled for any other number."""
        scale = 1000 / steps
        first, last = scale * 0.0001, scale * 0.02
        step = (last - first) / max(steps - 1, 1)
        return cls._full(torch.arange(steps, dtype=torch.float64) * step + first)

    @classmethod
    def cosine(cls, steps: int = 1000) -> GaussianDiffusion:
        """Squared-cosine alphas_cumprod with betas at most 0.999 (Improved DDPM, eq. 17)."""
        times = (step / steps for step in range(steps + 1))
        alpha_bars = [math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2 for time in times]
        betas = [min(1 - after / before, 0.999) for before, after in pairwise(alpha_bars)]
        return cls._full(torch.tensor(betas, dtype=torch.float64))

    @classmethod
    def counted(cls, betas: Tensor) -> GaussianDiffusion:
        """Any betas, of a network that is given the number of the step itself."""
        return replace(cls._full(betas), time_span=len(betas))

    @classmethod
    def _full(cls, betas: Tensor) -> GaussianDiffusion:
        return cls(betas, torch.arange(len(betas)), len(betas))

    def respaced(self, spec: str) -> GaussianDiffusion:
        """The same process on fewer steps, see `spaced_steps`: "100", "10,10,10" or "ddim25".

        New betas keep alphas_cumprod at the chosen steps (Improved DDPM, eq. 19).
        """
        chosen = torch.tensor(spaced_steps(spec, self.num_timesteps))
        kept = self.alphas_cumprod[chosen]
        betas = 1 - kept / _shifted(kept)
        return replace(self, betas=betas, timestep_map=self.timestep_map[chosen])

    @property
    def num_timesteps(self) -> int:
        return len(self.betas)

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        return torch.cumprod(1 - self.betas, dim=0)

    @cached_property
    def alphas_cumprod_prev(self) -> Tensor:
        return _shifted(self.alphas_cumprod)

    @cached_property
    def sqrt_alphas_cumprod(self) -> Tensor:
        return self.alphas_cumprod.sqrt()

    @cached_property
    def sqrt_one_minus_alphas_cumprod(self) -> Tensor:
        return (1 - self.alphas_cumprod).sqrt()

    @cached_property
    def sqrt_recip_alphas_cumprod(self) -> Tensor:
        return (1 / self.alphas_cumprod).sqrt()

    @cached_property
    def sqrt_recipm1_alphas_cumprod(self) -> Tensor:
        return (1 / self.alphas_cumprod - 1).sqrt()

    @cached_property
    def posterior_variance(self) -> Tensor:
        return self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_log_variance_clipped(self) -> Tensor:
        """Its log; the variance is 0 at t = 0, so that entry repeats the one of t = 1."""
        return self._without_zero(self.posterior_variance).log()

    @cached_property
    def posterior_mean_coef1(self) -> Tensor:
        return self.betas * self.alphas_cumprod_prev.sqrt() / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_mean_coef2(self) -> Tensor:
        return (1 - self.alphas_cumprod_prev) * (1 - self.betas).sqrt() / (1 - self.alphas_cumprod)

    @cached_property
    def _log_variance_range(self) -> tuple[Tensor, Tensor]:
        """The middle of what a network may learn, and how far it may go from there."""
        smallest, largest = self.posterior_log_variance_clipped, self.betas.log()
        return (largest + smallest) / 2, (largest - smallest) / 2

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t from x_0 with this noise (DDPM, eq. 4)."""
        return self.marginal(x0, t).at(noise)

    def marginal(self, x0: Tensor, t: Tensor) -> Normal:
        """q(x_t | x_0) (DDPM, eq. 4)."""
        kept = rows(self.sqrt_alphas_cumprod, t, x0)
        return Normal(kept * x0, rows(self.sqrt_one_minus_alphas_cumprod, t, x0))

    def posterior(self, x0: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q(x_{t-1} | x_t, x_0) (DDPM, eq. 7): mean (B,3,H,W), variance and its log (B,1,1,1)."""
        mean = rows(self.posterior_mean_coef1, t, x0) * x0
        mean = torch.addcmul(mean, rows(self.posterior_mean_coef2, t, x0), x_t)
        log_variance = rows(self.posterior_log_variance_clipped, t, x0)
        return mean, rows(self.posterior_variance, t, x0), log_variance

    def moved(self, prediction: Prediction, move: Tensor, t: Tensor) -> Prediction:
        """The prediction with pred_x0 moved, and the mean that follows from it (DDPM, eq. 7)."""
        mean = prediction.mean + rows(self.posterior_mean_coef1, t, move) * move
        return replace(prediction, mean=mean, pred_x0=prediction.pred_x0 + move)

    def predict_x0(self, x_t: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        """x_0 of which x_t is a sample with this noise (DDPM, eq. 15)."""
        scaled = rows(self.sqrt_recip_alphas_cumprod, t, x_t) * x_t
        noise_scale = rows(self.sqrt_recipm1_alphas_cumprod, t, x_t)
        return torch.addcmul(scaled, noise_scale, epsilon, value=-1)

    def predict_epsilon(self, x_t: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """The noise that lies between x_0 and x_t: `predict_x0` solved for epsilon."""
        scaled = rows(self.sqrt_recip_alphas_cumprod, t, x_t) * x_t
        return (scaled - x0) / rows(self.sqrt_recipm1_alphas_cumprod, t, x_t)

    def predict_v(self, x_t: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """The v that leads from x_t to x_0 (Salimans and Ho 2022, arXiv 2202.00512, section 4).

        Where x_t is x_0 with some noise it is sqrt(a) noise - sqrt(1 - a) x_0, a = alphas_cumprod.
        """
        kept = rows(self.sqrt_alphas_cumprod, t, x_t)
        return (kept * x_t - x0) / rows(self.sqrt_one_minus_alphas_cumprod, t, x_t)

    def predict_x0_from_v(self, x_t: Tensor, t: Tensor, v: Tensor) -> Tensor:
        """x_0 to which this v leads from x_t (Salimans and Ho 2022, appendix D)."""
        kept = rows(self.sqrt_alphas_cumprod, t, x_t)
        return kept * x_t - rows(self.sqrt_one_minus_alphas_cumprod, t, x_t) * v

    def prediction(
        self,
        model_output: Tensor,
        x_t: Tensor,
        t: Tensor,
        clip: bool = False,
        fixed: FixedVariance = "large",
        predicts: Predicts = "epsilon",
    ) -> Prediction:
        """What the output means: 3 channels of epsilon or v, or 6 with a learned variance.

        `clip` holds pred_x0 in [-1, 1]; `fixed` picks the variance where none is learned: beta_t
        ("large") or the posterior's ("small").
        """
        channels = x_t.shape[1]
        noise, values = model_output[:, :channels], model_output[:, channels:]
        decode = {"epsilon": self.predict_x0, "v": self.predict_x0_from_v}[predicts]
        x0 = decode(x_t, t, noise)
        x0 = x0.clamp(-1, 1) if clip else x0
        mean, _, _ = self.posterior(x0, x_t, t)
        if values.shape[1]:
            log_variance = self._learned_log_variance(values, t)
        else:
            log_variance = rows(self._fixed_log_variance(fixed), t, x_t)
        return Prediction(mean, log_variance, x0)

    def _learned_log_variance(self, values: Tensor, t: Tensor) -> Tensor:
        """Between the posterior's log-variance, -1, and beta_t's, 1 (Improved DDPM, eq. 15)."""
        middle, reach = self._log_variance_range
        return torch.addcmul(rows(middle, t, values), rows(reach, t, values), values)

    def _fixed_log_variance(self, kind: FixedVariance) -> Tensor:
        small = self.posterior_log_variance_clipped
        return small if kind == "small" else torch.cat([small[:1], self.betas[1:].log()])

    def model_timesteps(self, t: Tensor) -> Tensor:
        """The (B,) float timesteps a network is given, whatever the schedule's length."""
        return self.timestep_map.to(t.device)[t].float() * (self.time_span / self.original_steps)

    def percent(self, t: int) -> float:
        """How far along the full schedule index t is: 0 at its noisiest step, 1 - 1/N at its last.

        t = -1 stands for the finished picture and gives 1.
        """
        step = -1 if t < 0 else int(self.timestep_map[t])
        return 1 - (step + 1) / self.original_steps

    def level(self, t: int) -> Level:
        """How noisy index t is."""
        kept = float(self.alphas_cumprod[t])
        return Level(math.sqrt(kept), math.sqrt((1 - kept) / kept), self.percent(t), t)

    @staticmethod
    def _without_zero(variance: Tensor) -> Tensor:
        return torch.cat([variance[1:2], variance[1:]]) if len(variance) > 1 else variance


@dataclass(frozen=True)
class UNetDenoiser:
    """A U-Net on a schedule; identity (B,D) and label (B,) are bound for a whole run."""

    network: Callable[..., Tensor]
    diffusion: GaussianDiffusion
    identity: Tensor | None = None
    label: Tensor | None = None
    clip: bool = False
    fixed: FixedVariance = "large"
    predicts: Predicts = "epsilon"

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        timesteps = self.diffusion.model_timesteps(t)
        output = self.network(x_t, timesteps, identity=self.identity, label=self.label)
        return self.diffusion.prediction(output, x_t, t, self.clip, self.fixed, self.predicts)


@dataclass(frozen=True)
class DiffusionModel:
    """A trained U-Net with the full schedule and the picture size (pixels) it was trained for.

    `fixed` is the variance of its steps where it learned none.
    """

    network: UNet | UNet2D
    diffusion: GaussianDiffusion
    image_size: int
    predicts: Predicts = "epsilon"
    fixed: FixedVariance = "large"

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def denoiser(
        self,
        diffusion: GaussianDiffusion,
        identity: Tensor | None = None,
        clip: bool = False,
        low_memory: bool = False,
    ) -> UNetDenoiser:
        """The U-Net on a respaced schedule; identity (B,D) is bound in if the U-Net takes one.

        With `low_memory` a backward pass computes the U-Net's blocks again.
        """
        takes = self.network.config.identity_channels is not None
        bound = identity if takes else None
        network = partial(self.network, recompute=True) if low_memory else self.network
        return UNetDenoiser(
            network, diffusion, bound, clip=clip, fixed=self.fixed, predicts=self.predicts
        )


def _shifted(alphas_cumprod: Tensor) -> Tensor:
    return torch.cat([alphas_cumprod.new_ones(1), alphas_cumprod[:-1]])


def rows(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """table[t] as (B,1,1,1) in the dtype and on the device of `like`."""
    return table.to(like.dtype).to(like.device)[t].view(-1, 1, 1, 1)
