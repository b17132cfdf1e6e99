"""`demo --evaluate`: the same unseen pairs edited with every term and without each, and judged.

With `--sweep`: under settings that cost more or less."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..benchmark.machine import machine
from ..demo.evaluation import Measurements, measure
from ..demo.models import load_demo_models, load_examiners
from ..demo.pairs import draw_pairs
from ..demo.report import OWN_METRICS, Figure, ablations, figures
from ..demo.sweep import TRIALS, Row, Trial, references, table, tried
from ..files import write_json
from ..settings import EditSettings
from .swap import settings_as_json


def evaluate(count: int, seed: int, settings: EditSettings, out: Path) -> None:
    """Prints the table and writes it as JSON."""
    models, examiners = load_demo_models(), load_examiners()
    pairs = draw_pairs(count, seed, models.diffusion.image_size)

    def measured(name: str, settings: EditSettings) -> Measurements:
        with tqdm(desc=name, unit="step") as bar:
            return measure(models, examiners, pairs, settings, lambda step: bar.update())

    on = measured("with every term", settings)
    off = {term: measured(f"without {term}", without(settings, term)) for term in OWN_METRICS}
    rows = [*figures(on, off["gaze"]), *ablations(on, off)]
    print("\n".join(row.line() for row in rows))
    write_json(out / "evaluation.json", summary(count, seed, settings, rows))


def sweep(count: int, seed: int, out: Path, trials: Mapping[str, Trial] = TRIALS) -> None:
    """Prints quality against seconds, and writes every trial's figures as JSON."""
    models, examiners = load_demo_models(), load_examiners()
    pairs, rows = draw_pairs(count, seed, models.diffusion.image_size), []
    for name, trial in trials.items():
        with tqdm(desc=name, unit="step") as bar:
            rows.append(
                tried(name, trial, models, examiners, pairs, seed, lambda step: bar.update())
            )
    print(table(rows))
    write_json(out / "sweep.json", sweep_summary(count, seed, rows, trials))


def sweep_summary(
    count: int, seed: int, rows: Sequence[Row], trials: Mapping[str, Trial]
) -> dict[str, Any]:
    """What is written: how to repeat it, the machine, a table for each trial."""
    held = references(rows)
    return {
        "command": f"python -m editor_core demo --evaluate {count} --seed {seed} --sweep",
        "machine": machine(),
        "trials": [
            {
                "name": row.name,
                "settings": settings_as_json(row.name, trials[row.name].settings),
                "seconds": row.seconds,
                "cheaper_by": {each.name: each.seconds / row.seconds for each in held},
                "as_good_as": {each.name: row.within(each) for each in held},
                "pareto": not row.beaten(rows),
                "figures": [asdict(figure) for figure in row.figures],
            }
            for row in rows
        ],
    }


def without(settings: EditSettings, term: str) -> EditSettings:
    """The settings with one term switched off."""
    return replace(settings, **{term: replace(getattr(settings, term), scale=0.0)})


def summary(
    count: int, seed: int, settings: EditSettings, rows: Sequence[Figure]
) -> dict[str, Any]:
    """What is written: how to repeat it, the settings, the table."""
    return {
        "command": f"python -m editor_core demo --evaluate {count} --seed {seed}",
        "settings": settings_as_json("demo", settings),
        "figures": [asdict(row) for row in rows],
    }
