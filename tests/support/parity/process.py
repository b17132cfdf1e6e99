"""schedules.safetensors and gaussian.safetensors: the tables and single steps of the process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion
from guided_face_edit.editor_core.diffusion.sampling import (
    GuidedPrediction,
    ddim_step,
    ddpm_step,
    guided_mean,
    guided_x0,
)
from guided_face_edit.editor_core.reference.pipeline import unscaled_index

from .measure import assert_each_near, assert_near, tolerances

Tensors = Mapping[str, Tensor]


def diffusion_of(schedule: str, respacing: str, steps: int = 1000) -> GaussianDiffusion:
    """The process a note describes; an empty respacing takes every step."""
    full = {"linear": GaussianDiffusion.linear, "cosine": GaussianDiffusion.cosine}[schedule](steps)
    return full.respaced(respacing or str(steps))


def check_schedules(
    manifest: dict[str, Any],
    name: str,
    note: dict[str, Any],
    tensors: Tensors,
    tensor_table: dict[str, Any],
    folder: Path,
) -> None:
    tolerance, *_ = tolerances(manifest, "schedules")
    for config in note["configs"]:
        schedule, respacing = config["schedule"], config["respacing"]
        diffusion = diffusion_of(schedule, respacing, config.get("diffusion_steps", 1000))
        assert diffusion.num_timesteps == config["num_timesteps"]
        prefix = f"{schedule}/{respacing or 'none'}/"
        for key in (key for key in tensors if key.startswith(prefix)):
            table = _table(diffusion, key.removeprefix(prefix))
            assert_each_near(key, table, tensors[key], tolerance)


def _table(diffusion: GaussianDiffusion, name: str) -> Tensor:
    kept = diffusion.alphas_cumprod
    derived = {
        "alphas_cumprod_next": torch.cat([kept[1:], kept.new_zeros(1)]),
        "log_one_minus_alphas_cumprod": (1 - kept).log(),
        "unscaled_index": unscaled_index(diffusion),
    }
    return derived[name] if name in derived else getattr(diffusion, name)


def check_gaussian(
    manifest: dict[str, Any],
    name: str,
    note: dict[str, Any],
    tensors: Tensors,
    tensor_table: dict[str, Any],
    folder: Path,
) -> None:
    tolerance, *_ = tolerances(manifest, "gaussian")
    steps = note.get("diffusion_steps", 1000)
    diffusion = diffusion_of(note.get("schedule", "linear"), note["respacing"], steps)
    for case in sorted({key.split("/")[0] for key in tensors}):
        given = {k.removeprefix(f"{case}/"): v for k, v in tensors.items() if k.startswith(case)}
        for key, mine in _step(diffusion, given).items():
            assert_near(f"{case}/{key}", mine, given[key], tolerance)


def _step(diffusion: GaussianDiffusion, given: Tensors) -> dict[str, Tensor]:
    """What the process makes of a case, by the names of the golden tensors."""
    x_t, x0, t, noise = (given[key] for key in ("x_t", "x_start", "t", "noise"))
    mean, variance, log_variance = diffusion.posterior(x0, x_t, t)
    made = {
        "q_sample": diffusion.q_sample(x0, t, noise),
        "q_post_mean": mean,
        "q_post_var": variance,
        "q_post_logvar": log_variance,
        "model_t": diffusion.model_timesteps(t),
    }
    for clip in (False, True):
        prediction = diffusion.prediction(given["model_output"], x_t, t, clip)
        made |= {
            f"p_mv_clip{clip:d}/mean": prediction.mean,
            f"p_mv_clip{clip:d}/variance": prediction.variance,
            f"p_mv_clip{clip:d}/log_variance": prediction.log_variance,
            f"p_mv_clip{clip:d}/pred_xstart": prediction.pred_x0,
        }
    return made | _guided_steps(diffusion, given)


def _guided_steps(diffusion: GaussianDiffusion, given: Tensors) -> dict[str, Tensor]:
    x_t, t, noise = given["x_t"], given["t"], given["noise"]
    prediction = diffusion.prediction(given["model_output"], x_t, t)
    guided = GuidedPrediction(prediction, given["cond_grad"])
    x0 = guided_x0(diffusion, guided, x_t, t)
    made = {
        "condition_mean": guided_mean(guided),
        "condition_score_pred_xstart": x0,
        "condition_score_mean": diffusion.posterior(x0, x_t, t)[0],
        "p_sample/sample": ddpm_step(guided, t).at(noise),
        "p_sample/pred_xstart": prediction.pred_x0,
    }
    for case in {key.split("/")[0] for key in given if key.startswith("ddim_eta")}:
        eta = float(case.removeprefix("ddim_eta"))
        made[f"{case}/sample"] = ddim_step(diffusion, x0, x_t, t, eta).at(noise)
        made[f"{case}/pred_xstart"] = x0
    return made
