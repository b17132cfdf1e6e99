"""`inspect` goes on after a file that cannot be used."""

import json

from guided_face_edit.editor_core.cli import main


def test_inspecting_goes_on_after_a_file_that_cannot_be_used(pickles, capsys):
    assert main(["inspect", str(pickles)]) == 2
    printed = capsys.readouterr()
    assert [line for line in printed.out.splitlines() if "family" in line] == [
        "  family      EyeNet",
        "  family      EyeNet",
        "  family      BiSeNet",
    ]
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert main(["inspect", "--json", str(pickles), str(pickles / "parser.pth")]) == 2
    reports = json.loads(capsys.readouterr().out)
    assert [report.get("kind") for report in reports] == [None, "gaze", "gaze", "parser", "parser"]
    assert "broken.ckpt" in reports[0]["error"]
    assert main(["inspect", str(pickles / "parser.pth")]) == 0


def test_an_empty_folder_has_no_model_files(tmp_path, capsys):
    assert main(["inspect", str(tmp_path)]) == 2
    assert "no model files in" in capsys.readouterr().err
