"""What only ComfyUI knows: files, devices, progress."""

import pytest
import torch

from guided_face_edit.nodes.host import differentiable_model, fingerprint
from guided_face_edit.tests.support.running import sample


def test_a_changed_file_changes_the_fingerprint(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"1")
    before = fingerprint(path)
    path.write_bytes(b"22")
    assert fingerprint(path) != before


def test_the_sampler_shows_every_step_and_stops_when_cancelled(pair, mask, embedding):
    import comfy.model_management as memory
    import comfy.utils

    comfy.utils.ProgressBar.updates.clear()
    sample(pair, mask, embedding)
    shown = comfy.utils.ProgressBar.updates
    assert [(done, total) for done, total, _ in shown] == [(1, 3), (2, 3), (3, 3)]
    assert all(kind == "JPEG" and picture.size == (64, 64) for _, _, (kind, picture, _) in shown)
    memory.interrupted = True
    with pytest.raises(memory.InterruptProcessingException):
        sample(pair, mask, embedding)
    assert len(shown) == 3


def test_pictures_in_half_precision_are_taken(pair, mask, embedding):
    half = tuple(image.half() for image in pair)
    candidates, *_ = sample(half, mask.half(), embedding)
    assert candidates.dtype == torch.float32


def test_what_a_model_overwrites_is_kept_for_its_gradient_and_the_hosts_switch_is_put_back(
    monkeypatch,
):
    import comfy.model_management as memory

    monkeypatch.setattr(memory, "in_training", False, raising=False)
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    with pytest.raises(KeyError), differentiable_model():
        assert memory.in_training
        h = x * 1
        y = h.square()
        h += 5.0
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert slope.tolist() == [4.0, 6.0]
        raise KeyError
    assert memory.in_training is False
