"""Crops of photos as files, for `faces` to write and `paste` to read: pictures and `crops.json`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..face.aligning import crop_faces, quads, require_usable
from ..face.records import Faces, numbers_of
from ..files import read_json, sha256
from ..images import read_photo, rgb, to_levels, to_unit, write_png

CROPS_FILE = "crops.json"
LARGEST_CROP = 8192  # pixels of a crop's side


def write_crops(folder: Path, path: Path, photo: Tensor, faces: Faces) -> list[dict[str, Any]]:
    """Write the crop of every aligned face of one photo; its entry in `crops.json` is returned."""
    affine, size = faces.aligned()
    about = {"photo": path.name, "photo_sha256": sha256(path), "photo_size": list(faces.size)}
    entries = []
    for row, number in enumerate(numbers_of(faces)):
        crop = to_unit(crop_faces(photo, faces.rows([row])).image)
        name = f"{path.stem}_{number}.png"
        write_png(folder / name, crop)
        cut = {"template": faces.template, "size": size, "affine": affine[row].tolist()}
        entries.append({"file": name, "pixels": hash_of(crop), **about, "face": number, **cut})
    return entries


def hash_of(crop: Tensor) -> str:  # (1,S,S,3)
    """SHA-256 of a crop's levels, whatever file they are in."""
    levels = to_levels(crop, (crop.shape[1], crop.shape[2]))
    return hashlib.sha256(levels.numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class CutFaces:
    """The faces of a photo as their crops were cut out, and the files that have the crops."""

    faces: Faces  # aligned
    files: list[Path]
    pixels: list[str]  # the `hash_of` each crop when it was cut out

    def changed(self) -> tuple[list[int], list[Tensor]]:
        """The rows of the crops that were changed, and the crops (1,S,S,3).

        Raises:
            ValueError: One is no picture, or of another size.
        """
        crops = {row: self._read(file) for row, file in enumerate(self.files) if file.is_file()}
        rows = [row for row, crop in crops.items() if hash_of(crop) != self.pixels[row]]
        return rows, [crops[row] for row in rows]

    def _read(self, file: Path) -> Tensor:
        crop, (_, size) = rgb(read_photo(file)), self.faces.aligned()
        if crop.shape[1:3] != (size, size):
            height, width = crop.shape[1:3]
            raise ValueError(
                f"{file} is {height}x{width}, expected {size}x{size} as it was cut out: resize it, "
                f"or cut it out with --size {height}"
            )
        return crop


def read_crops(folder: Path, path: Path) -> CutFaces:
    """The faces of one photo among the crops in a folder.

    Raises:
        FileNotFoundError: The folder has no `crops.json`.
        ValueError: It is not as `write_crops` makes it, or has no crop of this photo.
    """
    source = folder / CROPS_FILE
    if not source.is_file():
        raise FileNotFoundError(
            f"no file {source}: cut crops out by face-edit faces --out {folder}"
        )
    entries, digest = read_json(source).get("crops"), sha256(path)
    try:
        names = {str(each["photo"]) for each in entries or ()}
        mine = [each for each in entries or () if each["photo_sha256"] == digest]
        cut = _cut_faces(folder, mine) if mine else None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{source}: expected what face-edit faces writes, got {type(error).__name__}: {error}; "
            "cut the crops out again"
        ) from error
    if cut is None:
        raise ValueError(
            f"{path} is not the file that the crops in {folder} were cut out of, which was "
            f"{', '.join(sorted(names)) or 'none'}: give the photo as it was"
        )
    return cut


def _cut_faces(folder: Path, entries: Sequence[Mapping[str, Any]]) -> CutFaces:
    files = [_file_beside(folder, str(each["file"])) for each in entries]
    ((height, width, size),) = {
        (*map(int, each["photo_size"]), int(each["size"])) for each in entries
    }
    affine = torch.stack([torch.tensor(each["affine"]).float().view(2, 3) for each in entries])
    if not torch.isfinite(affine).all() or not 0 < size <= LARGEST_CROP:
        raise ValueError(f"crops of {size} pixels, or affines that are not finite")
    none = torch.zeros(len(entries))
    faces = Faces(
        frame=none.long(),
        box=none[:, None].expand(-1, 4),
        points=none[:, None, None].expand(-1, 5, 2),
        score=none,
        size=(height, width),
        frames=1,
        affine=affine,
        crop_size=size,
        number=torch.tensor([int(each["face"]) for each in entries]),
    )
    require_usable(faces)
    return CutFaces(faces, files, [str(each["pixels"]) for each in entries])


def _file_beside(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise ValueError(f"{name} is not in its folder")
    return folder / name


def is_whole(faces: Faces) -> bool:
    """Whether the crop of the first face is the whole photo."""
    height, width = faces.size
    corners = torch.tensor([[0.0, 0], [width, 0], [width, height], [0, height]])
    return bool((quads(faces)[0] - corners).abs().max() < 0.5)
