"""Arguments that several commands share: settings, as they are declared, and models."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..autograd import gradients
from ..declare import declared
from ..face.expression import SLIDERS, goal_in
from ..face.gaze import GazeGoal
from ..loading.models import PRECISIONS, FaceModels, find_models, load_models
from ..presets import preset
from ..settings import SET_EXPRESSION, EditSettings

SETTINGS = (
    *("seed", "candidates", "respacing", "skip", "start"),
    *("sampler", "gradient", "guide_every", "memory", "parts", "grow"),
)
GOAL = {name: "gaze" if name == "mode" else f"gaze_{name}" for name in declared(GazeGoal)}
"""The arguments of the gaze's goal, by the names of its settings."""


def add_setting(
    parser: argparse.ArgumentParser, settings: type, name: str, flag: str | None = None
) -> None:
    """The flag of a declared setting, by default its name; without it its argument is None."""
    declaration = declared(settings)[name]
    parser.add_argument(
        f"--{(flag or name).replace('_', '-')}",
        type=type(declaration.default),
        choices=declaration.choices or None,
        help=declaration.help.replace("%", "%%"),
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="diffface", help="named settings (%(default)s)")
    for name in SETTINGS:
        add_setting(parser, EditSettings, name)
    add_gaze_goal(parser)
    parser.add_argument(
        "--expression",
        type=goal_in,
        metavar="NAME=VALUE,...",
        help="what the edit shows, 0 to 1, as smile=0.8,jaw_open=0.2: "
        f"{', '.join(SLIDERS)}, or ARKit's blendshapes by name",
    )


def add_gaze_goal(parser: argparse.ArgumentParser) -> None:
    for name, flag in GOAL.items():
        add_setting(parser, GazeGoal, name, flag)


def settings_of(arguments: argparse.Namespace) -> EditSettings:
    """The preset with what the user gave in its place."""
    given = {name: getattr(arguments, name) for name in SETTINGS}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = with_gaze_goal(replace(preset(arguments.preset), **chosen), arguments)
    if arguments.expression is None:
        return settings
    weight = settings.blendshapes if settings.blendshapes.scale else SET_EXPRESSION
    return replace(settings, blendshapes=weight, expression_goal=arguments.expression)


def with_gaze_goal(settings: EditSettings, arguments: argparse.Namespace) -> EditSettings:
    """The settings with the gaze that the user asked for; angles alone set it for both eyes."""
    given = {name: getattr(arguments, flag) for name, flag in GOAL.items()}
    asked = {name: value for name, value in given.items() if value is not None}
    if asked and settings.gaze_goal.mode == "keep":
        asked = {"mode": "set", **asked}
    return replace(settings, gaze_goal=replace(settings.gaze_goal, **asked))


def add_models(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--models", type=Path, required=True, help="folder of the model files")
    add("--precision", choices=PRECISIONS, default="fp32", help="of the U-Net (%(default)s)")
    compiling = "compile the U-Net: a slow start, then faster on some GPUs"
    add("--compile", action="store_true", help=compiling)


def models_of(folder: Path, precision: str = "fp32", compiled: bool = False) -> FaceModels:
    """The folder's models, on the GPU if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = load_models(folder)
    with gradients():
        for model in filter(None, vars(models).values()):
            network_of(model).to(device)
        unet = models.diffusion.network.to(PRECISIONS[precision])
    if compiled:
        unet.compile()
    return models


def describe_models(models: Any, folder: Path) -> None:
    """Print what each of the models is, as `FaceModels` has them, and its file in the folder."""
    files = find_models(folder)
    for kind in filter(files.get, vars(models)):
        network = network_of(getattr(models, kind))
        count = sum(parameter.numel() for parameter in network.parameters())
        print(f"{kind}: {files[kind]}, {type(network).__name__}, {count:,} parameters")


def network_of(model: Any) -> nn.Module:
    """The network of a model of the editor, which may be the model itself."""
    return getattr(model, "network", model)
