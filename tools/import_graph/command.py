"""Draws the rooms of the editor, each above the rooms that it imports, as SVG.

An arrow that others imply is left out; a dashed one is an import within a function.
"""

import argparse
import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import networkx as nx

from .. import ROOT
from ..house.command import MEASURED, modules

ENTRANCES = ("nodes", "tools")  # drawn as a room each, though outside the editor
WIDTH, HEIGHT, PLACE, ROW = 112, 32, 168, 84  # pixels
STYLE = (
    "text{font:14px sans-serif;text-anchor:middle;fill:#222}"
    "rect{fill:#f4f6fa;stroke:#4a5a78}path{fill:none;stroke:#7a8aa8}.lazy{stroke-dasharray:5 4}"
)
ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M0,0L8,4L0,8z" style="fill:#7a8aa8"/></marker>'
)
GROUND = '<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>'


class Import(NamedTuple):
    """An import by a module, both as dotted names below the root."""

    module: str
    imported: str
    lazy: bool  # within a function


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the drawing of a checkout."""
    parser = argparse.ArgumentParser(prog="python -m tools.import_graph", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    print(draw_rooms(parser.parse_args(arguments).root), end="")


def imports_of(root: Path, path: Path) -> Iterator[Import]:
    """Every import of a module, wherever it stands in the file."""
    module = path.relative_to(root).with_suffix("").parts
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    lazy = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            base = []
        elif isinstance(node, ast.ImportFrom):
            folder = module[: -node.level] if node.level else ()
            base = [*folder, *filter(None, [node.module])]
        else:
            continue
        for alias in node.names:
            yield Import(".".join(module), ".".join([*base, alias.name]), id(node) in lazy)


def room_graph(root: Path) -> tuple[nx.DiGraph, list[tuple[str, str]]]:
    """The imports between rooms that no others imply, and those within a function alone."""
    graph, lazy = nx.DiGraph(), set()
    for path in modules(root, MEASURED):
        for found in imports_of(root, root / path):
            room, imported = (
                folder if folder in ENTRANCES else inside[0] if folder == "editor_core" else ""
                for folder, *inside in (f"{name}.".split(".") for name in found[:2])
            )
            if room and imported and room != imported and not room.startswith("__"):
                lazy.add((room, imported)) if found.lazy else graph.add_edge(room, imported)
    return nx.transitive_reduction(graph), sorted(lazy - set(graph.edges))


def draw_rooms(root: Path) -> str:
    """The rooms of a checkout and their imports, as SVG."""
    graph, lazy = room_graph(root)
    levels = [sorted(row) for row in nx.topological_generations(graph)]
    widest = max(map(len, levels))
    places: dict[str, tuple[float, float]] = {}
    for depth, row in enumerate(levels):
        above = {room: [places[each][0] for each in graph.predecessors(room)] for room in row}
        row.sort(key=lambda room: sum(above[room]) / max(len(above[room]), 1))
        for k, room in enumerate(row):
            places[room] = ((k + (widest - len(row) + 1) / 2) * PLACE, (depth + 0.5) * ROW)
    arrows = [curve(places[a], places[b], "solid") for a, b in sorted(graph.edges)]
    arrows += [curve(places[a], places[b], "lazy") for a, b in lazy]
    boxes = [
        f'<rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" '
        f'height="{HEIGHT}" rx="6"/><text x="{x:.0f}" y="{y + 5:.0f}">{room}</text>'
        for room, (x, y) in sorted(places.items())
    ]
    size = f"{widest * PLACE} {len(levels) * ROW}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"><style>{STYLE}</style>'
    return "\n".join([head, ARROW, GROUND, *arrows, *boxes, "</svg>\n"])


def curve(start: tuple[float, float], end: tuple[float, float], kind: str) -> str:
    """A smooth arrow from the edge of one box to the edge of another, bent around those between."""
    (x0, y0), (x1, y1) = start, end
    down = 1 if y1 > y0 else -1
    y0, y1 = y0 + down * HEIGHT / 2, y1 - down * HEIGHT / 2
    aside = PLACE * 0.55 * (abs(y1 - y0) > ROW) * (1 if x1 >= x0 else -1)
    return (
        f'<path class="{kind}" marker-end="url(#arrow)" d="M{x0:.0f},{y0:.0f}'
        f"C{x0 + aside:.0f},{(y0 + y1) / 2:.0f} {x1 + aside:.0f},{(y0 + y1) / 2:.0f} "
        f'{x1:.0f},{y1:.0f}"/>'
    )
