"""`demo --evaluate`: every way of editing the same unseen pairs, measured against the truth."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..demo.evaluation import Examiners, Measurements, measure
from ..demo.models import load_demo_models, load_judge
from ..demo.pairs import DrawnPairs, draw_pairs
from ..demo.report import Figure, ablations, figures
from ..files import write_json
from ..settings import EditSettings
from .swap import settings_as_json

TERMS = ("identity", "parsing", "gaze", "lpips", "pixel")


def evaluate(count: int, seed: int, settings: EditSettings, out: Path) -> None:
    """Edits `count` pairs with all terms and without each; prints the table and writes it."""
    examiners = Examiners(load_demo_models(), load_judge())
    pairs = draw_pairs(count, seed, examiners.models.diffusion.image_size)
    off = {term: measure_ways(examiners, pairs, without(settings, term), term) for term in TERMS}
    on = measure_ways(examiners, pairs, settings, "all terms")
    rows = [*figures(on, off["gaze"]), *ablations(on, off)]
    print("\n".join(row.line() for row in rows))
    write_json(out / "evaluation.json", summary(count, seed, settings, rows))


def measure_ways(
    examiners: Examiners, pairs: DrawnPairs, settings: EditSettings, name: str
) -> Measurements:
    """One pass over all pairs, with a bar."""
    with tqdm(desc=name, unit="step") as bar:
        return measure(examiners, pairs, settings, lambda step: bar.update())


def without(settings: EditSettings, term: str) -> EditSettings:
    """The settings with one term switched off."""
    return replace(settings, **{term: replace(getattr(settings, term), scale=0.0)})


def summary(
    count: int, seed: int, settings: EditSettings, rows: list[Figure]
) -> Mapping[str, Any]:
    """What is written beside the printed table."""
    return {
        "command": f"python -m editor_core demo --evaluate {count} --seed {seed}",
        "settings": settings_as_json("demo", settings),
        "figures": [asdict(row) for row in rows],
    }
