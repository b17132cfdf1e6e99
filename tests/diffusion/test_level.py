import pytest
import torch

from guided_face_edit.editor_core.diffusion.level import Level
from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion

SCHEDULES = {
    "linear": GaussianDiffusion.linear(1000),
    "cosine": GaussianDiffusion.cosine(1000),
    "respaced": GaussianDiffusion.linear(1000).respaced("20"),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_tables_level_has_the_tables_single_precision_bits(name):
    diffusion = SCHEDULES[name]
    levels = [diffusion.level(t) for t in range(diffusion.num_timesteps)]
    for values, table in (
        ([level.signal for level in levels], diffusion.sqrt_alphas_cumprod),
        ([level.slope for level in levels], diffusion.sqrt_alphas_cumprod),
        ([level.noise for level in levels], diffusion.sqrt_one_minus_alphas_cumprod),
        ([level.kept for level in levels], diffusion.alphas_cumprod),
    ):
        assert torch.equal(torch.tensor(values), table.float())
    assert [level.percent for level in levels] == [diffusion.percent(t) for t in range(len(levels))]


@pytest.mark.parametrize("sigma", [0.02, 0.5, 0.98])
def test_a_flow_is_the_process_of_the_same_ratio(sigma):
    flow = Level(1 - sigma, sigma / (1 - sigma), 0.5)
    scaled = flow.kept**0.5  # what brings its x_t to unit variance
    assert flow.noise**2 + flow.kept == pytest.approx(1)
    assert flow.noise / scaled == pytest.approx(flow.ratio)
    assert flow.reach * flow.slope == pytest.approx(1 - flow.kept)  # the estimate's step
