"""The node that edits."""

import pytest
import torch

from guided_face_edit.tests.support.running import QUICK, embed, load, run, sample


def test_the_sampler_edits_inside_the_mask_alone(pair, mask, embedding):
    candidates, best, metrics = sample(pair, mask, embedding)
    assert candidates.shape == (2, 64, 64, 3) and torch.equal(candidates[:1], best)
    kept = (mask == 0)[..., None].expand_as(best)
    assert torch.equal(best[kept], pair[1][kept]) and not torch.equal(best, pair[1])
    assert [len(series) for series in metrics.series.values()] == [3, 3]


def test_candidates_are_ranked_by_identity(pair, mask, embedding):
    candidates, *_ = sample(pair, mask, embedding)
    model = load("IdentityModel")
    first, second = (
        run("IdentityDistance", identity_model=model, image=each[None], embedding=embedding)[0]
        for each in candidates
    )
    assert first <= second


def test_a_batch_of_targets_shares_one_mask_and_one_identity(mask, embedding):
    _, targets, _ = run("DrawDemoPortraits", seed=0, pairs=2)
    both, best, _ = sample((None, targets), mask, embedding, candidates=1)
    alone, *_ = sample((None, targets[:1]), mask, embedding, candidates=1)
    assert len(both) == len(best) == 2
    torch.testing.assert_close(both[:1], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skip": 4}, "skip is 4 of 4 steps: skip fewer than 4"),
        ({"sampler": "euler"}, 'sampler is "euler", expected "ddpm" or "ddim"'),
        ({"mask": torch.ones(1, 32, 64)}, "mask is 32x64, image is 64x64: resize the mask first"),
        (
            {"mask": torch.zeros(1, 64, 64)},
            "target 0 has an empty mask, expected some white",
        ),
        ({"target": torch.rand(1, 128, 96, 3)}, "target is 128x96, the model edits 64x64"),
        ({"embedding": torch.rand(3, 256)}, "got 3 embeddings for 1 targets"),
        ({"embedding": None}, "identity guidance needs an embedding"),
        ({"keep_background": False}, "there is no parser: give one, or keep the background"),
    ],
)
def test_what_cannot_be_sampled_is_refused_with_the_numbers(
    pair, mask, embedding, changes, message
):
    with pytest.raises(ValueError, match=message):
        sample(pair, mask, embedding, **changes)


@pytest.mark.parametrize("of_photo", [False, True])
def test_the_sampler_takes_a_photo_with_its_faces(drawn, aligned, of_photo):
    photo, faces, reference = drawn[0], aligned[1], drawn[2]
    size = (1, 216, 384) if of_photo else (1, 64, 64)
    candidates, best, metrics = run(
        "GuidedFaceSampler",
        **{"model": load("FaceDiffusionModel"), "target": photo, "mask": torch.ones(size)},
        **{"embedding": embed(reference), "faces": faces},
        **{**QUICK, "steps": 2},
    )
    assert candidates.shape == (6, 64, 64, 3) and best.shape == photo.shape
    for x, y in faces.points[:, 2].long().tolist():
        assert not torch.equal(best[0, y, x], photo[0, y, x])


def test_the_sampler_keeps_what_lies_before_the_face(pair, mask, embedding):
    keep = torch.zeros(1, 64, 64)
    keep[:, 40:, 20:40] = 1
    _, best, _ = sample(pair, mask, embedding, keep=keep, candidates=1)
    inside = (keep == 1)[..., None].expand_as(best)
    assert torch.equal(best[inside], pair[1][inside]) and not torch.equal(best, pair[1])


def test_a_face_that_is_passed_through_shows_its_crop(drawn, aligned, embedding):
    photo, (crops, faces, _) = drawn[0], aligned
    mask = torch.ones(3, 64, 64)
    mask[1] = 0
    wired = {"model": load("FaceDiffusionModel"), "target": photo, "mask": mask, "faces": faces}
    given = {**wired, "embedding": embedding, **QUICK, "steps": 2}
    with pytest.raises(ValueError, match="^face 1 of picture 0 has an empty mask, expected some"):
        run("GuidedFaceSampler", **given)
    candidates, best, _ = run("GuidedFaceSampler", **given, if_missing="pass through")
    torch.testing.assert_close(candidates[2:4], crops[1:2].expand(2, -1, -1, -1))
    x, y = faces.points[1, 2].long().tolist()
    assert torch.equal(best[0, y, x], photo[0, y, x]) and not torch.equal(best, photo)
    assert (candidates[0] - crops[0]).abs().max() > 0.02


def test_an_empty_mask_is_named_by_its_target(mask, embedding):
    _, targets, _ = run("DrawDemoPortraits", seed=0, pairs=2)
    masks = torch.cat([mask, torch.zeros_like(mask)])
    with pytest.raises(ValueError, match="^target 1 has an empty mask, expected some white"):
        sample((None, targets), masks, embedding)


def test_the_sampler_starts_from_a_face_that_is_laid_over(pair, mask, embedding):
    (start,) = run("LayFace", source=pair[0], target=pair[1], mask=mask)
    outside = (mask == 0)[..., None].expand_as(start)
    torch.testing.assert_close(start[outside], pair[1][outside], atol=1e-6, rtol=0)
    _, plain, _ = sample(pair, mask, embedding, candidates=1)
    _, begun, _ = sample(pair, mask, embedding, start=start, candidates=1)
    assert torch.equal(begun[outside], pair[1][outside]) and not torch.equal(begun, plain)
    with pytest.raises(ValueError, match="^start is 32x64, the targets are 64x64: give pictures"):
        sample(pair, mask, embedding, start=start[:, :32])


def test_what_lies_before_the_source_and_what_is_kept_is_not_laid(pair, mask):
    given = {"source": pair[0], "target": pair[1], "mask": mask}
    parsing, _ = run("ParseFace", parser=load("FaceParser"), image=pair[0])
    inside = (mask > 0)[..., None].expand_as(pair[1])
    (laid,) = run("LayFace", **given)
    parts = {"source_parsing": parsing, "keep_parts": "face"}
    (hidden,) = run("LayFace", **given, **parts)
    assert (hidden - pair[1])[inside].abs().mean() < 0.5 * (laid - pair[1])[inside].abs().mean()
    keep = torch.zeros(1, 64, 64)
    keep[:, 34:, 20:40] = 1
    kept, bright = keep[..., None].expand_as(pair[1]) == 1, pair[1].clone()
    bright[kept] = 1.0
    dull, lit = (
        run("LayFace", **{**given, "target": target}, keep=keep)[0] for target in (pair[1], bright)
    )
    torch.testing.assert_close(dull[kept], pair[1][kept], atol=1e-6, rtol=0)
    torch.testing.assert_close(dull[~kept], lit[~kept], atol=1e-6, rtol=0)
    (without,) = run("LayFace", **{**given, "target": bright})
    assert (without - dull)[~kept].abs().max() > 0.02


def test_photos_start_from_their_crops_and_those_without_a_face_stay(drawn, aligned, embedding):
    photo, (crops, faces) = drawn[0], aligned[:2]
    given = {"model": load("FaceDiffusionModel"), "target": photo, "embedding": embedding}
    given |= {"mask": torch.ones(1, 64, 64), **QUICK, "steps": 2}
    with pytest.raises(ValueError, match="of photos with faces, starts of the aligned crops"):
        run("GuidedFaceSampler", **given, faces=faces, start=photo)
    _, best, _ = run("GuidedFaceSampler", **given, faces=faces.rows([]), start=crops[:0])
    assert torch.equal(best, photo)
