"""Guidance of any model is that of our own samplers, and reaches through what a term sees."""

from functools import partial

import pytest
import torch

from guided_face_edit.editor_core.diffusion.level import Level
from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion
from guided_face_edit.editor_core.diffusion.sampling import batch_index, guided_x0
from guided_face_edit.editor_core.guidance.estimate import Estimate
from guided_face_edit.editor_core.guidance.gradient import GradientGuider, NormalisedGuider
from guided_face_edit.editor_core.guidance.sight import see_decoded, see_faces, see_pixels
from guided_face_edit.editor_core.guidance.steering import Steering
from guided_face_edit.tests.support.terms import bound_pixel
from guided_face_edit.tests.support.tiny import tiny_diffusion

SPACED = GaussianDiffusion.linear(1000).respaced("20")
NUMBERS = torch.Generator().manual_seed(0)


def noise(*shape):
    return torch.randn(shape, generator=NUMBERS, dtype=torch.float64)


def decode(z):  # (B,2,h,w) -> (B,3,2h,2w)
    rgb = torch.cat([z, z.prod(1, keepdim=True)], 1)
    return torch.tanh(torch.nn.functional.interpolate(rgb, scale_factor=2.0, mode="bilinear"))


@pytest.mark.parametrize("strength", [0.0, 0.05])
@pytest.mark.parametrize("through_network", [True, False])
@pytest.mark.parametrize("t", [0, 8, 19])
def test_pixels_are_moved_as_by_our_own_ddim(t, through_network, strength):
    denoiser = tiny_diffusion(None).denoiser(SPACED)
    x_t, term = noise(2, 3, 16, 16), bound_pixel(torch.zeros(2, 3, 16, 16).double(), scale=5.0)
    index = batch_index(t, x_t)
    ours = GradientGuider(
        denoiser if through_network else Estimate(denoiser, SPACED), SPACED, [term]
    )
    guided = (NormalisedGuider(ours, SPACED, strength) if strength else ours)(x_t, t)
    steering = Steering([term], see_pixels, through_network, strength)
    moved, losses = steering(lambda x: denoiser(x, index).pred_x0, x_t, SPACED.level(t))
    torch.testing.assert_close(moved, guided_x0(SPACED, guided, x_t, index))
    torch.testing.assert_close(losses, guided.losses)
    assert not torch.equal(moved, guided.prediction.pred_x0)


def test_gradients_reach_through_affines_and_a_decoder():
    turn = torch.tensor([[[0.6, -0.3, 1.0], [0.3, 0.6, -2.0]], [[1.0, 0.0, -3.0], [0.0, 1.0, 0.5]]])
    sight = see_faces(see_decoded(decode), turn.double(), [1, 1], 4, (10, 10))
    level = Level(0.5, 1.0, 0.5)
    seen = partial(sight, x_t=noise(2, 2, 5, 5), level=level)
    assert torch.autograd.gradcheck(seen, noise(2, 2, 5, 5).requires_grad_())


def test_faces_of_a_picture_add_up_and_what_no_face_shows_stays():
    corners = torch.tensor(
        [[[1.0, 0, 0], [0, 1, 0]], [[1, 0, -1], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]]
    ).double()
    sight = see_faces(see_decoded(lambda z: z), corners, [0, 0, 1], 4, (8, 8))
    term = bound_pixel(torch.zeros(3, 3, 4, 4).double(), scale=3.0)
    x_0, level = noise(2, 3, 8, 8), Level(0.5, 1.0, 0.5)
    moved, losses = Steering([term], sight)(lambda x: x_0, noise(2, 3, 8, 8), level)
    share = (1 - level.kept) * 3.0 * 2 / (3 * 4 * 4)  # of each pixel that a crop shows once
    shown = torch.zeros_like(x_0)
    shown[0, :, :4, :4] += 1
    shown[0, :, :4, 1:5] += 1
    shown[1, :, :4, :4] += 1
    torch.testing.assert_close(moved, x_0 * (1 - share * shown))
    assert losses["pixel"].shape == (3,)


@pytest.mark.parametrize("through_network", [True, False])
def test_a_flow_is_guided_from_pure_noise(through_network):
    flow = Level(1e-4, 1e4, 0.0)
    term = bound_pixel(torch.zeros(1, 3, 8, 8).double(), scale=1.0)
    steering = Steering([term], see_decoded(lambda z: z), through_network)
    x_t = noise(1, 3, 8, 8)
    moved, _ = steering(lambda x: x * 0.5, x_t, flow)
    assert moved.isfinite().all() and not torch.equal(moved, x_t * 0.5)
    assert (moved.abs() <= (x_t * 0.5).abs() + 1e-9).all()  # towards the target, not past it


def test_inference_mode_is_left_where_a_gradient_is_taken():
    term = bound_pixel(torch.zeros(1, 3, 8, 8).double(), scale=1.0)
    with torch.inference_mode():
        x_t = noise(1, 3, 8, 8)
        for through_network in (True, False):
            moved, _ = Steering([term], see_pixels, through_network)(
                lambda x: x * 0.5, x_t, SPACED.level(5)
            )
            assert not moved.requires_grad and not torch.equal(moved, x_t * 0.5)


def test_outside_its_window_a_model_is_asked_once_and_left_alone():
    term = bound_pixel(torch.zeros(1, 3, 8, 8).double(), scale=0.0)
    x_t = noise(1, 3, 8, 8)
    moved, losses = Steering([term], see_pixels)(lambda x: x, x_t, SPACED.level(5))
    assert moved is x_t and not losses


def test_a_latent_with_an_axis_for_time_is_moved_as_the_picture_that_it_is():
    term = bound_pixel(torch.zeros(2, 3, 4, 6).double(), scale=2.0)
    x_0, x_t, level = noise(2, 3, 4, 6), noise(2, 3, 4, 6), Level(1.0, 2.0, 0.3)
    flat, _ = Steering([term], see_decoded(lambda z: z), strength=0.1)(lambda x: x_0, x_t, level)
    sight = see_decoded(lambda z: z[:, :, 0])
    moved, _ = Steering([term], sight, strength=0.1)(
        lambda x: x_0[:, :, None], x_t[:, :, None], level
    )
    torch.testing.assert_close(moved[:, :, 0], flat)
    length = (flat - x_0).flatten(1).norm(dim=1)
    torch.testing.assert_close(length, 0.1 * level.noise * x_0.flatten(1).norm(dim=1))


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_half_precision_loses_no_gradient_whatever_the_scale(scale):
    target, x_0, x_t, level = (
        noise(1, 3, 8, 8),
        noise(1, 3, 8, 8),
        noise(1, 3, 8, 8),
        Level(1, 2, 0.3),
    )
    sight = see_decoded(lambda z: z.half().double())
    moved, plain = (
        Steering([bound_pixel(target, scale=each)], sight, strength=0.1)(lambda x: x_0, x_t, level)[
            0
        ]
        for each in (scale, 1.0)
    )
    assert not torch.equal(plain, x_0)
    torch.testing.assert_close(moved, plain, rtol=0, atol=1e-4)


@pytest.mark.parametrize("inner_through_network", [True, False])
def test_steering_around_another_goes_through_the_network_of_both(inner_through_network):
    share = 2 / (3 * 8 * 8)  # of a picture that the pixel term's gradient is
    term, sight = bound_pixel(torch.zeros(1, 3, 8, 8).double(), scale=1.0), see_decoded(lambda z: z)
    inner = Steering([term], sight, inner_through_network)
    x_t, level = noise(1, 3, 8, 8), Level(1.0, 2.0, 0.3)
    moved, _ = Steering([term], sight, through_network=True)(
        lambda x: inner(lambda x: x * 0.5, x, level)[0], x_t, level
    )
    slope = 0.5 if inner_through_network else level.slope
    once = x_t * 0.5 - level.reach * slope * share * x_t * 0.5
    torch.testing.assert_close(moved, once - level.reach * 0.5 * share * once)


def test_a_model_without_a_graph_is_told_what_to_take_instead():
    term = bound_pixel(torch.zeros(1, 3, 8, 8).double(), scale=1.0)
    steering = Steering([term], see_pixels, through_network=True)
    with pytest.raises(ValueError, match='keeps no graph .* take the gradient "estimate"'):
        steering(lambda x: x.detach(), noise(1, 3, 8, 8), SPACED.level(5))
