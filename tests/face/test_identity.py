"""Identities: what an encoder is shown; their length, distance and average."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from guided_face_edit.editor_core.face.aligning import align_faces, crop_faces
from guided_face_edit.editor_core.face.identity import (
    average_identity,
    embed_identity,
    identity_distance,
    mix_identities,
)
from guided_face_edit.editor_core.face.locate import embed_faces
from guided_face_edit.editor_core.face.resampling import transform
from guided_face_edit.editor_core.face.templates import TEMPLATES, template_named
from guided_face_edit.tests.support.groups import group_photo
from guided_face_edit.tests.support.tiny import tiny_encoder

SIZE = (60, 60)


def _encoder(template="arcface"):
    return replace(tiny_encoder(), template=template)


def test_identity_distance_runs_from_zero_to_two(generator):
    image = torch.rand(3, 3, 40, 40, generator=generator, dtype=torch.float64) * 2 - 1
    embedding = embed_identity(tiny_encoder(), image)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3, dtype=torch.float64))
    assert identity_distance(embedding, embedding).abs().max() < 1e-12
    torch.testing.assert_close(
        identity_distance(embedding, -embedding), torch.full((3,), 2.0, dtype=torch.float64)
    )


def test_identities_of_other_models_are_refused():
    with pytest.raises(ValueError, match="one embedding has 4 numbers, the other 5"):
        identity_distance(torch.ones(1, 4), torch.ones(1, 5))


def test_the_average_identity_lies_between_and_has_unit_length():
    mean = average_identity(torch.eye(2))
    torch.testing.assert_close(mean, torch.full((1, 2), 0.5**0.5))


@pytest.mark.parametrize("own", ["arcface", "mtcnn"])
def test_a_face_looks_the_same_out_of_its_photo_and_out_of_a_crop(own):
    photos, encoder = group_photo(people=2), _encoder(own)
    crops = align_faces(photos.faces, template_named("ffhq"), 256)
    image, points = crop_faces(photos.image, crops).image, transform(crops.affine, crops.points)
    direct = align_faces(photos.faces, template_named(own), encoder.size)
    expected = crop_faces(photos.image, direct).image
    shown = encoder.viewer((256, 256), "ffhq", points, 2)(image)
    assert (shown - expected).abs().mean() < 0.02 < (image[..., ::8, ::8] - expected).abs().mean()
    embedded = embed_identity(encoder, image.double(), template="ffhq", points=points).float()
    of_photo = embed_faces(photos.faces, photos.image, encoder).embedding
    assert identity_distance(embedded, of_photo).max() < 0.02


@pytest.mark.parametrize("template", ["ffhq", "demo", "mtcnn"])
def test_an_average_face_of_another_template_is_brought_to_its_places(template, generator):
    """A bright dot at each point of the crop appears where the encoder's template has the point."""
    points = template_named(template).points(SIZE)
    rows, columns = points[0].round().long().unbind(1)[::-1]
    dots = torch.zeros(5, 1, *SIZE)
    dots[range(5), 0, rows, columns] = 1
    shown = _encoder().viewer(SIZE, template, count=5)(dots)[:, 0]
    brightest = shown.flatten(1).argmax(1)
    found = torch.stack([brightest % 32, brightest // 32], 1)
    expected = TEMPLATES["arcface"].points((32, 32))[0]
    assert (found - expected).norm(dim=1).max() < 2.5


def test_its_own_template_is_resized_as_a_whole(generator):
    image = torch.rand(2, 3, *SIZE, generator=generator)
    points = torch.rand(2, 5, 2, generator=generator) * 60
    plain = tiny_encoder().resize(image, 32)
    for own, template, known in (
        ("arcface", "arcface", points),
        ("arcface", None, None),
        ("arcface", "whole box", None),
        ("whole box", "ffhq", points),
    ):
        assert torch.equal(_encoder(own).viewer(SIZE, template, known, 2)(image), plain)


def test_points_of_other_pictures_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 5, 2\), expected \(2, 5, 2\): give left eye"):
        embed_identity(tiny_encoder(), torch.zeros(2, 3, *SIZE), points=torch.zeros(1, 5, 2))


def _unit(*numbers):
    return F.normalize(torch.tensor([numbers], dtype=torch.float64), dim=1)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_two_people_are_mixed_along_the_arc_between_them(share):
    one, other = _unit(1, 0, 0), _unit(-0.5, 1, 0)  # 117 degrees apart: the chord would not do
    whole = (one * other).sum().acos()
    mixed = mix_identities([one, other], [1 - share, share])
    torch.testing.assert_close((mixed * one).sum().clamp(-1, 1).acos(), share * whole)
    torch.testing.assert_close(mixed.norm(dim=1), torch.ones(1).double())


def test_the_mean_of_many_has_no_pull_left():
    """Where the squared angles are least the weighted arcs to all people cancel out."""
    generator = torch.Generator().manual_seed(0)
    people = [F.normalize(torch.randn(2, 16, generator=generator).double()) for _ in range(5)]
    weights = [3.0, 1, 0.5, 0, 2]
    mean = mix_identities(people, weights)
    arcs = torch.zeros_like(mean)
    for person, weight in zip(people, weights, strict=True):
        cosine = (person * mean).sum(1, keepdim=True)
        arcs += weight * cosine.acos() * F.normalize(person - cosine * mean, dim=1)
    assert arcs.abs().max() < 1e-6
    torch.testing.assert_close(mix_identities(people, [2 * each for each in weights]), mean)


@pytest.mark.parametrize(
    ("people", "weights", "message"),
    [
        ([_unit(1, 0), _unit(0, 1)], [1.0, -1], "weights are 1.0, -1 for 2 identities"),
        ([_unit(1, 0), _unit(0, 1)], [1.0], "weights are 1.0 for 2 identities"),
        ([_unit(1, 0), _unit(0, 1, 0)], [1, 1], "have 2 and 3 numbers: make all with the same"),
        ([_unit(1, 0), _unit(-1, 0)], [1, 1], "are opposites, which have no mean: mix others"),
    ],
)
def test_what_cannot_be_mixed_is_refused(people, weights, message):
    with pytest.raises(ValueError, match=message):
        mix_identities(people, weights)
