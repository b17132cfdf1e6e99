"""Which faces a command means: those of the pictures that the user named."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ..face.aligning import align_faces, crop_faces
from ..face.choosing import (
    choose_by_likeness,
    choose_by_number,
    embed_faces,
    numbers_in,
)
from ..face.detecting import PUBLISHED, FaceDetector
from ..face.finding import faces_in_text, whole_pictures
from ..face.pasting import Pasting
from ..face.records import Faces
from ..face.templates import template_named
from ..images import read_photo, to_unit
from ..loading.models import FaceModels

ALL, LARGEST, LEFT = "all", "largest", "left to right"


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The arguments that say where the faces are, and which of them are meant."""
    parser.add_argument(
        "--face",
        default=LARGEST,
        help="all, largest, or numbers from the left, as 0,2 (%(default)s)",
    )
    parser.add_argument("--reference", type=Path, help="edit the face most like this picture's")
    parser.add_argument(
        "--detector", type=Path, help="YuNet file (the .onnx in the folder detection of the models)"
    )
    for name in ("at", "source-at"):
        whose = "target" if name == "at" else "source"
        parser.add_argument(
            f"--{name}", help=f"where the {whose}'s face is: x0,y0,x1,y1, or x,y of five points"
        )


@dataclass(frozen=True)
class Finder:
    """Finds the faces of a picture, by the detector if there is one, and cuts them out."""

    detector: FaceDetector | None
    template: str
    size: int  # pixels of the model's pictures

    def find(self, photo: Tensor, path: Path, told: str | None = None) -> Faces:
        """The aligned faces of one photo; without a detector a square is one aligned face."""
        height, width = photo.shape[1:3]
        if told is not None:
            return self._aligned(faces_in_text(told, (height, width), 1))
        if self.detector is not None:
            faces = self.detector.find(photo)
            if not len(faces):
                raise ValueError(f"no face found in {path}: say where it is with --at")
            return self._aligned(faces)
        if height != width:
            raise ValueError(
                f"{path} is {height}x{width}, expected a square crop of an aligned face: crop it, "
                f"say where the face is with --at, or put {PUBLISHED} into the models' folder "
                "detection"
            )
        print(f"{path}: {height}x{width}, taken for one aligned face")
        whole = whole_pictures((height, width), 1)
        return align_faces(whole, template_named("whole box"), self.size)

    def largest(self, photo: Tensor, path: Path, told: str | None = None) -> Faces:
        """The photo's largest face, aligned."""
        return choose_by_number(self.find(photo, path, told), "largest first", [0])

    def _aligned(self, faces: Faces) -> Faces:
        return align_faces(faces, template_named(self.template), self.size)


def pictured(
    arguments: argparse.Namespace,
    models: FaceModels,
    template: str,
    source: Tensor,
    target: Tensor,
) -> tuple[Tensor, Faces]:
    """The crop (1,S,S,3) of the source's face, and the target's faces that are meant."""
    detector = _detector_of(arguments)
    found = None if detector is None else FaceDetector(detector)
    finder = Finder(found, template, models.diffusion.image_size)
    face = finder.largest(source, arguments.source, arguments.source_at)
    faces = finder.find(target, arguments.target, arguments.at)
    if arguments.reference is not None:
        faces = _like(arguments, models, finder, target, faces)
    crop = to_unit(crop_faces(source, face).image)
    return crop, _chosen(arguments.face, faces, arguments.target)


def pasting_of(arguments: argparse.Namespace) -> Pasting:
    """How crops are blended in: a picture that is one aligned face needs no fading edge."""
    if arguments.feather is not None:
        return Pasting(feather=arguments.feather)
    whole = arguments.at is None and _detector_of(arguments) is None
    return Pasting(feather=0.0) if whole else Pasting()


def _detector_of(arguments: argparse.Namespace) -> Path | None:
    return arguments.detector or _detector_in(arguments.models)


def _detector_in(models: Path) -> Path | None:
    return next(iter(sorted((models / "detection").glob("*.onnx"))), None)


def _like(
    arguments: argparse.Namespace, models: FaceModels, finder: Finder, photo: Tensor, faces: Faces
) -> Faces:
    """The face that is most like the reference's, all seen as the editor sees them."""
    picture = read_photo(arguments.reference)
    reference = finder.largest(picture, arguments.reference)
    wanted = embed_faces(models.identity, picture, reference)
    embedded = replace(faces, embedding=embed_faces(models.identity, photo, faces))
    alike = choose_by_likeness(embedded, wanted)
    if not len(alike):
        raise ValueError(
            f"no face in {arguments.target} is like that in {arguments.reference}: choose it with "
            "--face"
        )
    return alike


def _chosen(face: str, faces: Faces, path: Path) -> Faces:
    if face == ALL:
        return faces
    order, numbers = ("largest first", [0]) if face == LARGEST else (LEFT, numbers_in(face))
    chosen = choose_by_number(faces, order, numbers)
    if not len(chosen):
        raise ValueError(f"there is no face {face} in {path}, expected 0 to {len(faces) - 1}")
    return chosen
