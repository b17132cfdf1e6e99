"""Pictures side by side, with captions: for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CAPTION = 22  # pixels under a panel
GAP = 6
PAPER, INK = (250, 250, 248), (40, 42, 46)


def contact_sheet(panels: Sequence[tuple[str, Tensor]], side: int = 256) -> Tensor:
    """Captioned pictures (H,W,3) in [0,1] in a row -> (side + caption, n x side, 3)."""
    from PIL import Image, ImageDraw

    width = len(panels) * (side + GAP) + GAP
    paper = Image.new("RGB", (width, side + CAPTION + 2 * GAP), PAPER)
    pen = ImageDraw.Draw(paper)
    for index, (caption, picture) in enumerate(panels):
        left = GAP + index * (side + GAP)
        paper.paste(_enlarged(picture, side), (left, GAP))
        pen.text((left + side / 2, side + GAP + CAPTION / 2), caption, fill=INK, anchor="mm")
    return _tensor(paper)


def _enlarged(picture: Tensor, side: int):
    from PIL import Image

    levels = picture.mul(255).round().byte().cpu().numpy()
    return Image.fromarray(levels).resize((side, side), Image.Resampling.BICUBIC)


def _tensor(image) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.array(image)).float() / 255
