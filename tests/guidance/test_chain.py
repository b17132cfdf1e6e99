"""Guidance before and after it knows its pictures, and targets edited under chains of it."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.diffusion.process import DiffusionModel, GaussianDiffusion
from guided_face_edit.editor_core.editing import edit_target
from guided_face_edit.editor_core.face.eyes import EyeBoxes
from guided_face_edit.editor_core.guidance.chain import (
    GazeGuidance,
    IdentityGuidance,
    LpipsGuidance,
    ParsingGuidance,
    PixelGuidance,
    Scene,
)
from guided_face_edit.editor_core.models.unet import UNet, UNetConfig
from guided_face_edit.editor_core.settings import EditSettings
from guided_face_edit.tests.support.tiny import (
    seeded,
    tiny_encoder,
    tiny_estimator,
    tiny_lpips,
    tiny_parser,
)

SIZE = 32
QUICK = EditSettings(respacing="4", skip=1, candidates=2, seed=5)


def _pictures(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, SIZE, SIZE, 3, generator=generator, dtype=torch.float64)


def _model():
    config = UNetConfig(
        model_channels=32,
        channel_mult=(1.0,),
        num_res_blocks=1,
        attention_factors=(),
        head_channels=16,
    )
    return DiffusionModel(seeded(lambda: UNet(config)), GaussianDiffusion.linear(), SIZE)


def _mask():
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.float64)
    mask[:, 8:24, 6:26] = 1
    return mask


def _boxes(count):
    left = torch.tensor([[4, 8, 14, 14]]).expand(count, -1)
    return EyeBoxes(left, left + torch.tensor([14, 0, 14, 0]), (SIZE, SIZE))


def _scene(count, candidates):
    target = _pictures(count, 1).movedim(-1, 1) * 2 - 1
    generators = [torch.Generator().manual_seed(k) for k in range(count * candidates)]
    embedding = tiny_encoder().embed(target.flip(3))
    return Scene(target, _mask().expand(count, 1, -1, -1), embedding, generators, candidates)


GUIDANCE = {
    "identity": lambda count: IdentityGuidance(tiny_encoder()),
    "parsing": lambda count: ParsingGuidance(tiny_parser()),
    "gaze": lambda count: GazeGuidance(tiny_estimator(), _boxes(count)),
    "lpips": lambda count: LpipsGuidance(tiny_lpips()),
    "pixel": lambda count: PixelGuidance(),
}


@pytest.mark.parametrize("name", GUIDANCE)
def test_a_bound_term_has_a_row_for_each_candidate(name):
    scene = _scene(2, 3)
    term = GUIDANCE[name](2).bind(scene)
    assert (term.name, term.scale) == (name, 1.0)
    assert term.loss(scene.repeated(scene.target)).shape == (6,)


@pytest.mark.parametrize("name", sorted(set(GUIDANCE) - {"identity"}))
def test_what_keeps_the_target_is_satisfied_by_it(name):
    scene = _scene(2, 2)
    loss = GUIDANCE[name](2).bind(scene).loss(scene.repeated(scene.target))
    torch.testing.assert_close(loss, torch.zeros_like(loss), rtol=0, atol=1e-9)


def test_one_chain_serves_any_number_of_pictures():
    chain = [PixelGuidance(scale=5.0), ParsingGuidance(tiny_parser(), scale=5.0)]
    for count in (1, 3):
        result = edit_target(_model(), _pictures(count, 2), _mask(), chain, QUICK)
        assert result.images.shape == (count, 2, SIZE, SIZE, 3)


def test_unranked_candidates_come_in_the_order_of_their_seeds():
    result = edit_target(_model(), _pictures(1, 2), _mask(), [], QUICK)
    second = replace(QUICK, seed=QUICK.seed + 1, candidates=1)
    alone = edit_target(_model(), _pictures(1, 2), _mask(), [], second)
    torch.testing.assert_close(result.images[:, 1:], alone.images, rtol=0, atol=1e-9)
    assert result.distances.isnan().all()


def test_ranked_candidates_come_closest_first():
    embedding = tiny_encoder().embed(_pictures(1, 3).movedim(-1, 1) * 2 - 1)
    options = {"embedding": embedding, "ranked_by": tiny_encoder()}
    result = edit_target(_model(), _pictures(2, 2), _mask(), [], QUICK, **options)
    assert (result.distances.diff(dim=1) > 0).all()


def test_two_terms_of_a_kind_are_recorded_apart():
    chain = [PixelGuidance(scale=1.0), PixelGuidance(scale=2.0), ParsingGuidance(tiny_parser())]
    series = edit_target(_model(), _pictures(1, 2), _mask(), chain, QUICK).metrics.series
    assert list(series) == ["pixel", "pixel 2", "parsing"]
    assert series["pixel"] == series["pixel 2"]


@pytest.mark.parametrize(
    ("chain", "options", "message"),
    [
        ([IdentityGuidance(tiny_encoder())], {}, "needs an embedding, got none: embed the source"),
        (
            [IdentityGuidance(tiny_encoder())],
            {"embedding": torch.eye(1, 9, dtype=torch.float64)},
            "one embedding has 24 numbers, the other 9",
        ),
        ([], {"embedding": torch.eye(3, 24)}, "got 3 embeddings for 2 targets"),
        ([GazeGuidance(tiny_estimator(), _boxes(3))], {}, "eyes are of 3 pictures, there are 2"),
        (
            [GazeGuidance(tiny_estimator(), replace(_boxes(2), size=(64, 64)))],
            {},
            "found in 4 pictures of 64x64, these are 4 of 32x32",
        ),
    ],
)
def test_guidance_that_does_not_fit_is_refused(chain, options, message):
    with pytest.raises(ValueError, match=message):
        edit_target(_model(), _pictures(2, 2), _mask(), chain, QUICK, **options)


def test_the_face_of_the_edit_needs_a_parser():
    settings = replace(QUICK, keep_background=False)
    with pytest.raises(ValueError, match="there is no parser: give one, or keep the background"):
        edit_target(_model(), _pictures(1, 2), _mask(), [], settings)
