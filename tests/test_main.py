"""`python -m editor_core` runs the command line."""

import os
import subprocess
import sys


def test_the_package_runs_as_a_command(tmp_path, root):
    command = [sys.executable, "-m", "editor_core", "swap", "a.png", "b.png", "--models", "models"]
    env = {**os.environ, "PYTHONPATH": str(root)}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr == "error: [Errno 2] No such file or directory: 'a.png'\n"
