"""`paste`: crops that other programs edited go back into the photo that they were cut out of."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..face.aligning import crop_faces, crop_masks
from ..face.finding import require_masks
from ..face.pasting import Pasting, paste_faces
from ..face.records import Faces, numbers_of
from ..files import check_destination
from ..images import read_mask, read_photo, to_unit, write_png
from ..provenance import picture_metadata
from .crops import is_whole, read_crops
from .options import add_setting

ASKED = ("feather", "blending")


def add_paste(commands: Any) -> None:
    parser = commands.add_parser("paste", help="put edited crops back into their photo")
    add = parser.add_argument
    add("photo", type=Path, help="the file that they were cut out of")
    add("--crops", type=Path, required=True, help="the folder that face-edit faces wrote")
    add("--out", type=Path, default=Path("edited.png"), help="PNG (%(default)s)")
    add("--mask", type=Path, help="grey picture, white where the photo may change")
    add("--keep", type=Path, help="grey picture, white where it stays: what hides the face")
    for name in ASKED:
        add_setting(parser, Pasting, name)
    parser.set_defaults(run=paste)


def paste(arguments: argparse.Namespace) -> None:
    """Paste the crops that were changed; the rest of the photo stays bit for bit."""
    check_destination(arguments.out)
    photo, cut = read_photo(arguments.photo), read_crops(arguments.crops, arguments.photo)
    mask, keep = (
        None if path is None else _read_plane(path, cut.faces)
        for path in (arguments.mask, arguments.keep)
    )
    rows, crops = cut.changed()
    if mask is not None:  # black stays bit for bit, however coarse the crops are
        keep = (mask == 0).to(mask) if keep is None else keep.masked_fill(mask == 0, 1)
    faces, pasting = cut.faces.rows(rows), _pasting_of(arguments, cut.faces)
    image = photo
    if rows:
        where = _masks(faces, mask)
        edited = _edited(photo, faces, torch.cat(crops))
        image = paste_faces(photo, faces, edited, where, pasting, keep=keep).image
    files = [cut.files[row].name for row in rows]
    settings = {"command": "paste", **asdict(pasting), "pasted": files}
    write_png(arguments.out, image[0], picture_metadata(settings, {}))
    for row in sorted(set(range(len(cut.files))) - set(rows)):
        reason = "not changed" if cut.files[row].is_file() else "not there"
        print(f"left as it is: face {numbers_of(cut.faces)[row]}, {cut.files[row]} is {reason}")
    print(f"wrote {arguments.out}: pasted {', '.join(files) or 'nothing'}")


def _read_plane(path: Path, faces: Faces) -> Tensor:  # -> (1,H,W)
    plane = read_mask(path)
    require_masks(plane, faces.size, 1, str(path))
    return plane


def _pasting_of(arguments: argparse.Namespace, faces: Faces) -> Pasting:
    """What was asked for; a crop that is the whole photo needs no fading edge."""
    usual = Pasting(feather=0.0) if is_whole(faces) else Pasting()
    asked = {name: getattr(arguments, name) for name in ASKED}
    return replace(usual, **{name: value for name, value in asked.items() if value is not None})


def _masks(faces: Faces, mask: Tensor | None) -> Tensor | None:
    if mask is not None:
        return crop_masks(mask, faces)
    _, size = faces.aligned()
    return torch.ones(1, size, size) if is_whole(faces) else None


def _edited(photo: Tensor, faces: Faces, crops: Tensor) -> Tensor:  # (n,S,S,3) -> (n,3,S,S)
    """The edited crops in full precision: what a file rounds is no edit."""
    original = crop_faces(photo, faces).image
    levels = to_unit(original).mul(255).round() / 255
    return (original + 2 * (crops - levels).movedim(3, 1)).clamp(-1, 1)
