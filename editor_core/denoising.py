"""From a batch of noised targets to their pictures: the sampler and guider that settings name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from .diffusion.blending import LinearRamp, NoisedBackground
from .diffusion.noise import Noise
from .diffusion.process import Denoiser, DiffusionModel, GaussianDiffusion
from .diffusion.sampling import (
    Guider,
    Sampler,
    Step,
    StepCallback,
    batch_index,
    sample_ddim,
    sample_ddpm,
)
from .guidance.batch import EditBatch
from .guidance.estimate import Estimate
from .guidance.gradient import GradientGuider, IntervalGuider, NormalisedGuider, PredictionGuider
from .guidance.terms import BoundTerm
from .metrics import EditMetrics
from .settings import EditSettings

MakeGuider = Callable[[Denoiser, GaussianDiffusion, Sequence[BoundTerm]], Guider]


def denoise(
    model: DiffusionModel,
    batch: EditBatch,
    terms: Sequence[BoundTerm],
    settings: EditSettings,
    noise: Noise,
    *,
    on_step: StepCallback | None = None,
) -> Tensor:
    """Noise what the edits start from, then denoise it under the terms: pred_x0 (n x k,3,H,W)."""
    target, mask = batch.repeated(batch.target), batch.repeated(batch.mask)
    diffusion = model.diffusion.respaced(settings.respacing)
    start = first_index(diffusion.num_timesteps, settings.skip)
    begun = target if batch.start is None else batch.repeated(batch.start)
    x_t = diffusion.q_sample(begun, batch_index(start, target), noise.draw(target))
    ramp = LinearRamp(diffusion.percent(start), settings.ramp_end)
    return sampler_of(settings)(
        make_guider(
            identity_denoiser(model, batch, diffusion, settings), diffusion, terms, settings
        ),
        diffusion,
        x_t,
        start,
        noise=noise,
        blend=NoisedBackground(target, mask, diffusion, ramp, settings.keep_background),
        recurrence=settings.recurrence,
        on_step=on_step,
    )


def identity_denoiser(
    model: DiffusionModel, batch: EditBatch, diffusion: GaussianDiffusion, settings: EditSettings
) -> Denoiser:
    """The U-Net on a respaced schedule, with the sources' identities bound in."""
    identity = None if batch.embedding is None else batch.repeated(batch.embedding)
    low_memory = settings.memory == "low"
    return model.denoiser(diffusion, identity, settings.clip_denoised, low_memory)


def make_guider(
    denoiser: Denoiser,
    diffusion: GaussianDiffusion,
    terms: Sequence[BoundTerm],
    settings: EditSettings,
    guider: MakeGuider = GradientGuider,
) -> Guider:
    """The denoiser under its terms, by the gradient and as often as the settings say."""
    strength, estimated = settings.strength, settings.gradient == "estimate"
    guide: Guider
    if strength and estimated:
        how = strength, settings.guide_repeats, settings.guide_blur
        guide = PredictionGuider(denoiser, diffusion, terms, *how)
    else:
        guide = guider(Estimate(denoiser, diffusion) if estimated else denoiser, diffusion, terms)
        guide = NormalisedGuider(guide, diffusion, strength) if strength else guide
    return IntervalGuider(guide, settings.guide_every)


def sampler_of(settings: EditSettings) -> Sampler:
    """The sampler that the settings name."""
    return sample_ddpm if settings.sampler == "ddpm" else partial(sample_ddim, eta=settings.eta)


def first_index(steps: int, skip: int) -> int:
    """The index of the first step that is taken."""
    if skip >= steps:
        raise ValueError(f"skip is {skip} of {steps} steps: skip fewer than {steps}")
    return steps - 1 - skip


class Recorder:
    """A callback that keeps every step's losses and passes the step on."""

    def __init__(self, on_step: StepCallback | None) -> None:
        self.on_step, self.metrics = on_step, EditMetrics()

    def __call__(self, step: Step) -> None:
        for name, losses in step.losses.items():
            self.metrics.record(name, step.t, losses)
        if self.on_step:
            self.on_step(step)
