"""Drawn people, as named parameters."""

import pytest
import torch

from guided_face_edit.editor_core.demo.people import Identity, OuterHead


def test_an_own_head_has_the_skin_of_its_face(generator):
    identity = Identity.random(3, generator)
    for name in ("skin_lightness", "skin_warmth"):
        assert torch.equal(identity.inner[name], identity.outer[name])


def test_unknown_parameters_are_refused(generator):
    with pytest.raises(KeyError):
        OuterHead.random(1, generator)["wings"]
