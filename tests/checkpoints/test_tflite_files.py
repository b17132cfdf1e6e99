"""The weights of TensorFlow Lite files are read as they stand in the file, by the one door."""

import pytest
import torch

from guided_face_edit.editor_core.checkpoints.reading import read_checkpoint, read_outline
from guided_face_edit.tests.support import shipped
from guided_face_edit.tests.support.tflite import tflite_file

TENSORS = {
    "conv2d/Kernel": torch.arange(24.0).view(2, 3, 1, 4),
    "conv2d/Bias": torch.tensor([0.5, -2.0], dtype=torch.float16),
    "pad/Paddings": torch.tensor([[0, 0], [1, 1]], dtype=torch.int32),  # no weight
}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "network.any"
    file.write_bytes(tflite_file(TENSORS))
    return file


def test_floats_are_read_by_name(path):
    found = read_checkpoint(path).tensors
    assert list(found) == ["conv2d/Kernel", "conv2d/Bias"]
    for name, tensor in found.items():
        assert tensor.dtype == TENSORS[name].dtype and torch.equal(tensor, TENSORS[name])


def test_writing_to_a_tensor_leaves_the_file(path):
    before = path.read_bytes()
    read_checkpoint(path).tensors["conv2d/Kernel"].zero_()
    assert path.read_bytes() == before


def test_the_outline_has_shapes_alone(path):
    outline = read_outline(path).tensors
    assert {name: tuple(t.shape) for name, t in outline.items()} == {
        "conv2d/Kernel": (2, 3, 1, 4),
        "conv2d/Bias": (2,),
    }
    assert all(t.is_meta for t in outline.values())


def test_mediapipes_own_file_is_read():
    tensors = read_checkpoint(shipped.attention_mesh()).tensors
    assert len(tensors) == 371 and sum(t.numel() for t in tensors.values()) == 1_189_328
    assert all(t.isfinite().all() for t in tensors.values())
