"""From files to models, and what is said of files that are none."""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from guided_face_edit.editor_core.checkpoints import saving
from guided_face_edit.editor_core.checkpoints.embeddings import load_embedding, save_embedding
from guided_face_edit.editor_core.checkpoints.reading import (
    CheckpointError,
    DamagedCheckpoint,
    UnsupportedCheckpoint,
    read_checkpoint,
)
from guided_face_edit.editor_core.checkpoints.saving import save_model
from guided_face_edit.editor_core.loading.families import detect
from guided_face_edit.editor_core.loading.known_files import KNOWN_FILES, MissingModel
from guided_face_edit.editor_core.loading.models import (
    find_models,
    load_diffusion,
    load_gaze,
    load_identity,
    load_lpips,
    load_models,
    load_parser,
)
from guided_face_edit.editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from guided_face_edit.editor_core.models.eyenet import EyeNet, EyeNetConfig
from guided_face_edit.editor_core.models.iresnet import IResNet, IResNetConfig
from guided_face_edit.editor_core.models.unet import UNet, UNetConfig

UNET = UNetConfig(32, (1, 2), 1, (2,), head_channels=16, identity_channels=24)
ENCODER = IResNetConfig((1, 1, 1, 1), (16, 16, 32, 32), embedding=24, input_size=32)
EYES = EyeNetConfig(nstack=1, nfeatures=4, nlandmarks=2, stem=4)


def _save_all(folder: Path) -> None:
    """One small model of each kind, under names that tell nothing."""
    from torchvision.models import squeezenet1_1

    unet = {**asdict(UNET), "image_size": 64, "schedule": "cosine", "diffusion_steps": 200}
    save_model(folder / "a.safetensors", UNet(UNET), "diffusion", unet)
    parser = BiSeNet(BiSeNetConfig(width=8))
    save_model(folder / "b.safetensors", parser, "parser", {"size": 128})
    save_model(folder / "c.safetensors", IResNet(ENCODER), "identity", {})
    save_model(folder / "d.safetensors", EyeNet(EYES), "gaze", {})
    lpips = squeezenet1_1(weights=None)
    save_model(folder / "e.safetensors", lpips, "lpips", {"heads": False})
    save_model(folder / "judge.safetensors", IResNet(ENCODER), "judge", {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    _save_all(path)
    return path


@pytest.fixture(scope="module")
def tensors():
    return UNet(UNET).state_dict()


def _saved(path, content, **options):
    torch.save(content, path, **options)
    return path


def test_a_folder_of_models_is_loaded_in_inference_mode_too(folder):
    before = torch.get_rng_state()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("error")
        models = load_models(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert models.diffusion.network.config == UNET
    assert (models.diffusion.image_size, models.diffusion.diffusion.num_timesteps) == (64, 200)
    assert (models.parser.size, models.identity.size) == (128, 32)
    assert models.gaze.network.config == EYES
    x = torch.zeros(1, 3, 64, 64, requires_grad=True)
    models.lpips(x, x + 0.5).sum().backward()
    assert x.grad.isfinite().all()


def test_networks_come_ready_to_guide(folder):
    networks = [
        load_diffusion(folder / "a.safetensors").network,
        load_parser(folder / "b.safetensors").network,
        load_identity(folder / "c.safetensors").network,
        load_gaze(folder / "d.safetensors").network,
        load_lpips(folder / "e.safetensors"),
    ]
    for network in networks:
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_load_bare_and_wrapped(tmp_path, zipped):
    network = EyeNet(EYES)
    bare = _saved(tmp_path / "bare.pt", network.state_dict(), _use_new_zipfile_serialization=zipped)
    wrapped = _saved(tmp_path / "w.pt", {"nstack": 1, "model_state_dict": network.state_dict()})
    for path in (bare, wrapped):
        loaded = load_gaze(path).network.state_dict()
        assert all(torch.equal(loaded[name], t) for name, t in network.state_dict().items())


def test_what_tensors_do_not_tell_is_hinted_or_assumed_aloud(tmp_path, tensors):
    path = _saved(tmp_path / "m.pt", tensors)
    with pytest.warns(UserWarning) as warned:
        model = load_diffusion(path)
    assert len(warned) == 2
    assert (model.network.config.num_heads, model.image_size) == (4, 256)
    hints = {"head_channels": 16, "attention_order": "new", "image_size": 64, "schedule": "linear"}
    (tmp_path / "m.pt.json").write_text(json.dumps({"config": hints}), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_diffusion(path).network.config == replace(UNET, attention_order="new")
        assert load_diffusion(path, {"image_size": 32}).image_size == 32
        assert load_diffusion(path).predicts == "epsilon"
        assert load_diffusion(path, {"predicts": "v"}).predicts == "v"
    with pytest.raises(ValueError, match="predicts is 'x': expected one of epsilon, v"):
        load_diffusion(path, {**hints, "predicts": "x"})


def test_half_precision_is_saved_and_full_restored(folder):
    checkpoint = read_checkpoint(folder / "a.safetensors")
    assert {t.dtype for t in checkpoint.tensors.values()} == {torch.float16}
    assert checkpoint.metadata["kind"] == "diffusion"
    assert checkpoint.config["image_size"] == 64


def test_pickled_modules_load_as_their_state_dict(tmp_path):
    network = IResNet(ENCODER).eval()
    path = _saved(tmp_path / "Arcface.tar", {"model": torch.nn.DataParallel(network)})
    loaded = load_identity(path).network
    assert loaded.config == ENCODER
    faces = torch.zeros(1, 3, 32, 32)
    assert torch.equal(loaded(faces), network(faces))


@pytest.mark.parametrize("share", [0, 1e-5, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["safetensors", "pt", "legacy.pt"])
def test_truncated_files_are_damaged(tmp_path, tensors, share, kind):
    path = tmp_path / f"model.{kind}"
    if kind == "safetensors":
        save_model(path, UNet(UNET), "diffusion", {})
    else:
        _saved(path, tensors, _use_new_zipfile_serialization=kind == "pt")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DamagedCheckpoint, match="expected a whole .* bytes that cannot be read"):
        load_diffusion(path)


@pytest.mark.parametrize("content", [b"<html>not found</html>" * 20, bytes(range(1, 256)) * 9])
def test_other_files_are_damaged(tmp_path, content):
    for name in ("model.pt", "model.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DamagedCheckpoint, match="fetch the file again"):
            load_parser(tmp_path / name)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b'{"config": [1]}'])
def test_a_sidecar_must_be_an_object(tmp_path, tensors, content):
    path = _saved(tmp_path / "m.pt", tensors)
    (tmp_path / "m.pt.json").write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match="expected a JSON object, got .*mend or remove it"):
        load_diffusion(path)


def test_missing_files_say_where_they_come_from(tmp_path):
    with pytest.raises(MissingModel, match=r"no model file .*Model\.pt.*hxngiee/DiffFace.*NC"):
        load_diffusion(tmp_path / "Model.pt")
    with pytest.raises(MissingModel, match="it is no published file"):
        load_diffusion(tmp_path / "mine.pt")
    with pytest.raises(MissingModel, match=r"no diffusion model in .*expected Model\.pt or"):
        load_models(tmp_path)
    with pytest.raises(MissingModel, match="no folder"):
        load_models(tmp_path / "nowhere")


def test_published_names_tell_the_kind(tmp_path):
    for file in ("Model.pt", "Arcface.tar", "79999_iter.pth", "GazeEstimator.pt", "notes.txt"):
        (tmp_path / file).touch()
    assert {kind: path.name for kind, path in find_models(tmp_path).items()} == {
        "diffusion": "Model.pt",
        "identity": "Arcface.tar",
        "parser": "79999_iter.pth",
        "gaze": "GazeEstimator.pt",
    }
    (tmp_path / "FaceParser.pth").touch()
    with pytest.raises(UnsupportedCheckpoint, match="expected one parser model, got 79999_iter"):
        find_models(tmp_path)


def test_hashes_of_known_files_are_whole_or_unknown():
    hashes = [file.sha256 for file in KNOWN_FILES if file.sha256]
    assert all(len(bytes.fromhex(digest)) == 32 for digest in hashes)
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected a network or a dictionary of tensors .* got a list"),
        ({"epoch": 3}, "got a dictionary of epoch"),
        ({"gaze_fc.0.weight": torch.zeros(1)}, "got ETH-XGaze: choose a file of"),
        ({"weight": torch.zeros(1)}, r"got 1 tensors of no known layout \(weight\)"),
    ],
)
def test_other_contents_are_unsupported(tmp_path, content, message):
    path = _saved(tmp_path / "m.pt", content)
    with pytest.raises(UnsupportedCheckpoint, match=rf"m\.pt: .*{message}"):
        load_identity(path)


def test_a_network_of_another_kind_is_named(folder):
    message = "expected a diffusion network, got BiSeNet, a parser network"
    with pytest.raises(UnsupportedCheckpoint, match=message):
        load_diffusion(folder / "b.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"out.2.bias": None},
        {"middle_block.0.in_layers.0.weight": None},
        {"time_embed.0.weight": torch.zeros(3)},
        {"out.2.weight": torch.zeros(6, 32, 1, 1)},
        {"surplus": torch.zeros(1)},
    ],
)
@pytest.mark.filterwarnings("ignore:the tensors do not tell")
def test_tensors_must_make_one_whole_network(tmp_path, tensors, change):
    changed = {name: t for name, t in {**tensors, **change}.items() if t is not None}
    path = _saved(tmp_path / "m.pt", changed)
    with pytest.raises(UnsupportedCheckpoint, match=r"m\.pt: expected the tensors of one whole"):
        load_diffusion(path)


def test_a_schedule_must_be_known(folder):
    with pytest.raises(UnsupportedCheckpoint, match="schedule is 'sigmoid': expected one of"):
        load_diffusion(folder / "a.safetensors", {"schedule": "sigmoid"})


def test_families_are_told_by_names_alone(tensors):
    assert detect(tensors.keys()).name == "ADM U-Net"


def test_saving_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(saving, "save_file", full)
    with pytest.raises(OSError, match="cannot write .*room on the disk"):
        save_model(tmp_path / "m.safetensors", EyeNet(EYES), "gaze", {})
    assert not list(tmp_path.iterdir())


def test_values_that_half_precision_cannot_hold_are_refused(tmp_path):
    network = EyeNet(EYES)
    network.gaze_fc2.bias.data[0] = 1e6
    with pytest.raises(ValueError, match=r"gaze_fc2\.bias has values that torch\.float16 cannot"):
        save_model(tmp_path / "m.safetensors", network, "gaze", {})
    save_model(tmp_path / "m.safetensors", network, "gaze", {}, dtype=torch.float32)
    loaded = load_gaze(tmp_path / "m.safetensors").network
    torch.testing.assert_close(loaded.gaze_fc2.bias[0].item(), 1e6)


def test_an_embedding_comes_back_as_it_was(tmp_path):
    identity = torch.nn.functional.normalize(torch.randn(2, 8), dim=1)
    save_embedding(tmp_path / "me.safetensors", identity)
    assert torch.equal(load_embedding(tmp_path / "me.safetensors"), identity)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": torch.ones(2, 2)}, r"expected one tensor identity \(n,E\), got weight"),
        ({"identity": torch.ones(2, 8)}, "expected rows of unit length"),
        ({"identity": torch.full((1, 8), torch.nan)}, "expected rows of unit length"),
    ],
)
def test_what_is_no_embedding_is_refused(tmp_path, tensors, message):
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_embedding(tmp_path / "x.safetensors")
