"""Where the eyes look."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from PIL import ImageDraw
from torch import Tensor, nn

from ..images import from_picture, imagenet_normalise, to_picture
from .eyes import EyeBoxes, crop_eyes, crop_face

ARROW = 3.0  # eye boxes' widths that a gaze to the very side would reach
ARROW_COLOUR = (30, 220, 90)


@dataclass(frozen=True)
class Gaze:
    """Radians; pitch positive upwards, yaw positive towards the right of the picture."""

    pitch: Tensor  # (B,)
    yaw: Tensor  # (B,)


class GazeEstimator(Protocol):
    """A gaze network and how it is shown a picture."""

    @property
    def network(self) -> nn.Module: ...

    def estimate(self, image: Tensor, boxes: EyeBoxes) -> Tensor:
        """(B,3,H,W) in [-1, 1] -> (B,N,2), differentiable.

        The pitch and yaw, signed as in `Gaze`, of all that the network reads: of the left and the
        right eye (N = 2), or of the face as a whole (N = 1).
        """
        ...


@dataclass(frozen=True)
class EyeGazeEstimator:
    """EyeNet, which reads one eye at a time, its yaw growing leftwards."""

    network: nn.Module

    def estimate(self, image: Tensor, boxes: EyeBoxes) -> Tensor:  # (B,3,H,W) -> (B,2,2)
        """The gaze of the left and of the right eye."""
        crops = crop_eyes(image, boxes)
        both = torch.cat([crops.left, crops.right])[:, 0]
        return _mirrored(torch.stack(self.network(both).gaze.chunk(2), dim=1))


@dataclass(frozen=True)
class FaceGazeEstimator:
    """L2CS-Net, which reads the whole face, its yaw growing leftwards."""

    network: nn.Module
    size: int = 448
    normalise: Callable[[Tensor], Tensor] = imagenet_normalise

    def estimate(self, image: Tensor, boxes: EyeBoxes) -> Tensor:  # (B,3,H,W) -> (B,1,2)
        """The gaze of the face around the eyes."""
        face = crop_face(image, boxes, self.size)
        return _mirrored(self.network(self.normalise(face))[:, None])


def _mirrored(gaze: Tensor) -> Tensor:  # (...,2): pitch, yaw
    return gaze * gaze.new_tensor([1, -1])


@torch.no_grad()
def estimate_gaze(estimator: GazeEstimator, image: Tensor, boxes: EyeBoxes) -> Gaze:
    """The gaze of every picture (B,3,H,W) in [-1, 1], the mean of both eyes, without gradient."""
    pitch, yaw = estimator.estimate(image, boxes).mean(1).unbind(1)
    return Gaze(pitch, yaw)


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
