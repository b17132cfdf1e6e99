from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.editing import (
    build_terms,
    edit_aligned,
    edit_batch,
    edit_face,
)
from guided_face_edit.editor_core.face.gaze import GazeGoal
from guided_face_edit.editor_core.face.parsing import FACE_PARTS, FacePart
from guided_face_edit.editor_core.guidance.terms import ParsingTerm, PixelTerm, TermSettings
from guided_face_edit.editor_core.guidance.windows import PercentWindow
from guided_face_edit.editor_core.presets import PRESETS, preset
from guided_face_edit.editor_core.settings import EditSettings
from guided_face_edit.tests.support.terms import eyes
from guided_face_edit.tests.support.tiny import (
    tiny_encoder,
    tiny_models,
    tiny_parser,
)

SIZE = 32
STEPS = 4
OFF = TermSettings(0)
QUICK = replace(preset("diffface"), respacing="6", skip=2, candidates=1, views=2, gaze=OFF, seed=10)
UNGUIDED = replace(QUICK, identity=OFF, parsing=OFF, pixel=OFF)


def _pictures(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, SIZE, SIZE, 3, generator=generator, dtype=torch.float64)


def _mask(count=1):
    mask = torch.zeros(count, SIZE, SIZE, dtype=torch.float64)
    mask[:, 8:24, 6:26] = 1
    return mask


def _landmarks(count=1):
    return torch.tensor([[6.0, 12], [13, 12], [19, 12], [26, 12]]).expand(count, -1, -1)


def _edit(settings=QUICK, count=1, models=None, **options):
    options = {"mask": _mask(count), "landmarks": _landmarks(count), **options}
    source, target = _pictures(count, 1), _pictures(count, 2)
    return edit_face(models or tiny_models(), source, target, settings, **options)


class Passes:
    """Counts the U-Net's forward passes, and the backward passes through them."""

    def __init__(self, network):
        self.forwards = self.backwards = 0
        self.handle = network.register_forward_hook(self._forward)

    def _forward(self, module, given, output):
        self.forwards += 1
        if output.requires_grad:
            output.register_hook(self._backward)

    def _backward(self, gradient):
        self.backwards += 1

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.handle.remove()


@pytest.mark.parametrize(
    ("settings", "backwards"),
    [
        (QUICK, STEPS - 1),  # what the last step of DDPM would pull at is finished already
        (replace(QUICK, sampler="ddim"), STEPS),
        (UNGUIDED, 0),
        (replace(UNGUIDED, gaze=preset("diffface").gaze), 2),  # of the steps 3 2 1 0, two
    ],
)
def test_a_step_runs_the_unet_once_and_back_once_if_guided(settings, backwards):
    with Passes(tiny_models().diffusion.network) as passes:
        _edit(settings)
    assert (passes.forwards, passes.backwards) == (STEPS, backwards)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_a_picture_of_a_batch_equals_the_picture_alone(sampler):
    settings = replace(QUICK, sampler=sampler, eta=0.5)
    source, target, mask = _pictures(4, 1), _pictures(4, 2), _mask(4)
    batch = edit_face(tiny_models(), source, target, settings, mask=mask)
    for k in range(4):
        one = slice(k, k + 1)
        seeded_settings = replace(settings, seed=settings.seed + k)
        alone = edit_face(tiny_models(), source[one], target[one], seeded_settings, mask=mask[one])
        torch.testing.assert_close(batch.images[one], alone.images, rtol=0, atol=1e-9)


def test_candidates_are_the_edits_of_the_following_seeds():
    candidates = _edit(replace(QUICK, candidates=3))
    alone = [_edit(replace(QUICK, seed=QUICK.seed + k)) for k in range(3)]
    ranked = sorted(alone, key=lambda result: result.distances.item())
    expected = torch.cat([result.images for result in ranked], 1)
    torch.testing.assert_close(candidates.images, expected, rtol=0, atol=1e-9)
    assert (candidates.distances.diff() >= 0).all()
    first = [sample.values[0] for sample in candidates.metrics.series["identity"]]
    assert first == pytest.approx([s.mean for s in ranked[0].metrics.series["identity"]])


def test_the_same_seed_gives_the_same_bytes_whatever_the_global_generator():
    before = torch.get_rng_state()
    once = _edit().images
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = _edit().images
    assert once.numpy().tobytes() == again.numpy().tobytes()
    assert not torch.equal(once, _edit(replace(QUICK, seed=11)).images)


@pytest.mark.parametrize(
    "name", sorted(set(PRESETS) - {"diffface-exact"})
)  # it rounds: blended before the clamp
@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_the_background_is_the_target_bit_for_bit(name, sampler):
    settings = replace(
        preset(name), respacing="3", skip=1, candidates=2, views=2, gaze=OFF, sampler=sampler
    )
    _assert_background_kept(_edit(settings, count=2))


@pytest.mark.parametrize("change", [{"feather": 0.3}, {"keep_background": False}])
def test_the_background_of_a_parsed_mask_is_kept_too(change):
    result = _edit(replace(QUICK, **change), mask=None)
    assert 0 < (result.mask == 0).double().mean() < 1
    _assert_background_kept(result)


def _assert_background_kept(result):
    target = _pictures(len(result.images), 2)[:, None].expand_as(result.images)
    outside = (result.mask == 0)[..., None].expand_as(target)
    assert torch.equal(result.images[outside], target[outside])
    assert not torch.equal(result.images, target)


@pytest.mark.parametrize("name", ["diffface", "diffface-exact"])
def test_everything_works_under_inference_mode(name):
    pull = {"gaze": TermSettings(200), "lpips": TermSettings(10)}
    settings = replace(preset(name), respacing="6", skip=4, candidates=1, views=2, **pull)
    with torch.inference_mode():
        inside = _edit(settings)
    outside = _edit(settings)
    assert set(inside.metrics.series) == {"identity", "parsing", "gaze", "pixel", "lpips"}
    assert torch.equal(inside.images, outside.images)


def test_a_unet_that_takes_an_identity_gets_the_source():
    target, settings = _pictures(1, 2), replace(UNGUIDED, sampler="ddim")
    for channels, differs in ((24, True), (None, False)):
        edits = [
            edit_face(
                tiny_models(channels), _pictures(1, seed), target, settings, mask=_mask()
            ).images
            for seed in (1, 5)
        ]
        assert torch.equal(*edits) is not differs


def test_guidance_lowers_what_it_is_told_to():
    settings = replace(UNGUIDED, clip_denoised=True)
    free, guided = _edit(settings), _edit(replace(settings, pixel=TermSettings(300)))
    target = _pictures(1, 2)[:, None]
    assert (guided.images - target).square().sum() < (free.images - target).square().sum()


def test_a_callback_may_cancel():
    def cancel(step):
        raise InterruptedError(f"at {step.index} of {step.total}")

    with pytest.raises(InterruptedError, match=f"at 0 of {STEPS}"):
        _edit(on_step=cancel)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"respacing": "0"}, 'respacing is "0", expected counts of 1 or more'),
        ({"skip": 6}, "skip is 6 of 6 steps: skip fewer than 6"),
        ({"skip": -1}, "skip is -1: expected 0 or more"),
        ({"candidates": 0}, "candidates is 0: expected 1 or more"),
        ({"views": 0}, "views is 0: expected 1 or more"),
        ({"sampler": "euler"}, 'sampler is "euler", expected "ddpm" or "ddim"'),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        _edit(replace(QUICK, **change))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": torch.zeros(1, SIZE, SIZE)}, "target 0 has an empty mask"),
        ({"mask": torch.ones(1, 8, 9)}, "mask is 8x9, image is 32x32: resize the mask first"),
        ({"target": torch.rand(1, 16, SIZE, 3)}, "target is 16x32, the model edits 32x32: resize"),
        ({"target": torch.rand(2, SIZE, SIZE, 3)}, "1 sources and 2 targets: give one source"),
        ({"source": torch.rand(1, SIZE, SIZE, 4)}, "source has shape"),
        ({"source": torch.full((1, SIZE, SIZE, 3), torch.nan)}, "source holds NaN"),
        ({"target": torch.full((1, SIZE, SIZE, 3), 2.0)}, r"target lies in \[2, 2\]"),
    ],
)
def test_bad_pictures_are_refused(options, message):
    given = {"source": _pictures(1, 1), "target": _pictures(1, 2), "mask": _mask(), **options}
    with pytest.raises(ValueError, match=message):
        edit_face(tiny_models(), given.pop("source"), given.pop("target"), QUICK, **given)


@pytest.mark.parametrize("name", ["gaze", "lpips"])
def test_a_term_without_its_model_is_refused(name):
    models = replace(tiny_models(), **{name: None})
    settings = replace(QUICK, **{name: TermSettings(1)})
    with pytest.raises(ValueError, match=f"the {name} term has a scale but there is no {name}"):
        _edit(settings, models=models)


def test_the_exact_preset_asks_for_landmarks():
    settings = replace(preset("diffface-exact"), respacing="6", skip=2, candidates=1, views=2)
    with pytest.raises(ValueError, match="need landmarks, got none: give points 36, 39, 42 and 45"):
        _edit(settings, landmarks=None)


class FacelessParser(torch.nn.Module):
    """Sees background everywhere."""

    def logits(self, x):
        return torch.nn.functional.one_hot(x[:, 0].long() * 0, 19).movedim(-1, 1).to(x)


@pytest.mark.parametrize("mask", [None, _mask()])
def test_a_source_without_a_face_is_refused(mask):
    models = replace(tiny_models(), parser=replace(tiny_parser(), network=FacelessParser()))
    with pytest.raises(ValueError, match="source 0 shows no face"):
        _edit(models=models, mask=mask)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match='preset is "best", expected one of: diffface, '):
        preset("best")


def test_the_presets_are_those_of_their_origin():
    fixed, exact, paper = (preset(name) for name in ("diffface", "diffface-exact", "paper"))
    assert replace(exact, gaze=fixed.gaze, exact=False) == fixed == EditSettings()
    assert (paper.identity.scale, paper.parsing.scale, paper.gaze.scale) == (2000, 150, 200)


def _batch(count, terms, settings=QUICK, **options):
    target = _pictures(count, 2).movedim(-1, 1)
    return edit_batch(tiny_models(None).diffusion, target, _mask(), terms, settings, **options)


def test_the_parts_that_are_named_are_edited():
    labels = _edit(UNGUIDED, mask=None).labels
    part = FacePart(labels[torch.isin(labels, torch.tensor(FACE_PARTS))].mode().values.item())
    result = _edit(replace(UNGUIDED, parts=part.name), mask=None)
    assert torch.equal(result.mask[:, 0] > 0, labels == part) and (labels != part).any()
    with pytest.raises(ValueError, match='there is no part "eyes", expected face, '):
        _edit(replace(UNGUIDED, parts="eyes"), mask=None)


def test_the_term_of_the_gaze_has_the_goal_of_the_settings():
    settings = replace(UNGUIDED, gaze=TermSettings(10), gaze_goal=GazeGoal("set", yaw=15.0))
    models = tiny_models()
    (term,) = build_terms(settings, eyes=eyes(slice(0, 1)), **vars(models))
    assert (term.goal, term.scale) == (settings.gaze_goal, 10)


def test_one_chain_of_terms_serves_any_number_of_pictures():
    terms = [PixelTerm(scale=5.0), ParsingTerm(parser=tiny_parser(), scale=5.0)]
    for count in (1, 3):
        result = _batch(count, terms, replace(QUICK, candidates=2))
        assert result.images.shape == (count, 2, SIZE, SIZE, 3)
        assert result.pictures.shape == (count, 2, 3, SIZE, SIZE)


def test_unranked_candidates_come_in_the_order_of_their_seeds():
    result = _batch(1, [], replace(QUICK, candidates=2))
    alone = _batch(1, [], replace(QUICK, seed=QUICK.seed + 1))
    torch.testing.assert_close(result.images[:, 1:], alone.images, rtol=0, atol=1e-9)
    assert result.distances.isnan().all()


def test_ranked_candidates_come_closest_first():
    embedding = tiny_encoder().embed(_pictures(1, 3).movedim(-1, 1) * 2 - 1)
    settings = replace(QUICK, candidates=2)
    result = _batch(2, [], settings, embedding=embedding, encoder=tiny_encoder())
    assert (result.distances.diff(dim=1) > 0).all()


def test_two_terms_of_a_kind_are_recorded_apart():
    terms = [PixelTerm(scale=1.0), PixelTerm(scale=2.0), ParsingTerm(parser=tiny_parser())]
    series = _batch(1, terms).metrics.series
    assert list(series) == ["pixel", "pixel 2", "parsing"]
    assert series["pixel"] == series["pixel 2"]


def test_terms_of_a_kind_that_follow_each_other_are_one_series():
    windows = PercentWindow(0.0, 0.7), PercentWindow(0.7, 1.0)
    terms = [PixelTerm(scale=1.0, window=window) for window in windows]
    series = _batch(1, terms, replace(QUICK, sampler="ddim")).metrics.series
    assert list(series) == ["pixel"] and len(series["pixel"]) == STEPS


def test_a_parser_may_be_one_that_cannot_be_hashed():
    parser = replace(tiny_parser(), classes=list(tiny_parser().classes))
    plain, listed = (
        _edit(models=replace(tiny_models(), parser=p)) for p in (tiny_parser(), parser)
    )
    assert torch.equal(plain.images, listed.images)


def test_the_exact_preset_has_one_stream_which_people_move():
    settings = replace(preset("diffface-exact"), respacing="6", skip=4, candidates=1, views=2)
    pictures = (_pictures(1, seed).movedim(-1, 1) for seed in (1, 2))
    pair, options = tuple(pictures), {"mask": _mask(), "landmarks": _landmarks()}
    plain, first, third = (
        edit_aligned(tiny_models(), *pair, settings, people=people, **options).images
        for people in (None, [0], [3])
    )
    assert torch.equal(plain, first) and not torch.equal(plain, third)


def test_an_embedding_serves_all_targets_or_each_has_its_own():
    with pytest.raises(ValueError, match="got 3 embeddings for 2 targets"):
        _batch(2, [], embedding=torch.eye(3, 24))


def test_the_face_of_the_edit_needs_a_parser():
    with pytest.raises(ValueError, match="there is no parser: give one, or keep the background"):
        _batch(1, [], replace(QUICK, keep_background=False))


class CountingParser(torch.nn.Module):
    """A parser's network that counts how many pictures it is shown."""

    def __init__(self, network):
        super().__init__()
        self.network, self.pictures = network, 0

    def logits(self, x):
        self.pictures += len(x)
        return self.network.logits(x)


def test_source_and_target_are_parsed_once_an_edit():
    parser = replace(tiny_parser(), network=CountingParser(tiny_parser().network))
    models = replace(tiny_models(), parser=parser)
    settings = replace(UNGUIDED, parsing=TermSettings(1), sampler="ddim", candidates=2)
    result = _edit(settings, models=models, mask=None)
    steps = STEPS * settings.candidates
    assert parser.network.pictures == 1 + 1 + steps
    assert result.labels.shape == (1, SIZE, SIZE)


def test_an_edit_starts_from_the_source_inside_the_mask_and_nowhere_else():
    settings, mask, keep = replace(UNGUIDED, start="source"), _mask(), torch.zeros(1, SIZE, SIZE)
    keep[:, 8:24, 16:] = 1
    plain, begun = (_edit(each, mask=mask, keep=keep) for each in (UNGUIDED, settings))
    _assert_background_kept(begun)
    assert (begun.mask[keep[:, None] == 1] == 0).all()
    assert not torch.equal(begun.images, plain.images)


def test_a_source_that_is_the_target_is_the_same_start():
    picture, models, options = _pictures(1, 2), tiny_models(), {"mask": _mask()}
    plain, begun = (
        edit_face(models, picture, picture, replace(UNGUIDED, start=start), **options).images
        for start in ("target", "source")
    )
    torch.testing.assert_close(begun, plain, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"start": "source"}, "start from the source"),
        ({"ramp_end": 0.5}, "ramp_end"),
        ({"template": "arcface"}, "template"),
        ({"recurrence": 2}, "recurrence"),
    ],
)
def test_the_exact_preset_refuses_what_it_would_ignore(change, name):
    with pytest.raises(ValueError, match=f"has no {name}, got one: choose another preset"):
        _edit(replace(preset("diffface-exact"), **change))
