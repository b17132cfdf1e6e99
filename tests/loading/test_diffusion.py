"""Diffusion models from files and folders, those of diffusers against the library itself."""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from guided_face_edit.editor_core.checkpoints.errors import MissingModel, UnsupportedCheckpoint
from guided_face_edit.editor_core.checkpoints.reading import Checkpoint
from guided_face_edit.editor_core.checkpoints.saving import save_model
from guided_face_edit.editor_core.editing import edit_face
from guided_face_edit.editor_core.guidance.terms import TermSettings
from guided_face_edit.editor_core.loading.diffusion import diffusion_model
from guided_face_edit.editor_core.loading.models import FaceModels, find_models, load_diffusion
from guided_face_edit.editor_core.models.unet import UNet, UNetConfig
from guided_face_edit.editor_core.models.unet2d import UNet2D, UNet2DConfig
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.tests.support.containers import CONTAINERS
from guided_face_edit.tests.support.tiny import (
    TINY_UNET,
    TINY_UNET2D,
    UNUSUAL_UNET2D,
    seeded,
    tiny_encoder,
    tiny_parser,
)

DIFFFACE = replace(TINY_UNET, identity_channels=8)
HEADS = {"head_channels": 16, "attention_order": "legacy"}
OLD_NAMES = {
    ".to_q.": ".query.",
    ".to_k.": ".key.",
    ".to_v.": ".value.",
    ".to_out.0.": ".proj_attn.",
}

# What diffusers saves: the network, its schedule, and how the folder is laid out.
DOWN, UP = ("DownBlock2D", "AttnDownBlock2D"), ("AttnUpBlock2D", "UpBlock2D")
SAVED = {
    "as Google's, flat": (
        {
            "block_out_channels": (32, 32, 64),
            "down_block_types": (*DOWN, "DownBlock2D"),
            "up_block_types": ("UpBlock2D", *UP),
            "attention_head_dim": None,
            "downsample_padding": 0,
            "flip_sin_to_cos": False,
            "freq_shift": 1,
            "norm_eps": 1e-6,
        },
        {"variance_type": "fixed_small"},
        ("", ""),
    ),
    "by default, a pipeline": (
        {"block_out_channels": (32, 64), "down_block_types": DOWN, "up_block_types": UP},
        {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"},
        ("unet", "scheduler"),
    ),
    "other steps and groups": (
        {
            "block_out_channels": (16, 24),
            "down_block_types": DOWN,
            "up_block_types": UP,
            "layers_per_block": 1,
            "norm_num_groups": 8,
            "center_input_sample": True,
        },
        {
            "num_train_timesteps": 400,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "variance_type": "fixed_large",
        },
        ("", "scheduler"),
    ),
}


def _save_under_old_names(folder):
    """Replace a folder's weights by a pickle under the names of diffusers' first versions."""
    file = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    for present, old in OLD_NAMES.items():
        tensors = {name.replace(present, old): tensor for name, tensor in tensors.items()}
    assert any(".proj_attn." in name for name in tensors)
    torch.save(tensors, folder / "diffusion_pytorch_model.bin")
    file.unlink()


def test_networks_and_schedules_are_those_of_diffusers(tmp_path, generator):
    """One test of all forms: the library takes seconds to import."""
    from diffusers.models.unets.unet_2d import UNet2DModel
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    for form, (config, schedule, (unet, scheduler)) in SAVED.items():
        theirs = seeded(lambda config=config: UNet2DModel(sample_size=16, **config)).float()
        steps = DDPMScheduler(clip_sample=False, **schedule)
        folder = tmp_path / form
        theirs.save_pretrained(folder / unet)
        steps.save_pretrained(folder / scheduler)
        x, t = torch.randn(2, 3, 16, 16, generator=generator), torch.tensor([7, 311])
        expected = theirs(x, t).sample
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ours = load_diffusion(folder)
            _save_under_old_names(folder / unet)
            older = load_diffusion(folder)
        assert ours.network.state_dict().keys() == theirs.state_dict().keys(), form
        for model in (ours, older):
            torch.testing.assert_close(model.network(x, t), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.diffusion.alphas_cumprod.float(), steps.alphas_cumprod)
        denoised = ours.denoiser(ours.diffusion)(x[:1], t[1:]).pred_x0
        noise = theirs(x[:1], t[1:]).sample
        x0 = steps.step(noise, t[1], x[:1], generator=generator).pred_original_sample
        torch.testing.assert_close(denoised, x0, rtol=1e-5, atol=1e-5)
        assert (ours.image_size, ours.fixed) == (16, schedule.get("variance_type", "small")[-5:])


def test_a_network_of_the_published_size_needs_no_config():
    google = UNet2DConfig((128, 128, 256, 256, 512, 512), 2, (4,))
    with torch.device("meta"):
        tensors = UNet2D(google).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = diffusion_model(Checkpoint(Path(__file__), tensors, {"config": {}}))
    assert model.network.config == google
    assert (model.image_size, model.fixed, len(model.diffusion.betas)) == (256, "small", 1000)


def test_a_network_of_diffaces_size_has_its_pictures():
    blocks = (1, 2, 2, 2, 2, 3, 4)
    config = UNetConfig(
        32,
        (1, 2, 4, 8, 8, 16, 16),
        blocks,
        (16, 32, 64),
        head_channels=64,
        resblock_updown=False,
    )
    with torch.device("meta"):
        tensors = UNet(config).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = diffusion_model(Checkpoint(Path(__file__), tensors, {"config": {}}))
    assert model.network.config == config
    assert (model.image_size, model.predicts, len(model.diffusion.betas)) == (512, "epsilon", 1000)


def test_what_is_assumed_of_an_unknown_network_is_said_in_a_warning(tmp_path):
    save_model(tmp_path / "m.safetensors", UNet2D(TINY_UNET2D), "diffusion", {})
    with pytest.warns(UserWarning) as warned:
        model = load_diffusion(tmp_path / "m.safetensors")
    text = " ".join(str(warning.message) for warning in warned)
    assert "assuming attention_head_dim None, norm_num_groups 32, norm_eps 1e-06" in text
    assert "does not tell all of the model: assuming sample_size 256, beta_schedule linear" in text
    assert (model.network.config, model.image_size, model.fixed) == (TINY_UNET2D, 256, "small")


def test_the_config_in_a_file_of_its_own_is_enough(tmp_path):
    config = {**asdict(UNUSUAL_UNET2D), "sample_size": 32, "beta_schedule": "linear"}
    save_model(tmp_path / "m.safetensors", UNet2D(UNUSUAL_UNET2D), "diffusion", config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_diffusion(tmp_path / "m.safetensors")
        assert load_diffusion(tmp_path / "m.safetensors", {"image_size": 64}).image_size == 64
    assert model.network.config == UNUSUAL_UNET2D and model.image_size == 32


def _folder(path, config, scheduler=None):
    network = seeded(lambda: UNet2D(TINY_UNET2D))
    save_model(path / "diffusion_pytorch_model.safetensors", network, "diffusion", {})
    (path / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel", **config}))
    (path / "scheduler_config.json").write_text(json.dumps(scheduler or {}))
    return path


@pytest.mark.parametrize(
    ("config", "scheduler", "message"),
    [
        ({"_class_name": "UNet2DConditionModel"}, {}, "expected a UNet2DModel, got UNet2DCond"),
        ({"act_fn": "mish"}, {}, "act_fn is mish: expected silu or swish"),
        ({"resnet_time_scale_shift": "scale_shift"}, {}, "expected default; choose another"),
        ({"attention_head_dim": 12}, {}, "64 channels cannot be split into heads of 12"),
        ({"norm_num_groups": 24}, {}, "not all multiples of 24: choose another norm_num_groups"),
        ({"sample_size": [16, 32]}, {}, r"sample_size is \[16, 32\]: expected a square"),
        ({}, {"beta_schedule": "sigmoid"}, "beta_schedule is 'sigmoid': expected one of linear"),
        ({}, {"prediction_type": "sample"}, "prediction_type is 'sample': expected one of eps"),
        ({}, {"variance_type": "learned"}, "variance_type is 'learned': expected one of fixed"),
        ({}, {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr is on, expected off"),
        ({}, {"num_train_timesteps": 10**12}, "has 1000000000000 steps: expected 1 to 100,000"),
    ],
)
def test_networks_of_another_make_are_refused(tmp_path, config, scheduler, message):
    folder = _folder(tmp_path, {"sample_size": 16, **config}, scheduler)
    with pytest.raises(UnsupportedCheckpoint, match=message):
        load_diffusion(folder)


def test_a_folders_config_must_be_an_object(tmp_path):
    with pytest.raises(MissingModel, match="expected diffusion_pytorch_model.safetensors or"):
        load_diffusion(tmp_path)
    (_folder(tmp_path, {}) / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="config.json: expected a JSON object, got"):
        load_diffusion(tmp_path)


def test_a_folder_of_models_may_hold_one_of_diffusers(tmp_path):
    folder = tmp_path / "ddpm"
    folder.mkdir()
    _save_under_old_names(_folder(folder, {}))
    assert find_models(tmp_path) == {"diffusion": folder / "diffusion_pytorch_model.bin"}


def test_it_edits_a_face_that_only_guidance_knows(tmp_path, generator):
    config = {"sample_size": 32, "norm_eps": 1e-6, "attention_head_dim": None}
    model = load_diffusion(_folder(tmp_path, config, {"beta_schedule": "linear"}))
    model.network.double()
    models = FaceModels(model, tiny_encoder(), tiny_parser())
    source, target = torch.rand(2, 1, 32, 32, 3, generator=generator).double()
    mask = torch.zeros(1, 32, 32)
    mask[:, 8:24, 6:26] = 1
    off = TermSettings(0)
    settings = replace(
        preset("diffface"), respacing="4", skip=1, candidates=1, views=1, parsing=off, gaze=off
    )
    guided = edit_face(models, source, target, settings, mask=mask)
    unguided = edit_face(models, source, target, replace(settings, identity=off), mask=mask)
    kept = (mask == 0)[:, None, ..., None].expand_as(guided.images)
    assert torch.equal(guided.images[kept], target[:, None][kept])
    assert not torch.equal(guided.images, unguided.images)
    assert not torch.equal(unguided.images, target[:, None])


@pytest.mark.parametrize("save", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize(
    ("make", "form"), [(UNet, TINY_UNET), (UNet, DIFFFACE), (UNet2D, TINY_UNET2D)]
)
@pytest.mark.filterwarnings("ignore:.*tell")
def test_every_container_gives_the_same_unet(tmp_path, make, form, save):
    network = make(form)
    save(network, tmp_path / "m.bin")
    loaded = load_diffusion(tmp_path / "m.bin", HEADS).network
    assert loaded.config == form
    mine, its = network.state_dict(), loaded.state_dict()
    assert mine.keys() == its.keys()
    assert all(torch.equal(its[name], t) for name, t in mine.items())


def test_what_tensors_leave_open_is_hinted_or_assumed_with_a_warning(tmp_path):
    path = tmp_path / "m.pt"
    torch.save(UNet(DIFFFACE).state_dict(), path)
    with pytest.warns(UserWarning) as warned:
        model = load_diffusion(path)
    assert len(warned) == 2
    assert (model.network.config.num_heads, model.image_size) == (4, 256)
    hints = {"head_channels": 16, "attention_order": "new", "image_size": 64, "schedule": "linear"}
    (tmp_path / "m.pt.json").write_text(json.dumps({"config": hints}), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_diffusion(path).network.config == replace(DIFFFACE, attention_order="new")
        assert load_diffusion(path, {"image_size": 32}).image_size == 32
        assert load_diffusion(path).predicts == "epsilon"
        assert load_diffusion(path, {"predicts": "v"}).predicts == "v"
    with pytest.raises(ValueError, match="predicts is 'x': expected one of epsilon, v"):
        load_diffusion(path, {**hints, "predicts": "x"})


@pytest.mark.parametrize("steps", [0, -1, 10**12])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_must_be_known_and_of_some_length(tmp_path, schedule, steps):
    path = tmp_path / "m.safetensors"
    save_model(path, UNet(TINY_UNET), "diffusion", {**asdict(TINY_UNET), "image_size": 32})
    with pytest.raises(UnsupportedCheckpoint, match="schedule is 'sigmoid': expected one of"):
        load_diffusion(path, {"schedule": "sigmoid"})
    with pytest.raises(UnsupportedCheckpoint, match=f"has {steps} steps: expected 1 to 100,000"):
        load_diffusion(path, {"schedule": schedule, "diffusion_steps": steps})
