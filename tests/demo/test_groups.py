"""Drawn group photos: seeded, and their points where the picture shows them."""

from dataclasses import replace

import torch

from guided_face_edit.editor_core.demo.groups import draw_group_photos
from guided_face_edit.editor_core.demo.landmarks import five_points
from guided_face_edit.editor_core.demo.people import Identity, Scene
from guided_face_edit.editor_core.demo.portraits import draw
from guided_face_edit.editor_core.face.parsing import FacePart
from guided_face_edit.tests.support.groups import PHOTO, group_photo


def test_the_drawn_points_are_where_the_picture_shows_them(generator):
    people, scenes = Identity.random(12, generator), Scene.random(12, generator)
    points = (five_points(people, scenes) + 1) / 2 * 256
    labels = draw(people, scenes, 256).labels
    line = torch.arange(256) + 0.5
    for k, part in ((0, FacePart.L_EYE), (1, FacePart.R_EYE)):
        pixels = (labels == part).float()
        count = pixels.sum((1, 2))
        middle = torch.stack([(pixels.sum(1) * line).sum(1), (pixels.sum(2) * line).sum(1)], 1)
        apart = (middle / count[:, None] - points[:, k]).norm(dim=1)
        assert (apart[count > 300] < 2).all() and (count > 300).sum() >= 6


def test_a_group_photo_is_the_same_for_a_seed():
    again = draw_group_photos(0, 5, 1, PHOTO)
    assert torch.equal(again.image, group_photo().image)
    assert not torch.equal(draw_group_photos(1, 5, 1, PHOTO).image, again.image)
    assert replace(again.faces, size=(1, 1)) != again.faces
