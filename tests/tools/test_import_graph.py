"""The drawing shows each room above those that it imports."""

import re

import pytest

from guided_face_edit.tools.import_graph.command import ROOT, draw_rooms


def _heights(drawing):
    texts = re.findall(r'<text x="\d+" y="(\d+)">(\w+)</text>', drawing)
    return {room: int(y) for y, room in texts}


@pytest.fixture
def root(tmp_path):
    """Three rooms: `top` imports both others, one of them for `middle` too, and `low` later."""
    files = {
        "top.py": "from . import middle\nfrom .low import x\n",
        "middle.py": "from .low import x\n",
        "low.py": "def f():\n    from .top import y\n",
    }
    (tmp_path / "editor_core").mkdir()
    for name, text in files.items():
        (tmp_path / "editor_core" / name).write_text(text)
    return tmp_path


def test_arrows_that_others_imply_are_left_out(root):
    drawing = draw_rooms(root)
    heights = _heights(drawing)
    assert heights["top"] < heights["middle"] < heights["low"]
    assert drawing.count('class="solid"') == 2
    assert drawing.count('class="lazy"') == 1


def test_every_room_is_drawn_and_always_alike():
    drawing = draw_rooms(ROOT)
    core = ROOT / "editor_core"
    modules = [path.relative_to(core).with_suffix("").parts for path in core.rglob("*.py")]
    rooms = {room for room, *_ in modules if not room.startswith("_")}
    assert set(_heights(drawing)) == {*rooms, "nodes", "tools"}
    assert draw_rooms(ROOT) == drawing
