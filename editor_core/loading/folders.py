"""Where model files are: by themselves, or in a folder as the diffusers library publishes them."""

from pathlib import Path
from typing import Any

from ..checkpoints.errors import MissingModel, UnsupportedCheckpoint
from ..files import StrPath, read_json
from .known_files import describe_origin

EXTENSIONS = (  # of model files
    *(".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar", ".pkl"),
    *(".onnx", ".tflite"),
)
DETECTION = "detection"  # the folder of what OpenCV reads
DIFFUSERS_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
DIFFUSERS_CLASS = "UNet2DModel"
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
    """The file of weights that a path names: itself, or that of a diffusers folder or pipeline."""
    place = Path(path)
    if place.is_dir():
        if weights := _diffusers_weights(place):
            return weights
        raise MissingModel(
            f"no diffusers U-Net in {place}: expected {' or '.join(DIFFUSERS_WEIGHTS)} in it or in "
            "its folder unet; put config.json beside it"
        )
    if not place.is_file():
        raise MissingModel(f"no model file {place}: put it there ({describe_origin(place)})")
    return place


def model_files(path: Path) -> list[Path]:
    """The models that a path names: itself, or the model files in a folder and below."""
    if not path.is_dir() or _diffusers_weights(path):
        return [path]
    files = (f for f in path.rglob("*") if f.suffix in EXTENSIONS and f.is_file())
    found = sorted(file for file in files if file.parent.name != DETECTION)
    if not found:
        raise MissingModel(f"no model files in {path}, expected {', '.join(EXTENSIONS)}")
    return found


def diffusers_config(weights: Path) -> dict[str, Any]:
    """The `config.json` and `scheduler_config.json` beside weights, with diffusers' defaults."""
    path = weights.with_name("config.json")
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


def _diffusers_weights(folder: Path) -> Path | None:
    files = (place / name for place in (folder, folder / "unet") for name in DIFFUSERS_WEIGHTS)
    return next((file for file in files if file.is_file()), None)
