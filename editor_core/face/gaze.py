"""Where the eyes look."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from ..declare import check, setting
from ..images import imagenet_normalise
from .eyes import EyeBoxes, crop_around_eyes, crop_eyes

Frame = Literal["camera", "head"]
"""What gaze is measured from: the line from the eye to the camera, or where the head points."""


@dataclass(frozen=True)
class Gaze:
    """Radians; pitch positive upwards, yaw positive towards the right of the picture."""

    pitch: Tensor  # (B,)
    yaw: Tensor  # (B,)


class GazeEstimator(Protocol):
    """A gaze network with the pixels that it reads."""

    @property
    def network(self) -> nn.Module: ...

    @property
    def frame(self) -> Frame: ...

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
    frame: Frame = "camera"  # as UnityEyes, of which the published file learned

    def estimate(self, image: Tensor, boxes: EyeBoxes) -> Tensor:  # (B,3,H,W) -> (B,2,2)
        """The gaze of the left and of the right eye."""
        both = torch.cat(crop_eyes(image, boxes))[:, 0]
        return _mirrored(torch.stack(self.network(both).gaze.chunk(2), dim=1))


@dataclass(frozen=True)
class FaceGazeEstimator:
    """L2CS-Net or MobileGaze, which read the whole face; their yaw is positive leftwards."""

    network: nn.Module
    size: int = 448
    normalise: Callable[[Tensor], Tensor] = imagenet_normalise
    frame: Frame = "camera"  # as Gaze360 and MPIIFaceGaze, of which the published files learned

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


@dataclass(frozen=True)
class GazeGoal:
    """Where the eyes of an edit look: where the target's do, in a given direction, or at us.

    At the camera means pitch 0 and yaw 0 in the camera's frame, however the head is turned and
    wherever in the picture it is: so EyeNet and L2CS-Net were taught to read a gaze.

    Raises:
        ValueError: The mode is none of its choices.

    Examples:
        >>> GazeGoal("set", yaw=15.0).asked(torch.zeros(1, 2, 2), "camera").rad2deg().round()
        tensor([[[ 0., 15.],
                 [ 0., 15.]]])
    """

    mode: Literal["keep", "set", "set-each", "at-camera"] = setting(
        "keep",
        "keep: where the target's eyes look. set: pitch and yaw, for both eyes. set-each: these "
        "for the eye on the picture's left, right_pitch and right_yaw for the other. at-camera: at "
        "whoever sees the picture, however the head is turned.",
        choices=("keep", "set", "set-each", "at-camera"),
    )
    pitch: float = setting(
        0.0, "Degrees upwards, where the gaze is set.", low=-90.0, high=90.0, step=0.5
    )
    yaw: float = setting(
        0.0,
        "Degrees towards the right of the picture, where the gaze is set.",
        low=-90.0,
        high=90.0,
        step=0.5,
    )
    right_pitch: float = setting(
        0.0,
        "Degrees upwards, of the eye on the picture's right; with set-each alone.",
        low=-90.0,
        high=90.0,
        step=0.5,
    )
    right_yaw: float = setting(
        0.0,
        "Degrees towards the right, of the eye on the picture's right; with set-each alone.",
        low=-90.0,
        high=90.0,
        step=0.5,
    )

    def __post_init__(self) -> None:
        check(self)

    def asked(self, target: Tensor, frame: Frame) -> Tensor:  # (B,N,2) -> (B,N,2)
        """What an estimator of a frame should read of the edits, given the target's own gaze.

        Raises:
            ValueError: The estimator cannot tell whether that is reached.
        """
        if self.mode == "keep":
            return target
        if self.mode == "at-camera" and frame != "camera":
            raise ValueError(
                "this gaze model measures from where the head points, so it cannot tell who looks "
                "at the camera: set pitch and yaw, or use a model that measures from the camera"
            )
        if self.mode == "set-each" and target.shape[1] != 2:
            raise ValueError(
                "this gaze model reads the face as a whole, expected one that reads each eye for "
                '"set-each": choose "set", or an EyeNet'
            )
        left = (0.0, 0.0) if self.mode == "at-camera" else (self.pitch, self.yaw)
        right = (self.right_pitch, self.right_yaw) if self.mode == "set-each" else left
        return torch.deg2rad(target.new_tensor([left, right])[: target.shape[1]]).expand_as(target)
