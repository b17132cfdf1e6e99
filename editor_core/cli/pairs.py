"""Many pairs: which there are, how one is edited, and the report's line on it."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from ..editing import edit_face
from ..face.errors import FaceError
from ..face.locate import require_square
from ..images import picture_files, read_image, resize, to_signed, to_unit, write_png
from ..settings import EditSettings
from .options import models_of
from .output import settings_as_json

COLUMNS = ("source", "target")
PAIR_CHUNK = "pair"  # the PNG text chunk that says which pair a picture was made of


@dataclass(frozen=True)
class Pair:
    """A source, a target, and the name of the edit's file without its ending."""

    name: str
    source: Path
    target: Path

    def file_names(self) -> dict[str, str]:
        """What an edit says of its pair: no folders, for they may say whose pictures they are."""
        return {"source": self.source.name, "target": self.target.name}


@dataclass(frozen=True)
class PairResult:
    """A line of the report."""

    name: str
    source: str
    target: str
    status: Literal["done", "failed"]
    distance: float | None = None  # identity distance to the source
    seconds: float | None = None
    reason: str = ""

    @classmethod
    def done(cls, pair: Pair, distance: float, seconds: float) -> PairResult:
        return cls(pair.name, str(pair.source), str(pair.target), "done", distance, seconds)

    @classmethod
    def failed(cls, pair: Pair, reason: object) -> PairResult:
        text = " ".join(str(reason).split())
        return cls(pair.name, str(pair.source), str(pair.target), "failed", reason=text)

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True)
class BatchJob:
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
        return self.out / f"{pair.name}.png"

    def earlier_result(self, pair: Pair) -> PairResult | None:
        """The result of a pair that an earlier run edited; `ValueError` for another edit."""
        path = self.path(pair)
        if not path.exists():
            return None
        with Image.open(path) as file:
            text = dict(file.info)
        record = json.loads(text.get(PAIR_CHUNK, "{}"))
        expected = {**self.metadata, **pair.file_names()}
        found = {**text, **record}
        if any(_comparable(found.get(key)) != _comparable(expected[key]) for key in expected):
            raise ValueError(
                f"{path} was made of another pair, by other models or with other settings: choose "
                "another folder, or delete it"
            )
        return PairResult.done(pair, record["distance"], record["seconds"])


def _comparable(text: Any) -> Any:
    """A chunk's text; of settings, those that an older version did not know at their defaults."""
    if not str(text).startswith("{"):
        return text
    settings = json.loads(text)
    known = settings_as_json("", EditSettings()) if "preset" in settings else {}
    return {**known, **settings}


class PairEditor:
    """Loads the models once, then edits pair after pair."""

    def __init__(self, job: BatchJob) -> None:
        torch.set_num_threads(job.threads)  # the order of sums depends on it
        self.job = job
        self.models = models_of(job.models, job.precision, job.compiled)

    def edit(self, pair: Pair) -> PairResult:
        """Write the pair's edit, unless that was done before."""
        try:
            return self.job.earlier_result(pair) or self._edit(pair)
        except (ValueError, OSError, RuntimeError) as error:  # of pictures, the disk, memory
            return PairResult.failed(pair, error)

    def _edit(self, pair: Pair) -> PairResult:
        begun = time.perf_counter()
        source, target = self._read(pair.source), self._read(pair.target)
        try:
            result = edit_face(self.models, source, target, self.job.settings)
        except FaceError as error:  # of the source, or of the target
            file = pair.source if error.what == "source" else pair.target
            raise error.named([str(file)]) from None
        distance, seconds = result.distances[0, 0].item(), time.perf_counter() - begun
        record = json.dumps({**pair.file_names(), "distance": distance, "seconds": seconds})
        metadata = {**self.job.metadata, PAIR_CHUNK: record}
        write_png(self.job.path(pair), result.images[0, 0], metadata)
        return PairResult.done(pair, distance, seconds)

    def _read(self, path: Path) -> Tensor:  # -> (1,S,S,3)
        """A square picture of one aligned face, at the model's size."""
        picture, size = read_image(self.job.folder / path), self.models.diffusion.image_size
        require_square(picture, path, "crop it")
        return picture if len(picture[0]) == size else to_unit(resize(to_signed(picture), size))


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
    return _require_distinct([Pair(n or _name(s, t), s, t) for n, s, t in named])


def pairs_in_folders(sources: Path, targets: Path) -> list[Pair]:
    """The first source with the first target by name, and so on."""
    faces, pictures = picture_files(sources), picture_files(targets)
    if len(faces) != len(pictures):
        raise ValueError(
            f"got {len(faces)} sources and {len(pictures)} targets: make them equally many, or "
            "name the pairs in a CSV"
        )
    pairs = zip(faces, pictures, strict=True)
    return _require_distinct([Pair(_name(s, t), s, t) for s, t in pairs])


def _name(source: Path, target: Path) -> str:
    return f"{source.stem}_on_{target.stem}"


def _require_distinct(pairs: Sequence[Pair]) -> list[Pair]:
    if not pairs:
        raise ValueError("got no pairs, expected one or more: name some")
    for name, count in Counter(pair.name for pair in pairs).items():
        if count > 1 or Path(name).name != name:
            raise ValueError(
                f'{count} pairs are named "{name}", expected a file name for each: name them in '
                "the CSV's column name"
            )
    return list(pairs)
