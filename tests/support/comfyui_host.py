"""A real ComfyUI in this process, and this pack beside it: for scripts that its Python runs.

Importing it reads their folders from the command line, `python SCRIPT COMFYUI ROOT`.
"""

from __future__ import annotations

import importlib.util
import os
import sys

COMFYUI, ROOT = sys.argv[1:3]
sys.argv[1:] = ["--cpu"]
sys.path[:] = [COMFYUI, *(entry for entry in sys.path if os.path.realpath(entry or ".") != ROOT)]

import comfy.options  # noqa: E402  found by the path above

comfy.options.enable_args_parsing()


def load_pack() -> None:
    """Import the pack as `pack`."""
    place = [ROOT]
    spec = importlib.util.spec_from_file_location(
        "pack", f"{ROOT}/__init__.py", submodule_search_locations=place
    )
    assert spec and spec.loader
    sys.modules["pack"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
