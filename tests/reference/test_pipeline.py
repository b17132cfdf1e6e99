"""What the golden data cannot show of the reference's quirks."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.diffusion.noise import Normal
from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion
from guided_face_edit.editor_core.diffusion.sampling import GuidedPrediction
from guided_face_edit.editor_core.face.parsing import FaceParser
from guided_face_edit.editor_core.loading.models import FaceModels
from guided_face_edit.editor_core.reference.inputs import CropStatistics, with_reference_inputs
from guided_face_edit.editor_core.reference.pipeline import (
    ReferenceBackground,
    StreamNoise,
    UnscaledGuider,
    unscaled_index,
)
from guided_face_edit.editor_core.reference.views import DrawnWarps, TwoWarpViews
from guided_face_edit.tests.support.terms import bound_pixel
from guided_face_edit.tests.support.tiny import (
    tiny_encoder,
    tiny_estimator,
    tiny_face_estimator,
    tiny_parser,
)

FULL = GaussianDiffusion.linear(1000)
UNEVEN = FULL.respaced("15,10")


class CountingDenoiser:
    """Predicts from zero noise, and remembers the indices it was asked at."""

    def __init__(self, diffusion):
        self.diffusion, self.asked = diffusion, []

    def __call__(self, x_t, t):
        self.asked.append(int(t[0]))
        return self.diffusion.prediction(x_t * 0, x_t, t)


def test_even_steps_are_recovered_and_uneven_ones_are_not():
    for spec in ("100", "ddim25", "10,10,10"):
        even = FULL.respaced(spec)
        assert unscaled_index(even).tolist() == list(range(even.num_timesteps))
    wrong = (unscaled_index(UNEVEN) - torch.arange(25)).abs()
    assert wrong.max() == 3


def test_a_wrong_index_costs_a_second_pass_and_a_right_one_does_not():
    x_t = torch.ones(1, 3, 4, 4)
    for t, guess in enumerate(unscaled_index(UNEVEN).tolist()):
        denoiser = CountingDenoiser(UNEVEN)
        guided = UnscaledGuider(denoiser, UNEVEN, [bound_pixel(x_t * 0)])(x_t, t)
        assert denoiser.asked == ([t] if guess == t else [guess, t])
        index = torch.tensor([t])
        assert torch.equal(guided.prediction.mean, CountingDenoiser(UNEVEN)(x_t, index).mean)
        assert isinstance(guided, GuidedPrediction) and guided.gradient is not None


def test_the_ramp_is_that_of_75_steps():
    background = ReferenceBackground(torch.empty(0), torch.empty(0), FULL.respaced("100"), 30)
    weights = [background.weight(t) for t in (99, 74, 52, 29, 0)]
    assert weights == pytest.approx([-25 / 45, 0, 22 / 45, 1, 1])


def test_the_background_is_noisier_than_the_sample_and_let_go_after_the_ramp():
    target, mask = torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 1, 4, 4)
    spaced, sample = FULL.respaced("100"), Normal.known(torch.ones(1, 3, 4, 4))
    background = ReferenceBackground(target, mask, spaced, 30, after_ramp=False)
    noised = spaced.marginal(target, torch.tensor([31]))
    assert torch.equal(background(sample, 31).mean, noised.mean)
    assert torch.equal(background(sample, 31).std, noised.std.expand_as(mask))
    assert background(sample, 30) is sample


def test_every_draw_comes_from_one_stream():
    stream, alone = (torch.Generator().manual_seed(5) for _ in range(2))
    like = torch.empty(2, 3, 8, 8)
    drawn = StreamNoise(stream).draw(like)
    assert torch.equal(drawn, torch.randn(like.shape, generator=alone))
    warps, expected = DrawnWarps(stream)(3, 112), DrawnWarps(alone)(3, 112)
    assert all(
        torch.equal(a, b)
        for a, b in zip(vars(warps).values(), vars(expected).values(), strict=True)
    )


def test_a_single_copy_is_the_picture():
    x = torch.rand(2, 3, 16, 16)
    views = TwoWarpViews(DrawnWarps(torch.Generator().manual_seed(1)), 1)
    assert torch.equal(views(x, []), x[:, None])


def test_a_crop_has_its_own_statistics_whatever_its_company():
    network = tiny_estimator().network
    eyes = torch.rand(2, 96, 160, generator=torch.Generator().manual_seed(0)).double()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    alone = CropStatistics(network)
    torch.testing.assert_close(alone(eyes).gaze[1:], alone(eyes[1:]).gaze)
    assert not torch.allclose(alone(eyes).gaze, network(eyes).gaze)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gaze": tiny_face_estimator()}, "the gaze model is L2CS, the exact settings are those"),
        ({"parser": FaceParser(torch.nn.Identity())}, "parser model is Identity, .* of BiSeNet"),
    ],
)
def test_other_networks_than_the_references_are_refused(change, message):
    models = FaceModels(None, tiny_encoder(), tiny_parser())
    assert with_reference_inputs(models).gaze is None
    with pytest.raises(ValueError, match=message):
        with_reference_inputs(replace(models, **change))
