"""Where the eyes look."""

from dataclasses import dataclass

import torch
from PIL import ImageDraw
from torch import Tensor, nn

from ..images import from_picture, to_picture
from .eyes import EyeBoxes, EyeCrops, crop_eyes

ARROW = 3.0  # eye boxes' widths that a gaze to the very side would reach
ARROW_COLOUR = (30, 220, 90)


@dataclass(frozen=True)
class Gaze:
    """Radians; pitch positive upwards, yaw positive towards the right of the picture."""

    pitch: Tensor  # (B,)
    yaw: Tensor  # (B,)


@dataclass(frozen=True)
class GazeEstimator:
    """EyeNet, which reads one eye at a time and answers (pitch, yaw), its yaw growing leftwards."""

    network: nn.Module

    def estimate(self, crops: EyeCrops) -> tuple[Tensor, Tensor]:  # (B,2), (B,2)
        """The network's own (pitch, yaw) of the left and of the right eye."""
        both = torch.cat([crops.left, crops.right])[:, 0]
        left, right = self.network(both).gaze.chunk(2)
        return left, right


@torch.no_grad()
def estimate_gaze(estimator: GazeEstimator, image: Tensor, boxes: EyeBoxes) -> Gaze:
    """The mean gaze of both eyes of every picture (B,3,H,W) in [-1, 1], without gradient."""
    left, right = estimator.estimate(crop_eyes(image, boxes))
    pitch, yaw = ((left + right) / 2).unbind(1)
    return Gaze(pitch, -yaw)


def paint_gaze(image: Tensor, boxes: EyeBoxes, gaze: Gaze) -> Tensor:  # (B,H,W,3) in [0, 1]
    """The pictures with an arrow from each eye, as long as the gaze is turned."""
    eyes = torch.stack([boxes.left, boxes.right], 1)
    widths = (eyes[..., 2] - eyes[..., 0]).tolist()
    lines = arrow_lines(boxes, gaze).tolist()
    return torch.stack([_arrows(*each) for each in zip(image, lines, widths, strict=True)])


def arrow_lines(boxes: EyeBoxes, gaze: Gaze) -> Tensor:  # -> (B,2,2,2): eye, end, x and y
    """From the middle of each eye to where its arrow ends, in pixels."""
    turned = torch.stack([gaze.pitch.cos() * gaze.yaw.sin(), -gaze.pitch.sin()], 1)  # x, y
    eyes = torch.stack([boxes.left, boxes.right], 1).to(turned)
    middle, width = (eyes[..., :2] + eyes[..., 2:]) / 2, eyes[..., 2:3] - eyes[..., :1]
    return torch.stack([middle, middle + ARROW * width * turned[:, None]], 2)


def _arrows(picture: Tensor, lines: list, widths: list[int]) -> Tensor:
    canvas = to_picture(picture)
    pen = ImageDraw.Draw(canvas)
    for (middle, tip), eye in zip(lines, widths, strict=True):
        width = max(1, eye // 16)
        pen.line([*middle, *tip], fill=ARROW_COLOUR, width=width)
        pen.ellipse([tip[0] - width, tip[1] - width, tip[0] + width, tip[1] + width], ARROW_COLOUR)
    return from_picture(canvas)
