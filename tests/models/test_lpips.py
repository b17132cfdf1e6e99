"""LPIPS on every backbone, against the package itself."""

import re

import pytest
import torch

from guided_face_edit.editor_core.models.lpips import Lpips, detect_backbone


def _backbone(name, generator):
    """Random weights of a torchvision network."""
    import torchvision

    with torch.device("meta"):
        shapes = getattr(torchvision.models, name)().state_dict()
    return {
        key: 0.05 * torch.randn(value.shape, generator=generator)
        for key, value in shapes.items()
        if key.startswith("features.")
    }


@pytest.fixture(params=[("alexnet", "alex"), ("squeezenet1_1", "squeeze"), ("vgg16", "vgg")])
def backbone(request, generator):
    name, net = request.param
    return net, _backbone(name, generator)


def test_lpips_works_on_each_backbone(backbone, generator):
    net, tensors = backbone
    assert detect_backbone(tensors) == net
    network = Lpips(net, tensors)
    a, b = torch.rand(2, 2, 3, 64, 64, generator=generator) * 2 - 1
    assert (network(a, b) > 0).all()
    assert network(a, a).count_nonzero() == 0


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("heads", [True, False])
def test_lpips_is_the_packages(backbone, heads, generator):
    import lpips

    net, tensors = backbone
    ours = Lpips(net, tensors, heads)
    theirs = lpips.LPIPS(net=net, lpips=heads, pnet_rand=True, verbose=False)
    names = {name: re.sub(r"^slice\d+", "features", name) for name in theirs.net.state_dict()}
    theirs.net.load_state_dict({name: tensors[in_file] for name, in_file in names.items()})
    a, b = torch.rand(2, 2, 3, 64, 64, generator=generator) * 2 - 1
    torch.testing.assert_close(ours(a, b), theirs(a, b).flatten(), rtol=1e-6, atol=0)


def test_lpips_draws_no_random_numbers_and_downloads_nothing(generator, monkeypatch):
    tensors = _backbone("squeezenet1_1", generator)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)
    before = torch.get_rng_state()
    network = Lpips("squeeze", tensors)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(value.is_meta for value in network.state_dict().values())


def test_lpips_refuses_another_network():
    with pytest.raises(ValueError, match=r"expected a backbone with one of features\.12"):
        detect_backbone(["conv1.weight"])
