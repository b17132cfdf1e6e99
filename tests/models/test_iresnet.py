"""The identity network of the published editor."""

import pytest
import torch

from guided_face_edit.editor_core.models.iresnet import IResNet, IResNetConfig


def test_encoder_embeds_pictures_of_its_size(generator):
    network = IResNet(IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), 24, 48)).eval()
    assert network(torch.randn(2, 3, 48, 48, generator=generator)).shape == (2, 24)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": 100}, "input_size is 100: expected a multiple of 16"),
        ({"layers": (3, 4, 23)}, "expected 4 layers and widths"),
    ],
)
def test_encoder_refuses_impossible_sizes(changes, message):
    with pytest.raises(ValueError, match=message):
        IResNetConfig(**changes)
