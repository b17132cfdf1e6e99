"""How the edit and the background meet in ComfyUI's samplers, as our own sampler has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from comfy.samplers import Sampler
from comfy_api.latest import io
from torch import Tensor

from ..editor_core.diffusion.blending import LinearRamp
from ..editor_core.diffusion.noise import Normal, PerImageNoise
from ..editor_core.diffusion.sampling import ddim_between
from ..editor_core.settings import EditSettings
from .native import schema
from .sampling import SEEDS, level_at
from .schemas import output, required, seed_input, setting_inputs


class FaceNoise(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "FaceNoise",
            "Noise of which each picture has its own seed, so that a batch changes nobody's "
            "picture.",
            inputs=[seed_input("Of the first picture; each further one takes the next.")],
            outputs=[output(io.Noise, "noise", "For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, seed: int) -> io.NodeOutput:
        return io.NodeOutput(RowNoise(seed))


@dataclass(frozen=True)
class RowNoise:
    """ComfyUI's NOISE with one seed a picture."""

    seed: int

    def generate_noise(self, latent: dict[str, Any]) -> Tensor:
        """Standard normal of the shape of the latents."""
        return noise_of(self.seed, latent["samples"]).draw(latent["samples"])


def noise_of(seed: int, latents: Tensor) -> PerImageNoise:
    """The streams of a batch, each picture's from its own seed."""
    return PerImageNoise([seed % SEEDS + row for row in range(len(latents))])


class FaceBlendSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "FaceBlendSampler",
            "DDIM that puts the freshly noised target around the edit after every step, as Guided "
            "Face Sampler does.",
            inputs=setting_inputs(EditSettings, "eta", "ramp_end"),
            outputs=[output(io.Sampler, "sampler", "For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, eta: float, ramp_end: float) -> io.NodeOutput:
        return io.NodeOutput(BlendSampler(eta, ramp_end))


class BlendSampler(Sampler):
    """ComfyUI's SAMPLER of DDIM on any model, blended as `NoisedBackground` blends.

    The latents' noise mask is where the edit is; without one it is everywhere.
    """

    def __init__(self, eta: float, ramp_end: float) -> None:
        self.eta, self.ramp_end = eta, ramp_end

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callable[..., object] | None,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """The latents at the last sigma.

        Raises:
            ValueError: The sigmas rise.
        """
        if (sigmas[1:] > sigmas[:-1]).any():
            raise ValueError(
                "the sigmas rise, expected falling ones: Face Blend Sampler only takes noise away, "
                "use euler to add it"
            )
        sampling = model_wrap.inner_model.model_sampling
        target = torch.zeros_like(noise) if latent_image is None else latent_image
        fresh = noise_of(extra_args.get("seed") or 0, noise)
        fresh.draw(noise)  # what the streams began with is the noise that came in
        whole = self.max_denoise(model_wrap, sigmas)
        x, pred_x0 = sampling.noise_scaling(sigmas[0], noise, target, whole), target
        levels = [level_at(sampling, float(each), sigmas) for each in sigmas]
        ramp = LinearRamp(levels[0].percent, self.ramp_end)
        for index, (level, reached) in enumerate(pairwise(levels)):
            pred_x0 = model_wrap(x, sigmas[index].expand(len(x)), **extra_args)
            sample = ddim_between(pred_x0, x, level, reached, self.eta)
            if denoise_mask is not None:
                around = Normal(target, target.new_tensor(reached.ratio)).scaled(reached.signal)
                sample = sample.over(around, denoise_mask * ramp.weight(reached.percent))
            x = sample.draw(fresh)
            if callback:
                callback(index, pred_x0, x, len(sigmas) - 1)
        return sampling.inverse_noise_scaling(sigmas[-1], x)


class RampFaceMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "RampFaceMask",
            "Lets the noise mask of the latents grow over a run instead of counting at once, for "
            "samplers other than Face Blend Sampler.",
            inputs=[
                required(io.Model, "model", "Any model."),
                *setting_inputs(EditSettings, "ramp_end"),
            ],
            outputs=[output(io.Model, "model", "For KSampler, or any other sampler.")],
        )

    @classmethod
    def execute(cls, model: Any, ramp_end: float) -> io.NodeOutput:
        patched = model.clone()
        patched.set_model_denoise_mask_function(partial(ramped_mask, ramp_end))
        return io.NodeOutput(patched)


def ramped_mask(
    ramp_end: float, sigma: Tensor, denoise_mask: Tensor, extra_options: dict[str, Any]
) -> Tensor:
    """The mask times what counts of it after the step that begins at this sigma."""
    sampling, sigmas = extra_options["model"].inner_model.model_sampling, extra_options["sigmas"]
    first, level = (level_at(sampling, float(each), sigmas) for each in (sigmas[0], sigma.max()))
    assert level.step is not None
    reached = level_at(sampling, float(sigmas[len(sigmas) - 1 - level.step]), sigmas)
    return denoise_mask * LinearRamp(first.percent, ramp_end).weight(reached.percent)
