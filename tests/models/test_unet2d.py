"""The U-Net of diffusers: against the library itself, and as a model of the editor."""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from guided_face_edit.editor_core.checkpoints.reading import Checkpoint, UnsupportedCheckpoint
from guided_face_edit.editor_core.checkpoints.saving import save_model
from guided_face_edit.editor_core.editing import edit_face
from guided_face_edit.editor_core.loading.diffusion import plan
from guided_face_edit.editor_core.loading.known_files import MissingModel
from guided_face_edit.editor_core.loading.models import FaceModels, find_models, load_diffusion
from guided_face_edit.editor_core.models.unet2d import UNet2D, UNet2DConfig
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.editor_core.settings import TermSettings
from guided_face_edit.tests.support.tiny import seeded, tiny_encoder, tiny_parser

PLAIN = UNet2DConfig((32, 64), 1, (1,))
GOOGLE = UNet2DConfig((128, 128, 256, 256, 512, 512), 2, (4,))
FORMS = {
    "plain": PLAIN,
    "three levels, two attended": UNet2DConfig((32, 32, 64), 2, (0, 2)),
    "no attention but in the middle": replace(PLAIN, attention_levels=()),
    "learned variance": replace(PLAIN, out_channels=6),
    "all that is told": replace(
        PLAIN,
        attention_head_dim=16,
        norm_num_groups=8,
        norm_eps=1e-5,
        downsample_padding=1,
        flip_sin_to_cos=True,
        freq_shift=0,
        center_input_sample=True,
    ),
}
OLD_NAMES = {
    ".to_q.": ".query.",
    ".to_k.": ".key.",
    ".to_v.": ".value.",
    ".to_out.0.": ".proj_attn.",
}

# What diffusers is told: the network, its schedule, and how the folder is laid out.
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


def _named_of_old(folder):
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
            _named_of_old(folder / unet)
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


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_config_is_read_from_the_tensors(form):
    with torch.device("meta"):
        tensors = UNet2D(form).state_dict()
    assert UNet2DConfig.from_state_dict(tensors, asdict(form)) == form


def test_the_published_network_is_known():
    with torch.device("meta"):
        tensors = UNet2D(GOOGLE).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert UNet2DConfig.from_state_dict(tensors) == GOOGLE
        built = plan(Checkpoint(Path(__file__), tensors, {"config": {}}))
    assert (built.image_size, built.fixed, len(built.schedule.betas)) == (256, "small", 1000)


def test_what_is_assumed_of_an_unknown_network_is_said_in_a_warning(tmp_path):
    save_model(tmp_path / "m.safetensors", UNet2D(PLAIN), "diffusion", {})
    with pytest.warns(UserWarning) as warned:
        model = load_diffusion(tmp_path / "m.safetensors")
    said = " ".join(str(warning.message) for warning in warned)
    assert "assuming attention_head_dim None, norm_num_groups 32, norm_eps 1e-06" in said
    assert "does not tell all of the model: assuming sample_size 256, beta_schedule linear" in said
    assert (model.network.config, model.image_size, model.fixed) == (PLAIN, 256, "small")


def test_the_config_in_a_file_of_its_own_is_enough(tmp_path):
    told = {**asdict(FORMS["all that is told"]), "sample_size": 32, "beta_schedule": "linear"}
    save_model(tmp_path / "m.safetensors", UNet2D(FORMS["all that is told"]), "diffusion", told)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_diffusion(tmp_path / "m.safetensors")
        assert load_diffusion(tmp_path / "m.safetensors", {"image_size": 64}).image_size == 64
    assert model.network.config == FORMS["all that is told"] and model.image_size == 32


def test_computes_in_the_precision_of_its_weights(generator):
    network = UNet2D(PLAIN).eval().requires_grad_(False)
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([7.0])
    full = network(x, t)
    low = network.to(torch.bfloat16)(x, t)
    assert low.dtype == torch.float32
    assert (low - full).norm() < 0.1 * full.norm()


def test_pictures_of_a_batch_do_not_mix(generator):
    network = seeded(lambda: UNet2D(FORMS["all that is told"]))
    x, t = torch.randn(2, 3, 16, 16, generator=generator).double(), torch.tensor([3.0, 500.0])
    torch.testing.assert_close(network(x, t)[1:], network(x[1:], t[1:]))


def test_there_is_no_condition_to_give():
    with pytest.raises(ValueError, match="takes no identity and no label: pass none"):
        UNet2D(PLAIN)(torch.zeros(1, 3, 8, 8), torch.zeros(1), identity=torch.zeros(1, 4))


def _folder(path, config, scheduler=None):
    network = seeded(lambda: UNet2D(PLAIN))
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
    ],
)
def test_networks_of_another_make_are_refused(tmp_path, config, scheduler, message):
    folder = _folder(tmp_path, {"sample_size": 16, **config}, scheduler)
    with pytest.raises(UnsupportedCheckpoint, match=message):
        load_diffusion(folder)


def test_a_folder_without_a_model_says_what_belongs_there(tmp_path):
    with pytest.raises(MissingModel, match="expected diffusion_pytorch_model.safetensors or"):
        load_diffusion(tmp_path)
    (_folder(tmp_path, {}) / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="config.json: expected a JSON object, got"):
        load_diffusion(tmp_path)


def test_a_folder_of_models_may_hold_one_of_diffusers(tmp_path):
    folder = tmp_path / "ddpm"
    folder.mkdir()
    _named_of_old(_folder(folder, {}))
    assert find_models(tmp_path) == {"diffusion": folder / "diffusion_pytorch_model.bin"}


def test_it_edits_a_face_that_only_guidance_knows(tmp_path, generator):
    told = {"sample_size": 32, "norm_eps": 1e-6, "attention_head_dim": None}
    model = load_diffusion(_folder(tmp_path, told, {"beta_schedule": "linear"}))
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
