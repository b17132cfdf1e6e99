"""`swap`: the face of one picture on another, by the user's own model files."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..diffusion.sampling import Step, StepCallback
from ..files import check_destination
from ..images import read_mask, read_photo, to_mask, write_png
from ..loading.known_files import cached_sha256
from ..loading.models import find_models
from ..photos import edit_photos
from ..provenance import picture_metadata
from ..settings import EditSettings
from .faces import add_choice, pasting_of, pictured
from .options import add_models, add_settings, describe_models, models_of, settings_of


def add_swap(commands: Any) -> None:
    """The command's arguments."""
    parser = commands.add_parser("swap", help="put one face on another picture")
    parser.add_argument("source", type=Path, help="a picture of who it will be")
    parser.add_argument("target", type=Path, help="the photo that is edited")
    add_models(parser)
    add_choice(parser)
    parser.add_argument("--mask", type=Path, help="grey picture, white where to edit the target")
    add_settings(parser)
    parser.add_argument("--feather", type=float, help="pixels over which pasted edges fade")
    parser.add_argument("--out", type=Path, default=Path("edited.png"), help="PNG (%(default)s)")
    parser.set_defaults(run=swap)


def swap(arguments: argparse.Namespace) -> None:
    """Edits the target's faces and writes it with the candidates closest to the source."""
    settings = settings_of(arguments)
    check_destination(arguments.out)
    source, target = read_photo(arguments.source), read_photo(arguments.target)
    mask = None
    if arguments.mask is not None:
        mask = to_mask(read_mask(arguments.mask), target.movedim(-1, 1))[:, 0]
    models = models_of(arguments.models, arguments.precision, arguments.compile)
    describe_models(models, arguments.models)
    source, faces = pictured(arguments, models, settings.template, source, target)
    with tqdm(desc="editing", unit="step", delay=1e-3) as bar:  # shown from the first step on
        result = edit_photos(
            models,
            source,
            target,
            faces,
            settings,
            mask=mask,
            pasting=pasting_of(arguments),
            on_step=advancing(bar),
        )
    metadata = edit_metadata(arguments.preset, settings, arguments.models, arguments.precision)
    write_png(arguments.out, result.image[0], metadata)
    distances = ", ".join(f"{each:.4f}" for each in result.distances)
    print(f"wrote {arguments.out}: identity distance {distances}")


def advancing(bar: tqdm) -> StepCallback:
    """A callback that moves the bar, and tells it the number of steps."""

    def advance(step: Step) -> None:
        bar.total = step.total
        bar.update()

    return advance


def settings_as_json(name: str, settings: EditSettings) -> dict[str, Any]:
    """The settings that a preset's name and the user's choices came to."""
    return {"preset": name, **asdict(settings)}


def edit_metadata(
    name: str, settings: EditSettings, models: Path, precision: str = "fp32"
) -> dict[str, str]:
    """What an edited picture says of itself, `models` being the folder of the model files."""
    files = find_models(models).values()
    hashes = {path.relative_to(models).as_posix(): cached_sha256(path) for path in files}
    told = {**settings_as_json(name, settings), "precision": precision}
    return picture_metadata(told, hashes)
