"""Many pairs: which there are, how one is edited, and what came of it."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from ..editing import edit_face
from ..images import picture_files, read_image, resize, to_signed, to_unit, write_png
from ..settings import EditSettings
from .options import models_of

COLUMNS = ("source", "target")
RECORD = "pair"  # the PNG text chunk that says which pair a picture was made of
MISHAPS = (ValueError, OSError, RuntimeError)  # of one pair: its pictures, the disk, memory


@dataclass(frozen=True)
class Pair:
    """A source, a target, and the name of the edit's file without its ending."""

    name: str
    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """A line of the report."""

    name: str
    source: str
    target: str
    status: Literal["done", "failed"]
    distance: float | None = None  # identity distance to the source
    seconds: float | None = None
    reason: str = ""

    def line(self) -> str:
        """As JSON, with its newline."""
        return json.dumps(asdict(self)) + "\n"


def failed(pair: Pair, reason: object) -> Outcome:
    """The outcome of a pair that was not edited."""
    return Outcome(
        pair.name,
        str(pair.source),
        str(pair.target),
        "failed",
        reason=" ".join(str(reason).split()),
    )


@dataclass(frozen=True)
class Work:
    """What all pairs of a run share."""

    folder: Path  # absolute: what relative paths of pictures are relative to
    models: Path
    out: Path
    settings: EditSettings
    metadata: Mapping[str, str]  # of every edit: settings and models
    precision: str
    compiled: bool
    threads: int

    def path(self, pair: Pair) -> Path:
        """Where the pair's edit is written."""
        return self.out / f"{pair.name}.png"

    def found(self, pair: Pair) -> Outcome | None:
        """The outcome of a pair that an earlier run has edited."""
        path = self.path(pair)
        if not path.exists():
            return None
        with Image.open(path) as file:
            text = dict(file.info)
        record = json.loads(text.get(RECORD, "{}"))
        expected = {**self.metadata, **_names(pair)}
        if any({**text, **record}.get(key) != value for key, value in expected.items()):
            raise ValueError(
                f"{path} was made of another pair, by other models or with other settings: choose "
                "another folder, or delete it"
            )
        return _done(pair, record["distance"], record["seconds"])


class PairEditor:
    """Loads the models once, then edits pair after pair."""

    def __init__(self, work: Work) -> None:
        torch.set_num_threads(work.threads)  # the order of sums depends on it
        self.work = work
        self.models = models_of(work.models, work.precision, work.compiled)

    def edit(self, pair: Pair) -> Outcome:
        """Write the pair's edit, unless that was done before."""
        try:
            return self.work.found(pair) or self._edited(pair)
        except MISHAPS as error:
            return failed(pair, error)

    def _edited(self, pair: Pair) -> Outcome:
        begun, size = time.perf_counter(), self.models.diffusion.image_size
        source, target = (
            fit(read_image(self.work.folder / path), size, path)
            for path in (pair.source, pair.target)
        )
        result = edit_face(self.models, source, target, self.work.settings)
        distance, seconds = result.distances[0, 0].item(), time.perf_counter() - begun
        record = {**_names(pair), "distance": distance, "seconds": seconds}
        write_png(
            self.work.path(pair),
            result.images[0, 0],
            {**self.work.metadata, RECORD: json.dumps(record)},
        )
        return _done(pair, distance, seconds)


def fit(picture: Tensor, size: int, path: Path) -> Tensor:  # (1,H,W,3) -> (1,size,size,3)
    """The picture at the model's size, if it is a square."""
    height, width = picture.shape[1:3]
    if height != width:
        raise ValueError(f"{path} is {height}x{width}, expected a square: crop the aligned face")
    return picture if height == size else to_unit(resize(to_signed(picture), size))


def _names(pair: Pair) -> dict[str, str]:
    """What an edit says of its pair: file names alone, for folders may say whose they are."""
    return {"source": pair.source.name, "target": pair.target.name}


def _done(pair: Pair, distance: float, seconds: float) -> Outcome:
    return Outcome(pair.name, str(pair.source), str(pair.target), "done", distance, seconds)


def pairs_in_table(path: Path) -> list[Pair]:
    """The rows of a CSV with columns source and target, and name where edits have names.

    Paths are relative to the table's folder.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=2):
        if not all(row.get(column) for column in COLUMNS):
            raise ValueError(
                f"{path}, line {number}: expected columns source and target, got "
                f"{', '.join(f'{key}={value}' for key, value in row.items())}: fill in both"
            )
    named = [(row.get("name"), *(path.parent / row[column] for column in COLUMNS)) for row in rows]
    return _distinct([Pair(n or _name(s, t), s, t) for n, s, t in named])


def pairs_in_folders(sources: Path, targets: Path) -> list[Pair]:
    """The first source with the first target by name, and so on."""
    faces, pictures = picture_files(sources), picture_files(targets)
    if len(faces) != len(pictures):
        raise ValueError(
            f"got {len(faces)} sources and {len(pictures)} targets: make them equally many, or "
            "name the pairs in a CSV"
        )
    return _distinct([Pair(_name(s, t), s, t) for s, t in zip(faces, pictures, strict=True)])


def _name(source: Path, target: Path) -> str:
    return f"{source.stem}_on_{target.stem}"


def _distinct(pairs: Sequence[Pair]) -> list[Pair]:
    if not pairs:
        raise ValueError("got no pairs, expected one or more: name some")
    for name, count in Counter(pair.name for pair in pairs).items():
        if count > 1 or Path(name).name != name:
            raise ValueError(
                f'{count} pairs are named "{name}", expected a file name for each: name them in '
                "the CSV's column name"
            )
    return list(pairs)
