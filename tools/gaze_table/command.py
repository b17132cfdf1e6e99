"""Asked gaze against reached gaze, over a grid, of drawn people outside all training."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

from tqdm import tqdm

from ...editor_core.cli.output import settings_as_json
from ...editor_core.demo.models import load_demo_models
from ...editor_core.files import write_json
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings
from ..evaluate.networks import load_judge
from .measurements import GazeTrial
from .people import DrawnGazeJudge, draw_people
from .tables import cells, gaze_figures, grid_lines

PITCHES, YAWS = (-15.0, 0.0, 15.0), (-20.0, 0.0, 20.0)
"""Degrees; people of the drawn world look no further up or down than 16."""
GRID = "degrees that are asked, of the grid (%(default)s)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Edit, measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.gaze_table", description=__doc__)
    parser.add_argument("people", type=int, metavar="N", help="people, each asked every gaze")
    parser.add_argument("--seed", type=int, default=0, help="of the people and of the edits")
    for flag, degrees in (("--pitches", PITCHES), ("--yaws", YAWS)):
        parser.add_argument(flag, type=float, nargs="+", default=degrees, metavar="D", help=GRID)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (%(default)s)")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    settings = replace(preset("demo-gaze"), seed=given.seed)
    grid = list(product(given.pitches, given.yaws))
    gaze_table(given.people, given.seed, grid, settings, given.out)


def gaze_table(
    count: int,
    seed: int,
    asked: Sequence[tuple[float, float]],
    settings: EditSettings,
    out: Path,
) -> None:
    """Print the table for every pitch and yaw that is asked, and write it as `gaze.json`."""
    models = load_demo_models()
    people = draw_people(count, seed, models.diffusion.image_size)
    judges = DrawnGazeJudge.of(people), load_judge()
    trial = GazeTrial(models, settings, people, *judges)
    with tqdm(desc="editing", unit="step") as bar:
        measured = trial.measure(asked, bar)
    rows = gaze_figures(measured)
    print("\n".join(row.line() for row in rows))
    print(f"\nmedian error by what was asked, degrees\n{grid_lines(measured)}")
    grid = [{"pitch": p, "yaw": y, "error": error} for (p, y), error in cells(measured).items()]
    summary = {
        "command": f"python -m tools.gaze_table {count} --seed {seed}",
        "settings": settings_as_json("demo-gaze", settings),
        "figures": [asdict(row) for row in rows],
        "grid": grid,
    }
    write_json(out / "gaze.json", summary)
