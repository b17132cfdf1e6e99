"""`demo --evaluate`: the same unseen pairs edited with every term and without each, and judged."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..demo.evaluation import Measurements, measure
from ..demo.models import load_demo_models, load_examiners
from ..demo.pairs import draw_pairs
from ..demo.report import OWN_METRICS, Figure, ablations, figures
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
