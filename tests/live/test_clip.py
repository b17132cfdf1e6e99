"""CLIP as a real ComfyUI holds it."""

import os
import subprocess
import sys

import pytest

from guided_face_edit.tests.support.live_server import find_comfyui

pytestmark = pytest.mark.live


def test_the_hosts_own_clip_is_paired_and_differentiated(root, tmp_path):
    comfyui = find_comfyui()
    if comfyui is None:
        pytest.skip("no ComfyUI: name one in COMFYUI_PATH, or put the pack into its custom_nodes")
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    script = root / "tests" / "support" / "comfyui_clip.py"
    command = [python, str(script), str(comfyui), str(root)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-2000:]
