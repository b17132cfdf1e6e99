"""The two tables: the lean that is found of turned faces, and what a threshold lets through."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..figures import bootstrap, proportion
from ..help_pages import markdown_table
from .turning import POINT_FINDERS, TurnedFace

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


def lean_table(pictures: Sequence[Sequence[TurnedFace]]) -> str:
    """A row an angle, turns to both sides together: degrees by which each way of looking is off.

    The mean over the pictures with its 95% interval, and after it the bias in the direction of the
    turn: below 0, faces are taken for more upright than they are.
    """
    sizes = sorted({abs(turn.degrees) for turns in pictures for turn in turns})
    return markdown_table(
        ("turned by", "found", *POINT_FINDERS), [_row(pictures, size) for size in sizes]
    )


def _row(pictures: Sequence[Sequence[TurnedFace]], size: int) -> list[str]:
    """Both sides of an angle, which are one sample a picture."""
    by_picture = [[turn for turn in turns if abs(turn.degrees) == size] for turns in pictures]
    of_angle = [turn for turns in by_picture for turn in turns]
    found = [[turn for turn in turns if turn.errors] for turns in by_picture]
    share = sum(map(len, found)) / len(of_angle)
    cells = [_cell(list(filter(None, found)), finder) for finder in POINT_FINDERS]
    return [f"{size}°", f"{share:.2f}", *cells]


def _cell(found: Sequence[Sequence[TurnedFace]], finder: str) -> str:
    if not found:
        return "none found"

    def means(value: Callable[[float], float]) -> Tensor:  # (pictures,)
        return torch.tensor(
            [sum(value(turn.along(finder)) for turn in turns) / len(turns) for turns in found]
        )

    off, bias = means(abs), means(float).mean().item()
    figure = bootstrap(finder, lambda rows: off[rows].mean(-1), len(off))
    interval = f" [{figure.low:.1f}, {figure.high:.1f}]" if len(off) > 1 else ""
    return f"{figure.value:.1f}{interval}, {bias:+.1f}"


def score_table(faces: Mapping[int, Tensor], others: Tensor) -> str:
    """A row a threshold: the share of faces that are kept, and how many other things are.

    Args:
        faces: By the degrees of its turn (n,) the highest score in each picture of a face.
        others: (m,) the scores of all that is seen in pictures without.
    """
    rows = [
        (
            least,
            int((others >= least).sum()),
            *(_share(scores >= least) for scores in faces.values()),
        )
        for least in THRESHOLDS
    ]
    kept = [f"kept at {angle}°" for angle in faces]
    return markdown_table(("min_score", "false finds", *kept), rows)


def _share(kept: Tensor) -> str:  # (n,) bool
    figure = proportion("", kept)
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"
