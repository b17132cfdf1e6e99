"""Networks are made for a file's tensors: ready to guide, and laid out for speed."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.loading.networks import load_network, with_memory_format
from guided_face_edit.editor_core.models.eyenet import EyeNet
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.tests.support.tiny import FLAT_UNET, TINY_EYENET


def test_a_network_is_loaded_in_full_precision_and_draws_nothing():
    tensors = EyeNet(TINY_EYENET).half().state_dict()
    before = torch.get_rng_state()
    network = load_network(EyeNet, TINY_EYENET, tensors)
    assert torch.equal(torch.get_rng_state(), before)
    assert not network.training
    for name, parameter in network.named_parameters():
        assert parameter.dtype == torch.float32 and not parameter.requires_grad
        assert torch.equal(parameter, tensors[name].float())


def test_tensors_must_be_all_of_the_network_and_no_others():
    tensors = EyeNet(TINY_EYENET).state_dict()
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_network(EyeNet, TINY_EYENET, {**tensors, "surplus": torch.zeros(1)})
    tensors.popitem()
    with pytest.raises(RuntimeError, match="Missing key"):
        load_network(EyeNet, TINY_EYENET, tensors)


@pytest.mark.parametrize(("width", "last"), [(32, False), (128, True)])
def test_wide_unets_have_their_channels_last(width, last):
    with torch.device("meta"):
        network = with_memory_format(UNet(replace(FLAT_UNET, model_channels=width)))
    weights = [p for p in network.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    formats = {p.is_contiguous(memory_format=torch.channels_last) for p in weights}
    assert formats == {last}
