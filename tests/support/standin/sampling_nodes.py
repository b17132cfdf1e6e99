"""The core nodes that draw: encoders, schedules and samplers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import io
from .sampling import VAE, CFGGuider, Euler, ModelPatcher, Sampler, spaced_sigmas


class VAEEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.Image.Input("pixels"), io.Vae.Input("vae")]
        return io.Schema("VAEEncode", inputs=inputs, outputs=[io.Latent.Output()])

    @classmethod
    def execute(cls, pixels: Tensor, vae: VAE) -> io.NodeOutput:
        return io.NodeOutput({"samples": vae.encode(pixels)})


class VAEDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.Latent.Input("samples"), io.Vae.Input("vae")]
        return io.Schema("VAEDecode", inputs=inputs, outputs=[io.Image.Output()])

    @classmethod
    def execute(cls, samples: dict[str, Tensor], vae: VAE) -> io.NodeOutput:
        return io.NodeOutput(vae.decode(samples["samples"]))


class SetLatentNoiseMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.Latent.Input("samples"), io.Mask.Input("mask")]
        return io.Schema("SetLatentNoiseMask", inputs=inputs, outputs=[io.Latent.Output()])

    @classmethod
    def execute(cls, samples: dict[str, Tensor], mask: Tensor) -> io.NodeOutput:
        return io.NodeOutput({**samples, "noise_mask": mask[:, None]})


class KSampler(io.ComfyNode):
    """Draws with `Euler` on `spaced_sigmas`, whatever it is asked for."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KSampler",
            inputs=[
                io.Model.Input("model"),
                io.Int.Input("seed", control_after_generate=True),
                io.Int.Input("steps"),
                io.Float.Input("cfg"),
                io.Combo.Input("sampler_name"),
                io.Combo.Input("scheduler"),
                io.Conditioning.Input("positive"),
                io.Conditioning.Input("negative"),
                io.Latent.Input("latent_image"),
                io.Float.Input("denoise"),
            ],
            outputs=[io.Latent.Output()],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Any,
        negative: Any,
        latent_image: dict[str, Tensor],
        denoise: float,
    ) -> io.NodeOutput:
        sigmas, samples = spaced_sigmas(model, steps, denoise), latent_image["samples"]
        noise = torch.randn(samples.shape, generator=torch.Generator().manual_seed(seed))
        guider = CFGGuider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(cfg)
        mask = latent_image.get("noise_mask")
        drawn = guider.sample(noise, samples, Euler(), sigmas, mask, seed=seed)
        return io.NodeOutput({**latent_image, "samples": drawn})


class BasicScheduler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="BasicScheduler",
            inputs=[
                io.Model.Input("model"),
                io.Combo.Input("scheduler", options=["normal"]),
                io.Int.Input("steps"),
                io.Float.Input("denoise"),
            ],
            outputs=[io.Sigmas.Output()],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, scheduler: str, steps: int, denoise: float
    ) -> io.NodeOutput:
        return io.NodeOutput(spaced_sigmas(model, steps, denoise))


class CFGGuiderNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CFGGuider",
            inputs=[
                io.Model.Input("model"),
                io.Conditioning.Input("positive"),
                io.Conditioning.Input("negative"),
                io.Float.Input("cfg"),
            ],
            outputs=[io.Guider.Output()],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, positive: Any, negative: Any, cfg: float
    ) -> io.NodeOutput:
        guider = CFGGuider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(cfg)
        return io.NodeOutput(guider)


class SamplerCustomAdvanced(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SamplerCustomAdvanced",
            inputs=[
                io.Noise.Input("noise"),
                io.Guider.Input("guider"),
                io.Sampler.Input("sampler"),
                io.Sigmas.Input("sigmas"),
                io.Latent.Input("latent_image"),
            ],
            outputs=[io.Latent.Output(), io.Latent.Output()],
        )

    @classmethod
    def execute(
        cls,
        noise: Any,
        guider: CFGGuider,
        sampler: Sampler,
        sigmas: Tensor,
        latent_image: dict[str, Tensor],
    ) -> io.NodeOutput:
        drawn = guider.sample(
            noise.generate_noise(latent_image),
            latent_image["samples"],
            sampler,
            sigmas,
            latent_image.get("noise_mask"),
            seed=noise.seed,
        )
        made = {**latent_image, "samples": drawn}
        return io.NodeOutput(made, made)


SAMPLING = (
    *(VAEEncode, VAEDecode, SetLatentNoiseMask),
    *(KSampler, BasicScheduler, CFGGuiderNode, SamplerCustomAdvanced),
)
