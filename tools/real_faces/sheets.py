"""The edits as a picture: a row for each pair, captioned with what judge and guide say."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...editor_core.cli.pairs import Pair
from ...editor_core.images import read_image, to_bhwc, write_png
from ...editor_core.sheet import contact_sheet
from .crops import FaceCrops
from .rows import Row

PANEL = 192  # pixels of a side


def edits_folder(out: Path, way: str) -> Path:
    """Where the edits of one way are kept."""
    return out / way.replace(" ", "_")


def write_sheet(
    crops: FaceCrops, pairs: Sequence[Pair], rows: Mapping[str, Sequence[Row]], out: Path
) -> None:
    """Write `sheet.png`: source, target, and the edit of every way, whose edits lie in `out`."""
    strips = []
    for k, pair in enumerate(pairs):
        before = [(f"{role}, {getattr(pair, role).stem}", role) for role in ("source", "target")]
        panels = [(caption, _crop(crops, getattr(pair, role))) for caption, role in before]
        for way, of_way in rows.items():
            picture = read_image(edits_folder(out, way) / f"{pair.name}.png")[0]
            said = f"{way}: judge {of_way[k]['judge']:.2f}, guide {of_way[k]['guide']:.2f}"
            panels.append((said, picture))
        strips.append(contact_sheet(panels, PANEL))
    write_png(out / "sheet.png", torch.cat(strips))


def _crop(crops: FaceCrops, path: Path) -> Tensor:  # -> (S,S,3)
    return to_bhwc(crops.pictures[crops.names.index(path.name)])
