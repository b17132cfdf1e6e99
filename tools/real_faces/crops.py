"""The crops of a folder, the pairs that are drawn of them, and the edits kept beside the rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...editor_core.cli.pairs import Pair
from ...editor_core.face.locate import require_square
from ...editor_core.images import picture_files, read_image, resize, signed, unit


@dataclass(frozen=True)
class FaceCrops:
    """Aligned faces, one a person as far as anybody knows."""

    names: tuple[str, ...]  # of the files
    pictures: Tensor  # (N,3,S,S) in [0,1]

    @classmethod
    def read(cls, folder: Path, size: int) -> FaceCrops:
        """The pictures of a folder, at the size of a diffusion model."""
        files = picture_files(folder)
        pictures = torch.cat([read_crop(path, size) for path in files])
        return cls(tuple(path.name for path in files), pictures)

    def pairs(self, count: int, seed: int) -> list[Pair]:
        """Pairs of different crops in an order drawn by the seed: each one's target is the next.

        Raises:
            ValueError: There are fewer crops than pairs, or no two.
        """
        crops = len(self.names)
        if not 1 <= count <= crops or crops < 2:
            raise ValueError(
                f"{count} pairs of {crops} crops: expected 1 to {crops} pairs of two crops or more"
            )
        generator = torch.Generator().manual_seed(seed)
        order = [Path(self.names[k]) for k in torch.randperm(crops, generator=generator)]
        drawn = zip(order, [*order[1:], order[0]], strict=True)
        return [Pair(f"{a.stem}_on_{b.stem}", a, b) for a, b in drawn][:count]

    def rows_of(self, names: list[Path]) -> Tensor:  # (n,)
        """Which crops these are."""
        return torch.tensor([self.names.index(each.name) for each in names])


def read_crop(path: Path, size: int) -> Tensor:  # (1,3,size,size) in [0,1]
    """A square picture of one aligned face."""
    picture = read_image(path)
    require_square(picture, path, "crop it")
    picture = picture.movedim(-1, 1)
    return picture if picture.shape[-1] == size else unit(resize(signed(picture), size))
