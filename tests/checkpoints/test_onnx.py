"""ONNX files of the known networks are those networks, whoever exported them and however."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from guided_face_edit.editor_core.checkpoints.errors import UnsupportedCheckpoint
from guided_face_edit.editor_core.checkpoints.onnx_files import read_graph
from guided_face_edit.editor_core.checkpoints.reading import read_checkpoint, read_outline
from guided_face_edit.editor_core.loading.convert import convert
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import find_models, load_identity
from guided_face_edit.editor_core.models.insightface import InsightFace
from guided_face_edit.editor_core.models.mobilefacenet import MobileFaceNet, MobileFaceNetConfig
from guided_face_edit.editor_core.models.sface import SFace
from guided_face_edit.tests.support.families import (
    SMALL_MOBILE,
    SMALL_RESNET,
    SMALL_SFACE,
    randomised,
)
from guided_face_edit.tests.support.onnx_export import Style, dequantised, export
from guided_face_edit.tests.support.onnx_files import model, node, tensor

WIDER = MobileFaceNetConfig(6, (8, 9, 7, 5), (2, 3, 4, 5, 6, 7, 8), (2, 1, 1, 1), 24, 48)
STYLES = {
    "of levels": Style(levels=True),
    "typed": Style(typed=True),
    "half": Style(half=True),
    "half, typed": Style(half=True, typed=True),
    "products": Style(matmul=True),
    "constants": Style(constants=True),
    "computed shape": Style(shaped=True),
    "quantised rows": Style(quantised="rows"),
    "quantised blocks": Style(quantised="blocks", typed=True),
}


def normalised_sface() -> nn.Module:
    """SFace as it was trained: batch normalisation, of an epsilon of its own, after each layer."""
    network = SFace(SMALL_SFACE)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            module.bias = None
            norm = nn.BatchNorm2d(module.out_channels, eps=1e-3)
            network.set_submodule(name, nn.Sequential(module, norm))
    network.norm.eps = 2e-5
    network.fc = nn.Sequential(network.fc, nn.BatchNorm1d(SMALL_SFACE.embedding, eps=2e-5))
    return network


NETWORKS = {
    "insightface ResNet": lambda: InsightFace(SMALL_RESNET),
    "MobileFaceNet": lambda: MobileFaceNet(SMALL_MOBILE),
    "MobileFaceNet, wider": lambda: MobileFaceNet(WIDER),
    "SFace": normalised_sface,
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    return randomised(NETWORKS[request.param]())


def _written(network: nn.Module, style: Style) -> nn.Module:
    """The network whose values a file of that style has."""
    network = copy.deepcopy(network)
    if style.half:
        return network.half().float()
    for module in network.modules() if style.quantised else ():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data = dequantised(module.weight, style.quantised == "blocks")
    return network


def _faces(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 48, 48, generator=torch.Generator().manual_seed(3)) * 2 - 1


def _assert_close(actual: Tensor, expected: Tensor, share: float = 1e-5) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=share * expected.abs().max().item())


def _assert_exported(network: nn.Module, style: Style, path: Path) -> None:
    path.write_bytes(export(network, style))
    loaded = load_identity(path)
    assert loaded.size == 48
    _assert_close(loaded.network(_faces()), _written(network, style)(_faces()))


def test_a_file_is_the_network_that_was_exported(network, tmp_path):
    _assert_exported(network, Style(), tmp_path / "m.onnx")


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_exporters_differ(style, tmp_path):
    _assert_exported(randomised(normalised_sface()), style, tmp_path / "m.onnx")


def test_folded_networks_come_back_as_they_were(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(export(randomised(SFace(SMALL_SFACE))))
    network = load_identity(path).network
    path.write_bytes(export(network))
    assert network.config == SMALL_SFACE
    again = load_identity(path).network.state_dict()
    assert all(torch.equal(again[name], t) for name, t in network.state_dict().items())


def test_operators_on_8_bits_are_those_on_floats(tmp_path):
    path, network = tmp_path / "m.onnx", randomised(SFace(SMALL_SFACE))
    path.write_bytes(export(network, Style(quantised="operators")))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data = dequantised(module.weight, blocks=False)
    _assert_close(load_identity(path).network(_faces()), network(_faces()), 0.01)  # of biases


def test_its_name_decides_nothing(tmp_path):
    content = export(SFace(SMALL_SFACE))
    for name in ("m", "m.pt", "m.safetensors", "m.onnx"):
        (tmp_path / name).write_bytes(content)
        assert len(read_checkpoint(tmp_path / name).tensors) > 20


def test_an_outline_has_names_shapes_and_types_alone(network, tmp_path):
    (tmp_path / "m").write_bytes(export(network, Style(half=True)))
    whole, outline = read_checkpoint(tmp_path / "m").tensors, read_outline(tmp_path / "m").tensors
    assert {t.device.type for t in outline.values()} == {"meta"}
    assert {n: (t.shape, t.dtype) for n, t in outline.items()} == {
        n: (t.shape, t.dtype) for n, t in whole.items()
    }


def test_a_file_is_inspected_and_converted(network, tmp_path):
    path, out = tmp_path / "w600k_r50.onnx", tmp_path / "out.safetensors"
    path.write_bytes(export(network))
    with pytest.warns(UserWarning, match="is not the published w600k_r50.onnx"):
        before = load_identity(path).embed(_faces())
    report = inspect(path)
    assert report.kind == "identity" and "4c06341c33c2" in report.warnings[0]
    convert(report, out)
    assert inspect(out).family == report.family
    torch.testing.assert_close(load_identity(out).embed(_faces()), before, rtol=0, atol=1e-6)


def test_detectors_are_no_identity_models(tmp_path):
    for folder in ("detection", "identity"):
        (tmp_path / folder).mkdir()
    graph = model([node("Relu", ["x"], "y")], [])
    (tmp_path / "detection" / "yunet.onnx").write_bytes(graph[:-3])
    (tmp_path / "identity" / "a.onnx").write_bytes(graph)
    (tmp_path / "identity" / "b.onnx").write_bytes(export(normalised_sface()))
    assert find_models(tmp_path) == {"identity": tmp_path / "identity" / "b.onnx"}


def test_gradients_reach_the_whole_picture(network, tmp_path):
    (tmp_path / "m").write_bytes(export(network))
    faces = _faces().requires_grad_()
    load_identity(tmp_path / "m").embed(faces).sum(0).square().sum().backward()
    assert faces.grad.isfinite().all() and (faces.grad.abs().amax((0, 1)) > 0).float().mean() > 0.9


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([[1.5, -2, 3e-9]]),
        torch.tensor([1.5, -2, 6e4]).half(),
        torch.tensor([1.5, -2, 3e30]).bfloat16(),
        torch.tensor([1.5, -2, 3e300], dtype=torch.float64),
        torch.tensor([-128, 127, 0], dtype=torch.int8),
        torch.tensor([255, 0, 7], dtype=torch.uint8),
        torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
        torch.tensor([-(2**63), 2**63 - 1, 300]),
        torch.tensor(4),
        torch.empty(0, 3),
    ],
    ids=lambda values: f"{values.dtype}",
)
def test_numbers_of_all_types_are_read(values, typed):
    graph = read_graph(model([node("Relu", ["x"], "y")], [tensor("w", values, typed)]))
    loaded = graph.load(graph.stored["w"])
    assert (loaded.dtype, loaded.shape) == (values.dtype, values.shape)
    assert torch.equal(loaded, values)


def _darker(network: nn.Module) -> bytes:
    """A network whose picture loses another level than the middle one."""
    middle, other = (tensor("1", torch.tensor([level])) for level in (127.5, 104.5))
    return export(network, Style(levels=True)).replace(middle, other)


def _negative(network: nn.Module) -> bytes:
    """A network whose picture is taken from the middle level."""
    order, turned = (node("Sub", names, "2") for names in (["x", "1"], ["1", "x"]))
    return export(network, Style(levels=True)).replace(order, turned)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda n: model([node("Relu", ["x"], "y")], []), "1 Relu; nearest is .*expected Conv"),
        (lambda n: model([], [], outputs=["x"]), "0 inputs"),
        (lambda n: model([node("Add", ["x", "z"], "y")], [], inputs=["x", "z"]), "2 inputs"),
        (_darker, "expected the middle level 127.5 at step 1, got 104.5"),
        (_negative, "one of its weights is computed"),
        (lambda n: export(nn.Sequential(n, nn.PReLU(24))), "expected outputs|another"),
    ],
)
def test_other_graphs_are_unsupported(content, reason, tmp_path):
    (tmp_path / "m").write_bytes(content(SFace(SMALL_SFACE)))
    with pytest.raises(UnsupportedCheckpoint, match=f"m: expected (the|a) graph .*{reason}"):
        read_checkpoint(tmp_path / "m")
