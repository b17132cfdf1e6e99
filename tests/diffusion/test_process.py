import pytest
import torch

from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion
from guided_face_edit.editor_core.diffusion.respacing import spaced_steps

LINEAR, COSINE = GaussianDiffusion.linear(1000), GaussianDiffusion.cosine(1000)
SHAPE = (3, 3, 4, 4)


def _draws(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(count)]


@pytest.mark.parametrize("diffusion", [LINEAR, COSINE, GaussianDiffusion.linear(50)])
def test_a_schedule_goes_from_picture_to_noise(diffusion):
    kept = diffusion.alphas_cumprod
    assert (kept.diff() < 0).all()
    assert kept[0] > 0.99 and kept[-1] < 1e-4


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("10", list(range(10))),
        ("1", [0]),
        ("2", [0, 9]),
        ("2,1", [0, 4, 5]),
        ("ddim5", [0, 2, 4, 6, 8]),
    ],
)
def test_respacing_chooses_steps(spec, expected):
    assert spaced_steps(spec, 10) == expected


@pytest.mark.parametrize("spec", ["0", "", "-3", "1.5", "many", "ddim0", "10,,10"])
def test_respacing_refuses_what_is_no_count(spec):
    with pytest.raises(ValueError, match='expected counts of 1 or more: write "100"'):
        LINEAR.respaced(spec)


def test_respacing_refuses_more_steps_than_there_are():
    with pytest.raises(ValueError, match="asks 11 of a section of 10 steps: ask at most 10"):
        spaced_steps("11", 10)
    with pytest.raises(ValueError, match='no whole stride takes 7 of 10 steps: write "7"'):
        spaced_steps("ddim7", 10)


@pytest.mark.parametrize("spec", ["100", "10,20,5", "ddim50"])
def test_respacing_keeps_the_noise_of_the_chosen_steps(spec):
    spaced = LINEAR.respaced(spec)
    chosen = LINEAR.alphas_cumprod[spaced.timestep_map]
    torch.testing.assert_close(spaced.alphas_cumprod, chosen, rtol=1e-12, atol=0)


def test_respacing_twice_keeps_the_original_steps():
    twice = LINEAR.respaced("100").respaced("10")
    assert twice.timestep_map[[0, -1]].tolist() == [0, 999]
    assert twice.original_steps == 1000


def test_timesteps_are_rescaled_to_a_thousand():
    diffusion = GaussianDiffusion.linear(250).respaced("25")
    last = diffusion.model_timesteps(torch.tensor([0, 24]))
    assert last.tolist() == [0.0, 996.0]


def test_percent_runs_over_the_full_schedule():
    spaced = LINEAR.respaced("100")
    percents = [spaced.percent(t) for t in (99, 0, -1)]
    assert percents == pytest.approx([0.0, 0.999, 1.0])


def test_the_posterior_is_bayes_rule():
    """Its mean and variance are those of the product of two Gaussians in x_{t-1}."""
    x0, x_t = _draws(2)
    t = torch.tensor([1, 300, 999])
    rows = [table[t].view(-1, 1, 1, 1) for table in (LINEAR.betas, LINEAR.alphas_cumprod_prev)]
    beta, kept_prev = rows
    precision = (1 - beta) / beta + 1 / (1 - kept_prev)
    weighted = (1 - beta).sqrt() * x_t / beta + kept_prev.sqrt() * x0 / (1 - kept_prev)
    mean, variance, log_variance = LINEAR.posterior(x0, x_t, t)
    torch.testing.assert_close(variance, 1 / precision)
    torch.testing.assert_close(mean, weighted / precision)
    torch.testing.assert_close(log_variance.exp(), variance)


def test_noise_that_is_known_gives_the_picture_back():
    x0, noise = _draws(2)
    t = torch.tensor([0, 500, 999])
    x_t = LINEAR.q_sample(x0, t, noise)
    torch.testing.assert_close(LINEAR.predict_x0(x_t, t, noise), x0)
    torch.testing.assert_close(LINEAR.predict_epsilon(x_t, t, x0), noise)


def test_a_learned_variance_lies_between_its_bounds():
    x_t, epsilon, values = _draws(3)
    t = torch.tensor([0, 500, 999])
    output = torch.cat([epsilon, values.clamp(-1, 1)], 1)
    variance = LINEAR.prediction(output, x_t, t).variance
    smallest = LINEAR.prediction(epsilon, x_t, t, fixed="small").variance
    largest = LINEAR.betas[t].view(-1, 1, 1, 1)
    assert (variance >= smallest * (1 - 1e-9)).all() and (variance <= largest * (1 + 1e-9)).all()


def test_clipping_holds_the_picture_in_range():
    x_t, epsilon = _draws(2)
    t = torch.tensor([999, 999, 999])
    assert LINEAR.prediction(epsilon, x_t, t).pred_x0.abs().max() > 1
    assert LINEAR.prediction(epsilon, x_t, t, clip=True).pred_x0.abs().max() <= 1


@pytest.mark.parametrize("diffusion", [LINEAR, COSINE])
def test_v_and_epsilon_that_say_the_same_predict_the_same(diffusion):
    x0, noise = _draws(2)
    t = torch.tensor([0, 300, 900])
    x_t, kept = diffusion.q_sample(x0, t, noise), diffusion.alphas_cumprod[t].view(-1, 1, 1, 1)
    v = kept.sqrt() * noise - (1 - kept).sqrt() * x0
    torch.testing.assert_close(diffusion.predict_v(x_t, t, x0), v, rtol=0, atol=1e-9)
    by_epsilon, by_v = (
        diffusion.prediction(output, x_t, t, predicts=predicts)
        for output, predicts in ((noise, "epsilon"), (v, "v"))
    )
    torch.testing.assert_close(by_v.pred_x0, x0)
    torch.testing.assert_close(by_v.mean, by_epsilon.mean)
