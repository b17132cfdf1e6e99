"""People of whom there are several pictures, and what an encoder makes of each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor

from ...editor_core.demo.groups import random_scene
from ...editor_core.demo.pairs import UNSEEN
from ...editor_core.demo.people import Identity
from ...editor_core.face.aligning import align_faces, crop_faces
from ...editor_core.face.detecting import FaceDetector
from ...editor_core.face.identity import IdentityEncoder, embed_identity
from ...editor_core.face.locate import embed_faces
from ...editor_core.face.records import Faces
from ...editor_core.face.templates import template_named
from ...editor_core.images import read_photo, resize, rgb, to_bhwc, to_signed
from ...editor_core.photos import points_in_crops

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".pgm", ".ppm")
LEAST_SIDE = 256  # pixels to which small pictures are enlarge_small before faces are looked for
CROP = 256  # pixels of FFHQ's crops, the side of most diffusion models of faces

Embed = Callable[[IdentityEncoder, Tensor, Faces], Tensor]
"""(encoder, photo (1,H,W,3) in [0,1], its one face) -> (1,E)."""


def of_crop(
    encoder: IdentityEncoder, photo: Tensor, face: Faces, template: str | None, known: bool = False
) -> Tensor:
    """The face in its crop for a diffusion model, cut to `template` as far as the encoder knows."""
    aligned = align_faces(face, template_named("ffhq"), CROP)
    points = points_in_crops(aligned) if known else None
    crop = crop_faces(photo, aligned).image
    return embed_identity(encoder, crop, template=template, points=points)


def of_photo(encoder: IdentityEncoder, photo: Tensor, face: Faces) -> Tensor:
    """The face cut out of its photo as the encoder was trained."""
    found = embed_faces(face, photo, encoder).embedding
    assert found is not None  # it is embedded
    return found


VIEWS: Mapping[str, Embed] = {
    "the whole FFHQ crop": partial(of_crop, template=None),
    "its template, by an average face's points": partial(of_crop, template="ffhq"),
    "its template, by the face's own points": partial(of_crop, template="ffhq", known=True),
    "its template, out of the photo": of_photo,
}
"""What an encoder may be shown of a face."""


@dataclass(frozen=True)
class Embedded:
    """The identities of N pictures, whose they are, and how many pictures showed no one face."""

    identity: Tensor  # (N,E) of unit length
    person: Tensor  # (N,) int64
    left_out: int = 0


def embed_people(
    encoder: IdentityEncoder, folder: Path, detector: FaceDetector
) -> dict[str, Embedded]:
    """The pictures of a folder that has a folder for each person, by every view."""
    rows: dict[str, list[Tensor]] = {name: [] for name in VIEWS}
    person, left_out = [], 0
    for number, photo in pictures_of(folder):
        face = detector.find(photo)
        if len(face) != 1:
            left_out += 1
            continue
        person.append(number)
        for name, embed in VIEWS.items():
            rows[name].append(embed(encoder, photo, face).float())
    people = torch.tensor(person)
    return {name: Embedded(torch.cat(some), people, left_out) for name, some in rows.items()}


def pictures_of(folder: Path) -> Iterator[tuple[int, Tensor]]:  # numbers, (1,H,W,3) in [0,1]
    """The pictures of every person by number."""
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    if len(people) < 2:
        raise ValueError(f"{folder} has {len(people)} folders, expected one for each person")
    for number, person in enumerate(people):
        for path in sorted(p for p in person.iterdir() if p.suffix.lower() in SUFFIXES):
            yield number, enlarge_small(rgb(read_photo(path)))


def enlarge_small(photo: Tensor) -> Tensor:
    """A small picture made larger: detectors want faces of some size."""
    factor = LEAST_SIDE / min(photo.shape[1:3])
    if factor <= 1:
        return photo
    size = (round(photo.shape[1] * factor), round(photo.shape[2] * factor))
    return to_bhwc(resize(photo.movedim(-1, 1), size).clamp(0, 1))


def embed_drawn(encoder: IdentityEncoder, people: int, pictures: int, seed: int) -> Embedded:
    """Drawn people outside all training, each with another head in every picture's scene."""
    generator, rows = Generator().manual_seed(UNSEEN + seed), []
    for _ in range(people):
        person = Identity.random(1, generator)
        shown = [random_scene(person, generator)[1].image for _ in range(pictures)]
        rows.append(embed_identity(encoder, to_signed(torch.cat(shown)), template="demo"))
    return Embedded(torch.cat(rows).float(), torch.arange(people).repeat_interleave(pictures))
