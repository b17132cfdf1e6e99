"""A term acts where its mask says, as hard as it says, and nowhere else."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.guidance.gradient import weighted_gradient
from guided_face_edit.editor_core.guidance.terms import PixelTerm, bind_terms
from guided_face_edit.editor_core.photos import crop_term
from guided_face_edit.tests.support.groups import PHOTO, aligned, group_photo
from guided_face_edit.tests.support.terms import ROWS, SIZE, batch_of, pictures

BATCH = 2
EVERY = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def _gradient(row, mask):
    batch = batch_of(pictures(BATCH, 1), candidates=2)
    terms = bind_terms([replace(row.make(slice(0, BATCH)), mask=mask)], batch)
    return weighted_gradient(terms, batch.repeated(pictures(BATCH, 2)))


def _grey(rows):
    """Nothing above, half in the middle, all below; the second picture's is the other way round."""
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, 10:20], mask[:, 20:] = 0.5, 1
    return torch.cat([mask, mask.flip(1)])[:rows]


@EVERY
def test_the_gradient_is_weighted_and_the_loss_is_not(row):
    losses, whole = _gradient(row, None)
    masked_losses, masked = _gradient(row, _grey(BATCH))
    weight = _grey(BATCH).repeat_interleave(2, 0)[:, None].double()
    torch.testing.assert_close(masked, whole * weight)
    torch.testing.assert_close(masked_losses, losses)
    assert masked.abs().max() > 0 and (masked[weight.expand_as(masked) == 0] == 0).all()


def test_terms_add_up_each_under_its_own_mask():
    batch, image = batch_of(pictures(BATCH, 1)), pictures(BATCH, 2)
    upper = PixelTerm(mask=1 - _grey(1), scale=2.0)
    lower = PixelTerm(mask=_grey(1), scale=3.0)

    def gradient(*terms):
        return weighted_gradient(bind_terms(terms, batch), image.clone())[1]

    torch.testing.assert_close(gradient(upper, lower), gradient(upper) + gradient(lower))


def test_an_empty_mask_stops_a_term():
    _, gradient = _gradient(ROWS[-1], torch.zeros(1, SIZE, SIZE))
    assert gradient.abs().max() == 0


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(3, SIZE, SIZE), "the pixel term's mask has shape .* expected \\(1 or 2, "),
        (torch.ones(1, 8, 8), "the pixel term's mask is 8x8, image is 32x32: resize"),
        (torch.full((1, SIZE, SIZE), 2.0), "the pixel term's mask lies in \\[2, 2\\]"),
    ],
)
def test_masks_of_other_pictures_are_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        bind_terms([PixelTerm(mask=mask)], batch_of(pictures(BATCH, 1)))


def test_the_mask_of_a_photo_is_cut_as_its_faces_are():
    photos = group_photo()
    faces = aligned(photos)
    mask = torch.zeros(1, *PHOTO)
    x = int(photos.faces.points[0, 2, 0])
    mask[:, :, : x + 1] = 1  # left of the first face's nose
    term = crop_term(PixelTerm(mask=mask), faces)
    assert term.mask.shape == (len(faces), 64, 64)
    left, right = term.mask[0, 32, 12:24], term.mask[0, 32, 40:52]  # within the photo
    assert left.min() > 0.99 and right.max() < 0.01
    assert term.mask[-1].max() == 0
    of_crops = PixelTerm(mask=torch.ones(1, 64, 64))
    assert crop_term(of_crops, faces) is of_crops and crop_term(PixelTerm(), faces).mask is None
