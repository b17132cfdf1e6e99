"""Landmarks are found in the square around a face, and are told in pixels of the picture."""

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from guided_face_edit.editor_core.face.finding import (
    faces_in_landmarks,
    faces_in_text,
    five_points_of,
)
from guided_face_edit.editor_core.face.landmarks import (
    BLENDSHAPES,
    CONTOURS,
    FaceLandmarker,
    Meshes,
    core_landmarks,
    face_ovals,
    find_meshes,
    landmark_faces,
    locate_landmarks,
    sample_square,
    square_of_landmarks,
    square_of_points,
    with_meshes,
)
from guided_face_edit.editor_core.face.records import make_faces
from guided_face_edit.editor_core.images import read_image, to_unit
from guided_face_edit.editor_core.loading.models import load_landmarks
from guided_face_edit.editor_core.models.face_mesh import FaceMesh, FaceMeshConfig
from guided_face_edit.tests.support import shipped
from guided_face_edit.tests.support.families import randomised
from guided_face_edit.tests.support.mesh import SpotMesh, head_points, spot_picture

SIZE = (160, 200)
REFERENCE = "support/mediapipe_astronaut.json"
LANDMARKER = FaceLandmarker(SpotMesh().requires_grad_(False))


def _placed(x: float, y: float, cm: float, roll: float = 0.0) -> Tensor:  # -> (478,3) in pixels
    turn = torch.tensor([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    head = head_points() * cm
    return torch.cat([head[:, :2] @ turn.T + torch.tensor([x, y]), head[:, 2:]], 1)


HEADS = [_placed(100, 80, 5), _placed(90, 70, 4, 0.4), _placed(120, 90, 6, -0.3)]
PICTURES = torch.cat(
    [spot_picture(head, SIZE, cm) for head, cm in zip(HEADS, (5, 4, 6), strict=True)]
)


def test_a_square_of_whole_pixels_is_those_pixels():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 40, 50, generator=generator)
    to_picture = torch.tensor([[[16.0, 0, 8], [0, 16, 20]]]).expand(2, -1, -1)
    torch.testing.assert_close(sample_square(image, to_picture, 16), image[..., 20:36, 8:24])


def test_beyond_the_edge_the_picture_is_repeated():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = sample_square(image, torch.tensor([[[8.0, 0, -8], [0, 8, 0]]]), 8)
    torch.testing.assert_close(found, image[..., :1].expand(-1, -1, -1, 8))


@pytest.mark.parametrize("margin", [0.8, 1.0, 1.3])
def test_landmarks_are_in_pixels_of_the_picture_whatever_the_square(margin):
    head = torch.stack(HEADS)
    affine = square_of_landmarks(head)
    middle = torch.tensor([0.5, 0.5])
    affine = torch.cat(
        [affine[:, :, :2] / margin, (affine[:, :, 2:] - middle[:, None]) / margin + 0.5], 2
    )
    found = LANDMARKER.landmarks(PICTURES, affine)
    assert (found - head).abs().max() < 0.3


@pytest.mark.parametrize("way", ["points", "box", "nothing"])
def test_a_face_is_found_from_its_rough_place(way):
    head = torch.stack(HEADS)
    rough = five_points_of(head[..., :2]) + torch.tensor([[[6.0, -5.0]], [[-5, 3]], [[4, 6]]])
    box = torch.cat([rough.amin(1) - 20, rough.amax(1) + 20], 1)
    given = {"points": {"points": rough}, "box": {"box": box}, "nothing": {}}[way]
    found, affine = locate_landmarks(LANDMARKER, PICTURES, **given)
    assert (found - head).abs().max() < 0.5 and not found.requires_grad
    torch.testing.assert_close(affine, square_of_landmarks(head), rtol=0.02, atol=0.02)
    torch.testing.assert_close(LANDMARKER.landmarks(PICTURES, affine), found)


def test_a_picture_has_the_landmarks_that_it_would_have_alone():
    both, _ = locate_landmarks(LANDMARKER, PICTURES)
    for k in range(len(PICTURES)):
        alone, _ = locate_landmarks(LANDMARKER, PICTURES[k : k + 1])
        assert torch.equal(alone, both[k : k + 1])


def test_landmarks_follow_the_picture_by_their_gradient():
    """A blue spot that is brighter at its right pulls the mouth to the right."""
    image = PICTURES[:1].clone().requires_grad_()
    affine = square_of_landmarks(HEADS[0][None])
    mouth = LANDMARKER.landmarks(image, affine)[0, [61, 291], 0].mean()
    (gradient,) = torch.autograd.grad(mouth, image)
    x, y = HEADS[0][[61, 291], :2].mean(0).round().long().tolist()
    blue = gradient[0, 2, y]
    assert blue[x + 2 : x + 8].min() > 0 > blue[x - 8 : x - 2].max()


def test_a_square_of_five_points_is_about_that_of_the_landmarks():
    head = torch.stack(HEADS)
    rough, exact = square_of_points(five_points_of(head[..., :2])), square_of_landmarks(head)
    scale = (rough[:, :, :2].det() / exact[:, :, :2].det()).sqrt()
    assert (scale - 1).abs().max() < 0.15
    middle = head[:, [10, 152], :2].mean(1)[..., None]
    offset = (rough[:, :, :2] @ middle + rough[:, :, 2:]) - 0.5
    assert offset.abs().max() < 0.06


def _photos() -> tuple[Tensor, Tensor]:
    """Two photos with a head each, which are larger than the crops, and the heads."""
    heads = torch.stack([_placed(400, 300, 25, 0.2), _placed(250, 350, 18)])
    pictures = [
        spot_picture(head, (600, 800), cm) for head, cm in zip(heads, (25, 18), strict=True)
    ]
    return to_unit(torch.cat(pictures)), heads


def test_the_faces_of_photos_get_landmarks_and_better_points():
    photos, heads = _photos()
    text = "0: 250 150 550 500\n1: 100 200 380 480"
    faces = faces_in_text(text, (600, 800), 2)
    found = landmark_faces(LANDMARKER, photos, faces)
    assert found.landmarks is not None and found.landmarks.shape == (2, 478, 2)
    assert (found.landmarks - heads[..., :2]).abs().max() < 2.5
    assert torch.equal(found.points, five_points_of(found.landmarks))
    assert torch.equal(found.box, faces.box) and torch.equal(found.frame, faces.frame)
    meshes = find_meshes(LANDMARKER, photos, faces)
    assert (meshes.points - heads).abs().max() < 2.5 and meshes.blendshapes is None
    assert meshes.presence.tolist() == [1, 1]


def test_where_there_is_no_face_the_points_stay():
    photos, _ = _photos()
    faces = faces_in_text("0: 250 150 550 500\n1: 600 20 780 200", (600, 800), 2)
    found = landmark_faces(LANDMARKER, photos, faces)
    assert torch.equal(found.points[1], faces.points[1])
    assert not torch.equal(found.points[0], faces.points[0])


def test_core_gets_the_landmarks_as_it_makes_them():
    photos, heads = _photos()
    faces = faces_in_text("250 150 550 500", (600, 800), 2).rows([0])
    core = core_landmarks(faces, find_meshes(LANDMARKER, photos, faces))
    (face,), none = core["frames"]
    assert none == [] and core["image_size"] == (600, 800)
    assert face["landmarks_xy"].shape == (478, 2) and face["landmarks_3d"].shape == (478, 3)
    assert abs(face["bbox_xyxy"] - _extent(heads[0])).max() < 2.5
    again = faces_in_landmarks(core["frames"], (600, 800))
    assert again.landmarks is not None and len(again) == 1
    ends = {number for edge in core["connection_sets"]["left_eye"] for number in edge}
    assert {362, 263} < ends  # core's sides are the person's


def _extent(points: Tensor) -> Any:
    return torch.cat([points[:, :2].amin(0), points[:, :2].amax(0)]).numpy()


def test_no_faces_have_no_landmarks():
    photos, _ = _photos()
    faces = faces_in_text("0: 250 150 550 500", (600, 800), 2).rows([])
    found = landmark_faces(LANDMARKER, photos, faces)
    assert found.landmarks is not None and found.landmarks.shape == (0, 478, 2)
    assert face_ovals(found).shape == (2, 600, 800) and not face_ovals(found).any()


def test_a_mask_of_faces_is_their_outline():
    head = _placed(100, 80, 5)
    faces = make_faces([1], torch.tensor([[60.0, 35, 140, 130]]), torch.zeros(1, 5, 2), SIZE, 2)
    masks = face_ovals(with_meshes(faces, Meshes(head[None], torch.ones(1), None)))
    assert not masks[0].any() and masks[1].unique().tolist() == [0.0, 1.0]
    around = head[list(CONTOURS["face oval"]), :2]
    x, y = around.unbind(1)
    area = (x * y.roll(-1) - y * x.roll(-1)).sum().abs() / 2
    assert abs(masks.sum() / area - 1) < 0.03
    white = masks[1].nonzero().flip(1) + 0.5
    for found, expected in ((white.amin(0), around.amin(0)), (white.amax(0), around.amax(0))):
        assert (found - expected).abs().max() < 1
    with pytest.raises(ValueError, match="the faces have no mesh, expected 468 or 478"):
        face_ovals(faces)


def test_blendshapes_are_those_of_the_upright_face():
    landmarker = FaceLandmarker(randomised(FaceMesh(FaceMeshConfig((2,) * 6, 2))))
    heads = torch.stack([_placed(100, 80, 5), _placed(20, 50, 3, 0.5)])
    found = landmarker.blendshapes(heads)
    assert found.shape == (2, len(BLENDSHAPES)) == (2, 52)
    assert found.min() >= 0 and found.max() <= 1 and found[0].std() > 1e-3
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="has no blendshapes.*choose mediapipe_face_fp32"):
        LANDMARKER.blendshapes(heads)


def test_contours_are_mediapipes():
    spec = importlib.util.spec_from_file_location("edges", shipped.mesh_edges())
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    known = {frozenset(edge) for edge in theirs.FACEMESH_CONTOURS | theirs.FACEMESH_IRISES}
    covered = set()
    for name, ring in CONTOURS.items():
        edges = {frozenset(edge) for edge in zip(ring, ring[1:] + ring[:1], strict=True)}
        covered |= edges
        assert len(edges - known) == (2 if "brow" in name else 0), name  # the ends of a brow
    assert known <= covered


def test_landmarks_of_another_count_are_named():
    faces = make_faces([0], torch.zeros(1, 4), torch.zeros(1, 5, 2), SIZE, 1)
    with pytest.raises(ValueError, match="the faces have no mesh"):
        face_ovals(replace(faces, landmarks=torch.zeros(1, 68, 2)))


def test_the_face_of_a_photograph_settles_where_mediapipe_finds_it():
    landmarker = load_landmarks(shipped.attention_mesh())
    photo = read_image(shipped.astronaut())
    faces = faces_in_text("160 70 290 160", (512, 512), 1)  # too wide, and too low
    meshes = find_meshes(landmarker, photo, faces)
    reference = json.loads((Path(__file__).parents[1] / REFERENCE).read_text())["points"]
    apart = (meshes.points[0] - torch.tensor(reference))[:, :2].norm(dim=1)
    assert apart.mean() < 1.5 and apart[468:].max() < 1 and meshes.presence > 0.99
