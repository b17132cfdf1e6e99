"""How a head is turned and where its eyes look is told from the landmarks of a head in space."""

import math

import pytest
import torch
from torch import Tensor

from guided_face_edit.editor_core.face.eyes import EyeBoxes
from guided_face_edit.editor_core.face.gaze import estimate_gaze
from guided_face_edit.editor_core.face.head import (
    EYE_CENTRE,
    IRIS_REACH,
    IrisGazeEstimator,
    describe_meshes,
    fit_head,
    head_pose,
    iris_gaze,
    pose_angles,
    square_of_eyes,
)
from guided_face_edit.editor_core.face.landmarks import FaceLandmarker, Meshes, square_of_landmarks
from guided_face_edit.editor_core.models.face_mesh import FaceMesh, FaceMeshConfig
from guided_face_edit.tests.support.families import randomised
from guided_face_edit.tests.support.mesh import head_points

TURNS = [(0, 0, 0), (15, 0, 0), (0, -25, 0), (-10, 20, 30), (8, -12, -20)]  # pitch, yaw, roll


def _rotation(pitch: float, yaw: float, roll: float) -> Tensor:
    """Of a head that faces up by `pitch`, to the right by `yaw`, and leans clockwise by `roll`."""
    p, y, r = (
        torch.tensor(math.radians(angle), dtype=torch.float64) for angle in (pitch, yaw, roll)
    )
    one, zero = torch.ones_like(p), torch.zeros_like(p)
    up = torch.stack([one, zero, zero, zero, p.cos(), p.sin(), zero, -p.sin(), p.cos()])
    aside = torch.stack([y.cos(), zero, -y.sin(), zero, one, zero, y.sin(), zero, y.cos()])
    lean = torch.stack([r.cos(), -r.sin(), zero, r.sin(), r.cos(), zero, zero, zero, one])
    up, aside, lean = (each.view(3, 3) for each in (up, aside, lean))
    return aside @ up @ lean


def _seen(turn: Tensor, looks: Tensor | None = None) -> Tensor:  # -> (1,478,3)
    """A head turned so, of 6 pixels a cm; its eyes look along `looks` (3,) in the picture."""
    head = head_points().double()
    if looks is not None:
        for iris, corners, centre in zip(
            (468, 473), ((33, 133), (362, 263)), EYE_CENTRE, strict=True
        ):
            place = head[list(corners)].mean(0) + torch.tensor(centre, dtype=torch.float64)
            head[iris] = place + IRIS_REACH * (turn.T @ looks)
    return (6 * head @ turn.T + torch.tensor([100.0, 90.0, 3.0]))[None]


@pytest.mark.parametrize("angles", TURNS)
def test_the_turn_of_a_head_is_found(angles):
    turn = _rotation(*angles)
    pose, scale = fit_head(_seen(turn))
    torch.testing.assert_close(pose[0], turn, rtol=0, atol=1e-5)
    torch.testing.assert_close(scale, torch.tensor([6.0]).double(), rtol=1e-5, atol=0)
    assert torch.equal(head_pose(_seen(turn)), pose)


@pytest.mark.parametrize(("pitch", "yaw"), [(20, 0), (0, 30), (-15, -10), (5, 40)])
def test_its_angles_count_upwards_and_to_the_right(pitch, yaw):
    found = torch.rad2deg(pose_angles(_rotation(pitch, yaw, 0)[None]))[0]
    assert found[:2].tolist() == pytest.approx([pitch, yaw], abs=1e-4)
    nose = _seen(_rotation(pitch, yaw, 0))[0, 4] - _seen(_rotation(0, 0, 0))[0, 4]
    assert nose[0] * yaw >= 0 and -nose[1] * pitch >= 0


def test_a_head_is_never_mirrored():
    mirrored = _seen(_rotation(0, 0, 0)) * torch.tensor([-1.0, 1, 1])
    assert torch.linalg.det(head_pose(mirrored)).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("angles", TURNS)
@pytest.mark.parametrize("gaze", [(0, 0), (12, 0), (0, 20), (-15, -10)])
def test_the_gaze_of_eyeballs_is_found_however_the_head_is_turned(angles, gaze):
    pitch, yaw = map(math.radians, gaze)
    ahead = math.cos(pitch)
    looks = torch.tensor([ahead * math.sin(yaw), -math.sin(pitch), -ahead * math.cos(yaw)])
    found = torch.rad2deg(iris_gaze(_seen(_rotation(*angles), looks.double())))
    torch.testing.assert_close(found[0], torch.tensor([gaze, gaze]).double(), rtol=0, atol=1e-3)


def test_an_iris_that_lies_outside_its_eye_looks_to_the_side():
    points = _seen(_rotation(0, 0, 0))
    points[0, 468, 0] += 100
    found = iris_gaze(points)
    assert found.isfinite().all() and math.radians(60) < found[0, 0, 1] < math.radians(90)


def test_pose_and_gaze_pass_gradcheck():
    looks = torch.tensor([0.2, -0.1, -0.97]).double()
    points = _seen(_rotation(8, -12, 20), looks).requires_grad_()
    used = [4, 6, 33, 133, 263, 362, 468, 473]

    def measure(some: Tensor) -> tuple[Tensor, Tensor]:
        moved = points.detach().clone()
        moved[:, used] = some
        return head_pose(moved), iris_gaze(moved)

    assert torch.autograd.gradcheck(measure, (points.detach()[:, used].requires_grad_(),))


def test_the_square_of_the_eyes_is_about_that_of_the_landmarks():
    points = _seen(_rotation(0, 0, 15)).float()
    corners = [points[:, list(pair), :2].mean(1) for pair in ((33, 133), (362, 263))]
    reach = torch.tensor([-15, -9, 15, 9])
    left, right = ((middle.repeat(1, 2) + reach).round().long() for middle in corners)
    rough, exact = square_of_eyes(EyeBoxes(left, right)), square_of_landmarks(points)
    assert abs((rough[0, :, :2].det() / exact[0, :, :2].det()).sqrt() - 1) < 0.15
    middle = points[:, [10, 152], :2].mean(1)[..., None]
    assert ((rough[:, :, :2] @ middle + rough[:, :, 2:]) - 0.5).abs().max() < 0.06


def test_a_face_is_told_in_words():
    up, right = math.radians(5.2), math.radians(20)
    looks = torch.tensor(
        [math.cos(up) * math.sin(right), -math.sin(up), -math.cos(up) * math.cos(right)]
    ).double()
    shown = torch.linspace(0, 0.5, 52)[None]
    points = _seen(_rotation(10, -15, 3), looks)
    (line,) = describe_meshes(Meshes(points, torch.ones(1), shown))
    assert line == (
        "0: face 1.00; head +10 up, -15 right, leaning +3; eyes +5 up, +20 right; "
        "noseSneerRight 0.50, noseSneerLeft 0.49, mouthUpperUpRight 0.48"
    )
    assert describe_meshes(Meshes(points[:0], torch.zeros(0), None)) == []


def test_irises_are_a_gaze_model_of_both_eyes():
    network = randomised(FaceMesh(FaceMeshConfig((2, 3, 4, 4, 5, 6), 3, False)))
    estimator = IrisGazeEstimator(FaceLandmarker(network))
    assert estimator.network is network
    generator = torch.Generator().manual_seed(0)
    image = (torch.rand(2, 3, 96, 96, generator=generator) * 2 - 1).requires_grad_()
    left = torch.tensor([[26, 36, 42, 46]]).expand(2, 4)
    boxes = EyeBoxes(left, left + torch.tensor([28, 0, 28, 0]))
    gaze = estimator.estimate(image, boxes)
    (gradient,) = torch.autograd.grad(gaze.sum(), image)
    assert gaze.shape == (2, 2, 2) and gradient.isfinite().all() and gradient.abs().sum() > 0
    mean = estimate_gaze(estimator, image.detach(), boxes)
    torch.testing.assert_close(torch.stack([mean.pitch, mean.yaw], 1), gaze.detach().mean(1))
