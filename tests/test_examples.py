"""The examples in docstrings run and give what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[1] / "editor_core"
MODULES = sorted(
    ".".join(path.relative_to(CORE.parent).with_suffix("").parts)
    for path in CORE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
PUBLIC = ("editing", "photos", "presets", "settings", "declare", "loading.models")


def test_the_public_entries_have_examples():
    assert {f"editor_core.{name}" for name in PUBLIC} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(f"guided_face_edit.{name}")
    result = doctest.testmod(module, raise_on_error=True)
    assert result.attempted > 0
