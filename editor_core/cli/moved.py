"""Commands of version 0.1.0 that are developers' tools now; in a checkout they still run."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
MOVED = ("train", "benchmark")


def add_moved(commands: Any) -> None:
    for name in MOVED:
        parser = commands.add_parser(
            name,
            add_help=False,
            prefix_chars="\0",  # all that follows is the tool's, its options and --help included
            help=f"moved: python -m tools.{name}",
        )
        parser.add_argument("arguments", nargs="*")
        parser.set_defaults(run=lambda given, name=name: run_tool(name, given.arguments))


def run_tool(name: str, arguments: Sequence[str]) -> int:
    """Run a tool of the checkout that this package is in."""
    if not (CHECKOUT / "tools" / name).is_dir():
        raise ValueError(
            f"{name} is a tool of the repository and not in this installation: clone the "
            f"repository, and run python -m tools.{name} in it"
        )
    print(f"{name} has moved: python -m tools.{name}", file=sys.stderr)
    package = __name__.removesuffix("editor_core.cli.moved")  # of the checkout, if it has a name
    if not package:
        sys.path.insert(0, str(CHECKOUT))
    return importlib.import_module(f"{package}tools").run(name, arguments)
