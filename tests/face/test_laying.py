import pytest
import torch

from guided_face_edit.editor_core.face.laying import (
    COARSE,
    coarse_colours,
    face_places,
    lay_face,
    start_inside,
    thin_plate,
    warp_by,
)
from guided_face_edit.editor_core.face.resampling import transform
from guided_face_edit.editor_core.images import blur

SIZE = 32
POINTS = torch.tensor([[[10.0, 12], [22, 12], [16, 18], [12, 24], [20, 24]]])
TURN = torch.tensor([[[0.9, -0.3, 4.0], [0.2, 1.1, -2.0]]])


def _pictures(count=1, seed=0):
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) - 0.5


def _mask(count=1):
    mask = torch.zeros(count, 1, SIZE, SIZE)
    mask[:, :, 6:26, 8:24] = 1
    return mask


def test_a_face_laid_over_itself_changes_nothing():
    picture = _pictures()
    laid = lay_face(picture, picture, _mask(), source_points=POINTS, points=POINTS)
    torch.testing.assert_close(laid, picture, atol=1e-4, rtol=0)


def test_outside_the_mask_the_target_stays():
    target = _pictures(seed=1)
    laid = lay_face(_pictures(), target, _mask())
    outside = (_mask() == 0).expand_as(target)
    assert torch.equal(laid[outside], target[outside]) and not torch.equal(laid, target)


@pytest.mark.parametrize("stiffness", [1e-9, 0.1, 1e3])
def test_an_affine_is_followed_by_every_plate(stiffness):
    at = torch.rand(1, 9, 2) * SIZE
    found = thin_plate(POINTS / SIZE, transform(TURN, POINTS) / SIZE, at / SIZE, stiffness)
    torch.testing.assert_close(found * SIZE, transform(TURN, at), atol=1e-3, rtol=0)


def test_a_soft_plate_goes_through_its_places_and_a_stiff_one_stays_flat():
    places = POINTS / SIZE + torch.rand(1, 5, 2, generator=torch.Generator().manual_seed(2)) / 8
    soft, stiff = (thin_plate(POINTS / SIZE, places, POINTS / SIZE, each) for each in (1e-9, 1e6))
    torch.testing.assert_close(soft, places, atol=1e-5, rtol=0)
    plane = torch.cat([POINTS / SIZE, torch.ones(1, 5, 1)], 2)
    flat = plane @ torch.linalg.lstsq(plane, places).solution
    torch.testing.assert_close(stiff, flat, atol=1e-4, rtol=0)


def test_what_lies_at_a_place_is_brought_to_its_aim():
    picture = torch.zeros(1, 1, SIZE, SIZE)
    picture[:, :, 18, 16] = 1
    aims = transform(TURN, POINTS)
    x, y = transform(TURN, torch.tensor([[[16.5, 18.5]]]))[0, 0].tolist()
    shown = warp_by(picture, POINTS / SIZE, aims / SIZE)[0, 0]
    across = torch.arange(SIZE) + 0.5
    assert abs((shown.sum(0) * across).sum() / shown.sum() - x) < 0.5
    assert abs((shown.sum(1) * across).sum() / shown.sum() - y) < 0.5


def test_what_was_cut_to_one_template_lies_as_it_is_whatever_its_size():
    whole, small = torch.ones(1, 1, SIZE, SIZE), _pictures()
    assert face_places(small, small, None, POINTS, None) is None
    large = torch.nn.functional.interpolate(blur(small, 3.0), scale_factor=4, mode="bilinear")
    small = torch.nn.functional.avg_pool2d(large, 4)
    laid = lay_face(large, small, whole)
    torch.testing.assert_close(laid, small, atol=0.01, rtol=0)


def test_light_and_skin_are_the_targets_and_lines_the_sources():
    source, target, mask = _pictures() * 0.2, torch.full((1, 3, SIZE, SIZE), 0.4), _mask()
    laid, sigma = lay_face(source, target, mask), COARSE * SIZE
    inside = mask.bool().expand_as(laid)
    assert (laid[inside].mean() - 0.4).abs() < 0.02
    fine = source - coarse_colours(source, mask, sigma)
    assert torch.corrcoef(torch.stack([(laid - 0.4)[inside], fine[inside]]))[0, 1] > 0.99


def _fringe(count=1):
    fringe = torch.zeros(count, 1, SIZE, SIZE)
    fringe[:, :, :12] = 1
    return fringe


def test_what_lies_before_the_source_is_not_laid():
    source, target = _pictures(), _pictures(seed=1)
    laid = lay_face(source, target, _mask(), before=_fringe())
    torch.testing.assert_close(laid[:, :, :11], target[:, :, :11], atol=1e-5, rtol=0)
    whole = lay_face(source, target, _mask())
    assert not torch.equal(whole[:, :, :11], target[:, :, :11])
    below = (slice(None), slice(None), slice(16, 26), slice(8, 24))
    lines = torch.stack([laid[below].flatten(), whole[below].flatten()])
    assert torch.corrcoef(lines)[0, 1] > 0.98


def test_its_colours_are_not_taken_for_the_sources_skin():
    source = torch.full((1, 3, SIZE, SIZE), 0.2).masked_fill(_fringe().bool(), -1.0)
    target = torch.full((1, 3, SIZE, SIZE), 0.4)
    laid = lay_face(source, target, _mask(), before=_fringe())
    torch.testing.assert_close(laid, target, atol=0.01, rtol=0)
    assert (lay_face(source, target, _mask()) - target).abs().max() > 0.2


def test_what_lies_before_the_source_moves_with_its_face():
    source, target, down = _pictures(), _pictures(seed=1), torch.tensor([0.0, 6])
    known = {"source_points": POINTS, "points": POINTS + down, "before": _fringe()}
    laid = lay_face(source, target, _mask(), **known)
    torch.testing.assert_close(laid[:, :, :16], target[:, :, :16], atol=1e-3, rtol=0)
    assert (laid[:, :, 20:26, 8:24] - target[:, :, 20:26, 8:24]).abs().amin(1).median() > 0.02


def test_a_parsing_of_other_sources_is_refused():
    with pytest.raises(ValueError, match=r"before the sources has shape \(1, .*: parse these"):
        lay_face(_pictures(2), _pictures(2), _mask(2), before=_fringe())


def test_pair_k_of_a_batch_is_laid_as_alone():
    source, target, mask = _pictures(3), _pictures(3, seed=1), _mask(3)
    points = POINTS + torch.tensor([0.0, 1, 2])[:, None, None]
    known = {"source_points": POINTS.expand(3, -1, -1), "points": points}
    known["before"] = torch.stack([_fringe()[0].roll(k, 1) for k in range(3)])
    together = lay_face(source, target, mask, **known)
    for k in range(3):
        own = {name: each[k : k + 1] for name, each in known.items()}
        alone = lay_face(source[k : k + 1], target[k : k + 1], mask[k : k + 1], **own)
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-5, rtol=0)


def test_a_start_counts_inside_the_mask_alone():
    start, target, mask = _pictures() + 0.5, _pictures(2, seed=1), _mask(2)
    begun = start_inside(start, target, mask)
    outside = (mask == 0).expand_as(target)
    assert torch.equal(begun[outside], target[outside])
    assert torch.equal(begun[~outside], (start * 2 - 1).expand_as(target)[~outside])
    with pytest.raises(ValueError, match="got 3 starts for 2 targets: give one for all of them"):
        start_inside(_pictures(3), target, mask)
    with pytest.raises(ValueError, match="start is 16x32, the targets are 32x32: give pictures"):
        start_inside(start[:, :, ::2], target, mask)


@pytest.mark.parametrize("what", ["source", "target"])
@pytest.mark.parametrize("places", [POINTS[..., :1].expand(-1, -1, 2), POINTS * float("nan")])
def test_points_that_no_face_has_are_refused_by_their_row(what, places):
    faulty, whole = torch.cat([POINTS, places]), POINTS.expand(2, -1, -1)
    source_points, points = (faulty, whole) if what == "source" else (whole, faulty)
    pictures, known = _pictures(2), {"source_points": source_points, "points": points}
    with pytest.raises(ValueError, match=f"^{what} 1 has landmarks on one line, or .* correct"):
        lay_face(pictures, pictures, _mask(2), **known)


def test_points_of_other_pictures_are_refused():
    pictures, both = _pictures(2), POINTS.expand(2, -1, -1)
    for known in ({"source_points": POINTS, "points": both}, {"points": both[:, :4]}):
        with pytest.raises(ValueError, match=r"points have shape .*, expected \(2, 5, 2\)"):
            lay_face(pictures, pictures, _mask(2), **known)
