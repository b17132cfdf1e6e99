"""What was measured of each pair, a line of JSON each, so that a run goes on where it was ended."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from .measuring import RealMeasures

Row = dict[str, Any]  # the way of editing, the pair's name, and every measure


class RowFile:
    """The rows of one run; the first line says what the run is.

    Raises:
        ValueError: The file is of another run.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]  # the last may be torn
        header = json.dumps({"run": {**run}}, sort_keys=True)
        if whole and json.loads(whole[0]) != json.loads(header):
            raise ValueError(
                f"{path} is of another run, by other models, crops or settings: choose another "
                "folder, or delete it"
            )
        if not whole or len(whole) < len(lines):
            path.write_bytes(b"".join(whole) or f"{header}\n".encode())
        self.rows: list[Row] = [json.loads(line) for line in whole[1:]]

    def of_way(self, way: str) -> dict[str, Row]:
        """The rows of one way of editing, by the pair's name."""
        return {row["pair"]: row for row in self.rows if row["way"] == way}

    def append(self, way: str, pairs: Sequence[str], measures: RealMeasures) -> None:
        """Write a row for each pair, at once."""
        columns = {name: column.tolist() for name, column in measures.columns().items()}
        rows = [
            {"way": way, "pair": pair, **{name: _known(each[k]) for name, each in columns.items()}}
            for k, pair in enumerate(pairs)
        ]
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
        self.rows += rows


def measures_of(rows: Sequence[Row]) -> RealMeasures:
    """Rows as columns again."""
    columns = {each.name: [row[each.name] for row in rows] for each in fields(RealMeasures)}
    return RealMeasures(
        **{
            name: torch.tensor([math.nan if value is None else value for value in column])
            for name, column in columns.items()
        }
    )


def _known(value: Any) -> Any:
    """None for NaN, which JSON has not."""
    return None if isinstance(value, float) and math.isnan(value) else value
