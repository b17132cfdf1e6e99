"""What ComfyUI's samplers tell of a step, and the guidance that takes part in them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import comfy.model_management as memory
import torch
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key
from torch import Tensor

from ..editor_core.autograd import gradients
from ..editor_core.diffusion.level import Level
from ..editor_core.guidance.sight import Sight, see_decoded, see_pixels
from ..editor_core.guidance.steering import Steering
from ..editor_core.metrics import EditMetrics
from ..editor_core.other_models import GuidedTargets, SteeringSettings
from .guidance import Chain
from .host import differentiable_model, lent_parameters, plain_patcher

KEY = "face_edit"
LAST_PERCENT = 0.999  # of a last step: a window's end is exclusive, and 1 is the finished picture
LEAST_SIGNAL = 1e-4  # of a flow's pure noise, which has none
HALVINGS = 24
SEEDS = 1 << 62  # of the terms' views; ComfyUI's own reach to where no row could follow


def level_at(model_sampling: Any, sigma: float, sigmas: Tensor) -> Level:
    """How noisy a sampler's step is, whatever the model's parametrisation.

    Args:
        model_sampling: Of the model, which is asked what it makes of a picture and of noise.
        sigma: Of the step, as the sampler counts it.
        sigmas: (steps + 1,), the sampler's own.
    """
    if sigma == 0:
        return Level(1.0, 0.0, 1.0)
    noise, signal = (_scaled(model_sampling, sigma, *pair) for pair in ((1.0, 0.0), (0.0, 1.0)))
    signal = max(signal, LEAST_SIGNAL)
    steps = sigmas[:-1] if len(sigmas) > 1 else sigmas
    left = len(steps) - 1 - int((steps - sigma).abs().argmin())
    return Level(signal, noise / signal, _percent(model_sampling, sigma), left)


def _scaled(model_sampling: Any, sigma: float, noise: float, picture: float) -> float:
    ones = torch.ones(1, 1, 1, 1)
    scaled = model_sampling.noise_scaling(torch.tensor([sigma]), ones * noise, ones * picture)
    return float(scaled.flatten()[0])


def _percent(model_sampling: Any, sigma: float) -> float:
    """`percent_to_sigma` solved for the percent, by bisection: schedules have no inverse."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if model_sampling.percent_to_sigma(middle) > sigma:
            low = middle
        else:
            high = middle
    return min(high, LAST_PERCENT)


@dataclass(frozen=True)
class Decoder:
    """A VAE whose pictures can be differentiated, as those of its own `decode` cannot."""

    vae: Any
    patcher: Any

    @classmethod
    def of(cls, vae: Any) -> Decoder:
        """The decoder of a VAE, on a patcher that a gradient can do with."""
        return cls(vae, plain_patcher(vae.patcher))

    @property
    def hands_through(self) -> bool:
        """Whether its latents are the pixels themselves."""
        return hasattr(self.patcher.model, "pixel_space_vae")

    def sight(self, model: Any) -> Sight:
        """What terms see of that model's x_0."""
        return see_pixels if self.hands_through else see_decoded(partial(self.decode, model))

    def decode(self, model: Any, latents: Tensor) -> Tensor:  # (B,C,h,w) -> (B,3,H,W) in [-1,1]
        """The pictures of a model's x_0; one with a time axis (B,C,1,h,w) is a picture too."""
        latents = model.process_latent_out(latents).to(self.vae.vae_dtype)
        picture = self.patcher.model.decode(latents).float()
        picture = self.vae.process_output(picture.clone())  # which changes what it is given
        if picture.dim() == 5:
            if picture.shape[2] != 1:
                raise ValueError(
                    f"the latents decode to {picture.shape[2]} frames, expected single pictures: "
                    "guide an image model"
                )
            picture = picture[:, :, 0]
        return picture[:, :3] * 2 - 1


class RunLog:
    """The metrics of the last runs, found again by the latents that they ended in."""

    LENGTH = 8

    def __init__(self) -> None:
        self.runs: list[tuple[Tensor, EditMetrics]] = []

    def keep(self, latents: Tensor, metrics: EditMetrics) -> None:
        """Remember a run."""
        self.runs = [*self.runs, (latents.detach().float().cpu(), metrics)][-self.LENGTH :]

    def of(self, latents: Tensor) -> EditMetrics | None:
        """The metrics of the run that ended in these latents, where it is remembered."""
        ended = latents.detach().cpu()
        return next(
            (metrics for known, metrics in reversed(self.runs) if _same(known, ended)), None
        )


def _same(known: Tensor, ended: Tensor) -> bool:
    """Whether latents are those of a run, as ComfyUI rounds them to half; NaN equals NaN."""
    return torch.equal(known.to(ended).nan_to_num(), ended.nan_to_num())


@dataclass(frozen=True, eq=False)
class SamplingGuidance:
    """Wraps a sampler's whole run on a MODEL: each gets a `GuidedRun` of its own.

    ComfyUI caches the MODEL and copies its options for every run; the run's state is put there.
    """

    targets: GuidedTargets
    chain: Chain
    decoder: Decoder
    settings: SteeringSettings
    runs: RunLog = field(default_factory=RunLog)

    def __call__(self, executor: Any, *args: Any, **options: Any) -> Tensor:
        if len(options.get("latent_shapes") or ()) > 1:
            raise ValueError(
                "the latents are of several kinds at once, as of video with sound, expected those "
                "of pictures: guide an image model"
            )
        guider, run = executor.class_obj, GuidedRun(self)
        add_wrapper_with_key(
            WrappersMP.PREDICT_NOISE, KEY, run, guider.model_options, is_model_options=True
        )
        result = executor(*args, **options)
        self.runs.keep(result, run.metrics)
        return result


class GuidedRun:
    """Wraps every prediction of one run; its terms are bound at the first that they guide."""

    def __init__(self, guidance: SamplingGuidance) -> None:
        self.guidance, self.metrics = guidance, EditMetrics()
        self.steering: Steering | None = None

    def __call__(
        self,
        executor: Any,
        x: Tensor,
        timestep: Tensor,
        model_options: dict[str, Any] | None = None,
        seed: int | None = None,
    ) -> Tensor:
        memory.throw_exception_if_processing_interrupted()
        options = model_options or {}
        model, settings = executor.class_obj.inner_model, self.guidance.settings
        sigmas = options.get("transformer_options", {}).get("sample_sigmas", timestep[:1])
        level = level_at(model.model_sampling, float(timestep.flatten()[0]), sigmas)
        assert level.step is not None
        if (level.step + 1) % settings.guide_every:
            return executor(x, timestep, options, seed)
        networks = [self.guidance.decoder.patcher.model]
        if settings.gradient == "network":
            networks += [model.diffusion_model, model.model_sampling]
        networks += [each.patcher.model for each in self.guidance.chain.models]
        through = settings.gradient == "network" and not x.requires_grad  # by a run around this one
        graph = differentiable_model() if through else nullcontext()
        with lent_parameters(*networks), graph:
            steering = self.steering or self._bind(model, x, (seed or 0) % SEEDS)
            moved, losses = steering(
                lambda x: executor(x, timestep.clone(), options, seed), x, level
            )
        for name, values in losses.items():
            self.metrics.record(name, level.step, values)
        return moved

    def _bind(self, model: Any, x: Tensor, seed: int) -> Steering:
        guidance = self.guidance
        with gradients():
            self.steering = guidance.targets.steering(
                guidance.chain.terms,
                guidance.decoder.sight(model),
                guidance.settings,
                count=len(x),
                seed=seed,
                device=x.device,
            )
        return self.steering
