"""`convert`: writes model files as safetensors."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..loading.convert import SUFFIX, convert, require_free
from ..loading.folders import model_files
from ..loading.inspection import inspect
from .errors import USER_ERRORS, one_line


def add_convert(commands: Any) -> None:
    parser = commands.add_parser("convert", help="write model files as safetensors")
    parser.add_argument("source", type=Path, help="model file, diffusers folder, or folder of both")
    parser.add_argument("out", type=Path, help="OUT.safetensors, or the folder for a whole folder")
    parser.add_argument("--half", action="store_true", help="pack floats in 16 bits")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.set_defaults(run=convert_files)


def convert_files(arguments: argparse.Namespace) -> int:
    """Print a line a file; what cannot be used is an error line and makes the exit code 2."""
    files, failures = destinations(arguments.source, arguments.out), 0
    for source, destination in tqdm(files, unit="file", disable=None):
        try:
            require_free(destination, arguments.force)
            report = inspect(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            tqdm.write(convert(report, destination, arguments.half, arguments.force))
            for warning in report.warnings:
                tqdm.write(f"warning: {warning}", file=sys.stderr)
        except USER_ERRORS as error:
            failures += 1
            tqdm.write(one_line(error), file=sys.stderr)
    return 2 if failures else 0


def destinations(source: Path, out: Path) -> list[tuple[Path, Path]]:
    """Files and where they are written: one model, or every pickle of a folder into another."""
    files = model_files(source)
    if files == [source]:
        return [(source, out)]
    found = [
        (file, out / file.relative_to(source).with_suffix(SUFFIX))
        for file in files
        if file.suffix != SUFFIX
    ]
    if not found:
        raise ValueError(f"all models in {source} are {SUFFIX} already: name one to convert it")
    twice = {place for _, place in found if [each for _, each in found].count(place) > 1}
    if twice:
        raise ValueError(
            f"several files in {source} would become {min(twice)}: convert them one by one"
        )
    return found
