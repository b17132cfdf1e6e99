"""LPIPS on every backbone, against the package itself."""

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
def test_lpips_is_the_packages(heads, generator):
    import lpips

    ours = Lpips("squeeze", _backbone("squeezenet1_1", generator), heads)
    theirs = lpips.LPIPS(net="squeeze", lpips=heads, pnet_rand=True, verbose=False)
    theirs.load_state_dict(ours.network.state_dict())
    a, b = torch.rand(2, 2, 3, 64, 64, generator=generator) * 2 - 1
    torch.testing.assert_close(ours(a, b), theirs(a, b).flatten())


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
