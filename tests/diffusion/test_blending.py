import pytest
import torch

from guided_face_edit.editor_core.diffusion.blending import LinearRamp, NoisedBackground, composite
from guided_face_edit.editor_core.diffusion.noise import Normal, PerImageNoise
from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion

SPACED = GaussianDiffusion.linear(1000).respaced("100")
START = 74


def _ramp(end=0.7):
    return LinearRamp(SPACED.percent(START), end)


def _weight(t, end=0.7):
    return _ramp(end).weight(SPACED.percent(t - 1))


def _half_mask():
    return torch.cat([torch.zeros(1, 1, 4, 2), torch.ones(1, 1, 4, 2)], 3)


def _background(after_ramp=True):
    target = torch.full((1, 3, 4, 4), 0.5)
    return NoisedBackground(target, _half_mask(), SPACED, _ramp(), after_ramp)


def test_the_ramp_counts_from_the_first_step_and_ends_at_its_end():
    weights = [_weight(t) for t in range(START, -1, -1)]
    assert 0 < weights[0] < 0.05
    assert weights == sorted(weights)
    assert weights[START - 30] == 1.0  # t = 30 reaches 0.7 of the schedule
    assert weights[START - 32] < 1.0


@pytest.mark.parametrize("end", [0.0, 0.2, 0.25])
def test_a_ramp_that_ends_before_it_starts_is_none(end):
    assert _weight(START, end) == 1.0


def test_the_background_is_noised_to_the_level_of_the_sample():
    sample = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    blended = _background()(Normal.known(sample), 20).draw(PerImageNoise([7]))
    target, noise = torch.full((1, 3, 4, 4), 0.5), PerImageNoise([7]).draw(sample)
    noised = SPACED.q_sample(target, torch.tensor([19]), noise)
    assert torch.equal(blended[..., :2], noised[..., :2])
    assert torch.equal(blended[..., 2:], sample[..., 2:])


def test_after_the_last_step_the_background_is_the_target():
    sample = Normal(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))
    blended = _background()(sample, 0).draw(PerImageNoise([7]))
    assert (blended[..., :2] == 0.5).all()


def test_a_background_of_the_ramp_alone_lets_go():
    sample = Normal.known(torch.zeros(1, 3, 4, 4))
    free = _background(after_ramp=False)
    assert free(sample, 20) is sample
    assert not torch.equal(free(sample, 60).mean, sample.mean)


def test_a_composite_keeps_the_target_bit_for_bit():
    generator = torch.Generator().manual_seed(0)
    target, edit = (torch.rand(2, 3, 5, 6, generator=generator) for _ in range(2))
    mask = torch.rand(2, 1, 5, 6, generator=generator).round(decimals=1) * (target[:, :1] > 0.5)
    result = composite(target, edit, mask)
    mask = mask.expand_as(target)
    assert torch.equal(result[mask == 0], target[mask == 0])
    assert torch.equal(result[mask == 1], edit[mask == 1])
    assert ((result >= target.minimum(edit) - 1e-6) & (result <= target.maximum(edit) + 1e-6)).all()


def test_a_composite_hides_what_is_broken_outside_the_mask():
    target, broken = torch.rand(1, 3, 2, 2), torch.full((1, 3, 2, 2), torch.nan)
    assert torch.equal(composite(target, broken, torch.zeros(1, 1, 2, 2)), target)
