"""Identities: their length, distance and average."""

import pytest
import torch

from guided_face_edit.editor_core.face.identity import (
    average_identity,
    embed_identity,
    identity_distance,
)
from guided_face_edit.tests.support.tiny import tiny_encoder


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
