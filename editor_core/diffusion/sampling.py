"""Ancestral sampling (DDPM, arXiv 2006.11239) and DDIM (arXiv 2010.02502), guided and blended.

The samplers know a guider, noise, a blend and a callback; guidance enters as in classifier guidance
(arXiv 2105.05233): Algorithm 1 shifts DDPM's mean, Algorithm 2 corrects DDIM's score.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from .level import Level
from .noise import Noise, Normal
from .process import GaussianDiffusion, Prediction, rows


@dataclass(frozen=True)
class GuidedPrediction:
    """A prediction and the direction (B,3,H,W) that lowers the guidance terms, None without any.

    `losses` holds each active term's loss, (B,) by name, unscaled. Where guidance moved the
    prediction itself, `unmoved` is its pred_x0 (B,3,H,W) before, whose noise DDIM keeps.
    """

    prediction: Prediction
    gradient: Tensor | None = None
    losses: dict[str, Tensor] = field(default_factory=dict)
    unmoved: Tensor | None = None


class Guider(Protocol):
    """A denoiser with the gradient of the terms that guide it."""

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction: ...

    def predict(self, x_t: Tensor, t: int) -> Prediction: ...  # where guidance would be discarded


@dataclass(frozen=True)
class StepResult:
    """What a step of a sampler computes."""

    sample: Normal  # of x_{t-1}
    pred_x0: Tensor  # (B,3,H,W)
    losses: dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """What a callback is given after each step; it may raise to end the run."""

    index: int  # 0 at the first step taken
    total: int
    t: int
    sample: Tensor  # (B,3,H,W), blended
    pred_x0: Tensor  # (B,3,H,W)
    losses: dict[str, Tensor]


Blend = Callable[[Normal, int], Normal]
"""(x_{t-1} of the step at index t, t) -> x_{t-1} with something else blended in."""

StepCallback = Callable[[Step], object]


Sampler = Callable[..., Tensor]
"""From x_t at index `start` to the last step's pred_x0, (B,3,H,W) -> (B,3,H,W)."""


def sample_ddpm(
    guider: Guider,
    diffusion: GaussianDiffusion,
    x_t: Tensor,
    start: int,
    *,
    noise: Noise,
    blend: Blend | None = None,
    recurrence: int = 1,
    on_step: StepCallback | None = None,
) -> Tensor:
    """Ancestral sampling, a `Sampler`.

    The last step predicts without guidance, which would only move the sample that is discarded.
    """

    def step(x_t: Tensor, t: int) -> StepResult:
        guided = guider(x_t, t) if t > 0 else GuidedPrediction(guider.predict(x_t, t))
        sample = ddpm_step(guided, batch_index(t, x_t))
        return StepResult(sample, guided.prediction.pred_x0, guided.losses)

    again = Recurrence(diffusion, recurrence)
    return run_steps(step, x_t, start, noise, blend, on_step, again)


def sample_ddim(
    guider: Guider,
    diffusion: GaussianDiffusion,
    x_t: Tensor,
    start: int,
    *,
    noise: Noise,
    blend: Blend | None = None,
    eta: float = 0.0,
    recurrence: int = 1,
    on_step: StepCallback | None = None,
) -> Tensor:
    """DDIM, a `Sampler`; eta 0 is deterministic, eta 1 as noisy as DDPM."""

    def step(x_t: Tensor, t: int) -> StepResult:
        guided, index = guider(x_t, t), batch_index(t, x_t)
        pred_x0 = guided_x0(diffusion, guided, x_t, index)
        sample = ddim_step(diffusion, pred_x0, x_t, index, eta, guided.unmoved)
        return StepResult(sample, pred_x0, guided.losses)

    again = Recurrence(diffusion, recurrence)
    return run_steps(step, x_t, start, noise, blend, on_step, again)


@dataclass(frozen=True)
class Recurrence:
    """Takes every step several times, noising the sample anew in between.

    What guidance tore, the denoiser mends: RePaint (arXiv 2201.09865), FreeDoM (2303.09833) and the
    N_recur of TFG (2409.15761).
    """

    diffusion: GaussianDiffusion
    times: int = 1

    def noised(self, sample: Tensor, t: int) -> Normal:
        """x_t of the x_{t-1} (B,3,H,W) that the step at index t reached (DDPM, eq. 2)."""
        beta = float(self.diffusion.betas[t])
        return Normal((1 - beta) ** 0.5 * sample, sample.new_tensor(beta**0.5))


def run_steps(
    step: Callable[[Tensor, int], StepResult],
    x_t: Tensor,
    start: int,
    noise: Noise,
    blend: Blend | None,
    on_step: StepCallback | None,
    again: Recurrence | None = None,
) -> Tensor:
    """Every step from index `start` down to the last one's pred_x0; one draw of noise a step."""
    pred_x0 = x_t
    for t in range(start, -1, -1):
        for left in reversed(range(again.times if again else 1)):
            result = step(x_t, t)
            sample = blend(result.sample, t) if blend else result.sample
            reached, pred_x0 = sample.draw(noise), result.pred_x0
            x_t = again.noised(reached, t).draw(noise) if again and left else reached
        if on_step:
            on_step(Step(start - t, start + 1, t, x_t, pred_x0, result.losses))
    return pred_x0


def ddpm_step(guided: GuidedPrediction, t: Tensor) -> Normal:
    """x_{t-1} around the guided mean; certain at t = 0."""
    mean = guided_mean(guided)
    return Normal(mean, _noisy(t, mean) * (guided.prediction.log_variance / 2).exp())


def guided_mean(guided: GuidedPrediction) -> Tensor:
    """The predicted mean, shifted by variance x gradient."""
    prediction = guided.prediction
    if guided.gradient is None:
        return prediction.mean
    return prediction.mean + prediction.variance * guided.gradient


def guided_x0(
    diffusion: GaussianDiffusion, guided: GuidedPrediction, x_t: Tensor, t: Tensor
) -> Tensor:
    """pred_x0 of the epsilon that lost sqrt(1 - alphas_cumprod) x gradient."""
    x0 = guided.prediction.pred_x0
    if guided.gradient is None:
        return x0
    sigma = rows(diffusion.sqrt_one_minus_alphas_cumprod, t, x_t)
    epsilon = diffusion.predict_epsilon(x_t, t, x0) - sigma * guided.gradient
    return diffusion.predict_x0(x_t, t, epsilon)


def ddim_step(
    diffusion: GaussianDiffusion,
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    eta: float,
    unmoved: Tensor | None = None,
) -> Normal:
    """x_{t-1} from x_0 (DDIM, eq. 12) with the sigma of its eq. 16; certain at t = 0.

    Its noise is what lies between x_t and x_0, or the x_0 before guidance moved it.
    """
    kept = rows(diffusion.alphas_cumprod, t, x_t)
    kept_prev = rows(diffusion.alphas_cumprod_prev, t, x_t)
    sigma = eta * ((1 - kept_prev) / (1 - kept) * (1 - kept / kept_prev)).sqrt()
    epsilon = diffusion.predict_epsilon(x_t, t, x0 if unmoved is None else unmoved)
    mean = kept_prev.sqrt() * x0 + (1 - kept_prev - sigma**2).sqrt() * epsilon
    return Normal(mean, _noisy(t, mean) * sigma)


def ddim_between(pred_x0: Tensor, x_t: Tensor, level: Level, reached: Level, eta: float) -> Normal:
    """`ddim_step` from any level to a less noisy one, of whatever schedule (DDIM, eq. 12, 16).

    pred_x0, x_t (B,C,H,W); the picture is certain where no noise is left or `eta` is 0.
    """
    left = reached.ratio / level.ratio
    sigma = eta * reached.ratio * (1 - left**2) ** 0.5
    epsilon = (x_t / level.signal - pred_x0) / level.ratio
    mean = pred_x0 + (reached.ratio**2 - sigma**2) ** 0.5 * epsilon
    return Normal(mean, mean.new_tensor(sigma)).scaled(reached.signal)


def batch_index(t: int, x_t: Tensor) -> Tensor:
    """The index of a whole batch as (B,), where the picture is."""
    return torch.full((len(x_t),), t, device=x_t.device)


def _noisy(t: Tensor, like: Tensor) -> Tensor:
    return (t > 0).to(like)[:, None, None, None]
