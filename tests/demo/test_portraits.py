"""Portraits: pictures, labels and gaze that are true, and true swaps."""

import pytest
import torch

from guided_face_edit.editor_core.demo.pairs import draw_pairs
from guided_face_edit.editor_core.demo.people import Identity, InnerFace, Scene
from guided_face_edit.editor_core.demo.portraits import draw
from guided_face_edit.editor_core.face.parsing import FACE_PARTS, FacePart

SIZE = 64


@pytest.fixture
def people(generator):
    return Identity.random(24, generator), Scene.random(24, generator)


def test_pictures_are_in_range_and_most_classes_occur(people):
    portrait = draw(*people, SIZE)
    assert portrait.image.shape == (24, SIZE, SIZE, 3)
    assert portrait.image.min() >= 0 and portrait.image.max() <= 1
    assert len(portrait.labels.unique()) >= 14
    assert set(FACE_PARTS) <= set(map(FacePart, portrait.labels.unique().tolist()))


def test_at_least_sixteen_identity_parameters_are_continuous_and_seen(people):
    """Moving any one parameter of the inner face a little moves some picture a little."""
    identity, scene = (each.rows(slice(6)) for each in people)
    before = draw(identity, scene, SIZE).image
    assert len(InnerFace.RANGES) >= 16
    for name in InnerFace.RANGES:
        column = identity.inner.column(name)
        nudged = identity.inner.with_(**{name: column + torch.where(column > 0.5, -1e-3, 1e-3)})
        change = (draw(identity.with_inner_face(nudged), scene, SIZE).image - before).abs().max()
        assert 0 < change < 0.1, name


def test_a_row_of_a_batch_is_drawn_as_it_would_be_alone(people):
    identity, scene = people
    alone = draw(identity.rows([5]), scene.rows([5]), SIZE)
    assert torch.equal(draw(identity, scene, SIZE).image[5:6], alone.image)


def test_sizes_show_the_same_portrait(people):
    some = [each.rows(slice(6)) for each in people]
    small, large = (draw(*some, size).image.permute(0, 3, 1, 2) for size in (SIZE, 4 * SIZE))
    assert (torch.nn.functional.avg_pool2d(large, 4) - small).abs().mean() < 0.01


def test_a_swap_leaves_hair_clothes_and_background_alone(people):
    identity, scene = people
    swapped = identity.with_inner_face(identity.inner.rows(torch.arange(24).roll(1)))
    before, after = draw(identity, scene, SIZE), draw(swapped, scene, SIZE)
    face = torch.isin(before.labels, torch.tensor(FACE_PARTS))
    kept = torch.isin(before.labels, torch.tensor([FacePart.BACKGROUND, FacePart.CLOTH]))
    kept &= torch.nn.functional.max_pool2d(face.float(), 3, 1, 1) == 0  # soft edges are shared
    assert torch.equal(before.image[kept], after.image[kept])
    assert ((before.image - after.image)[face].abs().mean()) > 0.03


def test_nobody_changes_by_a_swap_with_themselves(people):
    identity, scene = people
    assert torch.equal(
        draw(identity.with_inner_face(identity.inner), scene, SIZE).image,
        draw(identity, scene, SIZE).image,
    )


def test_the_iris_follows_the_gaze(generator):
    identity, scene = Identity.random(1, generator), Scene.random(1, generator)
    plain = {"yaw": 0.5, "roll": 0.5, "pitch": 0.5, "gaze_pitch": 0.5, "glasses": 0.0}
    scene = scene.with_(**{name: torch.tensor([value]) for name, value in plain.items()})
    looks = [scene.with_(gaze_yaw=torch.tensor([value])) for value in (0.1, 0.9)]
    left, right = (draw(identity, look, SIZE) for look in looks)
    assert left.gaze.yaw < 0 < right.gaze.yaw
    assert darkness_x(left) + 1 < darkness_x(right)


def darkness_x(portrait):
    """Mean column of the dark pixels of the left eye."""
    eye = portrait.labels[0] == FacePart.L_EYE
    dark = (1 - portrait.image[0].mean(-1)) ** 4 * eye
    return (dark.sum(0) * torch.arange(SIZE)).sum() / dark.sum()


def test_eye_boxes_hold_the_eyes():
    portrait = draw_pairs(4, 0, SIZE).target
    boxes = portrait.eye_boxes
    for labels, box in zip(portrait.labels, boxes.left.tolist(), strict=True):
        y, x = (labels == FacePart.L_EYE).nonzero().T
        inside = (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
        assert inside.float().mean() > 0.95
