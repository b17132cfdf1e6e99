"""LPIPS on every backbone, against the package itself."""

import re
from functools import cache

import pytest
import torch

from guided_face_edit.editor_core.models.lpips import Lpips, detect_backbone


@cache
def _backbone(name):
    """Random weights of a torchvision network."""
    import torchvision

    generator = torch.Generator().manual_seed(0)

    with torch.device("meta"):
        shapes = getattr(torchvision.models, name)().state_dict()
    return {
        key: 0.05 * torch.randn(value.shape, generator=generator)
        for key, value in shapes.items()
        if key.startswith("features.")
    }


BACKBONES = {"alex": "alexnet", "squeeze": "squeezenet1_1", "vgg": "vgg16"}


@pytest.mark.parametrize("net", BACKBONES)
def test_lpips_works_on_each_backbone(net, generator):
    tensors = _backbone(BACKBONES[net])
    assert detect_backbone(tensors) == net
    network = Lpips(net, tensors)
    a, b = torch.rand(2, 2, 3, 64, 64, generator=generator) * 2 - 1
    assert (network(a, b) > 0).all()
    assert network(a, a).count_nonzero() == 0


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize(
    ("net", "heads"), [("alex", True), ("alex", False), ("squeeze", True), ("vgg", True)]
)
def test_lpips_is_the_packages(net, heads, generator):
    import lpips

    tensors = _backbone(BACKBONES[net])
    ours = Lpips(net, tensors, heads)
    theirs = lpips.LPIPS(net=net, lpips=heads, pnet_rand=True, verbose=False)
    names = {name: re.sub(r"^slice\d+", "features", name) for name in theirs.net.state_dict()}
    theirs.net.load_state_dict({name: tensors[in_file] for name, in_file in names.items()})
    a, b = torch.rand(2, 2, 3, 64, 64, generator=generator) * 2 - 1
    torch.testing.assert_close(ours(a, b), theirs(a, b).flatten(), rtol=1e-6, atol=0)


def test_lpips_draws_no_random_numbers_and_downloads_nothing(monkeypatch):
    tensors = _backbone("squeezenet1_1")
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)
    before = torch.get_rng_state()
    network = Lpips("squeeze", tensors)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(value.is_meta for value in network.state_dict().values())


def test_lpips_refuses_another_network():
    with pytest.raises(ValueError, match=r"expected a backbone with one of features\.12"):
        detect_backbone(["conv1.weight"])
