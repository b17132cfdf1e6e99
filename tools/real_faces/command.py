"""Real aligned crops, each one's face put on the next, measured by networks that do not guide.

What is measured of each pair is kept in OUT/rows.jsonl at once: a run that was interrupted goes on
from there. The edits and a sheet of them are written beside it, so OUT must lie outside the
repository, where no real person's picture belongs.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...editor_core.cli.options import add_models, add_settings, models_of, settings_of
from ...editor_core.cli.output import settings_as_json
from ...editor_core.cli.pairs import Pair
from ...editor_core.demo.models import demo_file
from ...editor_core.files import write_json
from ...editor_core.images import to_bhwc, write_png
from ...editor_core.loading.known_files import cached_sha256
from ...editor_core.loading.models import find_models, load_landmarks, load_lpips
from ...editor_core.settings import EditSettings
from .. import ROOT
from ..machine import describe_machine
from ..measures import TERM_METRICS
from .crops import FaceCrops
from .judges import IDENTITY_JUDGES, IrisJudge
from .measuring import Judged, Measure
from .rows import RowFile, measures_of
from .sheets import edits_folder, write_sheet
from .tables import ALL, NONE, table, without

INTERRUPTED = 130  # the exit code of whoever was interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and write it as JSON."""
    given = argument_parser().parse_args(arguments)
    require_outside(given.out)
    settings, models = settings_of(given), models_of(given.models, given.precision, given.compile)
    crops = FaceCrops.read(given.crops, models.diffusion.image_size)
    pairs = crops.pairs(given.pairs, given.pair_seed)
    judge = Judged.of(IDENTITY_JUDGES[given.judge](), crops)
    gaze_judge = given.landmarker and IrisJudge(load_landmarks(given.landmarker))
    lpips = models.lpips or load_lpips(demo_file("lpips"))
    measure = Measure(models, lpips, crops, judge, gaze_judge)
    ways = ways_of(settings, given.ablate, given.limits)
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        evaluate_faces(measure, pairs, ways, describe_run(given, settings, crops), given.out)
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here")
        return INTERRUPTED
    return 0


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.real_faces", description=__doc__)
    parser.add_argument("crops", type=Path, help="folder of aligned square crops, one a person")
    add_models(parser)
    add_settings(parser)
    parser.add_argument("--pairs", type=int, default=32, help="how many (%(default)s)")
    parser.add_argument("--pair-seed", type=int, default=0, help="which (%(default)s)")
    parser.add_argument(
        "--judge", choices=IDENTITY_JUDGES, default="dlib", help="of identity (%(default)s)"
    )
    irises = "face landmarker, which guides nothing here: judges the gaze by irises"
    parser.add_argument("--landmarker", type=Path, help=irises)
    parser.add_argument("--ablate", action="store_true", help="edit without each term too")
    bound = "edit without any term too: what noising and denoising alone leaves of a target"
    parser.add_argument("--limits", action="store_true", help=bound)
    parser.add_argument("--out", type=Path, required=True, help="folder outside the repository")
    return parser


def require_outside(out: Path) -> None:
    """Refuse a folder of this checkout: the pictures written there show real people."""
    if out.resolve().is_relative_to(ROOT):
        raise ValueError(f"{out} lies inside the repository: name a folder outside it with --out")


def ways_of(settings: EditSettings, ablate: bool, limits: bool) -> dict[str, EditSettings]:
    """The settings of each way of editing."""

    def leaving_out(terms: Sequence[str]) -> EditSettings:
        weights = {term: replace(getattr(settings, term), scale=0.0) for term in terms}
        return replace(settings, **weights)

    active = [term for term in TERM_METRICS if getattr(settings, term).scale]
    ways = {ALL: settings}
    if ablate:
        ways |= {without(term): leaving_out([term]) for term in active}
    return {**ways, NONE: leaving_out(active)} if limits else ways


def describe_run(
    given: argparse.Namespace, settings: EditSettings, crops: FaceCrops
) -> dict[str, Any]:
    """What rows must have in common to stand in one table; no folder is named."""
    return {
        "settings": settings_as_json(given.preset, settings),
        "models": {kind: cached_sha256(path) for kind, path in find_models(given.models).items()},
        "precision": given.precision,
        "crops": hashlib.sha256(crops.pictures.numpy().tobytes()).hexdigest(),
        "pair_seed": given.pair_seed,
        "judge": given.judge,
        "landmarker": given.landmarker and cached_sha256(given.landmarker),
    }


def evaluate_faces(
    measure: Measure,
    pairs: Sequence[Pair],
    ways: Mapping[str, EditSettings],
    run: Mapping[str, Any],
    out: Path,
    at_once: int = 4,
) -> None:
    """Edit what is not edited yet, print the table, and write it, the edits and their sheet."""
    file = RowFile(out / "rows.jsonl", run)
    for way, settings in ways.items():
        edit_pairs(measure, pairs, way, settings, file, at_once)
    rows = {way: [file.of_way(way)[pair.name] for pair in pairs] for way in ways}
    figures = table({way: measures_of(each) for way, each in rows.items()})
    print("\n".join(figure.line() for figure in figures))
    machine, figures = describe_machine(), [asdict(figure) for figure in figures]
    summary = {"pairs": len(pairs), **run, "machine": machine, "figures": figures}
    write_json(out / "evaluation.json", summary)
    write_sheet(measure.crops, pairs, rows, out)


def edit_pairs(
    measure: Measure,
    pairs: Sequence[Pair],
    way: str,
    settings: EditSettings,
    file: RowFile,
    at_once: int,
) -> None:
    """Edit and measure the pairs of which there is no row, some at once."""
    folder, done = edits_folder(file.path.parent, way), file.of_way(way)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [k for k, pair in enumerate(pairs) if pair.name not in done]
    with tqdm(desc=way, unit="step") as bar:
        for first in range(0, len(missing), at_once):
            numbers = missing[first : first + at_once]
            chosen = [pairs[k] for k in numbers]
            measures, edits = measure(chosen, numbers, settings, lambda _: bar.update())
            for pair, edit in zip(chosen, edits, strict=True):
                write_png(folder / f"{pair.name}.png", to_bhwc(edit))
            file.append(way, [pair.name for pair in chosen], measures)
