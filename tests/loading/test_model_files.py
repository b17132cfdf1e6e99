"""Model files: inspected whatever they hold, and converted whole or not at all."""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from guided_face_edit.editor_core.__main__ import main
from guided_face_edit.editor_core.checkpoints import saving
from guided_face_edit.editor_core.checkpoints.reading import UnsupportedCheckpoint, read_checkpoint
from guided_face_edit.editor_core.files import sha256
from guided_face_edit.editor_core.loading.convert import convert
from guided_face_edit.editor_core.loading.families import UNSUPPORTED
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import load_diffusion, load_gaze
from guided_face_edit.editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from guided_face_edit.editor_core.models.eyenet import EyeNet, EyeNetConfig
from guided_face_edit.editor_core.models.iresnet import IResNet, IResNetConfig
from guided_face_edit.editor_core.models.unet import UNet, UNetConfig
from guided_face_edit.editor_core.models.unet2d import UNet2D, UNet2DConfig
from guided_face_edit.tests.support.containers import CONTAINERS

EYES = EyeNetConfig(nstack=1, nfeatures=4, nlandmarks=2, stem=4)
ADM = UNetConfig(32, (1, 2), 1, (2,), head_channels=16)
DIFFFACE = replace(ADM, identity_channels=8)
DIFFUSERS = UNet2DConfig((32, 64), 1, (1,))
PARSER = BiSeNetConfig(width=8)
ENCODER = IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), embedding=24, input_size=32)
HEADS = {"head_channels": 16, "attention_order": "legacy"}
ADM_TOLD = {"num_heads": 4, "attention_order": "legacy", "image_size": 32, "schedule": "cosine"}


def _lpips(name):
    """A backbone in torchvision's layout, empty but for its names and sizes."""
    import torchvision.models

    with torch.device("meta"):
        features = getattr(torchvision.models, name)(weights=None).features
    return {key: torch.zeros(t.shape) for key, t in features.state_dict(prefix="features.").items()}


LAYOUTS = {  # as published, small: the family, the kind and the tensors
    "ADM, DiffFace": ("ADM U-Net", "diffusion", lambda: UNet(DIFFFACE).state_dict()),
    "ADM, unconditional": ("ADM U-Net", "diffusion", lambda: UNet(ADM).state_dict()),
    "diffusers": ("diffusers U-Net", "diffusion", lambda: UNet2D(DIFFUSERS).state_dict()),
    "BiSeNet": ("BiSeNet", "parser", lambda: BiSeNet(PARSER).state_dict()),
    "ArcFace": ("ArcFace ResNet", "identity", lambda: IResNet(ENCODER).state_dict()),
    "EyeNet": ("EyeNet", "gaze", lambda: EyeNet(EYES).state_dict()),
    "SqueezeNet": ("SqueezeNet 1.1", "lpips", lambda: _lpips("squeezenet1_1")),
    "AlexNet": ("AlexNet", "lpips", lambda: _lpips("alexnet")),
    "VGG-16": ("VGG-16", "lpips", lambda: _lpips("vgg16")),
}


@pytest.mark.parametrize(("family", "kind", "tensors"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_is_named(tmp_path, family, kind, tensors):
    torch.save(tensors(), tmp_path / "model.pt")
    report = inspect(tmp_path / "model.pt")
    assert (report.family, report.kind, report.dtype) == (family, kind, "float32")
    assert report.sha256 == sha256(tmp_path / "model.pt") and report.licence == "unknown"
    assert report.parameters > 0 and json.dumps(report.as_json())


@pytest.mark.parametrize(("name", "what"), UNSUPPORTED.items(), ids=UNSUPPORTED.values())
def test_layouts_that_cannot_be_used_are_named_too(tmp_path, name, what):
    torch.save({name: torch.zeros(1)}, tmp_path / "model.pt")
    with pytest.raises(UnsupportedCheckpoint, match=rf"model\.pt: expected one of .*got {what}:"):
        inspect(tmp_path / "model.pt")


def test_a_graph_without_gradients_is_no_model(tmp_path):
    (tmp_path / "w600k_r50.onnx").write_bytes(b"graph")
    with pytest.raises(UnsupportedCheckpoint, match="got an ONNX graph, which has no gradients"):
        inspect(tmp_path / "w600k_r50.onnx")


@pytest.mark.parametrize("save", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize(("make", "form"), [(UNet, ADM), (UNet, DIFFFACE), (UNet2D, DIFFUSERS)])
@pytest.mark.filterwarnings("ignore:.*tell")
def test_every_container_gives_the_same_unet(tmp_path, make, form, save):
    network = make(form)
    save(network, tmp_path / "m.bin")
    loaded = load_diffusion(tmp_path / "m.bin", HEADS).network
    assert loaded.config == form
    mine, its = network.state_dict(), loaded.state_dict()
    assert mine.keys() == its.keys()
    assert all(torch.equal(its[name], t) for name, t in mine.items())


@pytest.mark.parametrize("save", CONTAINERS.values(), ids=CONTAINERS)
def test_a_converted_file_holds_the_same_network(tmp_path, generator, save):
    network = EyeNet(EYES)
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
    torch.save({"model_state_dict": EyeNet(EYES).state_dict()}, path)
    convert(inspect(path), out, half=True)
    assert {t.dtype for t in load_file(out).values() if t.is_floating_point()} == {torch.float16}
    metadata = read_checkpoint(out).metadata
    assert metadata["source"] == "diffface/GazeEstimator.pt" and metadata["sha256"] == sha256(path)
    assert (metadata["licence"], metadata["family"]) == ("none stated (by its name)", "EyeNet")
    assert metadata["kind"] == "gaze" and metadata["config"] == asdict(EYES)


def test_what_was_assumed_is_assumed_again(tmp_path):
    path, out = tmp_path / "m.pt", tmp_path / "out.safetensors"
    torch.save(UNet(ADM).state_dict(), path)
    (tmp_path / "m.pt.json").write_text(json.dumps({"config": {"image_size": 32}}))
    convert(inspect(path), out)
    assert read_checkpoint(out).config == {"image_size": 32}
    assert len(inspect(out).warnings) == 2
    (tmp_path / "m.pt.json").write_text(json.dumps({"config": ADM_TOLD}))
    convert(inspect(path), out, force=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_diffusion(out)
    assert (model.network.config.num_heads, model.image_size) == (4, 32)
    assert torch.equal(model.diffusion.betas, load_diffusion(path).diffusion.betas)


def test_a_diffusers_folder_becomes_one_file(tmp_path, generator):
    folder, out = tmp_path / "ddpm", tmp_path / "out.safetensors"
    folder.mkdir()
    network = UNet2D(DIFFUSERS)
    torch.save(network.state_dict(), folder / "diffusion_pytorch_model.bin")
    config = {"attention_head_dim": None, "sample_size": 16, "_class_name": "UNet2DModel"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "scheduler_config.json").write_text(json.dumps({"num_train_timesteps": 50}))
    assert main(["convert", str(folder), str(out)]) == 0
    before, after = load_diffusion(folder), load_diffusion(out)
    assert read_checkpoint(out).metadata["source"] == "ddpm/diffusion_pytorch_model.bin"
    assert after.network.config == before.network.config and after.image_size == 16
    assert torch.equal(after.diffusion.betas, before.diffusion.betas)
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([3.0])
    torch.testing.assert_close(after.network(x, t), before.network(x, t), rtol=0, atol=1e-5)


def test_tensors_that_share_memory_are_written_apart(tmp_path):
    whole = torch.arange(6.0).view(2, 3)
    saving.save_tensors(tmp_path / "x.safetensors", {"a": whole[0], "b": whole[1], "c": whole}, {})
    assert torch.equal(load_file(tmp_path / "x.safetensors")["b"], torch.tensor([3.0, 4, 5]))


@pytest.fixture
def pickles(tmp_path):
    """A folder with two good pickles, one that is none, and a safetensors file."""
    folder = tmp_path / "pickles"
    (folder / "gaze").mkdir(parents=True)
    torch.save(EyeNet(EYES).state_dict(), folder / "gaze" / "eyes.pt")
    torch.save(BiSeNet(PARSER).state_dict(), folder / "parser.pth")
    (folder / "broken.ckpt").write_bytes(b"<html>" * 40)
    save_file(EyeNet(EYES).state_dict(), folder / "done.safetensors")
    return folder


def _files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_of_pickles_is_converted_at_once(tmp_path, pickles, capsys):
    out = tmp_path / "out"
    assert main(["convert", str(pickles), str(out)]) == 2
    shown = capsys.readouterr()
    assert _files(out) == {"gaze/eyes.safetensors", "parser.safetensors"}
    assert shown.out.count("wrote ") == 2
    assert shown.err.startswith("error: ") and "broken.ckpt: expected a whole" in shown.err
    assert shown.err.count("\n") == 1
    assert main(["convert", str(pickles), str(out)]) == 2
    assert capsys.readouterr().err.count("is there already: name another, or overwrite it") == 2
    (pickles / "broken.ckpt").unlink()
    assert main(["convert", str(pickles), str(out), "--half", "--force"]) == 0
    assert inspect(out / "parser.safetensors").dtype == "float16"


def test_two_files_that_would_become_one_are_refused(tmp_path, pickles, capsys):
    torch.save(EyeNet(EYES).state_dict(), pickles / "parser.pt")
    assert main(["convert", str(pickles), str(tmp_path / "out")]) == 2
    assert "would become" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_inspecting_goes_on_after_a_file_that_cannot_be_used(pickles, capsys):
    assert main(["inspect", str(pickles)]) == 2
    shown = capsys.readouterr()
    assert [line for line in shown.out.splitlines() if "family" in line] == [
        "  family      EyeNet",
        "  family      EyeNet",
        "  family      BiSeNet",
    ]
    assert shown.err.startswith("error: ") and shown.err.count("\n") == 1
    assert main(["inspect", "--json", str(pickles), str(pickles / "parser.pth")]) == 2
    told = json.loads(capsys.readouterr().out)
    assert [report.get("kind") for report in told] == [None, "gaze", "gaze", "parser", "parser"]
    assert "broken.ckpt" in told[0]["error"]
    assert main(["inspect", str(pickles / "parser.pth")]) == 0


def test_an_empty_folder_has_no_model_files(tmp_path, capsys):
    assert main(["inspect", str(tmp_path)]) == 2
    assert "no model files in" in capsys.readouterr().err


def _spoilt(tensors, path, metadata):
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, path, metadata)


def _interrupted(tensors, path, metadata):
    Path(path).write_bytes(b"half")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("save", "error"), [(_spoilt, OSError), (_interrupted, KeyboardInterrupt)])
def test_what_cannot_be_written_well_leaves_all_as_it_was(tmp_path, monkeypatch, save, error):
    path, out = tmp_path / "eyes.pt", tmp_path / "out.safetensors"
    torch.save(EyeNet(EYES).state_dict(), path)
    out.write_bytes(b"mine")
    report = inspect(path)
    monkeypatch.setattr(saving, "save_file", save)
    with pytest.raises(error):
        convert(report, out, force=True)
    assert out.read_bytes() == b"mine" and _files(tmp_path) == {"eyes.pt", "out.safetensors"}


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("eyes.pt", "expected a name that ends in .safetensors"),
        ("taken.safetensors", "is there already: name another, or overwrite it"),
    ],
)
def test_places_that_cannot_be_written_are_refused(tmp_path, capsys, out, message):
    torch.save(EyeNet(EYES).state_dict(), tmp_path / "eyes.pt")
    (tmp_path / "taken.safetensors").write_bytes(b"mine")
    assert main(["convert", str(tmp_path / "eyes.pt"), str(tmp_path / out)]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "taken.safetensors").read_bytes() == b"mine"


def test_values_that_half_precision_cannot_hold_stay_whole(tmp_path, capsys):
    tensors = EyeNet(EYES).state_dict()
    tensors["gaze_fc2.bias"][0] = 1e6
    torch.save(tensors, tmp_path / "eyes.pt")
    out = tmp_path / "out.safetensors"
    assert main(["convert", str(tmp_path / "eyes.pt"), str(out), "--half"]) == 2
    assert "torch.float16 cannot hold" in capsys.readouterr().err and not out.exists()
    assert main(["convert", str(tmp_path / "eyes.pt"), str(out)]) == 0
