"""Where templates have the face: the published places, by least squares."""

import pytest
import torch

from guided_face_edit.editor_core.demo.landmarks import five_points
from guided_face_edit.editor_core.demo.people import Identity, Scene
from guided_face_edit.editor_core.face.aligning import (
    align_faces,
    crop_faces,
    quads,
)
from guided_face_edit.editor_core.face.records import make_faces
from guided_face_edit.editor_core.face.resampling import transform
from guided_face_edit.editor_core.face.templates import (
    ARCFACE_POINTS,
    DEMO_POINTS,
    TEMPLATES,
    similarity,
    template_named,
)
from guided_face_edit.tests.support.groups import PHOTO, UPRIGHT, face_at, group_photo


def test_ffhqs_square_has_the_published_size_and_place():
    """Half a side of 2 eye distances, or of 1.8 times the way to the mouth, here the former."""
    corners = quads(align_faces(face_at(UPRIGHT), template_named("ffhq"), 256))[0]
    assert corners.tolist() == [
        pytest.approx(corner, abs=1e-3) for corner in ([20, 4], [180, 4], [180, 164], [20, 164])
    ]


def test_arcfaces_points_lie_on_their_places():
    places = torch.tensor(ARCFACE_POINTS)
    turned = places @ torch.tensor([[0.8, 0.6], [-0.6, 0.8]]) * 3 + 40
    faces = align_faces(face_at(turned.tolist(), (500, 500)), TEMPLATES["arcface"], 112)
    torch.testing.assert_close(transform(faces.affine, faces.points)[0], places, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["ffhq", "arcface", "demo"])
def test_an_average_face_is_aligned_already(name):
    template = template_named(name)
    points = template.points((80, 80))
    affine = template.align(points) * 80
    assert (transform(affine, points) - points).norm(dim=2).max() < 1.5


def test_a_stretched_template_shows_a_rectangle():
    corners = quads(align_faces(face_at(UPRIGHT), template_named("mtcnn"), 160))[0]
    width, height = corners[1, 0] - corners[0, 0], corners[3, 1] - corners[0, 1]
    assert width / height == pytest.approx(0.75, abs=1e-3)


def test_a_similarity_is_the_least_squares_one(generator):
    points = torch.rand(3, 5, 2, generator=generator)
    places = torch.rand(5, 2, generator=generator)
    best = similarity(points, places)

    def error(affine):
        return (transform(affine, points) - places).square().sum((1, 2))

    for nudge in torch.eye(4).unflatten(1, (2, 2)) * 1e-2:
        a, b = nudge[0]
        c, d = nudge[1]
        turn = torch.tensor([[a, -b], [b, a]])
        changed = best + torch.cat([turn, torch.tensor([[c], [d]])], 1)
        assert (error(changed) > error(best)).all()


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_turns_with_the_face(name):
    """Crops of a photo and of the photo turned by 90 degrees are the same, but for the box's."""
    photos = group_photo().image
    face = group_photo().faces.rows([2])
    turned = photos.transpose(1, 2).flip(2)

    def turn(points):
        return torch.stack([PHOTO[0] - points[..., 1], points[..., 0]], -1)

    box = turn(face.box.unflatten(1, (2, 2)))
    box = torch.cat([box.amin(1), box.amax(1)], 1)
    other = make_faces([0], box, turn(face.points), PHOTO[::-1], 1)
    one = crop_faces(photos, align_faces(face, TEMPLATES[name], 48)).image
    two = crop_faces(turned, align_faces(other, TEMPLATES[name], 48)).image
    if name == "whole box":
        two = two.transpose(2, 3).flip(2)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-4)


def test_the_demos_template_is_the_mean_of_the_drawn_world(generator):
    people, scenes = Identity.random(400, generator), Scene.random(400, generator)
    mean = ((five_points(people, scenes) + 1) / 2).mean(0)
    assert (mean - torch.tensor(DEMO_POINTS)).abs().max() < 0.01
