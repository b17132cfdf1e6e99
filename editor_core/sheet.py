"""Contact sheets: pictures side by side, with captions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from .images import from_picture, to_picture

CAPTION = 22  # pixels under a panel
GAP = 6
PAPER, INK = (250, 250, 248), (40, 42, 46)


def contact_sheet(panels: Sequence[tuple[str, Tensor]], side: int = 256) -> Tensor:
    """Captioned pictures (H,W,3) in [0,1] in a row, each `side` pixels high -> (h,w,3)."""
    pictures = [_scaled(picture, side) for _, picture in panels]
    width = sum(picture.width + GAP for picture in pictures) + GAP
    paper = Image.new("RGB", (width, side + CAPTION + 2 * GAP), PAPER)
    pen = ImageDraw.Draw(paper)
    left = GAP
    for (caption, _), picture in zip(panels, pictures, strict=True):
        paper.paste(picture, (left, GAP))
        middle = (left + picture.width / 2, side + GAP + CAPTION / 2)
        pen.text(middle, caption, fill=INK, anchor="mm")
        left += picture.width + GAP
    return from_picture(paper)


def contact_sheets(panels: Sequence[tuple[str, Tensor]], side: int = 256) -> Tensor:
    """A contact sheet for each picture of the batches (B or 1,H,W,3) -> (B,h,w,3)."""
    counts = {len(pictures) for _, pictures in panels} - {1}
    if not panels or len(counts) > 1:
        got = ", ".join(f"{len(pictures)} of {caption}" for caption, pictures in panels) or "none"
        raise ValueError(f"got pictures {got}: give some, one of a kind or equally many")
    count = max(counts, default=1)
    rows = [(caption, pictures.expand(count, -1, -1, -1)) for caption, pictures in panels]
    return torch.stack(
        [contact_sheet([(caption, each[k]) for caption, each in rows], side) for k in range(count)]
    )


def _scaled(picture: Tensor, side: int) -> Image.Image:
    image = to_picture(picture)
    width = max(1, round(side * image.width / image.height))
    return image.resize((width, side), Image.Resampling.BICUBIC)
