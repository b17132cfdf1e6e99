"""A converted file holds the same network and says what it was, or nothing is written."""

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from guided_face_edit.editor_core.checkpoints import saving
from guided_face_edit.editor_core.checkpoints.reading import read_checkpoint
from guided_face_edit.editor_core.files import sha256
from guided_face_edit.editor_core.loading.convert import convert
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import load_diffusion, load_gaze
from guided_face_edit.editor_core.models.eyenet import EyeNet
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.editor_core.models.unet2d import UNet2D
from guided_face_edit.tests.support.containers import CONTAINERS
from guided_face_edit.tests.support.tiny import TINY_EYENET, TINY_UNET, TINY_UNET2D

ADM_CONFIG = {"num_heads": 4, "attention_order": "legacy", "image_size": 32, "schedule": "cosine"}


@pytest.mark.parametrize("save", CONTAINERS.values(), ids=CONTAINERS)
def test_a_converted_file_holds_the_same_network(tmp_path, generator, save):
    network = EyeNet(TINY_EYENET)
    tensors, name = network.state_dict(), "m.bin"
    save(network, tmp_path / name)
    out = tmp_path / "out.safetensors"
    before = inspect(tmp_path / name)
    assert convert(before, out).startswith(f"wrote {out}: EyeNet, gaze, ")
    written = load_file(out)
    assert written.keys() == tensors.keys()
    assert all(torch.equal(written[key], tensor) for key, tensor in tensors.items())
    after = inspect(out)
    assert (after.family, after.config) == ("EyeNet", before.config)
    eyes = torch.rand(2, 96, 160, generator=generator)
    old, new = (load_gaze(path).network(eyes) for path in (tmp_path / name, out))
    torch.testing.assert_close(new, old, rtol=0, atol=1e-5)


def test_a_converted_file_says_what_it_was(tmp_path):
    (tmp_path / "diffface").mkdir()
    path, out = tmp_path / "diffface" / "GazeEstimator.pt", tmp_path / "out.safetensors"
    torch.save({"model_state_dict": EyeNet(TINY_EYENET).state_dict()}, path)
    convert(inspect(path), out, half=True)
    assert {t.dtype for t in load_file(out).values() if t.is_floating_point()} == {torch.float16}
    metadata = read_checkpoint(out).metadata
    assert metadata["source"] == "diffface/GazeEstimator.pt" and metadata["sha256"] == sha256(path)
    assert (metadata["licence"], metadata["family"]) == ("none stated (by its name)", "EyeNet")
    config = {**asdict(TINY_EYENET), "frame": "camera"}
    assert metadata["kind"] == "gaze" and metadata["config"] == config


def test_what_was_assumed_is_assumed_again(tmp_path):
    path, out = tmp_path / "m.pt", tmp_path / "out.safetensors"
    torch.save(UNet(TINY_UNET).state_dict(), path)
    (tmp_path / "m.pt.json").write_text(json.dumps({"config": {"image_size": 32}}))
    convert(inspect(path), out)
    assert read_checkpoint(out).config == {"image_size": 32}
    assert len(inspect(out).warnings) == 2
    (tmp_path / "m.pt.json").write_text(json.dumps({"config": ADM_CONFIG}))
    convert(inspect(path), out, force=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_diffusion(out)
    assert (model.network.config.num_heads, model.image_size) == (4, 32)
    assert torch.equal(model.diffusion.betas, load_diffusion(path).diffusion.betas)


def test_a_diffusers_folder_becomes_one_file(tmp_path, generator):
    folder, out = tmp_path / "ddpm", tmp_path / "out.safetensors"
    folder.mkdir()
    torch.save(UNet2D(TINY_UNET2D).state_dict(), folder / "diffusion_pytorch_model.bin")
    config = {"attention_head_dim": None, "sample_size": 16, "_class_name": "UNet2DModel"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "scheduler_config.json").write_text(json.dumps({"num_train_timesteps": 50}))
    convert(inspect(folder), out)
    before, after = load_diffusion(folder), load_diffusion(out)
    assert read_checkpoint(out).metadata["source"] == "ddpm/diffusion_pytorch_model.bin"
    assert after.network.config == before.network.config and after.image_size == 16
    assert torch.equal(after.diffusion.betas, before.diffusion.betas)
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([3.0])
    torch.testing.assert_close(after.network(x, t), before.network(x, t), rtol=0, atol=1e-5)


def _spoilt(tensors, path, metadata):
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, path, metadata)


def _interrupted(tensors, path, metadata):
    Path(path).write_bytes(b"half")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("save", "error"), [(_spoilt, OSError), (_interrupted, KeyboardInterrupt)])
def test_what_cannot_be_written_well_leaves_all_as_it_was(tmp_path, monkeypatch, save, error):
    path, out = tmp_path / "eyes.pt", tmp_path / "out.safetensors"
    torch.save(EyeNet(TINY_EYENET).state_dict(), path)
    out.write_bytes(b"mine")
    report = inspect(path)
    monkeypatch.setattr(saving, "save_file", save)
    with pytest.raises(error):
        convert(report, out, force=True)
    assert out.read_bytes() == b"mine"
    assert {file.name for file in tmp_path.iterdir()} == {"eyes.pt", "out.safetensors"}
