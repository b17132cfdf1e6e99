"""A file is known by the names of its tensors, whichever family it is of."""

import pytest
import torch

from guided_face_edit.editor_core.checkpoints.errors import UnsupportedCheckpoint
from guided_face_edit.editor_core.loading.families import FAMILIES, UNSUPPORTED, detect
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.tests.support.families import CASES
from guided_face_edit.tests.support.tiny import TINY_UNET


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case.family} {case.size}")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def tensors(case):
    with torch.device("meta"):
        return case.published(case.network(case.form)).state_dict()


def test_a_family_is_known_by_its_names_alone(case, tensors):
    names = tensors.keys()
    assert (detect(names).name, detect(names).kind) == (case.family, case.kind)
    assert [f.name for f in FAMILIES if f.fits(set(names))] == [case.family]


def test_so_are_diffusion_networks():
    with torch.device("meta"):
        names = UNet(TINY_UNET).state_dict().keys()
    assert detect(names).name == "ADM U-Net"


@pytest.mark.parametrize("mark", UNSUPPORTED)
def test_families_that_are_known_and_not_supported_are_named(mark):
    with pytest.raises(UnsupportedCheckpoint, match=f"got {UNSUPPORTED[mark]}: choose"):
        detect({mark, "some.other.weight"})
