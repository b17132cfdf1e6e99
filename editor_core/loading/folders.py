"""Where model files are: alone, or in a folder as diffusers and transformers publish them."""

from pathlib import Path
from typing import Any

from ..checkpoints.errors import MissingModel, UnsupportedCheckpoint
from ..face.parsing import LABELS
from ..files import StrPath, read_json
from .known_files import describe_origin

EXTENSIONS = (  # of model files
    *(".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar", ".pkl"),
    *(".onnx", ".tflite"),
)
DETECTION = "detection"  # the folder of what OpenCV reads
DIFFUSERS_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
DIFFUSERS_CLASS = "UNet2DModel"
TRANSFORMERS_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CONFIG_FILE = "config.json"  # beside the weights of either library
SCHEDULERS = (".", "scheduler", "../scheduler")  # relative to the weights, alone or in a pipeline
CONFIG_DEFAULTS = {  # of diffusers, for what a config.json leaves out
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "center_input_sample": False,
}


def find_weights(path: StrPath) -> Path:
    """The file of weights that a path names: itself, or that in a library's folder.

    That is a folder or pipeline of diffusers, or a folder of transformers.
    """
    place = Path(path)
    if place.is_dir():
        if weights := _weights_in(place):
            return weights
        raise MissingModel(
            f"no model in {place}: expected {' or '.join(DIFFUSERS_WEIGHTS)} in it or in its "
            f"folder unet, or {' or '.join(TRANSFORMERS_WEIGHTS)}; put {CONFIG_FILE} beside it"
        )
    if not place.is_file():
        raise MissingModel(f"no model file {place}: put it there ({describe_origin(place)})")
    return place


def model_files(path: Path) -> list[Path]:
    """The models that a path names: itself, or the model files in a folder and below."""
    if not path.is_dir() or _weights_in(path):
        return [path]
    files = (f for f in path.rglob("*") if f.suffix in EXTENSIONS and f.is_file())
    found = sorted(file for file in files if file.parent.name != DETECTION)
    if not found:
        raise MissingModel(f"no model files in {path}, expected {', '.join(EXTENSIONS)}")
    return found


def diffusers_config(weights: Path) -> dict[str, Any]:
    """The `config.json` and `scheduler_config.json` beside weights, with diffusers' defaults."""
    path = weights.with_name(CONFIG_FILE)
    config = {**CONFIG_DEFAULTS, **read_json(path)} if path.is_file() else {}
    if config.get("_class_name", DIFFUSERS_CLASS) != DIFFUSERS_CLASS:
        raise UnsupportedCheckpoint(
            f"{path}: expected a {DIFFUSERS_CLASS}, got {config['_class_name']}: "
            "choose another model"
        )
    places = (weights.parent / folder / "scheduler_config.json" for folder in SCHEDULERS)
    scheduler = next(filter(Path.is_file, places), None)
    config |= {"beta_schedule": "linear", **read_json(scheduler)} if scheduler else {}
    return {key: value for key, value in config.items() if not key.startswith("_")}


def segformer_config(weights: Path) -> dict[str, Any]:
    """What the `config.json` beside a SegFormer says: its `heads`, and what its `classes` are.

    Raises:
        ValueError: a class is no part of a face.
    """
    path = weights.with_name(CONFIG_FILE)
    config = read_json(path) if path.is_file() else {}
    if config.get("model_type") != "segformer":
        return {}
    labels = sorted(config.get("id2label", {}).items(), key=lambda entry: int(entry[0]))
    for _, label in labels:
        if label not in LABELS:
            raise ValueError(
                f'{path}: its class "{label}" is no part of a face, expected {", ".join(LABELS)}: '
                "choose a parser of CelebAMask-HQ's classes"
            )
    classes = {"classes": [LABELS[label] for _, label in labels]} if labels else {}
    heads = config.get("num_attention_heads")
    return {**classes, **({"heads": heads} if heads else {})}


def _weights_in(folder: Path) -> Path | None:
    places = (folder, folder / "unet")
    files = [place / name for place in places for name in DIFFUSERS_WEIGHTS]
    if (folder / CONFIG_FILE).is_file():
        files += [folder / name for name in TRANSFORMERS_WEIGHTS]
    return next((file for file in files if file.is_file()), None)
