"""Expressions: contours that no turn of the head changes, and blendshapes by name."""

from dataclasses import fields

import pytest
import torch

from guided_face_edit.editor_core.face.expression import (
    EXPRESSION_POINTS,
    SLIDERS,
    ExpressionGoal,
    expression_of,
    goal_in,
)
from guided_face_edit.editor_core.face.landmarks import BLENDSHAPES
from guided_face_edit.tests.support.mesh import head_points


def _turned(pitch, yaw, roll):  # -> (3,3)
    """The rotation about x, y and z, in radians."""
    angles = torch.tensor([pitch, yaw, roll], dtype=torch.float64)
    (a, b, c), (d, e, f) = angles.cos(), angles.sin()
    one, no = torch.ones_like(a), torch.zeros_like(a)
    about_x = torch.stack([one, no, no, no, a, -d, no, d, a]).view(3, 3)
    about_y = torch.stack([b, no, e, no, one, no, -e, no, b]).view(3, 3)
    about_z = torch.stack([c, -f, no, f, c, no, no, no, one]).view(3, 3)
    return about_x @ about_y @ about_z


@pytest.fixture
def head():
    return head_points().double()


@pytest.mark.parametrize("turn", [(0.3, -0.5, 0.2), (-0.2, 0.7, -0.4)])
def test_no_turn_size_or_place_of_the_head_changes_its_expression(head, turn):
    moved = 7.3 * head @ _turned(*turn).T + torch.tensor([40.0, -3, 9], dtype=torch.float64)
    plain, turned = expression_of(head[None]), expression_of(moved[None])
    torch.testing.assert_close(turned, plain)
    assert plain.shape == (1, len(EXPRESSION_POINTS), 2)


def test_a_mouth_that_opens_by_a_centimetre_moves_by_one(head):
    open_mouth = head.clone()
    open_mouth[17, 1] += 1  # the lower lip
    change = expression_of(open_mouth[None] @ _turned(0.2, 0.4, 0.1).T) - expression_of(head[None])
    place = EXPRESSION_POINTS.index(17)
    torch.testing.assert_close(change[0, place], torch.tensor([0.0, 1]).double())
    assert change[0].norm(dim=1).sum() == pytest.approx(1)


def test_every_slider_is_a_setting_of_blendshapes_that_there_are():
    assert [*SLIDERS, "more"] == [each.name for each in fields(ExpressionGoal)]
    assert {name for names in SLIDERS.values() for name in names} < set(BLENDSHAPES[1:])


def test_what_is_not_asked_is_free():
    assert ExpressionGoal().asked().isnan().all()
    asked = ExpressionGoal(smile=0.8, blink=0.0, more="jawLeft=0.25").asked()[0]
    values = {name: asked[k].item() for k, name in enumerate(BLENDSHAPES) if asked[k].isfinite()}
    expected = {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "eyeBlinkLeft": 0}
    assert values == pytest.approx({**expected, "eyeBlinkRight": 0, "jawLeft": 0.25})


def test_a_line_of_text_is_a_goal():
    assert goal_in("smile=0.8, jawLeft=0.2") == ExpressionGoal(smile=0.8, more="jawLeft=0.2")
    assert goal_in("") == ExpressionGoal()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grin=1", 'there is no blendshape "grin", expected ARKit'),
        ("smile=much", 'smile is "much", expected a number, as smile=0.8'),
        ("jawLeft=much", 'jawLeft is "much", expected a number, as jawOpen=0.3'),
        ("_neutral=1", 'there is no blendshape "_neutral"'),
    ],
)
def test_what_is_no_expression_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        goal_in(text)
