"""The parser, the identity encoder, the gaze network and LPIPS, at toy size."""

import json

import pytest
import torch

from guided_face_edit.editor_core.models import (
    bisenet,
    eyenet,
    facenet,
    insightface,
    ir_se,
    iresnet,
    l2cs,
    parsenet,
)
from guided_face_edit.editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from guided_face_edit.editor_core.models.eyenet import EyeNet, EyeNetConfig, soft_argmax
from guided_face_edit.editor_core.models.facenet import FaceNet, FaceNetConfig
from guided_face_edit.editor_core.models.insightface import InsightFace, InsightFaceConfig
from guided_face_edit.editor_core.models.ir_se import IRSE, IRSEConfig
from guided_face_edit.editor_core.models.iresnet import IResNet, IResNetConfig
from guided_face_edit.editor_core.models.l2cs import L2CS, L2CSConfig
from guided_face_edit.editor_core.models.lpips import Lpips, backbone_of
from guided_face_edit.editor_core.models.parsenet import ParseNet, ParseNetConfig

SMALL = [
    (bisenet, BiSeNet, BiSeNetConfig(num_classes=5, width=8)),
    (iresnet, IResNet, IResNetConfig((1, 2, 1, 1), (16, 16, 32, 48), 24, 48)),
    (iresnet, IResNet, IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), 8, 32, use_se=False)),
    (eyenet, EyeNet, EyeNetConfig(nstack=1, nfeatures=4, nlandmarks=3, stem=8)),
    (eyenet, EyeNet, EyeNetConfig(nstack=2, nfeatures=6, nlandmarks=2, stem=4)),
    (insightface, InsightFace, InsightFaceConfig((1, 3, 2, 1), (4, 8, 12, 16), 24, 48)),
    (ir_se, IRSE, IRSEConfig((1, 3, 2, 1), (16, 32, 48, 64), 24, 48)),
    (ir_se, IRSE, IRSEConfig((2, 1, 1, 2), (4, 8, 12, 16), 8, 32, use_se=False)),
    (facenet, FaceNet, FaceNetConfig((1, 2, 3), width=2, embedding=24, num_classes=5)),
    (facenet, FaceNet, FaceNetConfig((1, 1, 1), width=4, embedding=8)),
    (parsenet, ParseNet, ParseNetConfig(5, encoder=(4, 8, 12), depth=2, decoder=(10, 6))),
    (parsenet, ParseNet, ParseNetConfig(19, encoder=(4,), depth=1, decoder=())),
    (l2cs, L2CS, L2CSConfig((1, 2, 1, 3), width=4)),
    (l2cs, L2CS, L2CSConfig((1, 1, 1, 1), width=8, bins=28)),
]
PUBLISHED = [
    ("FaceParser.pth", BiSeNet, BiSeNetConfig()),
    ("Arcface.tar:model.module", IResNet, IResNetConfig()),
    ("GazeEstimator.pt:model_state_dict", EyeNet, EyeNetConfig()),
]


@pytest.mark.parametrize(("module", "network", "config"), SMALL)
def test_config_is_read_from_the_tensors(module, network, config):
    assert type(config).from_state_dict(network(config).state_dict()) == config


@pytest.mark.parametrize(("layout", "network", "config"), PUBLISHED)
def test_names_and_shapes_are_the_published_ones(layout, network, config, root):
    text = (root / "tests" / "golden" / "state_dict_layouts.json").read_text(encoding="utf-8")
    with torch.device("meta"):
        tensors = network(config).state_dict()
    assert {name: list(t.shape) for name, t in tensors.items()} == json.loads(text)[layout]


def test_parser_labels_at_the_pictures_size(generator):
    network = BiSeNet(BiSeNetConfig(num_classes=5, width=8)).eval()
    x = torch.randn(2, 3, 48, 80, generator=generator)
    heads = network(x)
    assert [tuple(head.shape) for head in heads] == [(2, 5, 48, 80)] * 3
    torch.testing.assert_close(network.logits(x), heads[0], rtol=0, atol=0)


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


def test_gaze_network_answers_for_each_eye(generator):
    network = EyeNet(EyeNetConfig(nstack=2, nfeatures=4, nlandmarks=3, stem=4)).eval()
    seen = network(torch.rand(2, 96, 160, generator=generator))
    assert seen.heatmaps.shape == (2, 2, 3, 48, 80)
    assert seen.landmarks.shape == (2, 3, 2)
    assert seen.gaze.shape == (2, 2)


def test_a_landmark_is_where_its_heatmap_peaks():
    heatmaps = torch.zeros(1, 1, 48, 80)
    heatmaps[0, 0, 7, 31] = 1
    torch.testing.assert_close(soft_argmax(heatmaps), torch.tensor([[[7.0, 31.0]]]))


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
    assert backbone_of(tensors) == net
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
        backbone_of(["conv1.weight"])
