"""How a head is turned, and where its eyes look, by the landmarks of a mesh.

A head's own axes are the picture's of a head that looks at the camera: x to the right, y down, z
away from the camera.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..models.attention_mesh import LEFT_IRIS, RIGHT_IRIS
from .eyes import EyeBoxes
from .gaze import Frame
from .landmarks import BLENDSHAPES, FaceLandmarker, Meshes
from .templates import square_affine

RIGID = (  # of MediaPipe's canonical face in cm: a landmark, its weight, and x, y up, z forwards
    (4, 0.070910, 0.0, -0.463170, 7.586580),
    (6, 0.032100, 0.0, 2.473255, 5.788627),
    (10, 0.008447, 0.0, 8.261778, 4.481535),
    (33, 0.058724, -4.445859, 2.663991, 3.173422),
    (54, 0.007667, -6.279331, 6.615427, 1.425850),
    (67, 0.009078, -3.523964, 8.005976, 3.729163),
    (117, 0.009792, -5.258659, 0.945811, 2.974312),
    (119, 0.014565, -3.300681, 0.861641, 3.872784),
    (121, 0.018591, -1.820731, 1.467954, 4.224124),
    (127, 0.005198, -7.743095, 2.364999, -2.005167),
    (129, 0.120625, -1.785794, -0.978284, 4.850470),
    (132, 0.005560, -7.270895, -2.890917, -2.252455),
    (133, 0.053286, -1.856432, 2.585245, 3.757904),
    (136, 0.066890, -5.085276, -7.178590, 0.714711),
    (143, 0.014817, -6.407571, 2.236021, 1.560843),
    (147, 0.014263, -6.234883, -1.944430, 1.663542),
    (198, 0.025462, -1.246815, 0.230297, 5.681036),
    (205, 0.047252, -3.832928, -1.537326, 4.137731),
    (263, 0.058724, 4.445859, 2.663991, 3.173422),
    (284, 0.007667, 6.279331, 6.615427, 1.425850),
    (297, 0.009078, 3.523964, 8.005976, 3.729163),
    (346, 0.009792, 5.258659, 0.945811, 2.974312),
    (348, 0.014565, 3.300681, 0.861641, 3.872784),
    (350, 0.018591, 1.820731, 1.467954, 4.224124),
    (356, 0.005198, 7.743095, 2.364999, -2.005167),
    (358, 0.120625, 1.785794, -0.978284, 4.850470),
    (361, 0.005560, 7.270895, -2.890917, -2.252455),
    (362, 0.053286, 1.856432, 2.585245, 3.757904),
    (365, 0.066890, 5.085276, -7.178590, 0.714711),
    (372, 0.014817, 6.407571, 2.236021, 1.560843),
    (376, 0.014263, 6.234883, -1.944430, 1.663542),
    (420, 0.025462, 1.246815, 0.230297, 5.681036),
    (425, 0.047252, 3.832928, -1.537326, 4.137731),
)
RIGID_LANDMARKS = [row[0] for row in RIGID]
CORNERS = ((33, 133), (362, 263))  # of the left and the right eye
IRISES = (LEFT_IRIS[0], RIGHT_IRIS[0])
IRIS_REACH = 1.0  # cm from an eye's centre to its iris
EYE_CENTRE = ((-0.100, -0.105, 0.640), (0.100, -0.105, 0.640))  # cm from the corners, head's axes
MOST_TURNED = 0.95  # sine of the largest angle of an eye to the camera
SQUARE = (2.1, 0.5)  # half a side, and its middle under the eyes, in distances between the eyes


def head_pose(points: Tensor) -> Tensor:  # (B,478,3) -> (B,3,3)
    """The rotation from a head's own axes to the picture's, differentiable.

    It brings the canonical face nearest to the landmarks that expressions move least (weighted
    orthogonal Procrustes problem; Umeyama, IEEE PAMI 13(4), 1991).
    """
    return fit_head(points)[0]


def fit_head(points: Tensor) -> tuple[Tensor, Tensor]:
    """The rotation (B,3,3), and how many units of the landmarks are a cm of the canonical face."""
    weight, face = rigid_face(points)
    found = points[:, RIGID_LANDMARKS]
    found = found - (found * weight).sum(1, keepdim=True)
    u, s, vh = torch.linalg.svd((found * weight).mT @ face)
    flip = torch.ones_like(s)
    flip[:, 2] = (u @ vh).det().sign()
    return u * flip[:, None] @ vh, (s * flip).sum(1) / (face.square() * weight).sum()


def head_centre(points: Tensor) -> Tensor:  # (B,478,3) -> (B,1,3)
    """The middle of the landmarks that expressions move least."""
    weight, _ = rigid_face(points)
    return (points[:, RIGID_LANDMARKS] * weight).sum(1, keepdim=True)


def rigid_face(like: Tensor) -> tuple[Tensor, Tensor]:
    """The weights (R,1), which add up to 1, and the canonical places (R,3) about their middle."""
    table = like.new_tensor(RIGID)
    weight = table[:, 1:2] / table[:, 1].sum()
    face = table[:, 2:] * table.new_tensor([1, -1, -1])
    return weight, face - (face * weight).sum(0)


def pose_angles(pose: Tensor) -> Tensor:  # (B,3,3) -> (B,3)
    """Pitch up, yaw towards the right of the picture, and roll clockwise, in radians."""
    x, y, z = (-pose[:, :, 2]).unbind(1)  # where the face points
    roll = torch.atan2(pose[:, 1, 0], pose[:, 0, 0])
    return torch.stack([torch.asin((-y).clamp(-1, 1)), torch.atan2(x, -z), roll], 1)


def iris_gaze(points: Tensor) -> Tensor:  # (B,478,3) -> (B,2,2)
    """Pitch and yaw of the left and the right eye to the camera, in radians, as in `Gaze`.

    An eyeball lies behind the middle of its corners, turned with the head. Where its iris is seen
    beside the eyeball's middle is the sine of the angle at which it looks past the camera. Both
    are measured in the size of the head, for eyeballs differ less than faces do.
    """
    pose, scale = fit_head(points)
    corners = points[:, [place for pair in CORNERS for place in pair]].unflatten(1, (2, 2)).mean(2)
    centre = corners + scale[:, None, None] * points.new_tensor(EYE_CENTRE) @ pose.mT
    offset = points[:, IRISES, :2] - centre[..., :2]
    sine = _within_reach(offset / (IRIS_REACH * scale[:, None, None]))
    ahead = (1 - sine.square().sum(2)).sqrt()
    return torch.stack([-sine[..., 1].asin(), torch.atan2(sine[..., 0], ahead)], 2)


def _within_reach(sine: Tensor) -> Tensor:  # (...,2)
    length = sine.square().sum(-1, keepdim=True).clamp(min=MOST_TURNED**2).sqrt()
    return sine * (MOST_TURNED / length)


def describe_meshes(meshes: Meshes) -> list[str]:
    """A numbered line a face, see `mesh_phrases`."""
    return [f"{row}: {phrase}" for row, phrase in enumerate(mesh_phrases(meshes))]


def mesh_phrases(meshes: Meshes) -> list[str]:
    """Of every face the head's turn, the gaze, and the three expressions that show most."""
    heads = torch.rad2deg(pose_angles(head_pose(meshes.points))).tolist()
    gazes = torch.rad2deg(iris_gaze(meshes.points).mean(1)).tolist()
    lines = []
    for row, (head, gaze, presence) in enumerate(
        zip(heads, gazes, meshes.presence.tolist(), strict=True)
    ):
        turned = "head {:+d} up, {:+d} right, leaning {:+d}".format(*map(round, head))
        looks = "eyes {:+d} up, {:+d} right".format(*map(round, gaze))
        shown = [] if meshes.blendshapes is None else [_most_shown(meshes.blendshapes[row])]
        lines.append("; ".join([f"face {presence:.2f}", turned, looks, *shown]))
    return lines


def _most_shown(values: Tensor, count: int = 3) -> str:  # (52,)
    best = values[1:].topk(count)  # the first is the neutral face
    names = [BLENDSHAPES[1 + index] for index in best.indices.tolist()]
    pairs = zip(names, best.values.tolist(), strict=True)
    return ", ".join(f"{name} {value:.2f}" for name, value in pairs)


@dataclass(frozen=True)
class IrisGazeEstimator:
    """Gaze by irises: a face landmarker, which needs no gaze network; see `GazeEstimator`."""

    landmarker: FaceLandmarker
    frame: Frame = "camera"

    @property
    def network(self) -> nn.Module:
        """That of the landmarker."""
        return self.landmarker.network

    def estimate(self, image: Tensor, boxes: EyeBoxes) -> Tensor:  # (B,3,H,W) -> (B,2,2)
        """The gaze of the left and of the right eye."""
        return iris_gaze(self.landmarker.landmarks(image, square_of_eyes(boxes).to(image)))


def square_of_eyes(boxes: EyeBoxes) -> Tensor:  # -> (B,2,3)
    """The affine of the square in which the face around two eyes is looked for."""
    left, right = ((box[:, :2] + box[:, 2:]).float() / 2 for box in (boxes.left, boxes.right))
    between = right - left
    gap = torch.linalg.vector_norm(between, dim=1, keepdim=True).clamp(min=1e-6)
    along = between / gap
    down = torch.stack([-along[:, 1], along[:, 0]], 1)
    half, drop = SQUARE
    return square_affine((left + right) / 2 + drop * gap * down, along, half * gap[:, 0])
