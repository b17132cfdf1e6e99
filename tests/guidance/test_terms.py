"""Every guidance term keeps the same promises; `tests/support/terms.py` has one row for each."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion
from guided_face_edit.editor_core.face.eyes import EyeBoxes
from guided_face_edit.editor_core.face.gaze import GazeGoal
from guided_face_edit.editor_core.face.identity import embed_identity
from guided_face_edit.editor_core.face.parsing import FacePart
from guided_face_edit.editor_core.face.templates import template_named
from guided_face_edit.editor_core.guidance.terms import (
    TERMS,
    BlendshapeTerm,
    GazeTerm,
    IdentityTerm,
    ParsingTerm,
    PixelTerm,
    bind_terms,
)
from guided_face_edit.editor_core.guidance.views import RandomViews
from guided_face_edit.editor_core.guidance.windows import PercentWindow, StepWindow
from guided_face_edit.editor_core.settings import EditSettings
from guided_face_edit.tests.support.terms import ROWS, batch_of, eyes, face_mask, pictures
from guided_face_edit.tests.support.tiny import (
    tiny_encoder,
    tiny_estimator,
    tiny_face_estimator,
    tiny_landmarker,
    tiny_parser,
)

BATCH = 2
EVERY = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def _loss(row, target, rows=slice(0, BATCH), **changes):
    """The bound loss of some of the targets, its random views as if they were alone."""
    batch = batch_of(target[rows], first=rows.start, **changes)
    (bound,) = bind_terms([row.make(rows)], batch)
    return bound.loss


def test_every_term_is_a_row_and_has_settings():
    names = [term.name for term in TERMS]
    assert sorted(names) == sorted({row.name for row in ROWS})
    for name in names:
        assert getattr(EditSettings(), name).scale >= 0


@EVERY
def test_loss_is_one_positive_number_a_picture(row):
    loss = _loss(row, pictures(BATCH, 1))(pictures(BATCH, 2))
    assert loss.shape == (BATCH,) and loss.dtype == torch.float64
    assert (loss > 0).all()


def _of_another_template(first=0, count=BATCH):
    """A term, and a batch whose points and template are not those of its encoder."""
    points = template_named("demo").points((32, 32)) + torch.tensor([[[0.0]], [[1.5]]])
    places = {"points": points[first : first + count], "template": "ffhq"}
    batch = batch_of(pictures(BATCH, 1)[first : first + count], first=first, **places)
    source = embed_identity(tiny_encoder(), batch.target, **places)
    term = IdentityTerm(identity=tiny_encoder(), views=RandomViews(2))
    return term, replace(batch, embedding=source)


def test_identity_is_read_as_the_encoder_was_trained():
    term, batch = _of_another_template()
    whole = replace(batch, mask=torch.ones_like(batch.mask))
    plain = replace(term, views=RandomViews(1))
    assert plain.bind(whole)(batch.target).abs().max() < 1e-9
    squeezed = replace(whole, template=tiny_encoder().template)
    assert plain.bind(squeezed)(batch.target).min() > 1e-3
    both = term.bind(batch)(pictures(BATCH, 2))
    alone, second = _of_another_template(first=1, count=1)
    torch.testing.assert_close(alone.bind(second)(pictures(BATCH, 2)[1:]), both[1:])


def test_gradient_through_the_affine_in_double_precision():
    term, batch = _of_another_template(count=1)
    image = pictures(BATCH, 2)[:1].requires_grad_()

    def loss(image):
        return term.bind(_of_another_template(count=1)[1])(image)

    assert torch.autograd.gradcheck(loss, image, fast_mode=True, check_undefined_grad=False)


@EVERY
def test_loss_is_what_another_way_gives(row):
    target, image = pictures(BATCH, 1), pictures(BATCH, 2)
    loss = (row.plain or row.make)(slice(0, BATCH)).bind(batch_of(target))
    torch.testing.assert_close(loss(image), row.expected(target, image))


@EVERY
def test_gradient_in_double_precision(row):
    target, image = pictures(BATCH, 1), pictures(BATCH, 2)[:1].requires_grad_()

    def loss(image):
        return _loss(row, target, slice(0, 1))(image)

    assert torch.autograd.gradcheck(loss, image, fast_mode=True, check_undefined_grad=False)


@EVERY
def test_a_row_of_a_batch_equals_the_row_alone(row):
    target, image = pictures(BATCH, 1), pictures(BATCH, 2).requires_grad_()
    together = _loss(row, target)(image)
    (gradient,) = torch.autograd.grad(together.sum(), image)
    alone = _loss(row, target, slice(1, 2))(image[1:2])
    (gradient_alone,) = torch.autograd.grad(alone.sum(), image)
    torch.testing.assert_close(together[1:2], alone)
    torch.testing.assert_close(gradient[1], gradient_alone[1])
    assert gradient_alone[0].abs().max() == 0


@EVERY
def test_another_batch_is_refused(row):
    with pytest.raises(ValueError, match="term holds 2 pictures, the batch has 1: bind it"):
        _loss(row, pictures(BATCH, 1))(pictures(BATCH, 2)[:1])


@EVERY
def test_zero_with_zero_gradient_where_the_wish_is_granted(row):
    mask = torch.ones_like(face_mask(BATCH)) if row.whole else face_mask(BATCH)
    batch = batch_of(pictures(BATCH, 1), mask=mask)
    term = (row.plain or row.make)(slice(0, BATCH))
    edit = row.granted(pictures(BATCH, 1)).requires_grad_()
    _assert_nothing_pulls(term.bind(batch), edit)


@EVERY
def test_a_bound_term_has_a_row_for_each_candidate(row):
    batch = batch_of(pictures(BATCH, 1), candidates=3)
    (bound,) = bind_terms([row.make(slice(0, BATCH), scale=2.0)], batch)
    assert (bound.name, bound.scale) == (row.name, 2.0)
    assert bound.loss(batch.repeated(batch.target)).shape == (6,)


@EVERY
def test_one_term_serves_any_number_of_pictures(row):
    for count in (1, 3):
        batch = batch_of(pictures(count, 2))
        loss = row.make(slice(0, count)).bind(batch)
        assert loss(pictures(count, 3)).shape == (count,)


def _assert_nothing_pulls(loss, image):
    value = loss(image)
    (gradient,) = torch.autograd.grad(value.sum(), image)
    assert value.abs().max() < 1e-12
    assert gradient.abs().max() < 1e-9


def test_a_parser_is_asked_once_a_batch():
    batch = batch_of(pictures(BATCH, 1))
    assert batch.parsing_by(tiny_parser()) is batch.parsing_by(tiny_parser())


def test_lpips_leaves_the_mask_free():
    (row,) = (row for row in ROWS if row.name == "lpips")
    mask = face_mask(BATCH)
    image = torch.where(mask > 0, pictures(BATCH, 2), pictures(BATCH, 1)).requires_grad_()
    _assert_nothing_pulls(_loss(row, pictures(BATCH, 1)), image)


def _identity(views, target=None):
    batch = batch_of(pictures(BATCH, 1) if target is None else target)
    return IdentityTerm(identity=tiny_encoder(), views=views).bind(batch)


def test_identity_sees_the_mask_alone():
    image = pictures(BATCH, 2)
    elsewhere = torch.where(face_mask(BATCH) > 0, image, pictures(BATCH, 3))
    views = RandomViews(3)
    torch.testing.assert_close(_identity(views)(image), _identity(views)(elsewhere))


def test_identity_is_the_mean_over_its_views():
    image, views = pictures(BATCH, 2), RandomViews(3)

    def single(copy):
        one = _identity(lambda x, generators: views(x, generators)[:, copy : copy + 1])
        return one(image)

    expected = torch.stack([single(copy) for copy in range(3)]).mean(0)
    torch.testing.assert_close(_identity(views)(image), expected)


def test_identity_needs_an_embedding_of_its_own_length():
    term, image = IdentityTerm(identity=tiny_encoder()), pictures(BATCH, 2)
    with pytest.raises(ValueError, match="needs an embedding, got none: embed the source"):
        term.bind(batch_of(image, embedding=None))
    other = batch_of(image, embedding=torch.eye(BATCH, 9, dtype=torch.float64))
    with pytest.raises(ValueError, match="one embedding has 24 numbers, the other 9"):
        term.bind(other)(image)


def test_identity_may_be_somebody_elses():
    """With an embedding of its own the term is what it is where the batch's source is that one."""
    image, views = pictures(BATCH, 2), RandomViews(1)
    other = tiny_encoder().embed(pictures(BATCH, 5))
    own = IdentityTerm(identity=tiny_encoder(), views=views, embedding=other)
    plain = IdentityTerm(identity=tiny_encoder(), views=views)
    expected = plain.bind(batch_of(pictures(BATCH, 1), embedding=other))(image)
    for embedding in (None, tiny_encoder().embed(pictures(BATCH, 1))):
        batch = batch_of(pictures(BATCH, 1), embedding=embedding)
        torch.testing.assert_close(own.bind(batch)(image), expected)
    with pytest.raises(ValueError, match="got 2 embeddings for 3 targets"):
        own.bind(batch_of(pictures(3, 1)))


def test_expressions_of_other_pictures_are_counted_by_their_name():
    asked = torch.full((2, 52), 0.5)
    term = BlendshapeTerm(landmarks=tiny_landmarker(), asked=asked)
    with pytest.raises(ValueError, match="got 2 rows of blendshapes for 3 targets: give one for"):
        term.bind(batch_of(pictures(3, 1)))


class CountingMesh(torch.nn.Module):
    """A landmarker's network that counts how many pictures it is shown."""

    def __init__(self, network):
        super().__init__()
        self.network, self.pictures = network, 0

    def forward(self, x):
        self.pictures += len(x)
        return self.network(x)


def test_terms_of_one_landmarker_settle_it_once():
    mesh, batch = CountingMesh(tiny_landmarker().network), batch_of(pictures(BATCH, 1), 2)
    landmarker, image = replace(tiny_landmarker(), network=mesh), pictures(BATCH * 2, 2)
    first, settling = batch.mesh_by(landmarker)(image), mesh.pictures - len(image)
    again = batch.mesh_by(landmarker)(image)
    assert torch.equal(first, again)
    assert settling >= BATCH and mesh.pictures == settling + 2 * len(image)
    other = replace(landmarker, size=landmarker.size + 1)
    batch.mesh_by(other)
    assert mesh.pictures > settling + 2 * len(image)


def test_parsing_sums_over_its_parts():
    batch, image = batch_of(pictures(BATCH, 1)), pictures(BATCH, 2)
    term = ParsingTerm(parser=tiny_parser())
    single = [replace(term, parts=(part,)).bind(batch)(image) for part in term.parts]
    torch.testing.assert_close(term.bind(batch)(image), torch.stack(single).sum(0))
    both = replace(term, parts=(FacePart.HAIR, FacePart.HAT)).bind(batch)(image)
    assert not torch.allclose(both, term.bind(batch)(image))


@pytest.mark.parametrize("estimator", [tiny_estimator(), tiny_face_estimator()])
def test_gaze_adds_up_all_that_is_read(estimator):
    """Both eyes, or the face once: the mean over pitch and yaw of each, worked out by hand."""
    target, image, boxes = pictures(BATCH, 1), pictures(BATCH, 2), eyes(slice(0, BATCH))
    there, here = (estimator.estimate(each, boxes) for each in (target, image))
    by_hand = sum(
        (here[:, k, 0] - there[:, k, 0]).abs() / 2 + (here[:, k, 1] - there[:, k, 1]).abs() / 2
        for k in range(here.shape[1])
    )
    loss = GazeTerm(gaze=estimator, eyes=boxes).bind(batch_of(target))
    assert here.shape[1] == (2 if estimator is tiny_estimator() else 1)
    torch.testing.assert_close(loss(image), by_hand)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (eyes(slice(0, 3)), "eyes are of 3 pictures, there are 2"),
        (replace(eyes(slice(0, 2)), size=(64, 64)), "in 2 pictures of 64x64, these are 2 of 32x32"),
    ],
)
def test_eyes_of_other_pictures_are_refused(boxes: EyeBoxes, message):
    with pytest.raises(ValueError, match=message):
        GazeTerm(gaze=tiny_estimator(), eyes=boxes).bind(batch_of(pictures(BATCH, 1)))


def test_a_gaze_that_cannot_be_asked_of_a_network_is_refused():
    batch, boxes = batch_of(pictures(BATCH, 1)), eyes(slice(0, BATCH))
    each = GazeTerm(gaze=tiny_face_estimator(), eyes=boxes, goal=GazeGoal("set-each"))
    with pytest.raises(ValueError, match="reads the face as a whole, expected one that reads each"):
        each.bind(batch)
    of_head = replace(tiny_estimator(), frame="head")
    with pytest.raises(ValueError, match="cannot tell who looks at the camera: set pitch and yaw"):
        GazeTerm(gaze=of_head, eyes=boxes, goal=GazeGoal("at-camera")).bind(batch)


def test_pixel_is_the_mean_square():
    target = pictures(BATCH, 1)
    loss = PixelTerm().bind(batch_of(target))
    torch.testing.assert_close(loss(target + 0.1), torch.full((BATCH,), 0.01, dtype=torch.float64))


@pytest.mark.parametrize(
    ("window", "active"),
    [
        (PercentWindow(), list(range(10))),
        (PercentWindow(0.5, 0.8), [4, 3, 2]),
        (PercentWindow(0.9, 1.0), [0]),
        (StepWindow(3, 6), [4, 5]),
    ],
)
def test_window_ends_before_its_end(window, active):
    levels = map(GaussianDiffusion.cosine(10).level, range(10))
    assert {level.step for level in levels if window.active(level)} == set(active)
