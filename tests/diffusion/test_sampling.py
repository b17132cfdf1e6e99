from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from guided_face_edit.editor_core.diffusion.noise import Normal, PerImageNoise
from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion, Prediction
from guided_face_edit.editor_core.diffusion.sampling import (
    GuidedPrediction,
    Recurrence,
    batch_index,
    ddim_between,
    ddim_step,
    ddpm_step,
    sample_ddim,
    sample_ddpm,
)
from guided_face_edit.editor_core.guidance.gradient import GradientGuider
from guided_face_edit.editor_core.guidance.windows import PercentWindow
from guided_face_edit.editor_core.reference.pipeline import sample_drawing_twice
from guided_face_edit.tests.support.terms import bound_pixel

SPACED = GaussianDiffusion.linear(1000).respaced("20")
START = 15
SHAPE = (2, 3, 4, 4)
SAMPLERS = [sample_ddpm, sample_ddim]


@dataclass
class Oracle:
    """Knows that every picture is `truth`, and predicts the noise exactly."""

    truth: Tensor

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        epsilon = SPACED.predict_epsilon(x_t, t, self.truth)
        return SPACED.prediction(epsilon, x_t, t, fixed="small")


@dataclass
class Diary:
    """A guider, noise and blend that write down when they are called."""

    entries: list = field(default_factory=list)

    def __call__(self, x_t, t):
        self.entries.append(("guide", t))
        return GuidedPrediction(self._prediction(x_t, t), torch.zeros_like(x_t))

    def predict(self, x_t, t):
        self.entries.append(("predict", t))
        return self._prediction(x_t, t)

    def draw(self, like):
        self.entries.append("draw")
        return torch.zeros_like(like)

    def blend(self, sample, t):
        self.entries.append(("blend", t))
        return sample

    def _prediction(self, x_t, t):
        return Oracle(torch.zeros_like(x_t))(x_t, torch.full((len(x_t),), t))


def _noised(truth, seeds=(1, 2)):
    noise = PerImageNoise(seeds)
    return SPACED.q_sample(truth, torch.tensor([START, START]), noise.draw(truth)), noise


def _truth(value=0.3):
    return torch.full(SHAPE, value, dtype=torch.float64)


@pytest.mark.parametrize("sample", SAMPLERS)
def test_an_oracle_is_followed_to_the_truth(sample):
    x_t, noise = _noised(_truth())
    guider = GradientGuider(Oracle(_truth()), SPACED, [])
    torch.testing.assert_close(sample(guider, SPACED, x_t, START, noise=noise), _truth())


@pytest.mark.parametrize("sample", SAMPLERS)
def test_guidance_moves_towards_what_its_term_asks(sample):
    asked = _truth(0.8)
    x_t, _ = _noised(_truth())
    term = bound_pixel(asked, scale=20.0)
    seen = []
    for terms in ([], [term]):
        guider = GradientGuider(Oracle(_truth()), SPACED, terms)
        sample(guider, SPACED, x_t, START, noise=PerImageNoise([1, 2]), on_step=seen.append)
    free, guided = seen[START - 3].sample, seen[-4].sample
    assert ((guided - asked).square().mean() < (free - asked).square().mean()).all()


def test_ddim_is_deterministic_and_at_eta_1_as_noisy_as_ddpm():
    x_t, noise = _noised(_truth())
    t = torch.tensor([START, 1])
    prediction = Oracle(_truth(0.1))(x_t, t)
    ddpm = ddpm_step(GuidedPrediction(prediction), t)
    noisy, still = (ddim_step(SPACED, prediction.pred_x0, x_t, t, eta) for eta in (1.0, 0.0))
    torch.testing.assert_close(noisy.mean, ddpm.mean)
    torch.testing.assert_close(noisy.std, ddpm.std)
    assert (noisy.std > 0).all() and (still.std == 0).all()


def test_ddpm_guides_all_but_the_last_step_and_draws_once_a_step():
    diary = Diary()
    sample_ddpm(diary, SPACED, _truth(), 1, noise=diary, blend=diary.blend)
    first, last = [("guide", 1), ("blend", 1), "draw"], [("predict", 0), ("blend", 0), "draw"]
    assert diary.entries == first + last


def test_ddim_guides_every_step_and_draws_once_a_step():
    diary = Diary()
    sample_ddim(diary, SPACED, _truth(), 1, noise=diary, blend=diary.blend)
    assert diary.entries == [
        *(("guide", 1), ("blend", 1), "draw"),
        *(("guide", 0), ("blend", 0), "draw"),
    ]


def test_the_reference_draws_a_steps_noise_before_it_guides_and_more_after_it_blends():
    diary = Diary()
    sample_drawing_twice(diary, _truth(), 1, diary, diary.blend, None)
    first = ["draw", ("guide", 1), ("blend", 1), "draw"]
    assert diary.entries == [*first, "draw", ("predict", 0), ("blend", 0), "draw"]


@pytest.mark.parametrize("sample", SAMPLERS)
def test_a_callback_gets_every_step_and_may_end_the_run(sample):
    seen = []

    def callback(step):
        seen.append((step.index, step.total, step.t, set(step.losses)))
        if step.index == 2:
            raise KeyboardInterrupt

    x_t, noise = _noised(_truth())
    guider = GradientGuider(Oracle(_truth()), SPACED, [bound_pixel(_truth())])
    with pytest.raises(KeyboardInterrupt):
        sample(guider, SPACED, x_t, START, noise=noise, on_step=callback)
    assert seen == [(index, START + 1, START - index, {"pixel"}) for index in range(3)]


def test_terms_are_asked_in_their_window_alone():
    term = bound_pixel(_truth(), window=PercentWindow(0.5, 0.9))
    guider = GradientGuider(Oracle(_truth()), SPACED, [term])
    x_t, _ = _noised(_truth())
    asked = [t for t in range(20) if guider(x_t, t).losses]
    assert asked == [t for t in range(20) if 0.5 <= SPACED.percent(t) < 0.9]
    assert len(asked) == 8


def test_terms_of_one_name_pull_together():
    x_t, _ = _noised(_truth())
    once, twice = (
        GradientGuider(Oracle(_truth()), SPACED, [bound_pixel(_truth(), scale=scale)] * count)(
            x_t, 5
        ).gradient
        for scale, count in ((2.0, 1), (1.0, 2))
    )
    torch.testing.assert_close(once, twice)


def test_a_row_of_noise_depends_on_its_seed_alone():
    like = torch.empty(3, 3, 4, 4)
    batch = PerImageNoise([5, 6, 7])
    alone = PerImageNoise([6])
    for _ in range(2):
        assert torch.equal(batch.draw(like)[1:2], alone.draw(like[:1]))


def test_a_drawn_row_is_what_the_generator_of_its_seed_draws():
    alone = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(9))
    assert torch.equal(PerImageNoise([8, 9]).draw(torch.empty(2, 3, 8, 8))[1], alone)


def test_one_draw_of_two_pictures_is_spread_as_two_draws_are():
    """A quarter of noise of 0.3, three quarters of 0.4: 0.075 and 0.3, drawn apart or at once."""
    shape = (1, 3, 256, 256)
    inner = Normal(torch.full(shape, 1.0), torch.full((1, 1, 1, 1), 0.3))
    outer = Normal(torch.full(shape, -1.0), torch.full((1, 1, 256, 256), 0.4))
    share = torch.full((1, 1, 256, 256), 0.25)
    together = inner.over(outer, share)
    noise = PerImageNoise([3])
    apart = share * inner.draw(noise) + (1 - share) * outer.draw(noise)
    once = together.draw(noise)
    for drawn in (apart, once):
        assert drawn.mean().item() == pytest.approx(-0.5, abs=0.005)
        assert drawn.std().item() == pytest.approx((0.075**2 + 0.3**2) ** 0.5, rel=0.01)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_all_or_nothing_keeps_one_picture_to_the_bit(share):
    inner, outer = (
        Normal(*torch.rand(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(seed)))
        for seed in (1, 2)
    )
    kept, mixed = (outer, inner)[int(share)], inner.over(outer, torch.full((1, 1, 4, 4), share))
    assert torch.equal(mixed.mean, kept.mean) and torch.equal(mixed.std, kept.std)


def test_noise_refuses_a_batch_of_another_size():
    with pytest.raises(ValueError, match="2 seeds, the batch 3 images: give one seed an image"):
        PerImageNoise([1, 2]).draw(torch.empty(3, 3, 4, 4))


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("t", [1, 8, 19])
def test_ddim_between_levels_is_ddim_of_their_table(t, eta):
    numbers = torch.Generator().manual_seed(t)
    x_0, x_t = (torch.randn(2, 3, 4, 4, generator=numbers).double() for _ in range(2))
    wanted = ddim_step(SPACED, x_0, x_t, batch_index(t, x_t), eta)
    levels = SPACED.level(t), SPACED.level(t - 1)
    drawn = ddim_between(x_0, x_t, *levels, eta)
    torch.testing.assert_close(drawn.mean, wanted.mean)
    torch.testing.assert_close(drawn.std.expand_as(wanted.std), wanted.std)


@pytest.mark.parametrize("sample", SAMPLERS)
def test_a_step_that_recurs_reaches_the_same_truth_by_as_many_passes(sample):
    asked = []

    class Counted(Oracle):
        def __call__(self, x_t, t):
            asked.append(int(t[0]))
            return super().__call__(x_t, t)

    guider = GradientGuider(Counted(_truth()), SPACED, [])
    drawn = sample(
        guider, SPACED, torch.randn(SHAPE, dtype=torch.float64), 9,
        noise=PerImageNoise(range(len(_truth()))), recurrence=3,
    )  # fmt: skip
    assert asked == [t for t in range(9, -1, -1) for _ in range(3)]
    torch.testing.assert_close(drawn, _truth())


def test_a_sample_that_is_noised_anew_has_the_step_before_its_level():
    x_0 = torch.zeros(1, 3, 64, 64, dtype=torch.float64)
    reached = SPACED.q_sample(x_0 + 0.5, torch.tensor([6]), PerImageNoise([1]).draw(x_0))
    x_t = Recurrence(SPACED, 2).noised(reached, 7).draw(PerImageNoise([2]))
    level = SPACED.level(7)
    assert x_t.mean().item() == pytest.approx(0.5 * level.signal, abs=0.03)
    assert x_t.std().item() == pytest.approx(level.noise, rel=0.03)
