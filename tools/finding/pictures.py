"""Photographs in which faces are found: those that a package brings, and the user's own."""

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...editor_core.face.resampling import invert, resample
from ...editor_core.images import SUFFIXES, read_photo, rgb, to_signed, to_unit

PHOTO_SUFFIXES = (*SUFFIXES, ".pgm")
ASTRONAUT = "data/astronaut.png"
YUNET = "models/face_detection_yunet_2023mar_int8bq.onnx"
FACELESS = (
    *("coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "gravel.png", "brick.png"),
    *("grass.png", "text.png", "page.png", "moon.png", "coins.png", "hubble_deep_field.jpg"),
    *("retina.jpg", "ihc.png", "horse.png", "color.png", "logo.png"),
)
"""Pictures of scikit-image without a face."""


def file_in_package(package: str, name: str, wheel: str) -> Path:
    """A file that an installed package brings; its code is not imported.

    Raises:
        ValueError: The package is not installed; the message says which wheel is.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ValueError(f"{name} is of the package {wheel}, which is missing: pip install {wheel}")
    return Path(found.origin).parent / name


def photo_files(folders: Sequence[Path]) -> list[Path]:
    """The pictures of the folders and those within them; the astronaut where there is no folder.

    Raises:
        ValueError: A folder holds none.
    """
    if not folders:
        return [file_in_package("skimage", ASTRONAUT, "scikit-image")]
    by_folder = [_pictures_within(folder) for folder in folders]
    return [path for paths in by_folder for path in paths]


def _pictures_within(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    if not paths:
        expected = ", ".join(PHOTO_SUFFIXES)
        raise ValueError(f"no pictures in {folder}, expected {expected}: name another folder")
    return paths


def faceless_files(folder: Path | None) -> list[Path]:
    """The pictures of a folder; without one, those of `FACELESS` that the package brings."""
    if folder is not None:
        return _pictures_within(folder)
    data = file_in_package("skimage", ASTRONAUT, "scikit-image").parent
    return [data / name for name in FACELESS if (data / name).is_file()]


def some_of(paths: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of them, evenly spread."""
    count = min(count, len(paths))
    return [paths[k * len(paths) // count] for k in range(count)]


def read_rgb(path: Path) -> Tensor:  # (1,H,W,3) in [0,1]
    """A photograph of any kind, without its alpha."""
    return rgb(read_photo(path))


def turned(photo: Tensor, degrees: float) -> tuple[Tensor, Tensor]:  # -> (1,S,S,3), (1,2,3)
    """A photo (1,H,W,3) turned clockwise on a grey square that holds it whole at any angle.

    Also the affine that takes its points to the square.
    """
    height, width = photo.shape[1:3]
    side, angle = math.ceil(math.hypot(height, width)), math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin], [sin, cos]])
    moved = torch.tensor([side / 2, side / 2]) - turn @ torch.tensor([width / 2, height / 2])
    affine = torch.cat([turn, moved[:, None]], 1)[None]
    square = resample(to_signed(photo, "photo"), invert(affine), (side, side), "zeros")
    return to_unit(square), affine
