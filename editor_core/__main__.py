"""The command line: `python -m editor_core COMMAND`."""

import argparse
import sys
from collections.abc import Sequence

from .commands.batch import add_batch
from .commands.benchmark import add_benchmark
from .commands.convert import add_convert
from .commands.demo import add_demo
from .commands.inspect import add_inspect
from .commands.mistakes import MISTAKES, in_one_line
from .commands.swap import add_swap
from .commands.train import add_train


def build_parser() -> argparse.ArgumentParser:
    """Every command with its arguments; a command is one `add_...` that sets `run`."""
    parser = argparse.ArgumentParser(prog="editor_core", description="Edit faces by diffusion.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_demo(commands)
    add_swap(commands)
    add_batch(commands)
    add_train(commands)
    add_inspect(commands)
    add_convert(commands)
    add_benchmark(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; what the user can mend becomes one line and exit code 2."""
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except MISTAKES as error:
        print(in_one_line(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
