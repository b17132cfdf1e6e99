"""The same unseen pairs edited with a wish in words and without, and judged by another network."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ...editor_core.cli.output import settings_as_json
from ...editor_core.files import write_json
from .edits import PRESET, WishTrial
from .networks import train_networks
from .tables import attribute_table, write_wish_sheet


def main(arguments: Sequence[str] | None = None) -> None:
    """Train or resume the two networks, edit, print the table and write it with a sheet."""
    parser = argparse.ArgumentParser(prog="python -m tools.text_attributes", description=__doc__)
    add = parser.add_argument
    add("pairs", type=int, metavar="N", help="pairs, which nobody trained on")
    add("--seed", type=int, default=0, help="of the people and of the edits")
    add("--scale", type=float, default=60.0, help="of the text term (%(default)s)")
    add("--margin", type=float, default=0.5, help="in cosines of the small CLIP (%(default)s)")
    add("--work", type=Path, required=True, help="folder of the networks, outside the repository")
    add("--out", type=Path, default=Path("demo"), help="folder of the results (%(default)s)")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    clip, judge = train_networks(given.work)
    trial = WishTrial.of(clip, judge, given.pairs, given.seed)
    edits = trial.edit_all(given.scale, given.margin)
    figures = attribute_table(trial, edits)
    print("\n".join(figure.line() for figure in figures))
    summary = {
        "command": f"python -m tools.text_attributes {given.pairs} --seed {given.seed} "
        f"--scale {given.scale:g} --margin {given.margin:g} --work WORK",
        "settings": settings_as_json(PRESET, trial.settings),
        "figures": [asdict(figure) for figure in figures],
    }
    write_json(given.out / "text_attributes.json", summary)
    write_wish_sheet(given.out / "text_attributes.png", trial, edits)
