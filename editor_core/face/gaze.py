"""Where the eyes look."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..images import imagenet_normalise
from .eyes import EyeBoxes, crop_around_eyes, crop_eyes


@dataclass(frozen=True)
class Gaze:
    """Radians; pitch positive upwards, yaw positive towards the right of the picture."""

    pitch: Tensor  # (B,)
    yaw: Tensor  # (B,)


class GazeEstimator(Protocol):
    """A gaze network with the pixels that it reads."""

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
    """EyeNet, which reads one eye at a time; its yaw is positive leftwards."""

    network: nn.Module

    def estimate(self, image: Tensor, boxes: EyeBoxes) -> Tensor:  # (B,3,H,W) -> (B,2,2)
        """The gaze of the left and of the right eye."""
        both = torch.cat(crop_eyes(image, boxes))[:, 0]
        return _mirrored(torch.stack(self.network(both).gaze.chunk(2), dim=1))


@dataclass(frozen=True)
class FaceGazeEstimator:
    """L2CS-Net, which reads the whole face; its yaw is positive leftwards."""

    network: nn.Module
    size: int = 448
    normalise: Callable[[Tensor], Tensor] = imagenet_normalise

    def estimate(self, image: Tensor, boxes: EyeBoxes) -> Tensor:  # (B,3,H,W) -> (B,1,2)
        """The gaze of the face around the eyes."""
        face = crop_around_eyes(image, boxes, self.size)
        return _mirrored(self.network(self.normalise(face))[:, None])


def _mirrored(gaze: Tensor) -> Tensor:  # (...,2): pitch, yaw
    return gaze * gaze.new_tensor([1, -1])


@torch.no_grad()
def estimate_gaze(estimator: GazeEstimator, image: Tensor, boxes: EyeBoxes) -> Gaze:
    """The gaze of every picture (B,3,H,W) in [-1, 1], the mean of both eyes, without gradient."""
    pitch, yaw = estimator.estimate(image, boxes).mean(1).unbind(1)
    return Gaze(pitch, yaw)
