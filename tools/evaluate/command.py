"""The same unseen pairs edited with every term and without each, and judged.

With `--sweep`: under settings that cost more or less."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...editor_core.cli.swap import settings_as_json
from ...editor_core.demo.models import load_demo_models
from ...editor_core.demo.pairs import draw_pairs
from ...editor_core.files import write_json
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings
from ..benchmark.machine import machine
from .examiners import load_examiners
from .figures import OWN_METRICS, Figure, ablations, figures
from .measurements import Measurements, measure
from .sweep import TRIALS, Row, Trial, references, table, tried


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints the table and writes it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate", description=__doc__)
    parser.add_argument("pairs", type=int, metavar="N", help="pairs, which nobody trained on")
    parser.add_argument("--seed", type=int, default=0, help="of the people and of the edits")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (%(default)s)")
    parser.add_argument("--sweep", action="store_true", help="quality against seconds")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.sweep:
        sweep(given.pairs, given.seed, given.out)
    else:
        evaluate(given.pairs, given.seed, replace(preset("demo"), seed=given.seed), given.out)


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
        "command": f"python -m tools.evaluate {count} --seed {seed} --sweep",
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
        "command": f"python -m tools.evaluate {count} --seed {seed}",
        "settings": settings_as_json("demo", settings),
        "figures": [asdict(row) for row in rows],
    }
