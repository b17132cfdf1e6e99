"""Frames of one clip: which faces are one person's, smooth crops, how much they flicker."""

from dataclasses import replace

import torch
from torch import Tensor

from .identity import identity_distance
from .records import Faces, box_iou, groups_of
from .resampling import invert

MIN_MATCH = 0.3  # of overlap, or of overlap and likeness together, for faces of one person
MIN_CHANGE = 1e-3  # of the range [-1,1]: what a photo's crops are taken to change by at least


def track_faces(faces: Faces) -> Faces:
    """The faces of a clip with a number for each person, from 0 in the order of appearance.

    Frame by frame the best pairs of an earlier person and a face are joined: by the overlap with
    the person's last box and, where there are embeddings, by likeness too, which also finds people
    again after a gap.
    """
    person = torch.full_like(faces.frame, -1)
    last: list[int] = []  # the row of each person's latest face
    for rows in groups_of(faces.frame):
        for number, row in _match_people(faces, last, rows):
            person[row], last[number] = number, row
        for row in rows:
            if person[row] < 0:
                person[row] = len(last)
                last.append(row)
    return replace(faces, person=person)


def _match_people(faces: Faces, last: list[int], rows: list[int]) -> list[tuple[int, int]]:
    """Person and row of the faces of earlier people, the surest first."""
    scores = box_iou(faces.box[last], faces.box[rows])
    if faces.embedding is not None:
        distance = identity_distance(faces.embedding[last][:, None], faces.embedding[rows])
        scores = scores / 2 + 1 - distance
    matches: list[tuple[int, int]] = []
    while scores.numel() and scores.max() >= MIN_MATCH:
        number, column = divmod(int(scores.argmax()), len(rows))
        matches.append((number, rows[column]))
        scores[number], scores[:, column] = -1.0, -1.0
    return matches


def smooth_faces(faces: Faces, frames: float) -> Faces:
    """Tracked and aligned faces whose crops move smoothly.

    Their corners are averaged over the person's frames, by a Gaussian of sigma `frames`.

    Raises:
        ValueError: The faces are not tracked, or not aligned.
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
    """How much each tracked person's edited crops flicker, relative to those before the edit.

    The mean change between consecutive crops over that of the photo's: 1 is no more than the photo
    itself. People with one face are left out.
    """
    people = [] if faces.person is None else groups_of(faces.person)
    changes = [edited.new_zeros(0)]
    for rows in (each for each in people if len(each) > 1):
        in_time = torch.tensor(rows)[faces.frame[rows].argsort(stable=True)]
        after, photo = (crops[in_time].diff(dim=0).abs().mean() for crops in (edited, before))
        changes.append((after / photo.clamp(min=MIN_CHANGE))[None])
    return torch.cat(changes)
