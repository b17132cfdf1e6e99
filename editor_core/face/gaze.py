"""Where the eyes look."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .eyes import EyeBoxes, EyeCrops, crop_eyes


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
