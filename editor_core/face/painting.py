"""What was seen in the crops, drawn on the photos they were cut out of."""

from __future__ import annotations

import torch
from PIL import ImageDraw
from torch import Tensor

from ..images import from_picture, rgb, to_picture
from .eyes import EyeBoxes
from .gaze import ARROW_COLOUR, Gaze, arrow_lines
from .records import Faces
from .resampling import invert, transform


def paint_eyes(photos: Tensor, boxes: EyeBoxes, faces: Faces | None = None) -> Tensor:
    """The photos (frames,H,W,3 or 4) with a frame around each eye; boxes in crops, if any."""
    both = torch.stack([boxes.left, boxes.right], 1).float()
    x0, y0, x1, y1 = both.unbind(2)
    corners = [torch.stack(each, 2) for each in ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))]
    return paint_lines(photos, torch.stack(corners, 2), faces)


def paint_gaze_on_photos(photos: Tensor, boxes: EyeBoxes, gaze: Gaze, faces: Faces) -> Tensor:
    """The photos with an arrow from each eye of each face, whose boxes are in the crops."""
    return paint_lines(photos, arrow_lines(boxes, gaze), faces)


def paint_lines(photos: Tensor, lines: Tensor, faces: Faces | None) -> Tensor:  # (n,k,L,2)
    """Photos in [0,1] with k lines a face, given in its crop; without faces, k a photo."""
    frame, lines = range(len(photos)), lines.cpu()
    if faces is not None:
        affine, _ = faces.aligned()
        lines = transform(invert(affine), lines.flatten(1, 2)).unflatten(1, lines.shape[1:3])
        frame = faces.frame.tolist()
    canvases = [to_picture(photo) for photo in rgb(photos).float()]
    pens = [ImageDraw.Draw(canvas) for canvas in canvases]
    width = max(1, max(photos.shape[1:3]) // 400)
    for number, each in zip(frame, lines.tolist(), strict=True):
        for line in each:
            pens[number].line([tuple(point) for point in line], fill=ARROW_COLOUR, width=width)
    return torch.stack([from_picture(canvas) for canvas in canvases])
