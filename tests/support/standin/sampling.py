"""The host's samplers, models and VAE, as small as the pack's nodes and workflows can do with."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn


class WrappersMP:
    OUTER_SAMPLE = "outer_sample"
    PREDICT_NOISE = "predict_noise"


def add_wrapper_with_key(
    wrapper_type: str,
    key: str,
    wrapper: Callable,
    transformer_options: dict,
    is_model_options: bool = False,
) -> None:
    if is_model_options:
        transformer_options = transformer_options.setdefault("transformer_options", {})
    wrappers = transformer_options.setdefault("wrappers", {})
    wrappers.setdefault(wrapper_type, {}).setdefault(key, []).append(wrapper)


class WrapperExecutor:
    def __init__(self, original: Callable, class_obj: Any, wrappers: list[Callable]) -> None:
        self.original, self.class_obj, self.wrappers = original, class_obj, wrappers

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.execute(*args, **options)

    def execute(self, *args: Any, **options: Any) -> Any:
        if not self.wrappers:
            return self.original(*args, **options)
        inner = WrapperExecutor(self.original, self.class_obj, self.wrappers[1:])
        return self.wrappers[0](inner, *args, **options)


class ModelPatcher:
    def __init__(self, model: nn.Module, load_device: Any, offload_device: Any) -> None:
        self.model, self.load_device, self.offload_device = model, load_device, offload_device
        self.model_options: dict[str, Any] = {"transformer_options": {}}
        self.wrappers: dict[str, dict[str, list]] = {}
        self.additional_models: dict[str, list] = {}

    def clone(self) -> ModelPatcher:
        other = copy(self)
        other.model_options = copied(self.model_options)
        other.wrappers, other.additional_models = copied(self.wrappers), {**self.additional_models}
        return other

    def add_wrapper_with_key(self, wrapper_type: str, key: str, wrapper: Callable) -> None:
        self.wrappers.setdefault(wrapper_type, {}).setdefault(key, []).append(wrapper)

    def get_wrappers(self, wrapper_type: str, key: str) -> list[Callable]:
        return self.wrappers.get(wrapper_type, {}).get(key, [])

    def set_additional_models(self, key: str, models: list) -> None:
        self.additional_models[key] = models

    def get_additional_models_with_key(self, key: str) -> list:
        return self.additional_models.get(key, [])

    def set_model_denoise_mask_function(self, function: Callable) -> None:
        self.model_options["denoise_mask_function"] = function


def copied(value: Any) -> Any:
    """Dictionaries and lists anew, what is in them as it is."""
    if isinstance(value, dict):
        return {k: copied(each) for k, each in value.items()}
    return [*value] if isinstance(value, list) else value


class ModelType(Enum):
    EPS = 1
    V_PREDICTION = 2


class Sampling(nn.Module):
    """What a model's `model_sampling` is asked."""

    def __init__(self, kind: ModelType) -> None:
        super().__init__()
        self.kind = kind

    def set_sigmas(self, sigmas: Tensor) -> None:
        self.register_buffer("sigmas", sigmas.float())

    def timestep(self, sigma: Tensor) -> Tensor:
        return (self.sigmas.log() - sigma.log()[:, None]).abs().argmin(1)

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0:
            return 999999999.9
        return 0.0 if percent >= 1 else float(self.sigmas[round((1 - percent) * 999)])

    def noise_scaling(self, sigma: Tensor, noise: Tensor, latent: Tensor, most: bool = False):
        scale = (1 + sigma**2).sqrt() if most else sigma
        return noise * scale.view(-1, 1, 1, 1) + latent

    def inverse_noise_scaling(self, sigma: Tensor, latent: Tensor) -> Tensor:
        return latent

    def denoised(self, sigma: Tensor, output: Tensor, x: Tensor) -> Tensor:
        sigma = sigma.view(-1, 1, 1, 1)
        if self.kind is ModelType.EPS:
            return x - output * sigma
        return x / (sigma**2 + 1) - output * sigma / (sigma**2 + 1).sqrt()


class CONDRegular:
    def __init__(self, cond: Tensor) -> None:
        self.cond = cond


class ChromaRadiance:
    latent_channels = 3


class BASE:
    def __init__(self, unet_config: dict[str, Any]) -> None:
        self.unet_config, self.custom_operations = unet_config, None


class BaseModel(nn.Module):
    def __init__(self, model_config: Any, model_type: ModelType) -> None:
        super().__init__()
        self.model_sampling = Sampling(model_type)

    def process_latent_out(self, latent: Tensor) -> Tensor:
        return latent

    def extra_conds(self, **given: Any) -> dict[str, CONDRegular]:
        return {}

    def apply_model(self, x: Tensor, sigma: Tensor, **conds: Tensor) -> Tensor:
        return self._apply_model(x, sigma, **conds)

    def _apply_model(self, x: Tensor, sigma: Tensor, **conds: Tensor) -> Tensor:
        scaled = x / (sigma.view(-1, 1, 1, 1) ** 2 + 1).sqrt()
        output = self.diffusion_model(scaled, self.model_sampling.timestep(sigma), **conds)
        return self.model_sampling.denoised(sigma, output, x)


class PixelspaceConversionVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pixel_space_vae = nn.Parameter(torch.tensor(1.0))

    def decode(self, samples: Tensor) -> Tensor:
        return samples


class VAE:
    latent_channels, vae_dtype = 3, torch.float32

    def __init__(self, sd: dict[str, Tensor]) -> None:
        self.first_stage_model = PixelspaceConversionVAE()
        self.patcher = ModelPatcher(self.first_stage_model, "cpu", "cpu")

    def process_output(self, image: Tensor) -> Tensor:
        return image.add_(1).div_(2).clamp_(0, 1)

    def encode(self, image: Tensor) -> Tensor:
        return image.movedim(-1, 1) * 2 - 1

    def decode(self, latent: Tensor) -> Tensor:
        return self.process_output(self.first_stage_model.decode(latent).clone()).movedim(1, -1)


class CFGGuider:
    """A model with its conditioning, which a sampler calls."""

    def __init__(self, model: ModelPatcher) -> None:
        self.model_patcher, self.model_options, self.cfg = model, model.model_options, 1.0

    def set_conds(self, positive: Any, negative: Any) -> None:
        self.original_conds = {"positive": positive, "negative": negative}

    def set_cfg(self, cfg: float) -> None:
        self.cfg = cfg

    def sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: Sampler,
        sigmas: Tensor,
        denoise_mask: Tensor | None = None,
        seed: int | None = None,
    ) -> Tensor:
        own = self.model_options
        self.model_options = copied(own)
        self.model_options["transformer_options"]["wrappers"] = copied(self.model_patcher.wrappers)
        try:
            run = self._wrapped(WrappersMP.OUTER_SAMPLE, self._outer_sample)
            return run.execute(noise, latent_image, sampler, sigmas, denoise_mask, seed=seed)
        finally:
            self.model_options = own

    def _wrapped(self, kind: str, function: Callable) -> WrapperExecutor:
        wrappers = self.model_options["transformer_options"].get("wrappers", {}).get(kind, {})
        return WrapperExecutor(function, self, [w for each in wrappers.values() for w in each])

    def _outer_sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: Sampler,
        sigmas: Tensor,
        denoise_mask: Tensor | None,
        seed: int | None,
    ) -> Tensor:
        self.inner_model = self.model_patcher.model
        options = copied(self.model_options)
        options["transformer_options"]["sample_sigmas"] = sigmas
        extra = {"model_options": options, "seed": seed}
        return sampler.sample(self, sigmas, extra, None, noise, latent_image, denoise_mask)

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        return self._wrapped(WrappersMP.PREDICT_NOISE, self.predict_noise).execute(*args, **options)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Any = None, seed: int | None = None
    ) -> Tensor:
        positive, negative = (
            self._predict(x, timestep, self.original_conds[name])
            for name in ("positive", "negative")
        )
        return negative + (positive - negative) * self.cfg

    def _predict(self, x: Tensor, sigma: Tensor, conditioning: Any) -> Tensor:
        conds = self.inner_model.extra_conds(**conditioning[0][1])
        rows = {name: each.cond.expand(len(x), -1) for name, each in conds.items()}
        return self.inner_model.apply_model(x, sigma, **rows)


class Sampler:
    def max_denoise(self, model_wrap: Any, sigmas: Tensor) -> bool:
        return bool(sigmas[0] >= model_wrap.inner_model.model_sampling.sigmas[-1])


class Euler(Sampler):
    """The host's euler, with its own blending of what a noise mask keeps."""

    def sample(
        self,
        model_wrap: CFGGuider,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        sampling = model_wrap.inner_model.model_sampling
        whole = self.max_denoise(model_wrap, sigmas)
        x = sampling.noise_scaling(sigmas[:1], noise, latent_image, whole)
        extra = {"model": model_wrap, "sigmas": sigmas}
        grow = extra_args["model_options"].get("denoise_mask_function")
        for now, after in zip(sigmas[:-1], sigmas[1:], strict=True):
            sigma = now.expand(len(x))
            mask = torch.ones_like(x[:, :1]) if denoise_mask is None else denoise_mask
            mask = grow(sigma, mask, extra_options=extra) if grow else mask
            around = sampling.noise_scaling(sigma, noise, latent_image)
            seen = x * mask + around * (1 - mask)
            x_0 = model_wrap(seen, sigma, **extra_args) * mask + latent_image * (1 - mask)
            x = x + (x - x_0) / now * (after - now)
        return x


def spaced_sigmas(model: ModelPatcher, steps: int, denoise: float) -> Tensor:
    """`steps` of a schedule that is even in the timesteps, and 0."""
    table = model.model.model_sampling.sigmas
    whole = torch.linspace(len(table) - 1, 0, int(steps / denoise)).round().long()
    return torch.cat([table[whole], table.new_zeros(1)])[-(steps + 1) :]


def sampling_modules() -> dict[str, list[type | Callable]]:
    """What each of the host's modules has of these."""
    return {
        "comfy.patcher_extension": [WrappersMP, WrapperExecutor, add_wrapper_with_key],
        "comfy.model_patcher": [ModelPatcher],
        "comfy.model_base": [BaseModel, ModelType],
        "comfy.supported_models_base": [BASE],
        "comfy.latent_formats": [ChromaRadiance],
        "comfy.conds": [CONDRegular],
        "comfy.samplers": [CFGGuider, Sampler],
        "comfy.sd": [VAE],
    }
