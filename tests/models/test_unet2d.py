"""The U-Net of diffusers; `tests/loading/test_diffusion.py` compares it with the library."""

import warnings
from dataclasses import asdict, replace

import pytest
import torch

from guided_face_edit.editor_core.models.unet2d import UNet2D, UNet2DConfig
from guided_face_edit.tests.support.tiny import TINY_UNET2D, UNUSUAL_UNET2D, seeded

GOOGLE = UNet2DConfig((128, 128, 256, 256, 512, 512), 2, (4,))
FORMS = {
    "plain": TINY_UNET2D,
    "three levels, two attended": UNet2DConfig((32, 32, 64), 2, (0, 2)),
    "no attention but in the middle": replace(TINY_UNET2D, attention_levels=()),
    "learned variance": replace(TINY_UNET2D, out_channels=6),
    "every option": UNUSUAL_UNET2D,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_config_is_read_from_the_tensors(form):
    with torch.device("meta"):
        tensors = UNet2D(form).state_dict()
    assert UNet2DConfig.from_state_dict(tensors, asdict(form)) == form


def test_the_published_network_is_known():
    with torch.device("meta"):
        tensors = UNet2D(GOOGLE).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert UNet2DConfig.from_state_dict(tensors) == GOOGLE


def test_computes_in_the_precision_of_its_weights(generator):
    network = UNet2D(TINY_UNET2D).eval().requires_grad_(False)
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([7.0])
    full = network(x, t)
    low = network.to(torch.bfloat16)(x, t)
    assert low.dtype == torch.float32
    assert (low - full).norm() < 0.1 * full.norm()


def test_pictures_of_a_batch_do_not_mix(generator):
    network = seeded(lambda: UNet2D(UNUSUAL_UNET2D))
    x, t = torch.randn(2, 3, 16, 16, generator=generator).double(), torch.tensor([3.0, 500.0])
    torch.testing.assert_close(network(x, t)[1:], network(x[1:], t[1:]))


def test_there_is_no_condition_to_give():
    with pytest.raises(ValueError, match="takes no identity and no label: pass none"):
        UNet2D(TINY_UNET2D)(torch.zeros(1, 3, 8, 8), torch.zeros(1), identity=torch.zeros(1, 4))
