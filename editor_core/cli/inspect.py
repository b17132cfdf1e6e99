"""`inspect`: says what model files are."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..loading.folders import model_files
from ..loading.inspection import inspect
from .errors import USER_ERRORS, one_line


def add_inspect(commands: Any) -> None:
    parser = commands.add_parser("inspect", help="say what model files are")
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE", help="model files, or folders of them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list instead")
    parser.set_defaults(run=inspect_files)


def inspect_files(arguments: argparse.Namespace) -> int:
    """Print a paragraph a file; what cannot be used is an error line and makes the exit code 2."""
    files = [file for path in arguments.paths for file in model_files(path)]
    reports, failures = [], 0
    for file in files:
        try:
            report = inspect(file)
            reports.append(report.as_json())
            if not arguments.json:
                print(report.as_text(), end="\n\n")
        except USER_ERRORS as error:
            failures += 1
            reports.append({"path": str(file), "error": str(error)})
            print(one_line(error), file=sys.stderr)
    if arguments.json:
        print(json.dumps(reports, indent=2))
    return 2 if failures else 0
