"""Drawn photos that the tests of faces in photos share: everything about them is known."""

from functools import cache

import torch

from ...editor_core.demo.groups import GroupPhotos, draw_group_photos
from ...editor_core.face.aligning import align_faces
from ...editor_core.face.records import Faces, make_faces
from ...editor_core.face.templates import template_named

PHOTO = (270, 480)  # height, width
UPRIGHT = [[80.0, 80], [120, 80], [100, 100], [85, 120], [115, 120]]  # five points of a face


@cache
def group_photo(seed: int = 0, people: int = 5, frames: int = 1) -> GroupPhotos:
    return draw_group_photos(seed, people, frames, PHOTO)


def aligned(photos: GroupPhotos, template: str = "demo", size: int = 64) -> Faces:
    return align_faces(photos.faces, template_named(template), size)


def boxed(boxes: list[list[float]], frame: list[int] | None = None) -> Faces:
    """Faces in these boxes x0, y0, x1, y1, in up to nine frames of 100 x 200 pixels."""
    box = torch.tensor(boxes).float()
    return make_faces(frame or [0] * len(box), box, torch.zeros(len(box), 5, 2), (100, 200), 9)


def face_at(points: list[list[float]], size: tuple[int, int] = (200, 300)) -> Faces:
    """A face of these five points in a photo of that size."""
    box = torch.tensor([[50.0, 50, 150, 150]])
    return make_faces([0], box, torch.tensor(points).float()[None], size, 1)
