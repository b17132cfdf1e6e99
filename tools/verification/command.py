"""How often an encoder takes strangers for one person, and one person for one, at its threshold.

All pairs of the pictures are compared: those of one person, and those of strangers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...editor_core.demo.models import demo_file
from ...editor_core.face.detecting import FaceDetector
from ...editor_core.face.identity import IdentityEncoder, identity_distance
from ...editor_core.face.yunet import PUBLISHED
from ...editor_core.loading.models import load_identity
from .people import Embedded, embed_drawn, embed_people

THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
ALLOWED = 0.001  # of the pairs of strangers


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table for the documentation."""
    given = verification_parser().parse_args(arguments)
    encoder = load_identity(given.encoder)
    if given.people is None:
        views = {"drawn": embed_drawn(encoder, given.drawn, given.pictures, given.seed)}
    elif given.detector is None:
        raise ValueError(f"faces must be found, and there is no detector: give {PUBLISHED}")
    else:
        views = embed_people(encoder, given.people, FaceDetector(given.detector))
    print(verification_table(encoder, views))


def verification_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.verification", description=__doc__)
    add = parser.add_argument
    add("people", type=Path, nargs="?", help="folder with a folder for each person (drawn people)")
    add("--encoder", type=Path, default=demo_file("identity"), help="file (the drawn world's)")
    add("--detector", type=Path, help="YuNet file, for people of a folder")
    add("--drawn", type=int, default=40, help="people that are drawn (%(default)s)")
    add("--pictures", type=int, default=10, help="of each of them (%(default)s)")
    add("--seed", type=int, default=0, help="of the drawn people (%(default)s)")
    return parser


def verification_table(encoder: IdentityEncoder, views: Mapping[str, Embedded]) -> str:
    """A line a view: what is accepted at some thresholds, and where few strangers are."""
    lines = [heading(encoder, next(iter(views.values())))]
    limits = sorted({*THRESHOLDS, encoder.same_person})
    titles = [f"{limit:g}" for limit in limits]
    lines.append(f"| shown | {' | '.join(titles)} | 0.1% of strangers at |")
    lines.append("| --- |" + " ---: |" * (len(limits) + 1))
    for name, embedded in views.items():
        same, strangers = pair_distances(embedded)
        cells = [f"{percent(strangers, limit)} / {percent(same, limit)}" for limit in limits]
        strict = torch.quantile(strangers.double(), ALLOWED).item()
        strict_cell = f"{strict:.3f}, {percent(same, strict)} of one person"
        lines.append(f"| {name} | {' | '.join(cells)} | {strict_cell} |")
    return "\n".join(lines)


def heading(encoder: IdentityEncoder, embedded: Embedded) -> str:
    """What was compared."""
    same, strangers = (len(each) for each in pair_distances(embedded))
    people = len(embedded.person.unique())
    return (
        f"{type(encoder.network).__name__}, template {encoder.template}, one person up to "
        f"{encoder.same_person:g}: {len(embedded.person)} pictures of {people} people "
        f"({embedded.left_out} without just one face), {same:,} pairs of one person, {strangers:,} "
        "of strangers; strangers / one person taken for one, by identity distance\n"
    )


def pair_distances(embedded: Embedded) -> tuple[Tensor, Tensor]:  # -> (p,), (q,)
    """The distances of all pairs of one person, and of all pairs of strangers."""
    identity, person = embedded.identity, embedded.person
    distance = identity_distance(identity[:, None], identity[None])
    once = torch.ones_like(distance, dtype=torch.bool).triu(1)
    alike = person[:, None] == person
    return distance[once & alike], distance[once & ~alike]


def percent(distances: Tensor, limit: float) -> str:
    """How many lie within a limit."""
    return f"{100 * (distances <= limit).double().mean().item():.2f}%"
