"""The rows of the table, and a sheet of the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...editor_core.demo.pairs import UNSEEN
from ...editor_core.face.identity import identity_distance
from ...editor_core.images import to_signed, write_png
from ...editor_core.sheet import contact_sheet
from ..figures import Figure, proportion
from ..measures import mean_figure
from .edits import NO_WISH, WISHES, Edits, Wish, WishTrial
from .networks import Reader, draw_labelled

PORTRAITS = 512  # to read, of people that are in no pair of small seeds
PANEL, PANELS = 128, 3  # pixels a side, and pairs on the sheet
AllEdits = Mapping[tuple[str, Sequence[int]], Edits]


def attribute_table(trial: WishTrial, edits: AllEdits) -> list[Figure]:
    """How well the networks read drawn people, then what each wish achieves and costs."""
    rows = reading_rows(trial.readers)
    for name, wish in WISHES.items():
        rows += wish_rows(trial, name, edits[name, wish.parts], edits[NO_WISH, wish.parts])
    return rows


@torch.no_grad()
def reading_rows(readers: Mapping[str, Reader]) -> list[Figure]:
    """How often each network is right of portraits that none has seen."""
    data = draw_labelled(PORTRAITS, 2 * UNSEEN)
    x, known = data.picture(torch.arange(PORTRAITS)), data.truth.isfinite()
    rows = []
    for who, read in readers.items():
        right = (read(x) > 0) == (data.truth > 0.5)
        for k, what in enumerate(("beards", "hair colour")):
            rows.append(proportion(f"{who} right of drawn people's {what}", right[known[:, k], k]))
    return rows


@torch.no_grad()
def wish_rows(trial: WishTrial, name: str, on: Edits, off: Edits) -> list[Figure]:
    """What a wish achieves by judge and guide, and what it costs."""
    wish, rows = WISHES[name], []
    for who, read in trial.readers.items():
        asked, before = (granted(read, wish, each) for each in (on, off))
        rows += [
            proportion(f"{name}, by the {who}", asked),
            proportion("  without the term", before),
            mean_figure("  gain", asked.double() - before.double()),
        ]
    source = trial.identities.embed(to_signed(trial.pairs.source.image))
    own, other = (
        identity_distance(source, trial.identities.embed(to_signed(each.image)))
        for each in (on, off)
    )
    target = trial.pairs.target.image
    kept = ((on.image == target) | (on.mask[..., None] > 0)).flatten(1).all(1)
    return [
        *rows,
        mean_figure("  identity distance to the source", own),
        mean_figure("  of it, by the term", own - other),
        proportion("  background bit-identical", kept).at_least(1),
    ]


def granted(read: Reader, wish: Wish, edits: Edits) -> Tensor:  # -> (n,) bool
    """Whether a network sees what was asked."""
    return (read(to_signed(edits.image))[:, wish.attribute] > 0) == wish.there


def write_wish_sheet(path: Path, trial: WishTrial, edits: AllEdits) -> None:
    """The first pairs: source, target, and the edit for every wish and none."""
    pictures = {"source": trial.pairs.source.image, "target": trial.pairs.target.image}
    shown = [*pictures.items(), *((name, each.image) for (name, _), each in edits.items())]
    count = min(PANELS, len(trial.pairs))
    strips = [contact_sheet([(name, each[k]) for name, each in shown], PANEL) for k in range(count)]
    write_png(path, torch.cat(strips))
