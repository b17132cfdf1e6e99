"""Commands of version 0.1.0 that are developers' tools now; in a checkout they still run."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("train", "benchmark")


def add_moved(commands: Any) -> None:
    """The commands, with whatever arguments their tools take."""
    for name in TOOLS:
        parser = commands.add_parser(name, add_help=False, help=f"moved: python -m tools.{name}")
        parser.add_argument("arguments", nargs=argparse.REMAINDER)
        parser.set_defaults(run=lambda given, name=name: run_tool(name, given.arguments))


def run_tool(name: str, arguments: Sequence[str]) -> int:
    """Run a tool of the checkout that this package is in."""
    if not (ROOT / "tools" / name).is_dir():
        raise ValueError(
            f"{name} is a tool of the repository, which this installation has not: clone it, and "
            f"run python -m tools.{name} there"
        )
    print(f"{name} has moved: python -m tools.{name}", file=sys.stderr)
    package = __package__.removesuffix("editor_core.cli")  # of the checkout, where it has a name
    if not package:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module(f"{package}tools").run(name, arguments)
