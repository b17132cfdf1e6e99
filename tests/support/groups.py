"""Drawn photos that the tests of faces in photos share: everything about them is known."""

from functools import cache

from ...editor_core.demo.groups import GroupPhotos, draw_group_photos
from ...editor_core.face.aligning import align_faces
from ...editor_core.face.records import Faces
from ...editor_core.face.templates import template_named

PHOTO = (270, 480)  # height, width


@cache
def group_photo(seed: int = 0, people: int = 5, frames: int = 1) -> GroupPhotos:
    return draw_group_photos(seed, people, frames, PHOTO)


def aligned(photos: GroupPhotos, template: str = "demo", size: int = 64) -> Faces:
    return align_faces(photos.faces, template_named(template), size)
