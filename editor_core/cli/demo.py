"""`demo`: edits a drawn person by the bundled models."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..demo.models import WEIGHTS, load_demo_models
from ..demo.pairs import DrawnPairs, draw_pairs
from ..editing import EditResult, edit_face
from ..face.parsing import paint_parsing
from ..files import write_text
from ..images import write_png
from ..presets import preset
from ..settings import EditSettings
from ..sheet import contact_sheet
from .moved import run_tool
from .options import add_gaze_goal, with_gaze_goal
from .output import edit_metadata, progress_on


def add_demo(commands: Any) -> None:
    parser = commands.add_parser("demo", help="edit a drawn face by the bundled models")
    parser.add_argument("--seed", type=int, default=0, help="of the people and of the edit")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (%(default)s)")
    add_gaze_goal(parser)
    parser.add_argument("--evaluate", type=int, metavar="N", help="moved: python -m tools.evaluate")
    parser.add_argument("--sweep", action="store_true", help="with --evaluate, moved likewise")
    parser.set_defaults(run=demo)


def demo(arguments: argparse.Namespace) -> int | None:
    seed, out = arguments.seed, arguments.out
    if arguments.evaluate is not None:
        options = [str(arguments.evaluate), "--seed", str(seed), "--out", str(out)]
        return run_tool("evaluate", [*options, *["--sweep"] * arguments.sweep])
    if arguments.sweep:
        raise ValueError("--sweep needs a number of pairs: give --evaluate too")
    out.mkdir(parents=True, exist_ok=True)
    edit_pair(seed, with_gaze_goal(replace(preset("demo"), seed=seed), arguments), out)
    return None


def edit_pair(seed: int, settings: EditSettings, out: Path) -> None:
    """Draw a source and a target, edit, and write every picture and metric."""
    models = load_demo_models()
    pair = draw_pairs(1, seed, models.diffusion.image_size)
    source, target = pair.source.image, pair.target.image
    with tqdm(desc="editing", unit="step") as bar:
        result = edit_face(models, source, target, settings, on_step=progress_on(bar))
    write_pictures(pair, result, edit_metadata("demo", settings, WEIGHTS), out)
    write_text(out / "metrics.json", result.metrics.to_json())
    write_png(out / "metrics.png", result.metrics.plot())
    print(f"wrote {out / 'sheet.png'}: identity distance {result.distances[0, 0]:.4f}")


def write_pictures(
    pair: DrawnPairs, result: EditResult, metadata: Mapping[str, str], out: Path
) -> None:
    """The pair, the target's parsing and mask, the edits, and the best of them on one sheet."""
    assert result.labels is not None  # the bundled models have a parser
    drawn = {
        "source": pair.source.image[0],
        "target": pair.target.image[0],
        "parsing": paint_parsing(result.labels)[0],
        "mask": result.mask[0, 0, :, :, None].expand(-1, -1, 3),
        "truth": pair.truth.image[0],
    }
    for name, picture in drawn.items():
        write_png(out / f"{name}.png", picture, {})
    edits, distances = result.images[0], result.distances[0].tolist()
    captions = [f"distance {distance:.3f}" for distance in distances]
    candidates = contact_sheet(list(zip(captions, edits, strict=True)))
    truth = drawn.pop("truth")
    sheet = contact_sheet([*drawn.items(), ("edited", edits[0]), ("true swap", truth)])
    edited = {"edited": edits[0], "candidates": candidates, "sheet": sheet}
    for name, picture in edited.items():
        write_png(out / f"{name}.png", picture, metadata)
