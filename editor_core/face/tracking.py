"""Frames of one clip: who is the same person, crops that do not jump, how much it flickers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .identity import identity_distance
from .records import Faces, overlap
from .resampling import invert

LEAST = 0.3  # of overlap, or of overlap and likeness together, for a face to be the same person's
STILL = 1e-3  # of the range [-1,1]: the change that a photo's crops are taken to have at least


def track_faces(faces: Faces) -> Faces:
    """The faces with a number for each person, from 0 in the order in which they appear.

    Frame by frame the best pairs of a known person and a face are joined: by the overlap with the
    last box and, where there are embeddings, by likeness too, which also finds people again.
    """
    person = torch.full_like(faces.frame, -1)
    last: list[int] = []  # the row of each person's latest face
    for frame in faces.frame.unique().tolist():
        rows = (faces.frame == frame).nonzero().flatten().tolist()
        for number, row in _pairs(faces, last, rows):
            person[row], last[number] = number, row
        for row in rows:
            if person[row] < 0:
                person[row] = len(last)
                last.append(row)
    return replace(faces, person=person)


def _pairs(faces: Faces, last: list[int], rows: list[int]) -> list[tuple[int, int]]:
    """Person and row of the faces that are known people's, the surest first."""
    alike = _likeness(faces, last, rows)
    found: list[tuple[int, int]] = []
    while alike.numel() and alike.max() >= LEAST:
        number, column = divmod(int(alike.argmax()), len(rows))
        found.append((number, rows[column]))
        alike[number], alike[:, column] = -1.0, -1.0
    return found


def _likeness(faces: Faces, last: list[int], rows: list[int]) -> Tensor:  # -> (people,rows)
    shared = overlap(faces.box[last], faces.box[rows])
    if faces.embedding is None:
        return shared
    return shared / 2 + 1 - identity_distance(faces.embedding[last][:, None], faces.embedding[rows])


def smooth_faces(faces: Faces, frames: float) -> Faces:
    """Tracked and aligned faces whose crops move smoothly: Gaussian over time, sigma in `frames`.

    The means are of the crops' corners in the photo, and of the same person's frames alone.
    """
    affine, _ = faces.aligned()
    if faces.person is None:
        raise ValueError("only tracked faces can be smoothed over time: track the faces first")
    if frames == 0:
        return faces
    apart = faces.frame[:, None] - faces.frame
    weight = torch.exp(-(apart**2) / (2 * frames**2)) * (faces.person[:, None] == faces.person)
    weight = weight / weight.sum(1, keepdim=True)
    corners = torch.einsum("ij,jab->iab", weight, invert(affine))
    return replace(faces, affine=invert(corners))


def flicker(faces: Faces, before: Tensor, edited: Tensor) -> Tensor:  # (n,3,S,S) -> (people,)
    """How restless each tracked person's edited crops are, relative to those before the edit.

    The mean change between consecutive crops over that of the photo's; 1 is as restless as the
    photo. People who are seen once are left out.
    """
    pairs = _consecutive(faces)
    changes = [_change(edited, rows) / _change(before, rows).clamp(min=STILL) for rows in pairs]
    return torch.stack(changes) if changes else edited.new_zeros(0)


def _consecutive(faces: Faces) -> list[Tensor]:
    """The rows of every person seen more than once, in time."""
    if faces.person is None:
        return []
    rows = [(faces.person == each).nonzero().flatten() for each in faces.person.unique()]
    return [each[faces.frame[each].argsort(stable=True)] for each in rows if len(each) > 1]


def _change(crops: Tensor, rows: Tensor) -> Tensor:  # -> ()
    return crops[rows].diff(dim=0).abs().mean()
