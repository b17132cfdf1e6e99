"""Networks are written whole, in the precision that was asked for, or not at all."""

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from guided_face_edit.editor_core.checkpoints import saving
from guided_face_edit.editor_core.checkpoints.reading import read_checkpoint
from guided_face_edit.editor_core.checkpoints.saving import save_model, save_tensors
from guided_face_edit.editor_core.models.eyenet import EyeNet
from guided_face_edit.tests.support.tiny import TINY_EYENET


def test_half_precision_is_saved_with_what_the_network_is(tmp_path):
    save_model(tmp_path / "m.safetensors", EyeNet(TINY_EYENET), "gaze", {"size": 64})
    checkpoint = read_checkpoint(tmp_path / "m.safetensors")
    floats = {t.dtype for t in checkpoint.tensors.values() if t.is_floating_point()}
    assert floats == {torch.float16}
    assert checkpoint.metadata["kind"] == "gaze"
    assert checkpoint.config == {"size": 64}


def test_saving_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(saving, "save_file", full)
    with pytest.raises(OSError, match="cannot write .*room on the disk"):
        save_model(tmp_path / "m.safetensors", EyeNet(TINY_EYENET), "gaze", {})
    assert not list(tmp_path.iterdir())


def test_values_that_half_precision_cannot_hold_are_refused(tmp_path):
    network = EyeNet(TINY_EYENET)
    network.gaze_fc2.bias.data[0] = 1e6
    with pytest.raises(ValueError, match=r"gaze_fc2\.bias has values that torch\.float16 cannot"):
        save_model(tmp_path / "m.safetensors", network, "gaze", {})
    save_model(tmp_path / "m.safetensors", network, "gaze", {}, dtype=torch.float32)
    tensors = read_checkpoint(tmp_path / "m.safetensors").tensors
    torch.testing.assert_close(tensors["gaze_fc2.bias"][0].item(), 1e6)


def test_tensors_that_share_memory_are_written_apart(tmp_path):
    whole = torch.arange(6.0).view(2, 3)
    save_tensors(tmp_path / "x.safetensors", {"a": whole[0], "b": whole[1], "c": whole}, {})
    assert torch.equal(load_file(tmp_path / "x.safetensors")["b"], torch.tensor([3.0, 4, 5]))
