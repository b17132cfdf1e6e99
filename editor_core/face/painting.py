"""Eyes and gaze, drawn on pictures of faces or on the photos that their crops were cut out of.

Pictures are (B,H,W,3 or 4) in [0,1]; boxes are in the pictures, or in the crops of given faces.
"""

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..images import from_picture, rgb, to_picture
from .eyes import EyeBoxes
from .gaze import Gaze
from .records import Faces, numbers_of
from .resampling import invert, transform

GAZE_REACH = 3.0  # eye boxes' widths that a gaze to the very side would reach
EYES_REACH = 1.5  # of the distance between the eyes, likewise
COLOUR = (30, 220, 90)
GAZE_COLOUR = (255, 60, 60)


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


def paint_faces(photo: Tensor, faces: Faces, gaze: Tensor | None = None) -> Tensor:
    """One photo (1,H,W,3 or 4) with its faces' boxes, numbers and landmarks.

    Args:
        photo: In [0,1].
        faces: Of the photo.
        gaze: (n,2), pitch and yaw as in `Gaze`, drawn from each eye as far as it is turned; NaN
            where it is not known.
    """
    canvas = to_picture(rgb(photo)[0])
    pen, width = ImageDraw.Draw(canvas), max(1, max(faces.size) // 400)
    for row, (box, number) in enumerate(zip(faces.box.tolist(), numbers_of(faces), strict=True)):
        pen.rectangle(box, outline=COLOUR, width=width)
        pen.bitmap((box[0] + 3 * width, box[1] + width), _label(number, width + 1), COLOUR)
        dots = faces.points if faces.landmarks is None else faces.landmarks
        for x, y in dots[row].tolist():
            pen.rectangle([x, y, x + width - 1, y + width - 1], COLOUR)
    for line in [] if gaze is None else _gaze_lines(faces.points[:, :2], gaze):
        pen.line([tuple(point) for point in line], fill=GAZE_COLOUR, width=2 * width)
        x, y = line[1]
        reach = 2 * width
        pen.ellipse([x - reach, y - reach, x + reach, y + reach], GAZE_COLOUR)
    return from_picture(canvas)[None]


def _label(number: int, scale: int) -> Image.Image:
    """The number in a size that old versions of Pillow have no font for."""
    _, _, width, height = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), str(number))
    label = Image.new("L", (int(width) + 1, int(height) + 1))
    ImageDraw.Draw(label).text((0, 0), str(number), 255)
    return label.resize((label.width * scale, label.height * scale))


def _gaze_lines(eyes: Tensor, gaze: Tensor) -> list:  # (n,2,2), (n,2) -> begins and ends
    pitch, yaw = gaze.unbind(1)
    turned = torch.stack([pitch.cos() * yaw.sin(), -pitch.sin()], 1)[:, None]
    apart = (eyes[:, 1] - eyes[:, 0]).norm(dim=1)[:, None, None]
    lines = torch.stack([eyes, eyes + EYES_REACH * apart * turned], 2)
    return lines[~gaze.isnan().any(1)].flatten(0, 1).tolist()


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
