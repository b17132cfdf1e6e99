"""Cheaper guidance: what each kind runs, and that it gives what it promises."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from guided_face_edit.editor_core.denoising import denoise
from guided_face_edit.editor_core.diffusion.noise import PerImageNoise
from guided_face_edit.editor_core.diffusion.process import (
    DiffusionModel,
    GaussianDiffusion,
    UNetDenoiser,
)
from guided_face_edit.editor_core.diffusion.sampling import (
    batch_index,
    ddim_step,
    guided_x0,
    sample_ddim,
)
from guided_face_edit.editor_core.guidance.batch import EditBatch
from guided_face_edit.editor_core.guidance.estimate import Estimate
from guided_face_edit.editor_core.guidance.gradient import (
    GradientGuider,
    IntervalGuider,
    NormalisedGuider,
    PredictionGuider,
    picture_norm,
)
from guided_face_edit.editor_core.guidance.terms import BoundTerm, LpipsTerm
from guided_face_edit.editor_core.guidance.windows import PercentWindow
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.editor_core.models.unet2d import UNet2D
from guided_face_edit.editor_core.settings import EditSettings
from guided_face_edit.tests.support.terms import bound_pixel
from guided_face_edit.tests.support.tiny import EVEN_UNET, TINY_UNET2D, seeded, tiny_lpips

SPACED = GaussianDiffusion.linear(1000).respaced("20")


def awake(network: UNet) -> UNet:
    """The network with random values where a fresh one has zeros."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if not parameter.any():
            parameter.copy_(torch.randn(parameter.shape, generator=generator).double() / 10)
    return network


class Tally:
    """Counts the forward passes of a network, those with a graph, and the backward passes."""

    def __init__(self, network: nn.Module) -> None:
        self.forwards = self.graphs = self.backwards = 0
        network.register_forward_hook(self._forward)

    def _forward(self, module, given, output):
        self.forwards += 1
        if output.requires_grad:
            self.graphs += 1
            output.register_hook(self._backward)

    def _backward(self, gradient):
        self.backwards += 1


def unit_variance(x, t, **conditions):
    """A network that knows the data to be Gaussian of unit variance: the noise is sqrt(1-a) x_t."""
    index = torch.searchsorted(SPACED.timestep_map.double(), t.double())
    return SPACED.sqrt_one_minus_alphas_cumprod[index][:, None, None, None] * x


def picture(count=2, size=8):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("t", [0, 7, 19])
def test_the_estimate_is_the_gradient_where_the_data_have_unit_variance(t):
    denoiser = UNetDenoiser(unit_variance, SPACED, fixed="small")
    x_t, term = picture(), bound_pixel(torch.zeros(2, 3, 8, 8).double(), scale=5.0)
    network, estimate = (
        GradientGuider(each, SPACED, [term])(x_t, t)
        for each in (denoiser, Estimate(denoiser, SPACED))
    )
    torch.testing.assert_close(estimate.gradient, network.gradient)
    assert torch.equal(estimate.prediction.pred_x0, network.prediction.pred_x0)
    a = SPACED.alphas_cumprod[t]
    share = (1 - a).sqrt()
    seen = (share * a.sqrt() + (1 - share)) * x_t  # pred_x0 is sqrt(a) x_t, worked out by hand
    by_hand = -5 * 2 * seen / (3 * 8 * 8) * (share * a.sqrt() + (1 - share))
    torch.testing.assert_close(estimate.gradient, by_hand)


def test_the_estimate_keeps_no_graph_of_the_network():
    network = awake(seeded(lambda: UNet(EVEN_UNET)))
    tally = Tally(network)
    term = bound_pixel(torch.zeros(2, 3, 8, 8).double())
    guided = GradientGuider(Estimate(UNetDenoiser(network, SPACED), SPACED), SPACED, [term])(
        picture(), 5
    )
    assert guided.gradient is not None and guided.gradient.any()
    assert (tally.forwards, tally.graphs) == (1, 0)


UNETS = {
    "ADM": lambda: UNet(EVEN_UNET),
    "diffusers": lambda: UNet2D(TINY_UNET2D),
}


@pytest.mark.parametrize("make", UNETS.values(), ids=UNETS)
def test_a_recomputed_gradient_is_the_plain_one(make):
    network = awake(seeded(make))
    x, t = picture().requires_grad_(), torch.tensor([10.0, 900.0])
    (plain,) = torch.autograd.grad(network(x, t).square().sum(), x)
    (again,) = torch.autograd.grad(network(x, t, recompute=True).square().sum(), x)
    assert plain.any()
    torch.testing.assert_close(again, plain, rtol=1e-12, atol=0)


@pytest.mark.parametrize("make", UNETS.values(), ids=UNETS)
def test_recomputing_keeps_less(make):
    network, x, t = awake(seeded(make)), picture(), torch.tensor([10.0, 900.0])

    def kept(**options) -> int:
        sizes = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(x.requires_grad_(), t, **options)
        return sum(sizes)

    assert kept(recompute=True) < kept() / 3


@pytest.mark.parametrize(("every", "guided"), [(1, 16), (2, 8), (3, 5), (16, 1)])
def test_one_step_in_n_is_guided_and_the_last_is_the_first_to_go_without(every, guided):
    network = awake(seeded(lambda: UNet(EVEN_UNET)))
    tally = Tally(network)
    guider = GradientGuider(UNetDenoiser(network, SPACED), SPACED, [bound_pixel(picture())])
    seen = []
    sample_ddim(
        IntervalGuider(guider, every), SPACED, picture(), 15, noise=PerImageNoise([1, 2]),
        on_step=seen.append,
    )  # fmt: skip
    assert (tally.forwards, tally.graphs, tally.backwards) == (16, guided, guided)
    turns = [t for t in range(15, -1, -1) if (t + 1) % every == 0]
    assert [step.t for step in seen if step.losses] == turns


def test_outside_its_window_a_terms_network_does_not_run():
    eye = nn.Identity()
    tally = Tally(eye)
    pixel = bound_pixel(picture())
    term = BoundTerm("network", 1.0, PercentWindow(0.5, 0.9), lambda x: pixel.loss(eye(x)))
    network = awake(seeded(lambda: UNet(EVEN_UNET)))
    guider = GradientGuider(UNetDenoiser(network, SPACED), SPACED, [term])
    inside = [t for t in range(20) if 0.5 <= SPACED.percent(t) < 0.9]
    for t in range(20):
        before = tally.forwards
        guider(picture(), t)
        assert tally.forwards - before == (t in inside)


def test_lpips_looks_at_its_target_once():
    lpips = copy.deepcopy(tiny_lpips())
    tally = Tally(lpips.backbone[0])
    target = picture(size=32)
    batch = EditBatch(target, torch.zeros(2, 1, 32, 32).double(), None, [])
    loss = LpipsTerm(lpips=lpips).bind(batch)
    for _ in range(3):
        assert (loss(picture(size=32) + 1) > 0).all()
    assert tally.forwards == 1 + 3


def test_an_unguided_step_is_one_forward_without_a_graph():
    network = awake(seeded(lambda: UNet(EVEN_UNET)))
    tally = Tally(network)
    guided = GradientGuider(UNetDenoiser(network, SPACED), SPACED, [])(
        picture().requires_grad_(), 5
    )
    assert guided.gradient is None and not guided.prediction.mean.requires_grad
    assert (tally.forwards, tally.graphs) == (1, 0)


def _edited(**changes):
    network = awake(seeded(lambda: UNet(EVEN_UNET)))
    model = DiffusionModel(network, GaussianDiffusion.linear(1000), 8)
    settings = replace(EditSettings(), respacing="6", skip=1, clip_denoised=True, **changes)
    target, mask = picture().clamp(-1, 1), torch.ones(2, 1, 8, 8).double()
    batch = EditBatch(target, mask, None, [])
    black = bound_pixel(torch.zeros_like(target), scale=50.0)
    return denoise(model, batch, [black], settings, PerImageNoise([1, 2]))


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_settings_choose_how_the_gradient_is_taken(sampler):
    usual = _edited(sampler=sampler)
    torch.testing.assert_close(_edited(sampler=sampler, memory="low"), usual)
    assert not torch.allclose(_edited(sampler=sampler, gradient="estimate"), usual)
    assert not torch.allclose(_edited(sampler=sampler, guide_every=2), usual)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gradient": "none"}, 'gradient is "none", expected "network" or "estimate": choose one'),
        ({"memory": "tiny"}, 'memory is "tiny", expected "normal" or "low": choose one'),
        ({"guide_every": 0}, "guide_every is 0: expected 1 or more"),
    ],
)
def test_settings_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        replace(EditSettings(), **change)


def _normalised(strength, scale):
    denoiser = UNetDenoiser(unit_variance, SPACED, fixed="small")
    term = bound_pixel(torch.zeros(2, 3, 8, 8).double(), scale=scale)
    guider = GradientGuider(denoiser, SPACED, [term])
    return NormalisedGuider(guider, SPACED, strength) if strength else guider


@pytest.mark.parametrize("t", [0, 7, 19])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_normalised_step_moves_by_a_share_of_prediction_and_noise_whatever_the_scale(t, scale):
    guided, x_t = _normalised(0.05, scale)(picture(), t), picture()
    moved = guided_x0(SPACED, guided, x_t, batch_index(t, x_t)) - guided.prediction.pred_x0
    share = picture_norm(moved) / picture_norm(guided.prediction.pred_x0)
    noise = SPACED.sqrt_one_minus_alphas_cumprod[t]
    torch.testing.assert_close(share, (0.05 * noise).expand(2, 1, 1, 1))
    plain = _normalised(0, scale)(picture(), t).gradient
    direction = guided.gradient / picture_norm(guided.gradient)
    torch.testing.assert_close(direction, plain / picture_norm(plain))


def test_a_normalised_step_is_none_where_nothing_pulls():
    denoiser = UNetDenoiser(unit_variance, SPACED, fixed="small")
    unguided = NormalisedGuider(GradientGuider(denoiser, SPACED, []), SPACED, 0.1)
    assert unguided(picture(), 7).gradient is None
    settled = replace(bound_pixel(torch.zeros(2, 3, 8, 8).double()), mask=torch.zeros(2, 1, 8, 8))
    guided = NormalisedGuider(GradientGuider(denoiser, SPACED, [settled]), SPACED, 0.1)
    assert guided(picture(), 7).gradient.abs().max() == 0


def test_a_picture_is_normalised_by_itself():
    together = _normalised(0.05, 1.0)(picture(), 7).gradient
    term = bound_pixel(torch.zeros(1, 3, 8, 8).double())
    denoiser = UNetDenoiser(unit_variance, SPACED, fixed="small")
    alone = NormalisedGuider(GradientGuider(denoiser, SPACED, [term]), SPACED, 0.05)
    torch.testing.assert_close(alone(picture()[1:], 7).gradient, together[1:])


def _moving(repeats, terms, strength=0.05):
    denoiser = UNetDenoiser(unit_variance, SPACED, fixed="small")
    return PredictionGuider(denoiser, SPACED, terms, strength, repeats)


@pytest.mark.parametrize("repeats", [1, 4])
def test_moves_one_after_the_other_are_as_long_as_one(repeats):
    x_t, towards = picture(), bound_pixel(torch.zeros(2, 3, 8, 8).double(), scale=7.0)
    guided = _moving(repeats, [towards])(x_t, 7)  # straight to grey: no move turns off
    share = 1 - 0.05 * SPACED.sqrt_one_minus_alphas_cumprod[7]
    torch.testing.assert_close(guided.prediction.pred_x0, guided.unmoved * share)


def test_every_move_begins_where_the_last_one_ended():
    seen = []

    def loss(image):
        seen.append(image.detach())
        return image.square().sum((1, 2, 3))

    term = replace(bound_pixel(torch.zeros(2, 3, 8, 8).double()), loss=loss)
    guided = _moving(3, [term])(picture(), 7)
    step = 0.05 * SPACED.sqrt_one_minus_alphas_cumprod[7] / 3
    for k, image in enumerate(seen):
        torch.testing.assert_close(image, guided.unmoved * (1 - k * step))


@pytest.mark.parametrize("t", [7, 0])
def test_the_next_sample_goes_along_with_a_move(t):
    x_t, towards = picture(), bound_pixel(torch.zeros(2, 3, 8, 8).double())
    index, plain = batch_index(t, x_t), _moving(1, [])(x_t, t)
    guided = _moving(3, [towards])(x_t, t)
    move = guided.prediction.pred_x0 - guided.unmoved
    assert picture_norm(move).min() > 0
    ddim = [
        ddim_step(SPACED, each.prediction.pred_x0, x_t, index, 0.3, each.unmoved).mean
        for each in (plain, guided)
    ]
    kept = SPACED.alphas_cumprod_prev[t].sqrt()
    torch.testing.assert_close(ddim[1] - ddim[0], kept * move)
    mean, _, _ = SPACED.posterior(guided.prediction.pred_x0, x_t, index)
    torch.testing.assert_close(guided.prediction.mean, mean)


def test_moves_need_one_pass_of_the_network_and_none_of_them_a_graph():
    calls = []

    def network(x, t, **conditions):
        calls.append(torch.is_grad_enabled())
        return unit_variance(x, t, **conditions)

    denoiser = UNetDenoiser(network, SPACED, fixed="small")
    term = bound_pixel(torch.zeros(2, 3, 8, 8).double())
    PredictionGuider(denoiser, SPACED, [term], 0.05, 5)(picture(), 7)
    assert calls == [False]
    assert PredictionGuider(denoiser, SPACED, [], 0.05, 5)(picture(), 7).unmoved is None


def test_a_blurred_move_is_smooth_and_as_long():
    (x_t, rough), towards = (picture(), picture(3)[1:]), torch.zeros(2, 3, 8, 8).double()
    term = replace(bound_pixel(towards), loss=lambda image: (image * rough).sum((1, 2, 3)))
    sharp, soft = (
        guided.prediction.pred_x0 - guided.unmoved
        for guided in (
            PredictionGuider(_moving(1, []).denoiser, SPACED, [term], 0.05, 1, smooth)(x_t, 7)
            for smooth in (0.0, 0.1)
        )
    )
    torch.testing.assert_close(picture_norm(sharp), picture_norm(soft))
    assert (picture_norm(soft.diff(dim=3)) < 0.7 * picture_norm(sharp.diff(dim=3))).all()


def test_repeats_need_a_strength_and_the_estimate():
    with pytest.raises(ValueError, match="guide_blur is 0.01 with strength 0 .* expected 0: set"):
        EditSettings(guide_blur=0.01)
    with pytest.raises(ValueError, match="guide_repeats is 2 with strength 0 .* expected 1: set"):
        EditSettings(guide_repeats=2, gradient="estimate")
    with pytest.raises(ValueError, match='the gradient "network", expected 1'):
        EditSettings(guide_repeats=2, strength=0.1)
