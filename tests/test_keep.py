"""What lies before a face stays, bit for bit, and no term that looks into the mask sees it."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.editing import edit_aligned, make_batch
from guided_face_edit.editor_core.face.pasting import PASTINGS, Pasting, paste_faces
from guided_face_edit.editor_core.guidance.terms import IdentityTerm, TermSettings
from guided_face_edit.editor_core.guidance.views import RandomViews
from guided_face_edit.editor_core.images import free_area
from guided_face_edit.editor_core.loading.models import FaceModels
from guided_face_edit.editor_core.photos import edit_photos
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.tests.support.groups import PHOTO, aligned, group_photo
from guided_face_edit.tests.support.tiny import (
    tiny_diffusion,
    tiny_encoder,
    tiny_models,
    tiny_parser,
)

SIZE = 32
OFF = TermSettings(0)
QUICK = replace(preset("diffface"), respacing="4", skip=1, candidates=2, views=2, gaze=OFF)


def _pictures(seed, count=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)


def _microphone(grey=1.0):
    keep = torch.zeros(1, SIZE, SIZE, dtype=torch.float64)
    keep[:, 18:, 12:20] = grey
    return keep


def _edit(target, **options):
    options = {"mask": torch.ones(1, SIZE, SIZE, dtype=torch.float64), **options}
    settings = options.pop("settings", QUICK)
    return edit_aligned(tiny_models(), _pictures(1), target, settings, **options)


@pytest.mark.parametrize("keep_background", [True, False])
def test_what_is_kept_is_the_target_bit_for_bit(keep_background):
    target, keep = _pictures(2), _microphone()
    settings = replace(QUICK, keep_background=keep_background)
    result = _edit(target, keep=keep, settings=settings)
    inside = (keep == 1).expand_as(target)
    assert (result.mask[..., keep[0] == 1] == 0).all() and result.mask.max() > 0
    for candidate in result.pictures.unbind(1):
        assert torch.equal(candidate[inside], target[inside])
        assert not torch.equal(candidate, target)


def test_what_is_kept_is_no_part_of_what_is_free():
    half = torch.full((1, SIZE, SIZE), 0.5, dtype=torch.float64)
    area = free_area(half, _microphone(), _pictures(2))
    assert area.shape == (2, 1, SIZE, SIZE)
    assert torch.equal(area, (0.5 * (1 - _microphone()))[:, None].expand(2, -1, -1, -1))
    assert torch.equal(free_area(half, None, _pictures(2)), half[:, None].expand(2, -1, -1, -1))


def test_keeping_nothing_changes_nothing():
    target = _pictures(2)
    nothing = _edit(target, keep=torch.zeros(1, SIZE, SIZE, dtype=torch.float64))
    assert torch.equal(nothing.pictures, _edit(target).pictures)


def test_keeping_in_half_is_a_mask_of_half():
    target, half = _pictures(2), _microphone(0.5)
    assert torch.equal(_edit(target, keep=half).pictures, _edit(target, mask=1 - half).pictures)


def test_the_identity_term_never_sees_what_is_kept():
    """Its loss is the same whatever colours the microphone has."""
    image, keep = _pictures(2), _microphone()
    other = torch.where(keep[:, None] == 1, _pictures(3), image)
    models, mask = tiny_models(), torch.ones(1, SIZE, SIZE, dtype=torch.float64)
    source = torch.nn.functional.normalize(torch.ones(2, 24).double(), dim=1)
    generators = [torch.Generator().manual_seed(k) for k in range(2)]

    def loss(image, keep):
        options = {"generators": generators, "candidates": 1, "keep": keep}
        batch = make_batch(models.diffusion, _pictures(4), mask, source, **options)
        term = IdentityTerm(identity=models.identity, views=RandomViews(1))
        return term.bind(batch)(image)

    torch.testing.assert_close(loss(image, keep), loss(other, keep))
    assert not torch.allclose(loss(image, None), loss(other, None))


def test_the_parsed_mask_never_grows_over_glasses_hair_and_hats():
    target = _pictures(2)
    grown = replace(QUICK, grow=32)
    assert _edit(target, mask=None, settings=replace(grown, keep_parts="")).mask.min() == 1
    result = _edit(target, mask=None, settings=grown)
    before = torch.isin(result.labels, torch.tensor([6, 17, 18]))[:, None].expand_as(result.mask)
    assert before.any() and (result.mask[before] == 0).all() and (result.mask[~before] == 1).all()


def test_a_keep_of_another_size_is_refused():
    with pytest.raises(ValueError, match="keep is 8x8, image is 32x32: resize the mask first"):
        _edit(_pictures(2), keep=torch.zeros(1, 8, 8))


def test_the_exact_preset_refuses_to_keep():
    with pytest.raises(ValueError, match="has no keep, got one: choose another preset"):
        _edit(_pictures(2), keep=_microphone(), settings=replace(QUICK, exact=True))


def _hand(faces):
    """A bar across the middle of every face of the photo."""
    keep = torch.zeros(1, *PHOTO)
    for x, y in faces.points[:, 2].long().tolist():
        keep[:, y - 3 : y + 12, x - 40 : x + 40] = 1
    return keep


@pytest.mark.parametrize("blending", PASTINGS)
def test_pasting_leaves_what_is_kept(blending):
    photos = group_photo()
    faces, keep = aligned(photos), _hand(photos.faces)
    crops = torch.full((len(faces), 3, 64, 64), 0.9)
    pasting = Pasting(blending=blending)
    pasted = paste_faces(photos.image, faces, crops, None, pasting, keep=keep)
    assert torch.equal(pasted.image[keep == 1], photos.image[keep == 1])
    assert (pasted.mask[keep == 1] == 0).all() and pasted.mask.max() > 0.9


def test_a_photo_keeps_its_own_pixels():
    photos = group_photo()
    photo, keep = photos.image.double(), _hand(photos.faces).double()
    models = FaceModels(tiny_diffusion(divisor=20), tiny_encoder(), tiny_parser())
    off = dict.fromkeys(("identity", "parsing", "gaze", "pixel", "lpips"), OFF)
    settings = replace(preset("demo"), respacing="2", skip=0, candidates=1, **off)
    source, masks = _pictures(1, 1).movedim(1, -1), torch.ones(1, *PHOTO).double()

    def edit(**options):
        return edit_photos(models, source, photo, photos.faces, settings, mask=masks, **options)

    kept = edit(keep=keep)
    assert torch.equal(kept.image[keep == 1], photo[keep == 1])
    assert not torch.equal(kept.image, photo)
    assert not torch.equal(edit().image[keep == 1], photo[keep == 1])
