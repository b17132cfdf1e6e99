"""traj_*.safetensors: whole guided runs, with their noise and homographies given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from guided_face_edit.editor_core.diffusion.process import Denoiser, GaussianDiffusion, Prediction
from guided_face_edit.editor_core.diffusion.sampling import GuidedPrediction, Step
from guided_face_edit.editor_core.guidance.terms import BoundTerm
from guided_face_edit.editor_core.reference.pipeline import (
    ReferenceBackground,
    UnscaledGuider,
    denoise_exactly,
    unscaled_index,
)
from guided_face_edit.editor_core.settings import EditSettings

from .augment import given_warps
from .measure import assert_each_near, assert_near, by_either_kernel, tolerances
from .process import diffusion_of
from .scene import (
    EXACT,
    LOSSES,
    ReferenceScene,
    file_named,
    logged,
    read_tensors,
    reference_scene,
)

Notes = dict[str, Any]
Tensors = Mapping[str, Tensor]

KINKS = 3  # how much further a loss may drift than the sample it is of, with other kernels


@dataclass
class GivenNoise:
    """The recorded draws of a run, in order."""

    draws: list[Tensor]

    def draw(self, like: Tensor) -> Tensor:
        return self.draws.pop(0)


@dataclass
class LossLog:
    """Makes guiders that guide at every step, as the reference does, and logs their losses."""

    terms: dict[str, BoundTerm]
    rows: list[Tensor] = field(default_factory=list)

    def __call__(
        self, denoiser: Denoiser, diffusion: GaussianDiffusion, terms: Sequence[BoundTerm]
    ) -> "LoggingGuider":
        return LoggingGuider(UnscaledGuider(denoiser, diffusion, terms), self)


@dataclass
class LoggingGuider:
    guider: UnscaledGuider
    log: LossLog

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        guided = self.guider(x_t, t)
        self.log.rows.append(logged(self.log.terms, guided.losses))
        return guided

    def predict(self, x_t: Tensor, t: int) -> Prediction:
        return self(x_t, t).prediction


@dataclass
class ForwardCount:
    """How often a network was run since this was made."""

    network: nn.Module
    count: int = 0

    def __post_init__(self) -> None:
        self.network.register_forward_hook(self._add)

    def _add(self, *call: Any) -> None:
        self.count += 1


def check_trajectory(
    manifest: Notes, name: str, note: Notes, tensors: Tensors, tensor_table: Notes, folder: Path
) -> None:
    inputs = read_tensors(folder / file_named(note["inputs"]))
    scene = reference_scene(folder, note, tensors, inputs)
    by_either_kernel(partial(_check_run, manifest, note, tensors, scene))


def _check_run(manifest: Notes, note: Notes, tensors: Tensors, scene: ReferenceScene) -> None:
    log = LossLog(scene.terms(given_warps(tensors, "aug/"), note["aug"]))
    forwards = ForwardCount(scene.models.diffusion.network)
    steps = _run(note, tensors, scene, log)
    _check_schedule(note, tensors, steps, forwards.count)
    _check_pictures(manifest, note, tensors, steps)
    _check_losses(manifest, note, tensors, log)


def _run(note: Notes, tensors: Tensors, scene: ReferenceScene, log: LossLog) -> list[Step]:
    steps: list[Step] = []
    denoise_exactly(
        scene.models.diffusion,
        scene.batch,
        list(log.terms.values()),
        settings_of(note),
        GivenNoise(list(tensors["noise"].float())),
        masking_threshold=note["thr"],
        guider=log,
        on_step=steps.append,
    )
    return steps


def settings_of(note: Notes) -> EditSettings:
    """The exact preset with a note's numbers."""
    return replace(
        EXACT,
        respacing=note["resp"],
        skip=note["skip"],
        sampler="ddim" if note.get("ddim") else "ddpm",
        views=note["aug"],
        keep_background=note["enforce"],
        candidates=1,
    )


def passes(note: Notes, taken: Tensor) -> int:
    """U-Net passes of these indices: one each, two where the guidance guessed another index."""
    return len(taken) + int((unscaled_index(_diffusion(note))[taken] != taken).sum())


def _diffusion(note: Notes) -> GaussianDiffusion:
    config = note["config"]
    return diffusion_of(config["noise_schedule"], note["resp"], config["diffusion_steps"])


def _check_schedule(note: Notes, tensors: Tensors, steps: list[Step], forwards: int) -> None:
    taken = tensors["t_index"]
    assert [step.t for step in steps] == taken.tolist()
    assert forwards == passes(note, taken)
    nowhere = torch.empty(0)
    ramp = ReferenceBackground(nowhere, nowhere, _diffusion(note), note["thr"])
    weights = torch.tensor([ramp.weight(t) for t in taken.tolist()], dtype=torch.float64)
    assert_each_near("softmask_factor", weights, tensors["softmask_factor"], 1e-12)


def _check_pictures(manifest: Notes, note: Notes, tensors: Tensors, steps: list[Step]) -> None:
    near, last = run_tolerances(manifest, note)
    for key, golden in tensors.items():
        kind, _, index = key.partition("/")
        if kind in ("sample", "pred_xstart"):
            step = steps[int(index)]
            mine = step.sample if kind == "sample" else step.pred_x0
            assert_near(key, mine, golden, last if step is steps[-1] else near)
    stats = [[*_stats(step.sample), *_stats(step.pred_x0)] for step in steps]
    assert_near("stats", torch.tensor(stats), tensors["stats"], near)


def _check_losses(manifest: Notes, note: Notes, tensors: Tensors, log: LossLog) -> None:
    """Each loss over the steps; their kinks multiply what the samples drift apart."""
    near = KINKS * run_tolerances(manifest, note)[0]
    rows = torch.stack(log.rows)
    for column, key in enumerate(LOSSES):
        assert_near(f"losses {key}", rows[:, column], tensors["losses"][:, column], near)


def run_tolerances(manifest: Notes, note: Notes) -> tuple[float, float]:
    """For every picture of the run, and for its last."""
    near, *last = tolerances(manifest, "traj ddim" if note.get("ddim") else "traj ddpm")
    return near, *(last or [near])


def _stats(x: Tensor) -> tuple[float, float]:
    return x.mean().item(), x.std().item()
