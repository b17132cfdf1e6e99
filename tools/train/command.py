"""Trains the demo models from drawn portraits, each stage from where it stopped."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ...editor_core.demo.models import WEIGHTS
from .stages import train


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.train", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="models to train (all of them)")
    parser.add_argument("--seed", type=int, default=0, help="of portraits and weights")
    parser.add_argument(
        "--work", type=Path, default=Path("training"), help="folder to resume from (%(default)s)"
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the model files")
    given = parser.parse_args(arguments)
    train(given.work, given.weights, given.seed, given.kinds)
