"""`train`: makes the demo's models anew, from drawn portraits alone."""

import argparse
from pathlib import Path
from typing import Any

from ..demo.models import WEIGHTS


def add_train(commands: Any) -> None:
    """The command's arguments."""
    parser = commands.add_parser("train", help="train the demo's models from drawn portraits")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="models to train (all of them)")
    parser.add_argument("--seed", type=int, default=0, help="of portraits and weights")
    parser.add_argument(
        "--work", type=Path, default=Path("training"), help="folder to resume from (%(default)s)"
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the model files")
    parser.set_defaults(run=train_models)


def train_models(arguments: argparse.Namespace) -> None:
    """Runs the stages, resuming each where it stopped."""
    from ..demo.training import train

    train(arguments.work, arguments.weights, arguments.seed, arguments.kinds)
