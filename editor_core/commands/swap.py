"""`swap`: the face of one picture on another, by the user's own model files."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ..autograd import gradients
from ..checkpoints.loading import find_models, load_models
from ..diffusion.sampling import Listener, Step
from ..files import check_destination, sha256
from ..images import read_mask, read_photo, to_mask, write_png
from ..photos import edit_photos
from ..presets import preset
from ..provenance import picture_metadata
from ..settings import EditSettings, FaceModels
from .faces import add_choice, pasting_of, pictured


def add_swap(commands: Any) -> None:
    """The command's arguments."""
    parser = commands.add_parser("swap", help="put one face on another picture")
    parser.add_argument("source", type=Path, help="a picture of who it will be")
    parser.add_argument("target", type=Path, help="the photo that is edited")
    parser.add_argument("--models", type=Path, required=True, help="folder of the model files")
    add_choice(parser)
    parser.add_argument("--mask", type=Path, help="grey picture, white where to edit the target")
    parser.add_argument("--preset", default="diffface", help="named settings (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the first candidate; the next has the next")
    parser.add_argument("--candidates", type=int, help="edits, of which the closest is written")
    parser.add_argument("--respacing", help="steps of the full schedule: 100, ddim25 or 10,10,10")
    parser.add_argument("--skip", type=int, help="of those steps, noisiest first")
    parser.add_argument("--feather", type=float, help="pixels over which pasted edges fade")
    parser.add_argument("--out", type=Path, default=Path("edited.png"), help="PNG (%(default)s)")
    parser.set_defaults(run=swap)


def swap(arguments: argparse.Namespace) -> None:
    """Edits the target's faces and writes it with the candidates closest to the source."""
    settings = _settings(arguments)
    check_destination(arguments.out)
    source, target = read_photo(arguments.source), read_photo(arguments.target)
    mask = None if arguments.mask is None else to_mask(read_mask(arguments.mask), target)[:, 0]
    models = _load(arguments.models)
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
    metadata = edit_metadata(arguments.preset, settings, arguments.models)
    write_png(arguments.out, result.image[0], metadata)
    distances = ", ".join(f"{each:.4f}" for each in result.distances)
    print(f"wrote {arguments.out}: identity distance {distances}")


def _settings(arguments: argparse.Namespace) -> EditSettings:
    """The preset with what the user gave in its place."""
    names = ("seed", "candidates", "respacing", "skip")
    given = {name: getattr(arguments, name) for name in names}
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(preset(arguments.preset), **chosen)


def _load(folder: Path) -> FaceModels:
    """The folder's models, on the GPU if there is one; says what each of them is."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models, files = load_models(folder), find_models(folder)
    with gradients():
        for kind in (kind for kind in vars(models) if kind in files):
            network = _network(getattr(models, kind)).to(device)
            count = sum(parameter.numel() for parameter in network.parameters())
            print(f"{kind}: {files[kind]}, {type(network).__name__}, {count:,} parameters")
    return models


def _network(model: Any) -> nn.Module:
    return getattr(model, "network", model)


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


def edit_metadata(name: str, settings: EditSettings, models: Path) -> dict[str, str]:
    """What an edited picture says of itself, `models` being the folder of the model files."""
    files = find_models(models).values()
    hashes = {path.relative_to(models).as_posix(): sha256(path) for path in files}
    return picture_metadata(settings_as_json(name, settings), hashes)
