"""Models as the diffusers library publishes them: a folder of weights and of what they are."""

import os
from pathlib import Path
from typing import Any

from ..checkpoints.reading import UnsupportedCheckpoint
from ..files import read_json
from .known_files import MissingModel

EXTENSIONS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar", ".pkl")  # of model files
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
CLASS = "UNet2DModel"
SCHEDULERS = (  # where the schedule is, seen from the weights: beside them, or in a pipeline
    "scheduler_config.json",
    "scheduler/scheduler_config.json",
    "../scheduler/scheduler_config.json",
)
UNSAID = {  # what diffusers takes where a config.json leaves it out
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "center_input_sample": False,
}
UNSAID_SCHEDULE = {"beta_schedule": "linear"}


def weights_in(path: str | os.PathLike[str]) -> Path:
    """The weights of a diffusers folder, which may be a whole pipeline; a file is its own."""
    folder = Path(path)
    if not folder.is_dir():
        return folder
    found = _weights(folder)
    if found is None:
        raise MissingModel(
            f"no diffusers U-Net in {folder}: expected {' or '.join(WEIGHTS)} in it or in its "
            "folder unet; put config.json beside it"
        )
    return found


def model_files(path: Path) -> list[Path]:
    """The models that a path names: itself, or the model files in a folder and below."""
    if not path.is_dir() or _weights(path):
        return [path]
    found = sorted(f for f in path.rglob("*") if f.suffix in EXTENSIONS and f.is_file())
    if not found:
        raise MissingModel(f"no model files in {path}, expected {', '.join(EXTENSIONS)}")
    return found


def told_beside(weights: Path) -> dict[str, Any]:
    """What `config.json` and `scheduler_config.json` say of a file of weights, as diffusers does.

    Empty where there are none.
    """
    config = weights.with_name("config.json")
    told = {**UNSAID, **read_json(config)} if config.is_file() else {}
    if told.get("_class_name", CLASS) != CLASS:
        raise UnsupportedCheckpoint(
            f"{config}: expected a {CLASS}, got {told['_class_name']}: choose another model"
        )
    schedule = next(filter(Path.is_file, (weights.parent / name for name in SCHEDULERS)), None)
    told |= {**UNSAID_SCHEDULE, **read_json(schedule)} if schedule else {}
    return {key: value for key, value in told.items() if not key.startswith("_")}


def _weights(folder: Path) -> Path | None:
    files = (place / name for place in (folder, folder / "unet") for name in WEIGHTS)
    return next((file for file in files if file.is_file()), None)
