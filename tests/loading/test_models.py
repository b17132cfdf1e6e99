"""From files and folders to models, and what is said of files that are none."""

import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from guided_face_edit.editor_core.checkpoints.errors import (
    DamagedCheckpoint,
    MissingModel,
    UnsupportedCheckpoint,
)
from guided_face_edit.editor_core.checkpoints.saving import save_model
from guided_face_edit.editor_core.face.head import IrisGazeEstimator
from guided_face_edit.editor_core.loading.models import (
    find_models,
    load_diffusion,
    load_gaze,
    load_identity,
    load_landmarks,
    load_lpips,
    load_models,
    load_parser,
)
from guided_face_edit.editor_core.models.bisenet import BiSeNet
from guided_face_edit.editor_core.models.eyenet import EyeNet
from guided_face_edit.editor_core.models.face_mesh import FaceMesh, FaceMeshConfig
from guided_face_edit.editor_core.models.iresnet import IResNet
from guided_face_edit.editor_core.models.lpips import backbone_layers
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.tests.support.tiny import (
    TINY_ENCODER,
    TINY_EYENET,
    TINY_PARSER,
    TINY_UNET,
)

UNET = replace(TINY_UNET, identity_channels=24)


def _save_all(folder: Path) -> None:
    """One small model of each kind, under names that tell nothing."""
    unet = {**asdict(UNET), "image_size": 64, "schedule": "cosine", "diffusion_steps": 200}
    save_model(folder / "a.safetensors", UNet(UNET), "diffusion", unet)
    parser = BiSeNet(TINY_PARSER)
    save_model(folder / "b.safetensors", parser, "parser", {"size": 128})
    save_model(folder / "c.safetensors", IResNet(TINY_ENCODER), "identity", {})
    save_model(folder / "d.safetensors", EyeNet(TINY_EYENET), "gaze", {})
    lpips = nn.ModuleDict({"features": backbone_layers("squeeze")})
    save_model(folder / "e.safetensors", lpips, "lpips", {"heads": False})
    mesh = FaceMesh(FaceMeshConfig((2,) * 6, 2))
    save_model(folder / "f.safetensors", mesh, "landmarks", {})
    save_model(folder / "judge.safetensors", IResNet(TINY_ENCODER), "judge", {})


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
    assert models.gaze.network.config == TINY_EYENET
    x = torch.zeros(1, 3, 64, 64, requires_grad=True)
    models.lpips(x, x + 0.5).sum().backward()
    assert x.grad.isfinite().all()
    assert models.landmarks.network.config.widths == (2,) * 6


def test_without_a_gaze_file_the_irises_tell_the_gaze(folder, tmp_path):
    for file in folder.glob("[!d]*.safetensors"):
        (tmp_path / file.name).symlink_to(file)
    models = load_models(tmp_path)
    assert models.gaze == IrisGazeEstimator(models.landmarks)


def test_networks_come_ready_to_guide(folder):
    networks = [
        load_diffusion(folder / "a.safetensors").network,
        load_parser(folder / "b.safetensors").network,
        load_identity(folder / "c.safetensors").network,
        load_gaze(folder / "d.safetensors").network,
        load_lpips(folder / "e.safetensors"),
        load_landmarks(folder / "f.safetensors").network,
    ]
    for network in networks:
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_load_bare_and_wrapped(tmp_path, zipped):
    network = EyeNet(TINY_EYENET)
    bare = _saved(tmp_path / "bare.pt", network.state_dict(), _use_new_zipfile_serialization=zipped)
    wrapped = _saved(tmp_path / "w.pt", {"nstack": 1, "model_state_dict": network.state_dict()})
    for path in (bare, wrapped):
        loaded = load_gaze(path).network.state_dict()
        assert all(torch.equal(loaded[name], t) for name, t in network.state_dict().items())


def test_pickled_modules_load_as_their_state_dict(tmp_path):
    network = IResNet(TINY_ENCODER).eval()
    path = _saved(tmp_path / "Arcface.tar", {"model": torch.nn.DataParallel(network)})
    loaded = load_identity(path).network
    assert loaded.config == TINY_ENCODER
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
@pytest.mark.filterwarnings("ignore:.*tell")
def test_tensors_must_make_one_whole_network(tmp_path, tensors, change):
    changed = {name: t for name, t in {**tensors, **change}.items() if t is not None}
    path = _saved(tmp_path / "m.pt", changed)
    with pytest.raises(UnsupportedCheckpoint, match=r"m\.pt: expected the tensors of one whole"):
        load_diffusion(path)
