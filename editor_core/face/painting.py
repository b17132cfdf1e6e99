"""Eyes and gaze, drawn on pictures of faces or on the photos that their crops were cut out of.

Pictures are (B,H,W,3 or 4) in [0,1]; boxes are in the pictures, or in the crops of given faces.
"""

import torch
from PIL import ImageDraw
from torch import Tensor

from ..images import from_picture, rgb, to_picture
from .eyes import EyeBoxes
from .gaze import Gaze
from .records import Faces
from .resampling import invert, transform

GAZE_REACH = 3.0  # eye boxes' widths that a gaze to the very side would reach
COLOUR = (30, 220, 90)


def paint_eyes(image: Tensor, boxes: EyeBoxes, faces: Faces | None = None) -> Tensor:
    """The faces, or the photos of aligned `faces`, with a frame around each eye."""
    both = torch.stack([boxes.left, boxes.right], 1).float()
    around = both[..., [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].unflatten(2, (5, 2))  # x, y of the corners
    return _paint_lines(image, around, faces, boxes)


def paint_gaze(image: Tensor, boxes: EyeBoxes, gaze: Gaze, faces: Faces | None = None) -> Tensor:
    """The faces, or the photos of aligned `faces`, with a line from each eye.

    It is as long as the gaze is turned. On a picture of a face alone it ends in a dot.
    """
    turned = torch.stack([gaze.pitch.cos() * gaze.yaw.sin(), -gaze.pitch.sin()], 1)  # x, y
    eyes = torch.stack([boxes.left, boxes.right], 1)
    box = eyes.to(turned)
    middle, width = (box[..., :2] + box[..., 2:]) / 2, box[..., 2:3] - box[..., :1]
    lines = torch.stack([middle, middle + GAZE_REACH * width * turned[:, None]], 2)  # (B,2,2,2)
    if faces is not None:
        return _paint_lines(image, lines, faces, boxes)
    widths = ((eyes[..., 2] - eyes[..., 0]) // 16).clamp(min=1)
    rows = zip(image, lines.tolist(), widths.tolist(), strict=True)
    return torch.stack([_paint_arrows(*each) for each in rows])


def _paint_arrows(picture: Tensor, lines: list, widths: list[int]) -> Tensor:
    canvas = to_picture(picture)
    pen = ImageDraw.Draw(canvas)
    for (middle, (x, y)), width in zip(lines, widths, strict=True):
        pen.line([*middle, x, y], fill=COLOUR, width=width)
        pen.ellipse([x - width, y - width, x + width, y + width], COLOUR)
    return from_picture(canvas)


def _paint_lines(
    image: Tensor, lines: Tensor, faces: Faces | None, boxes: EyeBoxes
) -> Tensor:  # (n,k,L,2)
    """Pictures with k lines each; or with k lines a face, given in its crop; none without eyes."""
    frame, lines = range(len(image)), lines.cpu()
    if faces is not None:
        affine, _ = faces.aligned()
        lines = transform(invert(affine), lines.flatten(1, 2)).unflatten(1, lines.shape[1:3])
        frame = faces.frame.tolist()
    canvases = [to_picture(picture) for picture in rgb(image).float()]
    pens = [ImageDraw.Draw(canvas) for canvas in canvases]
    width = max(1, max(image.shape[1:3]) // 400)
    blind = boxes.missing.rows if boxes.missing else []
    for row, (number, each) in enumerate(zip(frame, lines.tolist(), strict=True)):
        for line in each if row not in blind else ():
            pens[number].line([tuple(point) for point in line], fill=COLOUR, width=width)
    return torch.stack([from_picture(canvas) for canvas in canvases])
