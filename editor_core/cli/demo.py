"""`demo`: edits a drawn person by the bundled models, or measures how well that goes."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from ..demo.models import WEIGHTS, load_demo_models
from ..demo.pairs import DrawnPairs, draw_pairs
from ..editing import EditResult, edit_face
from ..face.parsing import FaceParsing, paint_parsing, parse_face
from ..files import write_text
from ..images import to_signed, write_png
from ..presets import preset
from ..settings import EditSettings
from ..sheet import contact_sheet
from .moved import run_tool
from .swap import advancing, edit_metadata


def add_demo(commands: Any) -> None:
    """The command's arguments."""
    parser = commands.add_parser("demo", help="edit a drawn face by the bundled models")
    parser.add_argument("--seed", type=int, default=0, help="of the people and of the edit")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (%(default)s)")
    parser.add_argument("--evaluate", type=int, metavar="N", help="moved: python -m tools.evaluate")
    parser.add_argument("--sweep", action="store_true", help="of the same")
    parser.set_defaults(run=demo)


def demo(arguments: argparse.Namespace) -> int | None:
    """Edits one pair and shows it."""
    if arguments.sweep and arguments.evaluate is None:
        raise ValueError("--sweep needs a number of pairs: give --evaluate too")
    if arguments.evaluate is not None:
        passed = [arguments.evaluate, "--seed", arguments.seed, "--out", arguments.out]
        return run_tool("evaluate", [*map(str, passed), *["--sweep"] * arguments.sweep])
    arguments.out.mkdir(parents=True, exist_ok=True)
    edit_pair(arguments.seed, replace(preset("demo"), seed=arguments.seed), arguments.out)
    return None


def edit_pair(seed: int, settings: EditSettings, out: Path) -> None:
    """Draws a source and a target, edits, and writes every picture and metric."""
    models = load_demo_models()
    pair = draw_pairs(1, seed, models.diffusion.image_size)
    with tqdm(desc="editing", unit="step") as bar:
        result = edit_face(
            models, pair.source.image, pair.target.image, settings, on_step=advancing(bar)
        )
    parsing = parse_face(models.parser, to_signed(pair.target.image))
    write_pictures(pair, parsing, result, settings, out)
    write_text(out / "metrics.json", result.metrics.to_json())
    write_png(out / "metrics.png", result.metrics.plot())
    print(f"wrote {out / 'sheet.png'}: identity distance {result.distances[0, 0]:.4f}")


def write_pictures(
    pair: DrawnPairs, parsing: FaceParsing, result: EditResult, settings: EditSettings, out: Path
) -> None:
    """The pair, what was seen in it, the edits, and all of it on one sheet."""
    metadata = edit_metadata("demo", settings, WEIGHTS)
    drawn, edited = panels(pair, parsing, result), {"edited": result.images[0, 0]}
    for name, picture in drawn.items():
        write_png(out / f"{name}.png", picture, {})
    write_png(out / "edited.png", edited["edited"], metadata)
    candidates = [
        (f"distance {distance:.3f}", image)
        for image, distance in zip(result.images[0], result.distances[0].tolist(), strict=True)
    ]
    write_png(out / "candidates.png", contact_sheet(candidates), metadata)
    order = ("source", "target", "parsing", "mask", "edited", "truth")
    shown = drawn | edited
    sheet = contact_sheet([(CAPTIONS.get(name, name), shown[name]) for name in order])
    write_png(out / "sheet.png", sheet, metadata)


CAPTIONS = {"truth": "true swap"}


def panels(pair: DrawnPairs, parsing: FaceParsing, result: EditResult) -> dict[str, Tensor]:
    """What the demo shows beside the edit, by file name, each (H,W,3) in [0,1]."""
    return {
        "source": pair.source.image[0],
        "target": pair.target.image[0],
        "parsing": paint_parsing(parsing.labels)[0],
        "mask": result.mask[0, 0, :, :, None].expand(-1, -1, 3),
        "truth": pair.truth.image[0],
    }
