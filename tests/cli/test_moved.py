"""The command lines of 0.1.0 whose tools have moved."""

import pytest

from guided_face_edit.editor_core.cli import main, moved
from guided_face_edit.tools.evaluate import command


@pytest.mark.parametrize("name", moved.MOVED)
def test_a_moved_command_runs_its_tool(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    printed = capsys.readouterr()
    assert f"usage: python -m tools.{name} " in printed.out
    assert printed.err == f"{name} has moved: python -m tools.{name}\n"


@pytest.mark.parametrize(("option", "tool"), [([], "evaluate"), (["--sweep"], "sweep")])
def test_the_demo_passes_an_evaluation_on(option, tool, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(command, tool, lambda *arguments: given.append(arguments))
    options = ["--seed", "7", "--out", str(tmp_path / "new"), *option]
    assert main(["demo", "--evaluate", "3", *options]) == 0
    ((pairs, seed, *_),) = given
    assert (pairs, seed) == (3, 7) and (tmp_path / "new").is_dir()


@pytest.mark.parametrize(
    "line", [["train"], ["benchmark", "--rounds", "1"], ["demo", "--evaluate", "1"]]
)
def test_an_installation_without_tools_says_where_they_are(line, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(moved, "CHECKOUT", tmp_path)
    assert main(line) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "is a tool of the repository" in error and "python -m tools." in error


def test_a_sweep_needs_its_number_of_pairs(capsys):
    assert main(["demo", "--sweep"]) == 2
    assert "give --evaluate too" in capsys.readouterr().err
