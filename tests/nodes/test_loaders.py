"""The nodes that load models."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from guided_face_edit.editor_core.models.unet2d import UNet2D, UNet2DConfig
from guided_face_edit.tests.support.running import BY_NAME, load, run, sample


def test_one_file_is_loaded_once_while_it_is_used():
    assert load("FaceParser") is load("FaceParser")
    assert load("FaceParser") is not load("GazeModel")


def test_a_missing_model_says_where_it_belongs():
    node = BY_NAME["LoadIdentityModel"]
    answer = node.validate_inputs(model_name="Arcface.tar")
    assert "models/face_edit/identity" in answer and "CC BY-NC" in answer
    assert node.validate_inputs() is True
    with pytest.raises(FileNotFoundError, match=r"no identity model Arcface.tar"):
        run("LoadIdentityModel", model_name="Arcface.tar")


def test_the_diffusion_model_comes_in_the_precision_asked_for():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        (managed,) = run(
            "LoadFaceDiffusionModel", model_name="demo.safetensors", precision=precision
        )
        assert next(managed.model.network.parameters()).dtype == dtype
    with pytest.raises(ValueError, match='precision is "int8", expected one of: fp32'):
        run("LoadFaceDiffusionModel", model_name="demo.safetensors", precision="int8")


def test_a_diffusers_folder_is_a_diffusion_model(folders, pair, mask, embedding):
    folder = Path(folders.models_dir, "face_edit", "diffusion", "toy")
    folder.mkdir(parents=True)
    network = UNet2D(UNet2DConfig((32, 32), 1, ()))
    torch.save(network.state_dict(), folder / "diffusion_pytorch_model.bin")
    config = {"sample_size": 64, "attention_head_dim": None, "downsample_padding": 0}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "scheduler_config.json").write_text(json.dumps({"variance_type": "fixed_small"}))
    name = "toy/diffusion_pytorch_model.bin"
    assert name in folders.get_filename_list("face_edit_diffusion")
    (model,) = run("LoadFaceDiffusionModel", model_name=name, precision="fp32")
    candidates, best, _ = sample(pair, mask, embedding, model=model)
    kept = (mask == 0)[..., None].expand_as(best)
    assert candidates.shape == (2, 64, 64, 3) and torch.equal(best[kept], pair[1][kept])
    assert not torch.equal(best, pair[1])
    shutil.rmtree(folder)
