"""The command line: `face-edit COMMAND`, or `python -m editor_core COMMAND` in a checkout."""

import argparse
import sys
from collections.abc import Sequence

from . import analyse, batch, convert, demo, inspect, moved, paste, swap
from .errors import USER_ERRORS, one_line


def build_parser() -> argparse.ArgumentParser:
    """Every command with its arguments; a command is one `add_...` that sets `run`."""
    parser = argparse.ArgumentParser(prog="face-edit", description="Edit faces by diffusion.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo.add_demo(commands)
    swap.add_swap(commands)
    batch.add_batch(commands)
    analyse.add_analyse(commands)
    paste.add_paste(commands)
    inspect.add_inspect(commands)
    convert.add_convert(commands)
    moved.add_moved(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error that the user can correct becomes one line and exit code 2."""
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except USER_ERRORS as error:
        print(one_line(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
