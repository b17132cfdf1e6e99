"""Which of the faces: by order and number, by likeness to somebody, by a mask."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..declare import check, setting
from .finding import require_masks
from .identity import SAME_PERSON, identity_distance
from .records import Faces, groups_of

ORDERS: dict[str, Callable[[Faces], Tensor]] = {
    "left to right": lambda faces: faces.centre[:, 0],
    "top to bottom": lambda faces: faces.centre[:, 1],
    "largest first": lambda faces: -faces.area,
    "smallest first": lambda faces: faces.area,
    "surest first": lambda faces: -faces.score,
}
"""What faces are ordered by; lower comes first."""


@dataclass(frozen=True)
class FaceChoice:
    """Which faces are wanted."""

    order: str = setting(
        "left to right",
        "What the numbers count; the same in every run, and for tracked people in every frame.",
        choices=tuple(ORDERS),
    )
    numbers: str = setting("", "Places in that order, from 0 in each picture, as 0, 2. Empty: all.")
    max_distance: float = setting(
        0.0,
        "Identity distance up to which a face is the wanted person's; more takes less likely ones. "
        "0: what the identity model's family is known for.",
        low=0.0,
        high=2.0,
        step=0.05,
    )

    def __post_init__(self) -> None:
        check(self)


def choose_by_number(faces: Faces, choice: FaceChoice) -> Faces:
    """The faces in some places of an order, from 0 in every frame.

    Tracked people have one place in all frames, by the mean of what they are ordered by.
    """
    numbers = numbers_in(choice.numbers)
    if numbers is None:
        return faces
    place = _places(faces, ORDERS[choice.order](faces))
    return faces.rows(torch.isin(place, torch.tensor(numbers)).nonzero().flatten())


def _places(faces: Faces, key: Tensor) -> Tensor:  # (n,) -> (n,)
    """Every face's place by `key`, in its frame, or among all the people where they are known."""
    place = torch.zeros_like(faces.frame)
    if faces.person is None:
        for rows in groups_of(faces.frame):
            place[rows] = key[rows].argsort(stable=True).argsort()
        return place
    people = groups_of(faces.person)
    for rank, rows in enumerate(sorted(people, key=lambda rows: key[rows].mean().item())):
        place[rows] = rank
    return place


def numbers_in(text: str) -> list[int] | None:
    """`"0, 2"` -> [0, 2]; nothing -> None, for all."""
    words = text.replace(",", " ").split()
    if not all(word.isdecimal() for word in words):
        raise ValueError(f'faces are "{text}", expected numbers from 0 on, as 0, 2: correct them')
    return [int(word) for word in words] or None


def choose_by_likeness(faces: Faces, reference: Tensor, max_distance: float = SAME_PERSON) -> Faces:
    """In every frame the face most like one of m people, one for each; `reference` is (m,E).

    A face further than `max_distance` (identity distance) from a person is not theirs.
    """
    if faces.embedding is None:
        raise ValueError("the faces have no embeddings, expected some to compare: embed them first")
    if not len(faces):
        return faces
    distance = identity_distance(faces.embedding[:, None], reference[None])  # (n,m)
    chosen = {
        rows[int(column.argmin())]
        for rows in groups_of(faces.frame)
        for column in distance[rows].T
        if column.min() <= max_distance
    }
    return faces.rows(sorted(chosen))


def choose_by_mask(faces: Faces, masks: Tensor) -> Faces:  # (1 or frames,H,W)
    """The faces the middle of whose box is white."""
    require_masks(masks, faces.size, faces.frames)
    rows = masks.expand(faces.frames, -1, -1)
    x, y = faces.centre.long().unbind(1)
    height, width = faces.size
    white = rows[faces.frame, y.clamp(0, height - 1), x.clamp(0, width - 1)] > 0.5
    return faces.rows(white.nonzero().flatten())
