"""Imports point one way and stay light; names and files keep the rules of the house."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from guided_face_edit.tools.house.command import LONG_FILE, MEASURED, defined_twice, modules
from guided_face_edit.tools.import_graph.command import imports_of

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "editor_core"

# A module imports from its own room and from the rooms before it.
ROOMS = (
    ("autograd", "declare", "files", "images", "provenance", "metrics", "sheet"),
    ("models",),
    ("checkpoints",),
    ("diffusion",),
    ("face",),
    ("guidance",),
    ("settings",),
    ("loading",),
    ("presets",),
    ("denoising",),
    ("editing",),
    ("reference",),
    ("photos",),
    ("other_models",),
    ("demo",),
    ("cli",),
    ("__main__",),
)
LATER = {("editing", "reference")}  # imports from a later room, within the function that needs it
HEAVY = ("cv2", "diffusers", "kornia", "lpips", "matplotlib", "ray", "torchvision", "transformers")
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


@cache
def _imports(module):
    return tuple(imports_of(ROOT, CORE / f"{module.replace('.', '/')}.py"))


def _inside(module):
    """(room, whether it is imported within a function) of every import from the editor."""
    for each in _imports(module):
        folder, _, name = each.imported.partition(".")
        if folder == "editor_core":
            yield name, each.lazy


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    up = [
        name
        for name, lazy in _inside(module)
        if _room(name) > _room(module) and not (lazy and (module, name.split(".")[0]) in LATER)
    ]
    assert not up, f"editor_core/{module} imports from a later room"


def test_the_reference_stands_alone():
    users = {
        (module, lazy)
        for module in MODULES
        for name, lazy in _inside(module)
        if name.startswith("reference") and not module.startswith("reference")
    }
    assert users <= {("editing", True)}


@pytest.mark.parametrize("module", MODULES)
def test_the_editor_knows_no_host(module):
    assert not {each.imported.split(".")[0] for each in _imports(module)} & set(HOST)


def test_import_stays_light():
    modules = [f"editor_core.{module.removesuffix('.__init__')}" for module in MODULES]
    code = (
        f"import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr


@pytest.fixture(scope="module")
def texts():
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in modules(ROOT, MEASURED)}


def test_no_public_name_is_defined_in_two_modules(texts):
    assert not defined_twice({path: ast.parse(text, path) for path, text in texts.items()})


def test_no_file_is_too_long(texts):
    assert not [path for path, text in texts.items() if text.count("\n") > LONG_FILE]
