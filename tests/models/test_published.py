"""The networks are the published ones: by name and shape of every tensor, and number by number."""

import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from guided_face_edit.editor_core.models.adaface import AdaFace, AdaFaceBlock, AdaFaceConfig
from guided_face_edit.editor_core.models.bisenet import (
    BiSeNet,
    BiSeNetConfig,
    with_first_names,
)
from guided_face_edit.editor_core.models.facenet import FaceNet, FaceNetConfig
from guided_face_edit.editor_core.models.insightface import InsightFace, InsightFaceConfig
from guided_face_edit.editor_core.models.ir_se import IRSE, IRSEConfig
from guided_face_edit.editor_core.models.l2cs import L2CS, L2CSConfig, MobileGaze
from guided_face_edit.editor_core.models.parsenet import ParseNet, ParseNetConfig
from guided_face_edit.editor_core.models.segformer import SegFormer, SegFormerConfig
from guided_face_edit.tests.support.families import of_yakhyo, randomised
from guided_face_edit.tests.support.parity.fill import fill, hash_tensor

FILL = [
    {"match": "running_var", "half": 0.5, "center": 1.0},
    {"match": "", "ndim": [1], "half": 0.5, "center": 0.5},
    {"match": "", "gain": 1.0, "center": 0.0},
]
IRESNETS = {  # depths of the stages, tensors, parameters, and the beginning of the layout's digest
    18: ((2, 2, 2, 2), 187, 24_025_600, "6bdb508fbe8f9172"),
    34: ((3, 4, 6, 3), 331, 34_139_328, "88f842de492690dd"),
    50: ((3, 4, 14, 3), 475, 43_590_848, "d80a68220d7280f1"),
    100: ((3, 13, 30, 3), 925, 65_156_160, "dc48aa67c7449a7c"),
    200: ((6, 26, 60, 6), 1807, 118_833_920, "be360d6469b1859b"),
}
ADAFACES = {  # the same, of the networks of AdaFace and CVLface
    18: ((2, 2, 2, 2), 179, 24_020_352, "7f81612e44f88213"),
    34: ((3, 4, 6, 3), 323, 34_134_080, "8e4802ce91d41a3e"),
    50: ((3, 4, 14, 3), 467, 43_585_600, "f4579210f21b784b"),
    101: ((3, 13, 30, 3), 917, 65_150_912, "158339b02fa6756c"),
}


def _layout(network):
    """How many tensors and parameters a network has, and its layout's digest."""
    tensors = network.state_dict()
    lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return len(lines), sum(parameter.numel() for parameter in network.parameters()), digest[:16]


@pytest.mark.parametrize("depth", IRESNETS)
def test_an_iresnet_has_the_published_tensors(depth):
    layers, *layout = IRESNETS[depth]
    with torch.device("meta"):
        network = InsightFace(InsightFaceConfig(layers))
    assert _layout(network) == tuple(layout)


@pytest.mark.parametrize("depth", ADAFACES)
def test_an_adaface_has_the_published_tensors(depth):
    layers, *layout = ADAFACES[depth]
    with torch.device("meta"):
        network = AdaFace(AdaFaceConfig(layers))
    assert _layout(network) == tuple(layout)
    assert AdaFaceConfig.from_state_dict(network.state_dict()) == network.config


@pytest.mark.parametrize(
    ("shape", "corner"),
    [
        ((8, 8, 1), [1.48590, 0.02792, 2.01216, 0.47851]),
        ((8, 8, 2), [1.35872, 0.40936, 1.79397, 1.64216]),
        ((8, 12, 2), [1.70133, 0.81636, -0.11821, -0.88328]),
    ],
)
def test_a_block_of_adaface_gives_the_numbers_of_the_published_code(shape, corner):
    block = AdaFaceBlock(*shape).eval()
    block.load_state_dict(fill(block.state_dict(), FILL, 3))
    with torch.no_grad():
        actual = block(hash_tensor(5, 0, (1, 8, 6, 6)))[0, -4:, -1, -1]
    torch.testing.assert_close(actual, torch.tensor(corner), rtol=0, atol=2e-5)


def test_an_iresnet_gives_the_numbers_of_the_published_code():
    network = InsightFace(InsightFaceConfig((1, 2, 1, 1), embedding=8, input_size=16)).eval()
    network.load_state_dict(fill(network.state_dict(), FILL, 1))
    expected = [1.28127, -0.01037, 0.12897, -0.30153, 0.28742, 1.52991, 0.22285, -0.38156]
    actual = network(hash_tensor(2, 0, (1, 3, 16, 16)))[0]
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=0, atol=2e-5)


def _same_numbers(theirs, config, network, x, normalised=False):
    """Loads their tensors, as a file would bring them, and compares the outputs."""
    tensors = fill(theirs.state_dict(), FILL, 3)
    theirs.load_state_dict(tensors)
    ours = network(config.from_state_dict(tensors))
    ours.load_state_dict(tensors, strict=True)
    with torch.no_grad():
        expected, actual = theirs.eval()(x), ours.eval()(x)
    if normalised:
        actual = nn.functional.normalize(actual, dim=1)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def _same_tensors(theirs, config, network):
    """The names and shapes of the published size, without the values."""
    tensors = theirs.state_dict()
    with torch.device("meta"):
        ours = network(config.from_state_dict(tensors)).state_dict()
    assert {name: t.shape for name, t in ours.items()} == {n: t.shape for n, t in tensors.items()}


def _picture(size):
    return hash_tensor(5, 0, (1, 3, size, size))


def _facexlib(name):
    """One file of the package, without the detectors that the package imports."""
    found = importlib.util.find_spec("facexlib")
    if found is None:
        pytest.skip("facexlib is not installed")
    path = Path(found.submodule_search_locations[0], *name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"facexlib_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("depth", "mode"), [(50, "ir_se"), (50, "ir"), (100, "ir")])
def test_ir_networks_have_facexlibs_tensors(depth, mode):
    with torch.device("meta"):
        theirs = _facexlib("recognition.arcface_arch").Backbone(depth, 0.6, mode)
    _same_tensors(theirs, IRSEConfig, IRSE)


@pytest.mark.slow
def test_ir_se50_gives_facexlibs_numbers():
    theirs = _facexlib("recognition.arcface_arch").Backbone(50, 0.6, "ir_se")
    _same_numbers(theirs, IRSEConfig, IRSE, _picture(112), normalised=True)


def test_parsenet_is_facexlibs():
    package = _facexlib("parsing.parsenet")
    with torch.device("meta"):
        published = package.ParseNet(512, 512, parsing_ch=19)
    _same_tensors(published, ParseNetConfig, ParseNet)
    small = package.ParseNet(64, 64, 16, base_ch=8, res_depth=2, ch_range=[8, 24])
    _same_numbers(small, ParseNetConfig, ParseNet, _picture(64))


@pytest.mark.parametrize("classes", [None, 7])
def test_facenet_is_facenet_pytorchs(classes):
    package = pytest.importorskip("facenet_pytorch")
    with torch.device("meta"):
        theirs = package.InceptionResnetV1(classify=classes is not None, num_classes=classes)
    theirs.device = torch.device("cpu")
    _same_tensors(theirs, FaceNetConfig, FaceNet)


@pytest.mark.slow
def test_facenet_gives_facenet_pytorchs_numbers():
    package = pytest.importorskip("facenet_pytorch")
    theirs = package.InceptionResnetV1()
    _same_numbers(theirs, FaceNetConfig, FaceNet, _picture(160), normalised=True)


@pytest.mark.parametrize("depth", [18, 34, 50])
@pytest.mark.parametrize(
    ("network", "heads"),
    [(L2CS, ("fc_yaw_gaze", "fc_pitch_gaze", "fc_finetune")), (MobileGaze, ("fc_yaw", "fc_pitch"))],
)
def test_gaze_networks_are_torchvisions_resnets_with_two_heads(network, heads, depth):
    import torchvision.models

    layers = (2, 2, 2, 2) if depth == 18 else (3, 4, 6, 3)
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"resnet{depth}")().state_dict()
        ours = network(L2CSConfig(layers, bottleneck=depth == 50)).state_dict()
    added = {f"{head}.{part}" for head in heads for part in ("weight", "bias")}
    trunk = {name: t.shape for name, t in theirs.items() if not name.startswith("fc.")}
    assert {name: t.shape for name, t in ours.items() if name not in added} == trunk
    width = theirs["fc.weight"].shape[1]
    assert added <= set(ours) and ours[f"{heads[0]}.weight"].shape == (90, width)


@pytest.mark.parametrize("block", ["BasicBlock", "Bottleneck"])
@pytest.mark.parametrize("network", [L2CS, MobileGaze])
def test_gaze_networks_give_the_numbers_of_torchvisions_resnets(network, block):
    from torchvision.models import resnet

    theirs = resnet.ResNet(getattr(resnet, block), [1, 1, 1, 1], num_classes=90)
    tensors = fill(theirs.state_dict(), FILL, 3)
    theirs.load_state_dict(tensors)
    ours = network(L2CSConfig((1, 1, 1, 1), bottleneck=block == "Bottleneck")).eval()
    yaw, _ = ours.HEADS
    head = {f"{yaw}.{part}": tensors.pop(f"fc.{part}") for part in ("weight", "bias")}
    ours.load_state_dict({**ours.state_dict(), **tensors, **head})
    with torch.no_grad():
        logits, _ = ours.logits(_picture(64))
        torch.testing.assert_close(logits, theirs.eval()(_picture(64)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "layout"),
    [((2, 2, 2, 2), (193, "ad9fee9138af7aaf")), ((3, 4, 6, 3), (289, "ca66d0313a87dc49"))],
)
def test_yakhyos_bisenets_have_the_published_tensors(layers, layout):
    config = BiSeNetConfig(layers=layers)
    with torch.device("meta"):
        published = of_yakhyo(BiSeNet(config))
    count, _, digest = _layout(published)
    assert (count, digest) == layout
    assert BiSeNetConfig.from_state_dict(with_first_names(published.state_dict())) == config


SEGFORMERS = {  # widths, depths, width of the head, parameters
    "B0": ((32, 64, 160, 256), (2, 2, 2, 2), 256, 3_719_027),
    "B5": ((64, 128, 320, 512), (3, 6, 40, 3), 768, 84_607_955),
}


@pytest.mark.parametrize("size", SEGFORMERS)
def test_a_segformer_has_the_published_size(size):
    widths, depths, decoder, parameters = SEGFORMERS[size]
    with torch.device("meta"):
        network = SegFormer(SegFormerConfig(19, widths, depths, decoder_width=decoder))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert SegFormerConfig.from_state_dict(network.state_dict()) == network.config
    assert network.config.heads == (1, 2, 5, 8)


@pytest.mark.slow
def test_a_segformer_gives_the_numbers_of_transformers(tmp_path, monkeypatch):
    """The library reads the folder as the published one, offline, and answers the same."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")
    widths, depths, decoder, _ = SEGFORMERS["B0"]
    ours = randomised(SegFormer(SegFormerConfig(19, widths, depths, decoder_width=decoder)))
    save_file(ours.state_dict(), tmp_path / "model.safetensors", {"format": "pt"})
    config = transformers.SegformerConfig(
        hidden_sizes=widths, depths=depths, decoder_hidden_size=decoder, num_labels=19
    )
    config.save_pretrained(tmp_path)
    theirs, report = transformers.SegformerForSemanticSegmentation.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    with torch.no_grad():
        expected = theirs.eval()(_picture(96)).logits
        torch.testing.assert_close(ours(_picture(96)), expected, rtol=1e-4, atol=1e-5)
