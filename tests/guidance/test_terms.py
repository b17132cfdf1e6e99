from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.face.eyes import EyeBoxes
from guided_face_edit.editor_core.face.parsing import FacePart
from guided_face_edit.editor_core.guidance.terms import (
    GazeTerm,
    IdentityTerm,
    LpipsTerm,
    ParsingTerm,
    PercentWindow,
    PixelTerm,
)
from guided_face_edit.editor_core.guidance.views import RandomViews
from guided_face_edit.tests.support.tiny import (
    tiny_encoder,
    tiny_estimator,
    tiny_face_estimator,
    tiny_lpips,
    tiny_parser,
)

SIZE = 32
BATCH = 2


def _pictures(seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (BATCH, 3, SIZE, SIZE)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 1.8 - 0.9


def _mask():
    mask = torch.zeros(BATCH, 1, SIZE, SIZE, dtype=torch.float64)
    mask[:, :, 8:24, 10:22] = 1
    return mask


def _boxes(rows):
    left = torch.tensor([[4, 8, 14, 14], [5, 9, 15, 15]])[rows]
    return EyeBoxes(left, left + torch.tensor([14, 0, 14, 0]))


def _views(rows, copies=3):
    return RandomViews([torch.Generator().manual_seed(k) for k in range(BATCH)[rows]], copies)


def _identity(target, rows=slice(None)):
    encoder = tiny_encoder()
    return IdentityTerm(encoder, encoder.embed(target[rows]), _mask()[rows], _views(rows))


def _parsing(target, rows=slice(None)):
    parser = tiny_parser()
    return ParsingTerm(parser, parser.logits(target[rows], 24))


def _gaze(target, rows=slice(None)):
    return GazeTerm.bind(tiny_estimator(), target[rows], _boxes(rows))


def _face_gaze(target, rows=slice(None)):
    return GazeTerm.bind(tiny_face_estimator(), target[rows], _boxes(rows))


def _lpips(target, rows=slice(None)):
    return LpipsTerm(tiny_lpips(), target[rows], _mask()[rows])


def _pixel(target, rows=slice(None)):
    return PixelTerm(target[rows])


TERMS = pytest.mark.parametrize("make", [_identity, _parsing, _gaze, _face_gaze, _lpips, _pixel])


@TERMS
def test_loss_is_one_positive_number_a_picture(make):
    loss = make(_pictures(1)).loss(_pictures(2))
    assert loss.shape == (BATCH,) and loss.dtype == torch.float64
    assert (loss > 0).all()


@TERMS
def test_gradient_in_double_precision(make):
    target, image = _pictures(1), _pictures(2)[:1].requires_grad_()

    def loss(image):
        return make(target, slice(1)).loss(image)

    assert torch.autograd.gradcheck(loss, image, fast_mode=True, check_undefined_grad=False)


@TERMS
def test_a_row_of_a_batch_equals_the_row_alone(make):
    target, image = _pictures(1), _pictures(2).requires_grad_()
    together = make(target).loss(image)
    (gradient,) = torch.autograd.grad(together.sum(), image)
    alone = make(target, slice(1, 2)).loss(image[1:2])
    (gradient_alone,) = torch.autograd.grad(alone.sum(), image)
    torch.testing.assert_close(together[1:2], alone)
    torch.testing.assert_close(gradient[1], gradient_alone[1])
    assert gradient_alone[0].abs().max() == 0


@TERMS
def test_another_batch_is_refused(make):
    with pytest.raises(ValueError, match="term holds 2 pictures, the batch has 1: bind it"):
        make(_pictures(1)).loss(_pictures(2)[:1])


def _plain_identity(target):
    views = _views(slice(None), copies=1)
    return replace(_identity(target), mask=torch.ones_like(_mask()), views=views)


@pytest.mark.parametrize("make", [_plain_identity, _parsing, _gaze, _face_gaze, _lpips, _pixel])
def test_zero_with_zero_gradient_where_the_wish_is_granted(make):
    image = _pictures(1).requires_grad_()
    _assert_nothing_pulls(make(_pictures(1)), image)


def test_lpips_leaves_the_mask_free():
    image = torch.where(_mask() > 0, _pictures(2), _pictures(1)).requires_grad_()
    _assert_nothing_pulls(_lpips(_pictures(1)), image)


def _assert_nothing_pulls(term, image):
    loss = term.loss(image)
    (gradient,) = torch.autograd.grad(loss.sum(), image)
    assert loss.abs().max() < 1e-12
    assert gradient.abs().max() < 1e-9


def test_identity_sees_the_mask_alone():
    image = _pictures(2)
    elsewhere = torch.where(_mask() > 0, image, _pictures(3))
    term = _identity(_pictures(1))
    again = _identity(_pictures(1))
    torch.testing.assert_close(term.loss(image), again.loss(elsewhere))


def test_identity_is_the_mean_over_its_views():
    target, image = _pictures(1), _pictures(2)
    term = _identity(target)

    def single(copy):
        views = _views(slice(None))
        return replace(term, views=lambda x: views(x)[:, copy : copy + 1]).loss(image)

    expected = torch.stack([single(copy) for copy in range(3)]).mean(0)
    torch.testing.assert_close(term.loss(image), expected)


def test_parsing_sums_over_its_parts():
    term = _parsing(_pictures(1))
    image = _pictures(2)
    single = [replace(term, parts=(part,)).loss(image) for part in term.parts]
    torch.testing.assert_close(term.loss(image), torch.stack(single).sum(0))
    both = replace(term, parts=(FacePart.HAIR, FacePart.HAT)).loss(image)
    assert not torch.allclose(both, term.loss(image))


def test_gaze_adds_up_both_eyes():
    term = _gaze(_pictures(1))
    shifted = replace(term, target=term.target + torch.tensor([[0.25, 0.25], [-0.5, 0.0]]))
    torch.testing.assert_close(
        shifted.loss(_pictures(1)), torch.full((BATCH,), 0.5, dtype=torch.float64)
    )


def test_the_gaze_of_a_face_counts_once():
    term = _face_gaze(_pictures(1))
    shifted = replace(term, target=term.target + torch.tensor([0.5, -0.25]))
    torch.testing.assert_close(
        shifted.loss(_pictures(1)), torch.full((BATCH,), 0.375, dtype=torch.float64)
    )


def test_pixel_is_the_mean_square():
    target = _pictures(1)
    torch.testing.assert_close(
        _pixel(target).loss(target + 0.1), torch.full((BATCH,), 0.01, dtype=torch.float64)
    )


class _Diffusion:
    def percent(self, t):
        return 1 - (t + 1) / 10


@pytest.mark.parametrize(
    ("window", "active"),
    [
        (PercentWindow(), list(range(10))),
        (PercentWindow(0.5, 0.8), [4, 3, 2]),
        (PercentWindow(0.9, 1.0), [0]),
    ],
)
def test_window_ends_before_its_end(window, active):
    assert {t for t in range(10) if window.active(t, _Diffusion())} == set(active)
