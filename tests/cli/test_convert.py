"""`convert` writes one file or a folder of them, and says which it could not."""

import pytest
import torch

from guided_face_edit.editor_core.cli import main
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.models.eyenet import EyeNet
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
