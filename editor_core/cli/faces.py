"""Which faces of its pictures a command edits, and how they are pasted back."""

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from torch import Tensor

from ..face.aligning import crop_faces
from ..face.choosing import FaceChoice
from ..face.detecting import FaceDetector
from ..face.identity import mix_identities
from ..face.locate import choose_faces, embed_faces, locate_faces
from ..face.pasting import Pasting
from ..face.records import Faces
from ..face.yunet import PUBLISHED
from ..images import read_photo, to_unit
from ..loading.models import FaceModels

EVERY, LARGEST = FaceChoice(), FaceChoice("largest first", "0")
NAMED_CHOICES = {"all": EVERY, "largest": LARGEST}
WHICH = "all, largest, or numbers from the left, as 0,2 (%(default)s)"
YUNET = "YuNet file (the .onnx in the folder detection of the models)"


def add_faces(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--face", default="largest", help=WHICH)
    add("--reference", type=Path, help="edit the face most like this picture's")
    add("--detector", type=Path, help=YUNET)
    for name, picture in (("at", "target"), ("source-at", "source")):
        place = f"where the {picture}'s face is: x0,y0,x1,y1, or x,y of five points"
        add(f"--{name}", help=place)


def locate_pair(
    arguments: Namespace, models: FaceModels, template: str, source: Tensor, target: Tensor
) -> tuple[Faces, Tensor, Faces]:
    """The source's face, its crop (1,S,S,3), and the target's faces that are edited."""
    locate = partial(_locate, arguments, models, template)
    face = choose_faces(locate(source, arguments.source, arguments.source_at), LARGEST)
    faces = locate(target, arguments.target, arguments.at)
    if arguments.reference is not None:
        picture, encoder = read_photo(arguments.reference), models.identity
        wanted = choose_faces(locate(picture, arguments.reference), LARGEST)
        wanted = embed_faces(wanted, picture, encoder).embedding
        faces = choose_faces(faces, EVERY, reference=wanted, photos=target, encoder=encoder)
        if not len(faces):
            raise ValueError(
                f"no face in {arguments.target} is like that in {arguments.reference}: choose it "
                "with --face"
            )
    chosen = faces_named(arguments.face, faces, arguments.target)
    return face, to_unit(crop_faces(source, face).image), chosen


def faces_named(which: str, faces: Faces, path: Path) -> Faces:
    """The faces of a picture that `--face` names, one at least."""
    chosen = choose_faces(faces, NAMED_CHOICES.get(which) or FaceChoice(numbers=which))
    if not len(chosen):
        raise ValueError(f"there is no face {which} in {path}, expected 0 to {len(faces) - 1}")
    return chosen


def mixed_identity(
    arguments: Namespace, models: FaceModels, template: str, source: Tensor, face: Faces
) -> Tensor | None:  # -> (1,E)
    """The identity of the source's face with those of `--mix`, None where there are none."""
    if not arguments.mix:
        return None

    def identity(photo: Tensor, face: Faces) -> Tensor:
        embedding = embed_faces(face, photo, models.identity).embedding
        assert embedding is not None  # it was just made
        return embedding

    def identity_of(path: Path) -> Tensor:
        photo = read_photo(path)
        faces = _locate(arguments, models, template, photo, path)
        return identity(photo, choose_faces(faces, LARGEST))

    weights = [1.0, *(_weight(*mixed) for mixed in arguments.mix)]
    others = [identity_of(Path(path)) for path, _ in arguments.mix]
    return mix_identities([identity(source, face), *others], weights)


def _weight(path: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--mix {path} {text}: expected a number, as --mix {path} 0.5") from None


def _locate(
    arguments: Namespace,
    models: FaceModels,
    template: str,
    photo: Tensor,
    path: Path,
    at: str | None = None,
) -> Faces:
    detector = detector_of(arguments)
    flag = "--source-at" if path == arguments.source else "--at"
    hint = f"say where it is with {flag}"
    if detector is None:
        fetch = f"put {PUBLISHED} into the models' folder detection"
        hint = f"crop it, say where the face is with {flag}, or {fetch}"
    faces = locate_faces(
        photo,
        template,
        models.diffusion.image_size,
        detector=detector,
        at=at,
        landmarker=models.landmarks,
        name=path,
        hint=hint,
    )
    if at is None and detector is None:
        height, width = photo.shape[1:3]
        print(
            f"{path}: {height}x{width}, taken for one aligned face; name a --detector where it is "
            "a whole photo"
        )
    return faces


def pasting_of(arguments: Namespace) -> Pasting:
    """How crops are blended in: a picture that is one aligned face needs no fading edge."""
    if arguments.feather is not None:
        return Pasting(feather=arguments.feather)
    whole = arguments.at is None and detector_of(arguments) is None
    return Pasting(feather=0.0) if whole else Pasting()


def detector_of(arguments: Namespace) -> FaceDetector | None:
    """The user's detector, or the one in the models' folder."""
    found = sorted((arguments.models / "detection").glob("*.onnx"))
    path = arguments.detector or next(iter(found), None)
    return None if path is None else FaceDetector(path)
