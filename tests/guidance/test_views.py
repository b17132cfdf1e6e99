import math

import pytest
import torch

from guided_face_edit.editor_core.guidance.views import RandomViews, perspective, rigid, warp


def _generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.fixture
def pictures(generator):
    return torch.rand(3, 3, 24, 24, generator=generator, dtype=torch.float64)


def test_the_first_copy_is_plain_and_the_others_are_not(pictures):
    views = RandomViews(copies=5, probability=1.0)(pictures, _generators(1, 2, 3))
    assert views.shape == (3, 5, 3, 24, 24)
    assert torch.equal(views[:, 0], pictures)
    assert all((views[:, copy] != pictures).any() for copy in range(1, 5))


def test_one_copy_draws_nothing(pictures):
    generators = _generators(1, 2, 3)
    before = [generator.get_state() for generator in generators]
    assert torch.equal(RandomViews(copies=1)(pictures, generators)[:, 0], pictures)
    assert all(torch.equal(a, g.get_state()) for a, g in zip(before, generators, strict=True))


def test_views_follow_from_the_generators_alone(pictures):
    state = torch.random.get_rng_state()
    first, second = (RandomViews()(pictures, _generators(1, 2, 3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_later_call_draws_other_views(pictures):
    views, generators = RandomViews(), _generators(1, 2, 3)
    assert not torch.equal(views(pictures, generators), views(pictures, generators))


def test_a_row_of_a_batch_equals_the_row_alone(pictures):
    together = RandomViews()(pictures, _generators(1, 2, 3))
    alone = RandomViews()(pictures[2:], _generators(3))
    torch.testing.assert_close(together[2:], alone)


def test_nothing_applied_is_the_picture_itself(pictures):
    views = RandomViews(probability=0.0)(pictures, _generators(1, 2, 3))
    torch.testing.assert_close(views, pictures[:, None].expand_as(views))


def test_a_copy_is_left_alone_as_often_as_neither_coin_falls():
    pictures = torch.rand(1, 1, 8, 8, generator=_generators(0)[0])
    views = RandomViews(copies=1001)(pictures, _generators(5))
    changed = (views - pictures[:, None]).abs().amax((2, 3, 4)) > 1e-4
    assert math.isclose(changed.double().mean(), 1 - 0.3**2, abs_tol=0.03)


def test_every_picture_needs_its_generator(pictures):
    with pytest.raises(ValueError, match="3 pictures and 2 generators, expected one for each"):
        RandomViews()(pictures, _generators(1, 2))


def test_quarter_turn_moves_the_pixels(pictures):
    quarter = rigid(torch.tensor([math.pi / 2], dtype=torch.float64), torch.zeros(1, 2).double())
    turned = warp(pictures[:1], quarter)
    torch.testing.assert_close(turned, pictures[:1].rot90(-1, (2, 3)))


def test_shift_moves_right_and_down_and_repeats_the_border(pictures):
    pixel = 2 / 23
    shift = torch.tensor([[3 * pixel, 2 * pixel]], dtype=torch.float64)
    moved = warp(pictures[:1], rigid(torch.zeros(1).double(), shift))
    torch.testing.assert_close(moved[:, :, 2:, 3:], pictures[:1, :, :-2, :-3])
    torch.testing.assert_close(moved[:, :, 2:, 0], pictures[:1, :, :-2, 0])


def test_perspective_moves_the_corners_inwards():
    inset = torch.tensor([[[0.1, 0.2], [0.0, 0.3], [0.7, 0.0], [0.4, 0.5]]], dtype=torch.float64)
    corners = torch.tensor([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], dtype=torch.float64)
    moved = corners @ perspective(inset)[0].T
    expected = torch.tensor([[-0.9, -0.8], [1.0, -0.7], [0.3, 1.0], [-0.6, 0.5]]).double()
    torch.testing.assert_close(moved[:, :2] / moved[:, 2:], expected, atol=1e-7, rtol=0)


def test_gradient_in_double_precision(pictures):
    def views(x):
        return RandomViews(copies=3)(x, _generators(1, 2, 3))

    assert torch.autograd.gradcheck(views, pictures.requires_grad_(), fast_mode=True)
