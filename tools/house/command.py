"""Figures of the code: lines, functions, crumbs, and names that are defined twice.

A function's length is its lines from `def` to its end without the docstring; methods and nested
functions are functions too. A crumb is a module-level function of at most four such lines whose
name is read exactly once in the whole tree, tests included and imports left out. A public name is a
module-level function or class without underscore.
"""

import argparse
import ast
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from .. import ROOT

MEASURED = ("editor_core", "tools", "nodes")
USERS = (*MEASURED, "tests", "benchmarks", "docs")
LONG_FUNCTION, LONG_FILE, CRUMB = 30, 400, 4

Function = ast.FunctionDef | ast.AsyncFunctionDef
Trees = Mapping[str, ast.Module]
Figures = dict[str, dict[str, object]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a checkout and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m tools.house", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    house = house_figures(given.root)
    if given.json:
        print(json.dumps(house, indent=1))
        return
    for title, rows in house.items():
        print(f"{title} ({len(rows)})", *(f"  {name}: {rows[name]}" for name in rows), sep="\n")


def house_figures(root: Path) -> Figures:
    """Read every module of a checkout and count; modules are named by their path from its root."""
    sizes = {path: (root / path).read_bytes().count(b"\n") for path in modules(root, MEASURED)}
    texts = {path: (root / path).read_text(encoding="utf-8") for path in modules(root, USERS)}
    trees = {path: ast.parse(text, path) for path, text in texts.items()}
    measured = {path: trees[path] for path in sizes}
    return {
        "lines": rooms(sizes),
        "functions": {folder: lengths(measured, folder) for folder in MEASURED},
        "crumbs": dict(crumbs(measured, trees)),
        "public names defined twice": defined_twice(measured),
        f"files over {LONG_FILE} lines": {p: n for p, n in sizes.items() if n > LONG_FILE},
    }


def modules(root: Path, folders: Sequence[str]) -> list[str]:
    paths = [path for folder in folders for path in (root / folder).rglob("*.py")]
    return sorted(path.relative_to(root).as_posix() for path in paths)


def rooms(sizes: Mapping[str, int]) -> dict[str, object]:
    """Lines by folder, by room of the editor, and of the editor with its tools."""
    counted = Counter[str]()
    for path, count in sizes.items():
        folder, room = path.split("/")[:2]
        counted[folder] += count
        if folder == "editor_core":
            counted[f"{folder}/{room}"] += count
        if folder != "nodes":
            counted["editor_core + tools"] += count
    return dict(sorted(counted.items()))


def lengths(trees: Trees, folder: str) -> dict[str, float]:
    """How many functions a folder has and how long they are."""
    inside = [tree for path, tree in trees.items() if path.startswith(f"{folder}/")]
    found = [node for tree in inside for node in ast.walk(tree) if isinstance(node, Function)]
    if not found:
        return {}
    code = [length(node) for node in found]
    return {
        "number": len(found),
        "median": median(code),
        "median with docstring": median(map(height, found)),
        "share over thirty": round(sum(each > LONG_FUNCTION for each in code) / len(code), 4),
    }


def length(function: Function) -> int:
    """Lines of signature and body, without the docstring."""
    documented = ast.get_docstring(function) is not None
    return height(function) - (height(function.body[0]) if documented else 0)


def height(node: ast.stmt) -> int:
    """Lines of a statement."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def crumbs(measured: Trees, trees: Trees) -> Iterator[tuple[str, int]]:
    """Short functions that are named once, each with its lines."""
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    used = Counter(node.id for node in nodes if isinstance(node, ast.Name))
    used.update(node.attr for node in nodes if isinstance(node, ast.Attribute))
    for path, tree in measured.items():
        for node in tree.body:
            if isinstance(node, Function) and length(node) <= CRUMB and used[node.name] == 1:
                yield f"{path}:{node.lineno} {node.name}", length(node)


def defined_twice(measured: Trees) -> dict[str, object]:
    """Public names that more than one module defines, and where; every tool may have its `main`."""
    places = defaultdict[str, list[str]](list)
    for path, tree in measured.items():
        for name in {each.name for each in tree.body if isinstance(each, Function | ast.ClassDef)}:
            if not name.startswith("_") and f"{path}:{name}".split("/")[-1] != "command.py:main":
                places[name].append(path)
    return {name: paths for name, paths in sorted(places.items()) if len(paths) > 1}
