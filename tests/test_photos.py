"""Photos edited as wholes: every face, the right face, the same person alike in all frames."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from guided_face_edit.editor_core.face.aligning import quads
from guided_face_edit.editor_core.face.parsing import FACE_PARTS
from guided_face_edit.editor_core.face.pasting import Pasting
from guided_face_edit.editor_core.face.records import no_faces
from guided_face_edit.editor_core.face.tracking import track_faces
from guided_face_edit.editor_core.guidance.terms import TermSettings
from guided_face_edit.editor_core.loading.models import FaceModels
from guided_face_edit.editor_core.photos import aligned_faces, edit_photos
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.tests.support.groups import PHOTO, aligned, group_photo
from guided_face_edit.tests.support.tiny import (
    tiny_diffusion,
    tiny_encoder,
    tiny_estimator,
    tiny_parser,
)

SIZE = 32
OFF = TermSettings(0)
UNGUIDED = dict.fromkeys(("identity", "parsing", "gaze", "pixel", "lpips"), OFF)
QUICK = replace(preset("demo"), respacing="2", skip=0, candidates=1, seed=7, **UNGUIDED)


@cache
def _models():
    return FaceModels(tiny_diffusion(divisor=20), tiny_encoder(), tiny_parser())


def _edit(photos, faces, **options):
    source = torch.rand(1, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(1)).double()
    settings = options.pop("settings", QUICK)
    return edit_photos(_models(), source, photos, faces, settings, **options)


def _face_mask(photos):
    return torch.isin(photos.labels, torch.tensor(FACE_PARTS)).double()


def test_five_of_five_faces_are_edited_and_nothing_else():
    photos = group_photo()
    photo = photos.image.double()
    settings = replace(QUICK, candidates=2)
    mask, pasting = _face_mask(photos), Pasting(1.0)
    result = _edit(photo, photos.faces, mask=mask, pasting=pasting, settings=settings)
    assert result.edit.images.shape == (5, 2, SIZE, SIZE, 3)
    assert torch.equal(result.image[result.mask == 0], photo[result.mask == 0])
    change = (result.image - photo).abs().amax(3)[0]
    for x, y in photos.faces.points[:, 2].long().tolist():
        assert change[y - 2 : y + 3, x - 2 : x + 3].max() > 0.02


def test_a_chosen_face_is_edited_alone_and_as_it_would_be_among_all():
    photos = group_photo()
    photo = photos.image.double()
    alone = _edit(photo, photos.faces.rows([0]), mask=_face_mask(photos))
    all_ = _edit(photo, photos.faces, mask=_face_mask(photos))
    torch.testing.assert_close(alone.edit.images[0], all_.edit.images[0])
    x = int(photos.faces.points[0, :, 0].max()) + 60
    assert torch.equal(alone.image[:, :, x:], photo[:, :, x:])


def test_a_parsed_face_needs_no_mask():
    photos = group_photo()
    photo = photos.image.double()
    result = _edit(photo, photos.faces.rows([1]))
    assert 0 < result.mask.mean() < 0.2 and not torch.equal(result.image, photo)


def test_photos_without_faces_come_out_as_they_went_in():
    photos = group_photo()
    result = _edit(photos.image, no_faces(PHOTO, 1))
    assert torch.equal(result.image, photos.image) and result.distances == []


def test_alpha_and_odd_sizes_survive():
    photos = group_photo()
    cut = torch.cat([photos.image, photos.image[..., :1]], 3)[:, :269, :477].double()
    faces = replace(photos.faces, size=(269, 477)).rows([2])
    result = _edit(cut, faces)
    assert result.image.shape == cut.shape and torch.equal(result.image[..., 3], cut[..., 3])


def _still():
    """The same photo twice, two of its faces tracked."""
    photos = group_photo()
    twice = replace(photos.faces.rows([0, 1, 0, 1]), frame=torch.tensor([0, 0, 1, 1]), frames=2)
    return photos.image.double().expand(2, -1, -1, -1), track_faces(twice)


def test_one_person_has_the_same_noise_in_all_frames():
    photos, faces = _still()
    mask = _face_mask(group_photo())
    same = _edit(photos, faces, mask=mask, settings=replace(QUICK, noise="per person"))
    assert torch.equal(same.image[0], same.image[1])
    assert not torch.equal(same.edit.images[0], same.edit.images[1])
    other = _edit(photos, faces, mask=mask)
    assert not torch.equal(other.image[0], other.image[1])


def test_flicker_is_less_with_the_noise_of_the_person():
    photos, faces = _still()
    mask = _face_mask(group_photo())
    still, restless = (
        _edit(photos, faces, mask=mask, settings=replace(QUICK, noise=noise))
        .edit.metrics.series["flicker"][0]
        .values
        for noise in ("per person", "per image")
    )
    assert still == (0.0,) * 2 and all(each > 0 for each in restless)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ("per person", "noise per person needs tracked faces: track them"),
        ("same", 'noise is "same", expected "per image" or "per person": choose one'),
    ],
)
def test_noise_that_cannot_be(noise, message):
    photos = group_photo()
    with pytest.raises(ValueError, match=message):
        _edit(photos.image, photos.faces, settings=replace(QUICK, noise=noise))


def test_one_source_serves_all_faces_or_each_has_its_own():
    photos = group_photo()
    faces = photos.faces.rows([0, 1])
    sources = torch.rand(2, SIZE, SIZE, 3, dtype=torch.float64)
    result = edit_photos(_models(), sources, photos.image.double(), faces, QUICK)
    assert len(result.distances) == 2
    with pytest.raises(ValueError, match="got 3 sources for 2 faces: give one for all"):
        edit_photos(_models(), sources[[0, 1, 1]], photos.image.double(), faces, QUICK)


def test_faces_that_are_aligned_keep_their_template_at_the_models_size():
    photos = group_photo()
    own = aligned(photos, "demo", 64)
    faces = aligned_faces(own, "ffhq", SIZE)
    assert faces.crop_size == SIZE
    torch.testing.assert_close(quads(faces), quads(own))
    other = aligned_faces(photos.faces, "ffhq", SIZE)
    assert (quads(other) - quads(own)).abs().max() > 1


def test_everything_works_under_inference_mode():
    photos = group_photo()
    faces = photos.faces.rows([0])
    with torch.inference_mode():
        inside = _edit(photos.image.double(), faces).image
    assert torch.equal(inside, _edit(photos.image.double(), faces).image)


GAZED = replace(QUICK, gaze=TermSettings(1.0))


def _with_eyes(*, eyeless):
    """Three faces and the landmarks of their eyes, some of which lie outside the crops."""
    photos = group_photo()
    faces = photos.faces.rows([0, 1, 2])
    corners = faces.points[:, [0, 0, 1, 1]] + torch.tensor([[-5.0, 0], [5, 0], [-5, 0], [5, 0]])
    landmarks = torch.zeros(3, 68, 2)
    landmarks[:, [36, 39, 42, 45]] = corners
    landmarks[eyeless] -= 1000
    return replace(faces, landmarks=landmarks)


def _edit_gazed(faces, sources=1, **options):
    models, photos = replace(_models(), gaze=tiny_estimator()), group_photo()
    drawn = torch.Generator().manual_seed(1)
    source = torch.rand(sources, SIZE, SIZE, 3, generator=drawn, dtype=torch.float64)
    mask = _face_mask(photos)
    return edit_photos(models, source, photos.image.double(), faces, GAZED, mask=mask, **options)


def test_a_face_without_eyes_stays_and_the_others_are_edited_as_ever():
    whole = _edit_gazed(_with_eyes(eyeless=[]))
    passed = _edit_gazed(_with_eyes(eyeless=[1]), if_missing="pass through")
    assert torch.equal(passed.edit.pictures, whole.edit.pictures[[0, 2]])
    assert passed.left.rows == [1]
    assert str(passed.left).startswith("face 1 of picture 0 is 32x32, its eye box")


def test_a_good_face_beside_one_without_eyes_is_edited_as_alone_bit_for_bit():
    two = _edit_gazed(_with_eyes(eyeless=[1]).rows([0, 1]), if_missing="pass through")
    alone = _edit_gazed(_with_eyes(eyeless=[]).rows([0]))
    assert torch.equal(two.image, alone.image)
    assert not torch.equal(two.image, group_photo().image.double())


@pytest.mark.parametrize("rows", [1, 3])
def test_what_is_known_of_sources_goes_with_the_faces_that_are_left(rows):
    """One row for all, or one each, whether or not a face is passed through."""
    known = {
        "source_points": 8 + 16 * torch.rand(rows, 5, 2, dtype=torch.float64),
        "embedding": torch.nn.functional.normalize(torch.rand(rows, 24).double(), dim=1),
    }
    whole = _edit_gazed(_with_eyes(eyeless=[]), sources=3, **known)
    options = {**known, "sources": 3, "if_missing": "pass through"}
    passed = _edit_gazed(_with_eyes(eyeless=[1]), **options)
    assert torch.equal(passed.edit.pictures, whole.edit.pictures[[0, 2]])
    torch.testing.assert_close(passed.edit.distances, whole.edit.distances[[0, 2]])


def test_what_is_known_of_other_sources_is_refused_by_its_name():
    faces, known = _with_eyes(eyeless=[]), {"source_points": torch.zeros(2, 5, 2)}
    with pytest.raises(ValueError, match="got 2 rows of source_points for 3 faces: give one for"):
        _edit_gazed(faces, **known)
    with pytest.raises(ValueError, match="got 2 rows of embedding for 3 faces"):
        _edit_gazed(faces, embedding=torch.eye(2, 24))


def test_a_face_without_eyes_is_an_error_by_its_name():
    with pytest.raises(ValueError, match="^face 1 of picture 0 is 32x32, its eye box"):
        _edit_gazed(_with_eyes(eyeless=[1]))


def test_a_chosen_face_keeps_its_number():
    with pytest.raises(ValueError, match="^face 2 of picture 0 is 32x32"):
        _edit_gazed(_with_eyes(eyeless=[2]).rows([0, 2]))


def test_photos_with_no_face_that_can_be_edited_come_out_as_they_went_in():
    passed = _edit_gazed(_with_eyes(eyeless=[0, 1, 2]), if_missing="pass through")
    assert torch.equal(passed.image, group_photo().image.double())
    assert passed.left.rows == [0, 1, 2] and passed.distances == []


def test_a_face_that_the_mask_leaves_out_stays_or_is_named():
    photos = group_photo()
    mask = _face_mask(photos)
    mask[:, :, 240:] = 0
    faces = photos.faces.rows([0, 4])
    with pytest.raises(ValueError, match="^face 4 of picture 0 has an empty mask, expected some"):
        _edit(photos.image.double(), faces, mask=mask)
    passed = _edit(photos.image.double(), faces, mask=mask, if_missing="pass through")
    alone = _edit(photos.image.double(), faces.rows([0]), mask=mask)
    assert passed.left.rows == [1] and torch.equal(passed.image, alone.image)
