"""Quality against seconds: the same pairs edited under settings that cost more or less."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ...editor_core.autograd import gradients
from ...editor_core.cli.output import settings_as_json
from ...editor_core.demo.models import load_demo_models
from ...editor_core.demo.pairs import draw_pairs
from ...editor_core.files import write_json
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings
from ..figures import Figure
from ..machine import describe_machine
from .measurements import measure
from .networks import load_metric_networks
from .tables import GAIN, quality

DEMO = preset("demo")
LONG = replace(DEMO, respacing="100", skip=10, sampler="ddpm", views=8)
SHORT = replace(DEMO, respacing="10", skip=1)


@dataclass(frozen=True)
class Trial:
    """One way of editing."""

    settings: EditSettings
    precision: torch.dtype = torch.float32  # of the U-Net


REFERENCES = ("diffface", "demo as long as diffface")  # trials that the others are compared with
TRIALS: Mapping[str, Trial] = {
    REFERENCES[0]: Trial(preset("diffface")),
    REFERENCES[1]: Trial(LONG),
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
class TrialResult:
    """What a trial costs, and what it achieves."""

    name: str
    seconds: float  # an edit, with its measurement
    figures: Sequence[Figure]

    @property
    def gain(self) -> Figure:
        """The quality that is set against the seconds, dB."""
        return next(figure for figure in self.figures if figure.name == GAIN)

    def matches(self, reference: TrialResult) -> bool:
        """Whether no figure is worse than the reference's interval."""
        pairs = zip(self.figures, reference.figures, strict=True)
        return all(own.as_good_as(other) for own, other in pairs)

    def is_dominated(self, results: Sequence[TrialResult]) -> bool:
        """Whether another result is as good for less, or better for as much."""
        own = (self.seconds, self.gain.value)
        others = {(each.seconds, each.gain.value) for each in results} - {own}
        return any(seconds <= own[0] and gain >= own[1] for seconds, gain in others)


def sweep(count: int, seed: int, out: Path, trials: Mapping[str, Trial] = TRIALS) -> None:
    """Print quality against seconds, and write every trial's figures as `sweep.json`."""
    models, networks = load_demo_models(), load_metric_networks()
    pairs, results = draw_pairs(count, seed, models.diffusion.image_size), []
    for name, trial in trials.items():
        with gradients():
            network = copy.deepcopy(models.diffusion.network).to(trial.precision)
        converted = replace(models, diffusion=replace(models.diffusion, network=network))
        settings, begun = replace(trial.settings, seed=seed), time.perf_counter()
        with tqdm(desc=name, unit="step") as bar:
            measured = measure(converted, networks, pairs, settings, bar)
        seconds = (time.perf_counter() - begun) / count
        results.append(TrialResult(name, seconds, quality(measured)))
    rows = [trial_row(each, trials[each.name].settings, results) for each in results]
    print(sweep_table(rows))
    command = f"python -m tools.evaluate {count} --seed {seed} --sweep"
    summary = {"command": command, "machine": describe_machine(), "trials": rows}
    write_json(out / "sweep.json", summary)


def trial_row(
    result: TrialResult, settings: EditSettings, results: Sequence[TrialResult]
) -> dict[str, Any]:
    references = [each for each in results if each.name in REFERENCES]
    return {
        "name": result.name,
        "settings": settings_as_json(result.name, settings),
        "seconds": result.seconds,
        "cheaper_by": {each.name: each.seconds / result.seconds for each in references},
        "as_good_as": {each.name: result.matches(each) for each in references},
        "pareto": not result.is_dominated(results),
        "figures": [asdict(figure) for figure in result.figures],
    }


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Cheapest first; `*` marks the Pareto front of seconds and gain.

    A trial is as good as a reference if no figure is worse than the reference's interval.
    """
    titles = "".join(f"as good as {name}  " for name in rows[0]["as_good_as"])
    lines = [f"{'':<2}{'seconds':>8}  {'PSNR gain, dB':<24}{'cheaper by':>10}  {titles}settings"]
    for row in sorted(rows, key=lambda row: row["seconds"]):
        front, cheaper = "*" if row["pareto"] else "", row["cheaper_by"][REFERENCES[0]]
        gain = next(figure for figure in row["figures"] if figure["name"] == GAIN)
        interval = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**gain)
        columns = f"{front:<2}{row['seconds']:>8.3f}  {interval:<24}{cheaper:>10.1f}  "
        for name, as_good in row["as_good_as"].items():
            columns += f"{'yes' if as_good else 'no':<{len(name) + 13}}"
        lines.append(columns + row["name"])
    return "\n".join(lines)
