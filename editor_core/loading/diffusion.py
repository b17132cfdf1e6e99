"""Diffusion checkpoints as models: the network, its schedule, and what its output means."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..checkpoints.reading import Checkpoint
from ..diffusion.process import DiffusionModel, FixedVariance, GaussianDiffusion, Predicts
from ..models.configs import Hints, count_values, is_published, warn_assumed
from ..models.unet import PUBLISHED_UNETS, UNet, UNetConfig
from ..models.unet2d import PUBLISHED_UNET2DS, UNet2D, UNet2DConfig, with_current_names
from .families import family_of
from .folders import diffusers_config
from .known_files import identify
from .networks import load_network, with_memory_format

Option = TypeVar("Option")

ADM, DIFFUSERS = "ADM U-Net", "diffusers U-Net"  # the families
ADM_SCHEDULES = {"linear": GaussianDiffusion.linear, "cosine": GaussianDiffusion.cosine}
ADM_PREDICTIONS: dict[str, Predicts] = {"epsilon": "epsilon", "v": "v"}
ADM_DEFAULTS = {"image_size": 256, "schedule": "linear"}
DIFFUSERS_DEFAULTS = {
    "sample_size": 256,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "num_train_timesteps": 1000,
    "variance_type": "fixed_small",
    "prediction_type": "epsilon",
}
VARIANCES: dict[str, FixedVariance] = {
    "fixed_small": "small",
    "fixed_small_log": "small",
    "fixed_large": "large",
    "fixed_large_log": "large",
    "learned_range": "large",  # not used: the network has three more channels out
}
PREDICTIONS: dict[str, Predicts] = {"epsilon": "epsilon", "v_prediction": "v"}
MAX_STEPS = 100_000  # of a schedule, which a file must not make fill the memory


def diffusion_model(checkpoint: Checkpoint, hints: Hints | None = None) -> DiffusionModel:
    """The model in a checkpoint of a diffusion family; `hints` override `config_hints`."""
    make = {ADM: _adm_model, DIFFUSERS: _diffusers_model}[family_of(checkpoint).name]
    return make(checkpoint, {**config_hints(checkpoint), **(hints or {})})


def config_hints(checkpoint: Checkpoint) -> dict[str, Any]:
    """What is known of a model besides its tensors, in the words of its family's configuration.

    That the file is a published one weighs most, then its metadata or sidecar, then the
    `config.json` of a diffusers folder, and least that the network has the size of a published one.
    """
    family, known = family_of(checkpoint).name, identify(checkpoint.path)
    hints: dict[str, Any] = {}
    if family == ADM and (size := PUBLISHED_UNETS.get(count_values(checkpoint.tensors))):
        hints = {**ADM_DEFAULTS, "image_size": size}
    elif family == DIFFUSERS:
        published = is_published(checkpoint.tensors, PUBLISHED_UNET2DS)
        hints = {**(DIFFUSERS_DEFAULTS if published else {}), **diffusers_config(checkpoint.path)}
    return {**hints, **checkpoint.config, **(known.config if known else {})}


def _adm_model(checkpoint: Checkpoint, hints: Hints) -> DiffusionModel:
    config = UNetConfig.from_state_dict(checkpoint.tensors, hints)
    lacking = f"{checkpoint.path} does not tell all of the model"
    warn_assumed(lacking, ADM_DEFAULTS, hints, "name what is wrong")
    facts = {"diffusion_steps": 1000, "predicts": "epsilon", **ADM_DEFAULTS, **hints}
    schedule = _one_of("schedule", facts["schedule"], ADM_SCHEDULES)
    return DiffusionModel(
        with_memory_format(load_network(UNet, config, checkpoint.tensors)),
        schedule(_bounded_steps(facts["diffusion_steps"])),
        facts["image_size"],
        _one_of("predicts", facts["predicts"], ADM_PREDICTIONS),
    )


def _diffusers_model(checkpoint: Checkpoint, hints: Hints) -> DiffusionModel:
    # A null means nothing, but for heads: there it means a single one.
    hints = {k: v for k, v in hints.items() if v is not None or k == "attention_head_dim"}
    if "image_size" in hints:
        hints["sample_size"] = hints["image_size"]
    tensors = with_current_names(checkpoint.tensors)
    config = UNet2DConfig.from_state_dict(tensors, hints)
    assumed = {key: DIFFUSERS_DEFAULTS[key] for key in ("sample_size", "beta_schedule")}
    lacking = f"{checkpoint.path} does not tell all of the model"
    warn_assumed(lacking, assumed, hints, "name what is wrong")
    facts = {**DIFFUSERS_DEFAULTS, **hints}
    return DiffusionModel(
        with_memory_format(load_network(UNet2D, config, tensors)),
        GaussianDiffusion.counted(_diffusers_betas(facts)),
        _square_side(facts["sample_size"]),
        _one_of("prediction_type", facts["prediction_type"], PREDICTIONS),
        fixed=_one_of("variance_type", facts["variance_type"], VARIANCES),
    )


def _diffusers_betas(facts: Mapping[str, Any]) -> Tensor:  # (T,) float64
    if facts.get("rescale_betas_zero_snr"):
        raise ValueError("rescale_betas_zero_snr is on, expected off: choose another model")
    steps = _bounded_steps(facts["num_train_timesteps"])

    def linear(first: float, last: float) -> Tensor:
        return torch.linspace(first, last, steps, dtype=torch.float64)

    first, last = facts["beta_start"], facts["beta_end"]
    shapes: dict[str, Callable[[], Tensor]] = {
        "linear": lambda: linear(first, last),
        "scaled_linear": lambda: linear(first**0.5, last**0.5).square(),
        "squaredcos_cap_v2": lambda: GaussianDiffusion.cosine(steps).betas,
    }
    return _one_of("beta_schedule", facts["beta_schedule"], shapes)()


def _bounded_steps(steps: int) -> int:
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"the schedule has {steps} steps: expected 1 to {MAX_STEPS:,}")
    return steps


def _square_side(size: int | Sequence[int]) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(f"sample_size is {size}: expected a square; choose another model")
    return sides.pop()


def _one_of(name: str, value: str, options: Mapping[str, Option]) -> Option:
    if value not in options:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(options)}")
    return options[value]
