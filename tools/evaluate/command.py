"""The same unseen pairs edited with every guidance term and without each, and measured."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tqdm import tqdm

from ...editor_core.cli.output import settings_as_json
from ...editor_core.demo.models import load_demo_models
from ...editor_core.demo.pairs import draw_pairs
from ...editor_core.files import write_json
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings, TermSettings
from ..measures import TERM_METRICS, ablation
from .measurements import Measurements, measure
from .networks import load_metric_networks
from .sweep import sweep
from .tables import evaluation

EXTRA = {"light": TermSettings(1000)}
"""Terms that the preset leaves out: their rows compare it with them and as it is."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate", description=__doc__)
    parser.add_argument("pairs", type=int, metavar="N", help="pairs, which nobody trained on")
    parser.add_argument("--seed", type=int, default=0, help="of the people and of the edits")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (%(default)s)")
    costs = "edit under settings that cost more or less instead"
    parser.add_argument("--sweep", action="store_true", help=costs)
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.sweep:
        sweep(given.pairs, given.seed, given.out)
    else:
        evaluate(given.pairs, given.seed, replace(preset("demo"), seed=given.seed), given.out)


def evaluate(count: int, seed: int, settings: EditSettings, out: Path) -> None:
    """Print the table, and write it as `evaluation.json`."""
    models, networks = load_demo_models(), load_metric_networks()
    pairs = draw_pairs(count, seed, models.diffusion.image_size)

    def measured(name: str, settings: EditSettings) -> Measurements:
        with tqdm(desc=name, unit="step") as bar:
            return measure(models, networks, pairs, settings, bar)

    on, off = measured("with every term", settings), {}
    for term in (each for each in TERM_METRICS if each not in EXTRA):
        no_weight = replace(getattr(settings, term), scale=0.0)
        off[term] = measured(f"without {term}", replace(settings, **{term: no_weight}))
    rows = [*evaluation(on, off["gaze"]), *(ablation(term, on, off[term]) for term in off)]
    for term, weight in EXTRA.items():
        extra = measured(f"with {term}", replace(settings, **{term: weight}))
        rows.append(ablation(term, extra, on))
    print("\n".join(row.line() for row in rows))
    summary = {
        "command": f"python -m tools.evaluate {count} --seed {seed}",
        "settings": settings_as_json("demo", settings),
        "figures": [asdict(row) for row in rows],
    }
    write_json(out / "evaluation.json", summary)
