"""Tools run from the root of a checkout, and tell the user's errors in one line."""

import subprocess
import sys

import pytest

from guided_face_edit.tools import run

TOOLS = (
    "train",
    "evaluate",
    "text_attributes",
    "real_faces",
    "finding",
    "verification",
    "benchmark",
    "import_time",
)


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_says_how_it_is_run(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        run(name, ["--help"])
    assert f"usage: python -m tools.{name} " in capsys.readouterr().out


def test_a_tool_runs_from_the_root_alone(root):
    command = [sys.executable, "-m", "tools.train", "nose"]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith('error: there is no model "nose" to train')
