"""The help pages: made of what the code declares, and not older than it."""

import argparse
import re
from dataclasses import dataclass

import pytest

from guided_face_edit.editor_core.cli import options
from guided_face_edit.editor_core.declare import setting
from guided_face_edit.editor_core.settings import EditSettings
from guided_face_edit.nodes import NODES, guided_sampler
from guided_face_edit.tests.support.running import BY_NAME
from guided_face_edit.tools.help_pages.command import main
from guided_face_edit.tools.help_pages.pages import help_page, notes_in


@pytest.fixture(params=NODES, ids=lambda node: node.__name__)
def node(request):
    return request.param


@pytest.fixture
def page(node, root):
    return root / "web" / "docs" / f"{node.GET_SCHEMA().node_id}.md"


def test_a_page_is_what_the_code_says(node, page):
    expected = help_page(node, notes_in(page))
    stale = "run python -m tools.help_pages"
    assert page.read_text(encoding="utf-8") == expected, stale


def test_a_page_names_every_input_and_output(node, page):
    schema, text = node.GET_SCHEMA(), page.read_text(encoding="utf-8")
    assert text.startswith(f"# {schema.display_name}\n\n{schema.description}\n")
    for each in (*schema.inputs, *schema.outputs):
        assert f"| `{each.id or each.display_name}` |" in text


def test_a_page_has_notes_and_the_pictures_that_it_shows(page):
    notes = notes_in(page)
    assert re.match(r"## Notes\n(\n(- |!\[)|$)", notes)
    for picture in re.findall(r"!\[.+?\]\((.+?)\)", notes):
        assert (page.parent / picture).is_file()


def test_there_is_no_page_without_a_node(root):
    pages = {path.stem for path in (root / "web" / "docs").glob("*.md")}
    assert pages == {node.GET_SCHEMA().node_id for node in NODES}


def test_the_tool_keeps_the_notes(tmp_path):
    page = tmp_path / "FaceEdit_FaceMask.md"
    page.write_text("# Old\n\n## Inputs\n\nold\n\n## Notes\n\n- By hand.\n", encoding="utf-8")
    main(["--folder", str(tmp_path)])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Face Mask\n") and text.endswith("\n\n## Notes\n\n- By hand.\n")
    assert "old" not in text and len(list(tmp_path.iterdir())) == len(NODES)


@dataclass(frozen=True)
class Changed(EditSettings):
    guide_every: int = setting(5, "Another text.", low=3, high=9, advanced=True)


def test_a_setting_is_declared_once(monkeypatch):
    """Its check, its flag, its input and its help all follow the declaration."""
    monkeypatch.setattr(guided_sampler, "EditSettings", Changed)
    monkeypatch.setattr(options, "EditSettings", Changed)
    assert Changed().guide_every == 5
    with pytest.raises(ValueError, match="guide_every is 2: expected 3 or more"):
        Changed(guide_every=2)
    parser = argparse.ArgumentParser()
    options.add_settings(parser)
    assert re.search(r"--guide-every GUIDE_EVERY\s+Another text\.", parser.format_help())
    sampler = BY_NAME["GuidedFaceSampler"]
    (each,) = (each for each in sampler.GET_SCHEMA().inputs if each.id == "guide_every")
    assert (each.default, each.min, each.max, each.advanced) == (5, 3, 9, True)
    row = "| `guide_every` | INT | 3 to 9, default 5, optional, advanced | Another text. |"
    assert row in help_page(sampler, "")
