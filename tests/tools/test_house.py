"""The figures of the code are those of a tree whose figures are known."""

import pytest

from guided_face_edit.tools.house.command import house_figures, main

FIRST = '''"""A module."""

from .second import Shape


def crumb(x):
    """Used once."""
    return x


def used_twice(x):
    return crumb(x)


class Shape:
    def area(self):
        return used_twice(used_twice(1))
'''


@pytest.fixture
def root(tmp_path):
    """A tree of two rooms and a tool."""
    files = {
        "editor_core/a/first.py": FIRST,
        "editor_core/second.py": "class Shape: ...\n" + "_private = 1\n" * 400,
        "nodes/__init__.py": "def main(): ...\n",
        "tools/one/command.py": "def main():\n" + "    print()\n" * 30,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_lines_are_counted_by_room(root):
    assert house_figures(root)["lines"] == {
        "editor_core": 417 + 1,
        "editor_core + tools": 449,
        "editor_core/a": 17,
        "editor_core/second.py": 401,
        "nodes": 1,
        "tools": 31,
    }


def test_functions_are_as_long_as_their_code(root):
    figures = house_figures(root)["functions"]
    assert figures["editor_core"] == {
        **{"number": 3, "median": 2, "median with docstring": 2, "share over thirty": 0.0}
    }
    assert figures["tools"]["share over thirty"] == 1.0


def test_what_is_against_the_rules_is_listed(root, capsys):
    figures = house_figures(root)
    assert figures["crumbs"] == {"editor_core/a/first.py:6 crumb": 2}
    places = ["editor_core/a/first.py", "editor_core/second.py"]
    assert figures["public names defined twice"] == {"Shape": places}
    assert figures["files over 400 lines"] == {"editor_core/second.py": 401}
    main(["--root", str(root)])
    assert "public names defined twice (1)\n  Shape: " in capsys.readouterr().out
