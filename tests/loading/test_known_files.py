"""Published files: known by hash, warned of by name, and described where they are missing."""

import json
from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.files import sha256
from guided_face_edit.editor_core.loading import known_files
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.known_files import (
    KNOWN_FILES,
    KnownFile,
    describe_origin,
    identify,
    mismatch_warning,
    missing_model,
)
from guided_face_edit.editor_core.loading.models import find_models, load_diffusion
from guided_face_edit.editor_core.models.bisenet import BiSeNet
from guided_face_edit.editor_core.models.unet import UNet
from guided_face_edit.tests.support.tiny import TINY_PARSER, TINY_UNET

ADM_CONFIG = {"num_heads": 4, "attention_order": "legacy", "image_size": 32, "schedule": "cosine"}


def _known(path, monkeypatch, **facts):
    """Publish a file under another name."""
    file = KnownFile("published.pt", "diffusion", "MIT", "here", **facts)
    monkeypatch.setattr(known_files, "KNOWN_FILES", (file,))
    return file


def test_a_known_hash_outweighs_the_sidecar(tmp_path, monkeypatch):
    path = tmp_path / "mine.pt"
    torch.save(UNet(TINY_UNET).state_dict(), path)
    config = {**ADM_CONFIG, "num_heads": 2}
    (tmp_path / "mine.pt.json").write_text(json.dumps({"config": ADM_CONFIG}))
    assert load_diffusion(path).network.config.num_heads == 4
    facts = {"size": path.stat().st_size, "sha256": sha256(path), "config": config}
    file = _known(path, monkeypatch, **facts)
    assert identify(path) is file and inspect(path).licence == "MIT"
    assert load_diffusion(path).network.config.num_heads == 2
    assert load_diffusion(path, {"num_heads": 1}).network.config.num_heads == 1


def test_only_what_may_be_known_is_hashed(tmp_path, monkeypatch):
    monkeypatch.setattr(known_files, "sha256", lambda path: pytest.fail(f"hashed {path}"))
    for name in ("mine.pt", "79999_iter.pth", "Model.pt"):
        (tmp_path / name).write_bytes(b"small")
        assert identify(tmp_path / name) is None


def test_a_file_is_hashed_once_while_it_stays_the_same(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(known_files, "sha256", lambda path: calls.append(path) or "f" * 64)
    path = tmp_path / "model_ir_se50.pth"
    path.write_bytes(b"one")
    assert mismatch_warning(path) == mismatch_warning(path) and len(calls) == 1
    path.write_bytes(b"other")
    assert mismatch_warning(path) and len(calls) == 2


def test_another_file_under_a_published_name_is_warned_of(tmp_path):
    path = tmp_path / "recognition_arcface_ir_se50.pth"
    path.write_bytes(b"else")
    expected = next(file for file in KNOWN_FILES if file.name == path.name).sha256
    assert expected in mismatch_warning(path) and sha256(path) in mismatch_warning(path)
    path = tmp_path / "parsing_bisenet.pth"
    torch.save(BiSeNet(TINY_PARSER).state_dict(), path)
    size = f"{path.stat().st_size:,} bytes, not 53,289,463"
    report = inspect(path)
    assert size in report.warnings[0] and "468e13ca13a9" in report.warnings[0]
    assert report.licence == "unknown"


def test_a_name_may_begin_with_its_folder(tmp_path):
    assert "google/ddpm-celebahq-256" in describe_origin(
        "ddpm-celebahq-256/diffusion_pytorch_model.bin"
    )
    assert "face-parsing, licence non-commercial" in describe_origin(
        "a/face-parsing/model.safetensors"
    )
    assert "no published file" in describe_origin("model.safetensors")


def test_what_is_missing_comes_with_its_terms_and_a_command():
    text = describe_origin("parsing_bisenet.pth")
    url = "https://github.com/xinntao/facexlib/releases/download/v0.2.0/parsing_bisenet.pth"
    assert "CelebAMask-HQ, SHA-256 468e13ca13a9b43cc0881a9f99083a430e9c0a38abd9" in text
    assert f"comfy model download --url {url} --relative-path models/face_edit/parsing" in text
    folder = "--relative-path models/face_edit/diffusion/ddpm-celebahq-256"
    assert folder in describe_origin("ddpm-celebahq-256/diffusion_pytorch_model.bin")
    assert "SHA-256 unknown" in describe_origin("Model.pt") and "comfy" not in describe_origin(
        "Model.pt"
    )


def test_what_the_editor_cannot_load_is_no_model_of_a_folder(tmp_path):
    (tmp_path / "epoch_24_ckpt.pth.tar").touch()
    assert find_models(tmp_path) == {}
    text = str(missing_model("gaze", tmp_path))
    assert "GazeEstimator.pt or checkpoint.pt" in text and "epoch" not in text
    assert "no network for it: choose another" in describe_origin("epoch_24_ckpt.pth.tar")


def test_a_file_may_be_either_of_two_published_under_its_name(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"second")
    first = KnownFile("net.onnx", "identity", "MIT", "here", sha256="f" * 64)
    second = replace(first, name="other/net.onnx", size=6, sha256=sha256(path))
    monkeypatch.setattr(known_files, "KNOWN_FILES", (first, second))
    assert known_files.known_file(path) is first and mismatch_warning(path) is None
    path.write_bytes(b"third!")
    assert "is not the published net.onnx" in mismatch_warning(path)
