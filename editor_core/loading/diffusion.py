"""What a diffusion checkpoint makes: network, schedule, and how its answers are meant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..checkpoints.reading import Checkpoint
from ..diffusion.process import FixedVariance, GaussianDiffusion, Predicts
from ..models import unet, unet2d
from ..models.blocks import warn_assumed
from .families import detect
from .folders import told_beside
from .known_files import identify

Choice = TypeVar("Choice")

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
UNSPOKEN = (
    "sample_size",
    "beta_schedule",
)  # without these, a diffusers model is assumed with a warning
VARIANCES: dict[str, FixedVariance] = {
    "fixed_small": "small",
    "fixed_small_log": "small",
    "fixed_large": "large",
    "fixed_large_log": "large",
    "learned_range": "large",  # not used: the network has three more channels out
}
PREDICTIONS: dict[str, Predicts] = {"epsilon": "epsilon", "v_prediction": "v"}


@dataclass(frozen=True)
class Plan:
    """A diffusion model before its network is built and filled."""

    make: Callable[[Any], Any]
    config: unet.UNetConfig | unet2d.UNet2DConfig
    tensors: Mapping[str, Tensor]
    schedule: GaussianDiffusion
    image_size: int
    predicts: Predicts
    fixed: FixedVariance = "large"


def told_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What is said of a file beside its tensors.

    That the file is known weighs most, then what its metadata or its sidecar say, then the
    `config.json` of a diffusers folder, and least that the network has the size of a published one.
    """
    known, family = identify(checkpoint.path), detect(checkpoint.tensors).name
    beside = told_beside(checkpoint.path) if family == DIFFUSERS else {}
    return {
        **_told_by_size(family, checkpoint.tensors),
        **beside,
        **checkpoint.config,
        **(known.config if known else {}),
    }


def plan(checkpoint: Checkpoint, hints: Mapping[str, Any] | None = None) -> Plan:
    """How to build what a file holds; `hints` override what is said of it."""
    told = {**told_of(checkpoint), **(hints or {})}
    make = {ADM: _adm, DIFFUSERS: _diffusers}[detect(checkpoint.tensors).name]
    return make(checkpoint, told)


def _told_by_size(family: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Any]:
    if family == ADM and unet.UNetConfig.is_published(tensors):
        return ADM_DEFAULTS
    if family == DIFFUSERS and unet2d.UNet2DConfig.is_published(tensors):
        return DIFFUSERS_DEFAULTS
    return {}


def _adm(checkpoint: Checkpoint, told: Mapping[str, Any]) -> Plan:
    tensors = checkpoint.tensors
    config = unet.UNetConfig.from_state_dict(tensors, told)
    _warn_missing(checkpoint, ADM_DEFAULTS, told)
    facts = {**ADM_DEFAULTS, **told}
    schedule = _one_of("schedule", facts["schedule"], ADM_SCHEDULES)
    return Plan(
        unet.UNet,
        config,
        tensors,
        schedule(facts.get("diffusion_steps", 1000)),
        facts["image_size"],
        _one_of("predicts", facts.get("predicts", "epsilon"), ADM_PREDICTIONS),
    )


def _diffusers(checkpoint: Checkpoint, told: Mapping[str, Any]) -> Plan:
    tensors, told = unet2d.with_current_names(checkpoint.tensors), _said(told)
    config = unet2d.UNet2DConfig.from_state_dict(tensors, told)
    _warn_missing(checkpoint, {key: DIFFUSERS_DEFAULTS[key] for key in UNSPOKEN}, told)
    facts = {**DIFFUSERS_DEFAULTS, **told}
    return Plan(
        unet2d.UNet2D,
        config,
        tensors,
        GaussianDiffusion.counted(_betas(facts)),
        _side(facts["sample_size"]),
        _one_of("prediction_type", facts["prediction_type"], PREDICTIONS),
        _one_of("variance_type", facts["variance_type"], VARIANCES),
    )


def _said(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what diffusers leaves open by a null; only heads of no width mean something."""
    said = {key: v for key, v in told.items() if v is not None or key == "attention_head_dim"}
    return {**said, "sample_size": told["image_size"]} if "image_size" in told else said


def _betas(facts: Mapping[str, Any]) -> Tensor:  # (T,) float64
    """A scheduler's betas, as diffusers names their shapes."""
    if facts.get("rescale_betas_zero_snr"):
        raise ValueError("rescale_betas_zero_snr is on, expected off: choose another model")
    first, last, steps = facts["beta_start"], facts["beta_end"], facts["num_train_timesteps"]
    shapes: dict[str, Callable[[], Tensor]] = {
        "linear": lambda: torch.linspace(first, last, steps, dtype=torch.float64),
        "scaled_linear": lambda: torch.linspace(
            first**0.5, last**0.5, steps, dtype=torch.float64
        ).square(),
        "squaredcos_cap_v2": lambda: GaussianDiffusion.cosine(steps).betas,
    }
    return _one_of("beta_schedule", facts["beta_schedule"], shapes)()


def _side(size: int | Sequence[int]) -> int:
    """The side of square pictures, in pixels."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(f"sample_size is {size}: expected a square; choose another model")
    return sides.pop()


def _one_of(name: str, value: str, options: Mapping[str, Choice]) -> Choice:
    if value not in options:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(options)}")
    return options[value]


def _warn_missing(
    checkpoint: Checkpoint, defaults: Mapping[str, Any], told: Mapping[str, Any]
) -> None:
    missing = {key: value for key, value in defaults.items() if key not in told}
    if missing:
        lacking = f"{checkpoint.path} does not tell all of the model"
        warn_assumed(lacking, missing, "name what is wrong")
