"""Quality against seconds: the same pairs edited under settings that cost more or less."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from ...editor_core.autograd import gradients
from ...editor_core.demo.pairs import DrawnPairs
from ...editor_core.diffusion.sampling import Listener
from ...editor_core.loading.models import FaceModels
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings
from .figures import GAIN, Figure, quality
from .measurements import Examiners, measure

DEMO = preset("demo")
LONG = replace(DEMO, respacing="100", skip=10, sampler="ddpm", views=8)
SHORT = replace(DEMO, respacing="10", skip=1)


@dataclass(frozen=True)
class Trial:
    """One way of editing."""

    settings: EditSettings
    precision: torch.dtype = torch.float32  # of the U-Net


REFERENCE, LONGEST = "diffface", "demo as long as diffface"
REFERENCES = (REFERENCE, LONGEST)  # trials that the others are held against
TRIALS: Mapping[str, Trial] = {
    REFERENCE: Trial(preset("diffface")),
    LONGEST: Trial(LONG),
    "demo": Trial(DEMO),
    "demo, bf16": Trial(DEMO, torch.bfloat16),
    "demo, one view": Trial(replace(DEMO, views=1)),
    "demo, skip 6": Trial(replace(DEMO, skip=6)),
    "demo, guide every 2": Trial(replace(DEMO, guide_every=2)),
    "demo, estimate": Trial(replace(DEMO, gradient="estimate")),
    "demo, 14 steps, estimate": Trial(replace(DEMO, respacing="14", skip=1, gradient="estimate")),
    "demo, 10 steps": Trial(SHORT),
    "demo, 10 steps, guide every 2": Trial(replace(SHORT, guide_every=2)),
    "demo, 10 steps, estimate": Trial(replace(SHORT, gradient="estimate")),
    "demo, 5 steps": Trial(replace(DEMO, respacing="5", skip=0)),
}


@dataclass(frozen=True)
class Row:
    """What a trial costs, and what it achieves."""

    name: str
    seconds: float  # an edit, with its examination
    figures: Sequence[Figure]

    @property
    def gain(self) -> float:
        """The quality that is set against the seconds, dB."""
        return next(figure.value for figure in self.figures if figure.name == GAIN)

    def within(self, reference: Row) -> bool:
        """Whether no figure is worse than the reference's interval."""
        pairs = zip(self.figures, reference.figures, strict=True)
        return all(own.keeps(other) for own, other in pairs)

    def beaten(self, rows: Sequence[Row]) -> bool:
        """Whether another row is as good for less, or better for as much."""
        mine = (self.seconds, self.gain)
        return any(
            row.seconds <= self.seconds
            and row.gain >= self.gain
            and (row.seconds, row.gain) != mine
            for row in rows
        )


def tried(
    name: str,
    trial: Trial,
    models: FaceModels,
    examiners: Examiners,
    pairs: DrawnPairs,
    seed: int,
    on_step: Listener,
) -> Row:
    """Edit all pairs one way."""
    models = in_precision(models, trial.precision)
    begun = time.perf_counter()
    measured = measure(models, examiners, pairs, replace(trial.settings, seed=seed), on_step)
    seconds = (time.perf_counter() - begun) / len(pairs)
    return Row(name, seconds, quality(measured))


def in_precision(models: FaceModels, precision: torch.dtype) -> FaceModels:
    """The models with a U-Net of that precision."""
    with gradients():
        network = copy.deepcopy(models.diffusion.network).to(precision)
    return replace(models, diffusion=replace(models.diffusion, network=network))


def references(rows: Sequence[Row]) -> list[Row]:
    """The rows that the others are held against."""
    return [row for row in rows if row.name in REFERENCES]


def table(rows: Sequence[Row]) -> str:
    """Cheapest first; `*` marks the Pareto front of seconds and gain.

    A row is as good as a reference if no figure is worse than the reference's interval.
    """
    held = references(rows)
    titles = "".join(f"as good as {each.name}  " for each in held)
    header = f"{'':<2}{'seconds':>8}  {'PSNR gain, dB':<24}{'cheaper by':>10}  {titles}settings"
    ordered = sorted(rows, key=lambda row: row.seconds)
    return "\n".join([header, *(_line(row, rows, held) for row in ordered)])


def _line(row: Row, rows: Sequence[Row], held: Sequence[Row]) -> str:
    front = "" if row.beaten(rows) else "*"
    gain = next(figure for figure in row.figures if figure.name == GAIN)
    interval = f"{gain.value:.3f} [{gain.low:.3f}, {gain.high:.3f}]"
    cheaper = held[0].seconds / row.seconds
    verdicts = "".join(
        f"{'yes' if row.within(each) else 'no':<{len(each.name) + 13}}" for each in held
    )
    return f"{front:<2}{row.seconds:>8.3f}  {interval:<24}{cheaper:>10.1f}  {verdicts}{row.name}"
