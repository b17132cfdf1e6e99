"""The face meshes are MediaPipe's: the same tensors, and number by number the same landmarks."""

import importlib.util
import json
import math
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from guided_face_edit.editor_core.checkpoints.reading import read_checkpoint
from guided_face_edit.editor_core.checkpoints.saving import save_tensors
from guided_face_edit.editor_core.face.landmarks import FaceLandmarker
from guided_face_edit.editor_core.loading.convert import convert
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import load_landmarks
from guided_face_edit.editor_core.models.attention_mesh import (
    AttentionMesh,
    AttentionMeshConfig,
    cut_out,
    file_layers,
    from_frame,
    region_frame,
    with_own_names,
)
from guided_face_edit.editor_core.models.blendshapes import BLENDSHAPES, MARKERS
from guided_face_edit.tests.support import shipped
from guided_face_edit.tests.support.families import randomised
from guided_face_edit.tests.support.tflite import tflite_file

SMALL = AttentionMeshConfig((2, 3, 4, 4, 5, 6), 3, (4, 5))
REFERENCE = Path(__file__).parents[1] / "support" / "mediapipe_astronaut.json"


def _picture(count=1):
    generator = torch.Generator().manual_seed(3)
    return torch.rand(count, 3, 192, 192, generator=generator)


@pytest.fixture(scope="module")
def comfyui():
    """ComfyUI's own module, of a checkout that has one."""
    path = Path(os.environ.get("COMFYUI_PATH", "none"), "comfy_extras", "mediapipe")
    if not path.is_dir():
        pytest.skip("COMFYUI_PATH names no ComfyUI that has MediaPipe")
    spec = importlib.util.spec_from_file_location("comfyui_mesh", path / "face_landmarker.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_file_of_comfyuis_gives_comfyuis_numbers(comfyui, tmp_path):
    theirs = randomised(comfyui.FaceLandmarker())
    tensors = {
        name.replace("detector.", "detector_short."): tensor
        for name, tensor in theirs.state_dict().items()
    }
    tensors["canonical_vertices"] = torch.zeros(468, 3)
    save_tensors(tmp_path / "m.safetensors", tensors, {})
    ours = load_landmarks(tmp_path / "m.safetensors").network
    with torch.no_grad():
        points, presence = theirs.mesh(_picture(2))
        own, own_presence = ours(_picture(2))
        expected = theirs.blendshapes(points[:, list(MARKERS), :2])
        torch.testing.assert_close(own, points, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(own_presence, presence.sigmoid(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.blendshapes(own), expected, rtol=1e-5, atol=1e-5)
    assert comfyui.BLENDSHAPE_NAMES == BLENDSHAPES and comfyui._BS_INPUT_INDICES == MARKERS


def _published(network: AttentionMesh) -> dict[str, Tensor]:
    """A network's tensors under the names and in the layout of MediaPipe's file."""
    own = network.state_dict()
    found = {"multiply_by_constant/Constant": torch.tensor([[0.25]])}
    for name, layer, kind in file_layers():
        weight = own[f"{name}.weight"]
        if kind == "p_re_lu":
            found[f"{layer}/Alpha"] = weight[None, None]
            continue
        order = (1, 2, 3, 0) if kind == "depthwise_conv2d" else (0, 2, 3, 1)
        found[f"{layer}/Kernel"] = weight.permute(order).contiguous()
        found[f"{layer}/Bias"] = own[f"{name}.bias"]
    return found


def test_a_tflite_file_gives_the_network_that_it_was_written_of(tmp_path):
    network = randomised(AttentionMesh(SMALL))
    (tmp_path / "m.tflite").write_bytes(tflite_file(_published(network)))
    loaded = load_landmarks(tmp_path / "m.tflite").network
    assert loaded.config == SMALL
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_a_converted_tflite_file_loads_again(tmp_path):
    network = randomised(AttentionMesh(SMALL))
    (tmp_path / "m.tflite").write_bytes(tflite_file(_published(network)))
    report = inspect(tmp_path / "m.tflite")
    assert (report.family, report.kind) == ("Attention Mesh", "landmarks")
    convert(report, tmp_path / "m.safetensors")
    loaded = load_landmarks(tmp_path / "m.safetensors").network.state_dict()
    assert all(torch.equal(loaded[name], t) for name, t in network.state_dict().items())


def test_a_tensor_too_many_or_too_few_is_refused(tmp_path):
    tensors = _published(AttentionMesh(SMALL))
    for change in ({"conv2d_99/Kernel": torch.zeros(1)}, {"conv2d_7/Bias": None}):
        left = {k: v for k, v in {**tensors, **change}.items() if v is not None}
        (tmp_path / "m.tflite").write_bytes(tflite_file(left))
        with pytest.raises(ValueError, match="expected the tensors of one whole network"):
            load_landmarks(tmp_path / "m.tflite")


@pytest.fixture(scope="module")
def attention():
    """MediaPipe's own file, of the installed package."""
    return shipped.attention_mesh()


def test_the_landmarks_of_a_photograph_are_mediapipes(attention):
    """What the FaceMesh of mediapipe 0.10.21 gives of the astronaut, refined, and where it looked.

    It takes the middle of a pixel for its corner, and its pixels are of 8 bits.
    """
    data = pytest.importorskip("skimage.data")
    reference = json.loads(REFERENCE.read_text())
    x, y, width, _, angle = reference["rect"]
    image = torch.from_numpy(data.astronaut()).float().permute(2, 0, 1)[None] / 127.5 - 1
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, sin], [-sin, cos]]) / width
    shift = 0.5 - 0.5 / 192 * turn.inverse().sum(1)
    corner = 0.5 - turn @ (torch.tensor([x, y]) + shift)
    affine = torch.cat([turn, corner[:, None]], 1)[None]
    with torch.no_grad():
        points, presence = load_landmarks(attention).look(image, affine)
    expected = torch.tensor(reference["points"])
    off = points[0] - expected - torch.cat([shift, torch.zeros(1)])
    distance = off[:, :2].norm(dim=1)
    assert distance.max() < 0.06 and distance.mean() < 0.02
    assert distance[468:].max() < 0.04 and off[:, 2].abs().max() < 0.1
    assert presence > 0.99


def test_the_published_file_has_the_tensors_of_the_network(attention):
    tensors = with_own_names(read_checkpoint(attention).tensors)
    assert AttentionMeshConfig.from_state_dict(tensors) == AttentionMeshConfig()
    with torch.device("meta"):
        own = AttentionMesh(AttentionMeshConfig()).state_dict()
    assert {n: t.shape for n, t in tensors.items()} == {n: t.shape for n, t in own.items()}


def test_a_region_is_what_its_points_span_half_as_large_again():
    points = torch.tensor([[[10.0, 20.0], [26.0, 20.0], [18.0, 28.0]]])
    frame = region_frame(points, points[:, :2])
    corners = from_frame(frame, torch.tensor([[[0.0, 0.0], [16.0, 16.0], [8.0, 8.0]]]))
    expected = torch.tensor([[[6.0, 18.0], [30.0, 30.0], [18.0, 24.0]]])
    torch.testing.assert_close(corners, expected)


def test_a_region_leans_with_its_ends():
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    points = torch.rand(1, 9, 2, generator=torch.Generator().manual_seed(0)) * 40
    level = points.clone()
    level[0, :2] = torch.tensor([[1.0, 20.0], [39.0, 20.0]])
    frames = region_frame(level, level[:, :2]), region_frame(level @ turn.T, level[:, :2] @ turn.T)
    torch.testing.assert_close(frames[1], turn @ frames[0])


def test_features_are_cut_out_by_their_middles_and_zero_beyond():
    rows = torch.arange(48.0)
    features = torch.stack([rows.expand(48, 48), rows[:, None].expand(48, 48)])[None]
    frame = torch.tensor([[[1.0, 0, 20], [0, 1, -4]]])
    cells = cut_out(features, frame)[0]
    assert torch.equal(cells[:, :4], torch.zeros(2, 4, 16))
    torch.testing.assert_close(cells[0, 4], 20 + torch.arange(16.0))
    torch.testing.assert_close(cells[1, 4:, 3], torch.arange(12.0))


@pytest.mark.parametrize("values", [{}, {"region": (3, 3)}])
def test_landmarks_are_differentiable_in_the_picture(values):
    network = randomised(AttentionMesh(AttentionMeshConfig((2, 3, 4, 4, 5, 6), 3, **values)))
    landmarker = FaceLandmarker(network.double())
    image = (_picture().double() * 2 - 1)[..., :64, :64].clone().requires_grad_()
    affine = torch.tensor([[[1 / 50, 0, -0.1], [0, 1 / 50, -0.2]]], dtype=torch.float64)
    points = landmarker.landmarks(image, affine)[0, [0, 13, 33, 468, 473, 477]]
    pull = torch.linspace(-1, 1, points.numel()).double().view_as(points)
    (gradient,) = torch.autograd.grad((points * pull).sum(), image)
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-6 * direction
    sides = [
        (landmarker.landmarks(image + sign * step, affine)[0, [0, 13, 33, 468, 473, 477]] * pull)
        for sign in (1, -1)
    ]
    slope = (sides[0].sum() - sides[1].sum()) / 2e-6
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-6)
