"""`swap`: the face of one picture on another, by the user's own model files."""

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..face.errors import FaceError
from ..face.pasting import Pasting
from ..face.records import Faces
from ..files import check_destination
from ..images import read_mask, read_photo, to_mask, write_png
from ..photos import edit_photos, points_in_crops
from .faces import add_faces, locate_pair, mixed_identity, pasting_of
from .options import add_models, add_setting, add_settings, describe_models, models_of, settings_of
from .output import edit_metadata, progress_on


def add_swap(commands: Any) -> None:
    parser = commands.add_parser("swap", help="put one face on another picture")
    parser.add_argument("source", type=Path, help="a picture of who it will be")
    parser.add_argument("target", type=Path, help="the photo that is edited")
    parser.add_argument(
        "--mix",
        nargs=2,
        action="append",
        metavar=("PICTURE", "WEIGHT"),
        help="another person to mix with the source, who weighs 1; may be given again",
    )
    add_models(parser)
    add_faces(parser)
    parser.add_argument("--mask", type=Path, help="grey picture, white where to edit the target")
    parser.add_argument(
        "--keep", type=Path, help="grey picture, white where the target stays: what hides the face"
    )
    add_settings(parser)
    add_setting(parser, Pasting, "feather")
    passing = "leave faces that cannot be edited as they are, say which, and edit the others"
    parser.add_argument("--pass-through", action="store_true", help=passing)
    parser.add_argument("--out", type=Path, default=Path("edited.png"), help="PNG (%(default)s)")
    parser.set_defaults(run=swap)


def swap(arguments: argparse.Namespace) -> None:
    """Edit the target's faces, and write it with the candidates closest to the source."""
    settings = settings_of(arguments)
    check_destination(arguments.out)
    source, target = read_photo(arguments.source), read_photo(arguments.target)
    mask, keep = (
        None if path is None else to_mask(read_mask(path), target.movedim(-1, 1), str(path))[:, 0]
        for path in (arguments.mask, arguments.keep)
    )
    models = models_of(arguments.models, arguments.precision, arguments.compile)
    describe_models(models, arguments.models)
    face, crop, faces = locate_pair(arguments, models, settings.template, source, target)
    embedding = mixed_identity(arguments, models, settings.template, source, face)
    pasting = pasting_of(arguments)
    with tqdm(desc="editing", unit="step", delay=1e-3) as bar:  # shown from the first step on
        try:
            result = edit_photos(
                models,
                crop,
                target,
                faces,
                settings,
                mask=mask,
                keep=keep,
                source_points=points_in_crops(face),
                embedding=embedding,
                pasting=pasting,
                if_missing="pass through" if arguments.pass_through else "error",
                on_step=progress_on(bar),
            )
        except FaceError as error:
            raise named_fault(error, arguments, faces) from None
    metadata = edit_metadata(arguments.preset, settings, arguments.models, arguments.precision)
    write_png(arguments.out, result.image[0], metadata)
    for line in result.left.named(faces.names([arguments.target])).lines if result.left else ():
        print(f"left as it is: {line}")
    distances = ", ".join(f"{each:.4f}" for each in result.distances) or "of no face"
    print(f"wrote {arguments.out}: identity distance {distances}")


def named_fault(error: FaceError, arguments: argparse.Namespace, faces: Faces) -> Exception:
    """The error with the file and the face that it is about, and what helps besides."""
    if error.what == "source":
        return error.named([str(arguments.source)] * len(faces))
    named = error.named(faces.names([arguments.target]))
    return ValueError(f"{named}; or leave it as it is and edit the others by --pass-through")
