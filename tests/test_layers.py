"""Imports point one way, and importing the editor stays light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "editor_core"

# A module imports from its own room and from the rooms before it.
ROOMS = (
    ("autograd", "files", "images", "provenance", "metrics", "sheet"),
    ("models",),
    ("checkpoints",),
    ("diffusion",),
    ("face",),
    ("guidance",),
    ("settings",),
    ("loading",),
    ("reference",),
    ("presets",),
    ("editing",),
    ("photos",),
    ("demo",),
    ("cli",),
    ("__main__",),
)
HEAVY = ("cv2", "diffusers", "kornia", "lpips", "matplotlib", "ray", "torchvision")
HOST = ("comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "nodes", "server")

MODULES = sorted(
    ".".join(path.relative_to(CORE).with_suffix("").parts)
    for path in CORE.rglob("*.py")
    if path.parent != CORE or path.name != "__init__.py"
)


def _room(module):
    names = [name for room in ROOMS for name in room]
    fitting = [name for name in names if f"{module}.".startswith(f"{name}.")]
    assert fitting, f"editor_core/{module} is in no room of test_layers.py"
    return next(i for i, room in enumerate(ROOMS) if max(fitting, key=len) in room)


def _imports(module):
    """(absolute, names) of every import in the module, wherever it stands in the file."""
    path = CORE / f"{module.replace('.', '/')}.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        elif isinstance(node, ast.ImportFrom):
            folder = ["editor_core", *module.split(".")][: -node.level]
            base = ".".join([*folder, *(node.module or "").split(".")]).strip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    inside = [
        name.partition(".")[2] for name in _imports(module) if name.startswith("editor_core.")
    ]
    up = [name for name in inside if _room(name) > _room(module)]
    assert not up, f"editor_core/{module} imports from a later room"


@pytest.mark.parametrize("module", MODULES)
def test_the_editor_knows_no_host(module):
    assert not {name.split(".")[0] for name in _imports(module)} & set(HOST)


def test_import_stays_light():
    modules = [f"editor_core.{module.removesuffix('.__init__')}" for module in MODULES]
    code = (
        f"import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr


def test_requirements_are_lower_bounds_and_the_project_says_the_same():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", line) for line in requirements)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    assert re.findall(r'"(.*?)"', listed[1]) == requirements
