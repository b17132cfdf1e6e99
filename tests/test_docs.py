"""The documentation follows the code, and what it names is there."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from guided_face_edit.editor_core.declare import declared, setting
from guided_face_edit.editor_core.presets import PRESETS
from guided_face_edit.editor_core.settings import EditSettings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
COMMANDS = (
    "pip install -r requirements.txt && python -m editor_core demo",
    "pip install -r requirements-dev.txt && python -m pytest",
)


@pytest.fixture(scope="module")
def hooks():
    """What the documentation's build takes from the code."""
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _text(page):
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_has_its_two_commands(command):
    assert f"```\n{command}\n```" in _text(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    made = {"rooms.svg", "contributing.md", "changelog.md"}  # when the site is built
    links = re.findall(r"\]\(([^)#\s]+)", _text(page))
    local = [link for link in links if ":" not in link and link not in made]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_takes_from_the_code_is_there(page, hooks):
    assert "<!-- from the code" not in hooks.on_page_markdown(_text(page))


def test_settings_stand_in_the_documentation_as_they_are_declared(hooks, monkeypatch):
    table = hooks.settings_table()
    assert all(
        f"`{name}`" in table and each.help in table for name, each in declared(EditSettings).items()
    )

    @dataclass(frozen=True)
    class Other:
        skip: int = setting(17, "Steps that are left out.", low=3)

    monkeypatch.setitem(hooks.DECLARING, "EditSettings", Other)
    assert hooks.settings_table().splitlines()[2:] == [
        "| `skip` | 17 | 3 or more | Steps that are left out. |"
    ]


def test_presets_stand_in_the_documentation_as_they_are(hooks, monkeypatch):
    assert all(name in hooks.terms_table() and name in hooks.presets_table() for name in PRESETS)
    changed = {"mine": EditSettings(seed=5), "yours": EditSettings(seed=6)}
    monkeypatch.setattr(hooks.presets, "PRESETS", changed)
    assert hooks.presets_table().splitlines()[2:] == ["| `seed` | 5 | 6 |"]


def test_every_room_says_what_it_is(hooks):
    rows = [row.split("|") for row in hooks.rooms_table().splitlines()[2:]]
    assert [room for _, room, what, _ in rows if not what.strip()] == []


def test_examples_are_sections_that_the_documentation_shows():
    modules = (ROOT / "editor_core").rglob("*.py")
    assert [path.name for path in modules if "\n    Example:\n" in _text(path)] == []
