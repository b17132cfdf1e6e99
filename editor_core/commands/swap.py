"""`swap`: the face of one picture on another, by the user's own model files."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from ..checkpoints.loading import find_models
from ..diffusion.sampling import Listener, Step
from ..editing import edit_face
from ..files import check_destination, sha256
from ..images import read_image, read_mask, resize, to_mask, to_signed, to_unit, write_png
from ..provenance import picture_metadata
from ..settings import EditSettings
from .options import add_models, add_settings, describe_models, models_of, settings_of


def add_swap(commands: Any) -> None:
    """The command's arguments."""
    parser = commands.add_parser("swap", help="put one face on another picture")
    parser.add_argument("source", type=Path, help="square crop of an aligned face: who it will be")
    parser.add_argument("target", type=Path, help="square crop of an aligned face: what is edited")
    add_models(parser)
    parser.add_argument("--mask", type=Path, help="grey picture, white where to edit the target")
    add_settings(parser)
    parser.add_argument("--out", type=Path, default=Path("edited.png"), help="PNG (%(default)s)")
    parser.set_defaults(run=swap)


def swap(arguments: argparse.Namespace) -> None:
    """Edits the target and writes the candidate closest to the source."""
    settings = settings_of(arguments)
    check_destination(arguments.out)
    source, target = read_image(arguments.source), read_image(arguments.target)
    mask = None if arguments.mask is None else to_mask(read_mask(arguments.mask), target)
    models = models_of(arguments.models, arguments.precision, arguments.compile)
    describe_models(models, arguments.models)
    size = models.diffusion.image_size
    with tqdm(desc="editing", unit="step", delay=1e-3) as bar:  # shown from the first step on
        result = edit_face(
            models,
            _shown(source, size, arguments.source),
            _shown(target, size, arguments.target),
            settings,
            mask=None if mask is None else resize(mask, size)[:, 0],
            on_step=advancing(bar),
        )
    metadata = edit_metadata(arguments.preset, settings, arguments.models, arguments.precision)
    write_png(arguments.out, result.images[0, 0], metadata)
    print(f"wrote {arguments.out}: identity distance {result.distances[0, 0]:.4f}")


def _shown(picture: Tensor, size: int, path: Path) -> Tensor:  # (1,H,W,3) -> (1,size,size,3)
    """The picture at the model's size; says so where that changes it."""
    fitted, (height, width) = fit(picture, size, path), picture.shape[1:3]
    if height != size:
        print(f"{path}: {height}x{width} resized to {size}x{size}")
    return fitted


def fit(picture: Tensor, size: int, path: Path) -> Tensor:  # (1,H,W,3) -> (1,size,size,3)
    """The picture at the model's size, if it is a square."""
    height, width = picture.shape[1:3]
    if height != width:
        raise ValueError(f"{path} is {height}x{width}, expected a square: crop the aligned face")
    return picture if height == size else to_unit(resize(to_signed(picture), size))


def advancing(bar: tqdm) -> Listener:
    """A listener that moves the bar, and tells it the number of steps."""

    def advance(step: Step) -> None:
        bar.total = step.total
        bar.update()

    return advance


def settings_as_json(name: str, settings: EditSettings) -> dict[str, Any]:
    """The settings that a preset's name and the user's choices came to."""
    numbers = asdict(settings)
    del numbers["behaviour"]  # code, which the preset's name stands for
    return {"preset": name, **numbers}


def edit_metadata(
    name: str, settings: EditSettings, models: Path, precision: str = "fp32"
) -> dict[str, str]:
    """What an edited picture says of itself, `models` being the folder of the model files."""
    files = find_models(models).values()
    hashes = {path.relative_to(models).as_posix(): sha256(path) for path in files}
    told = {**settings_as_json(name, settings), "precision": precision}
    return picture_metadata(told, hashes)
