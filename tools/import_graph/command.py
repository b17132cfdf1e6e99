"""Draws the rooms of the editor, each above the rooms that it imports, as SVG.

An arrow that others imply is left out; a dashed one is an import within a function.
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import accumulate, pairwise
from math import copysign
from pathlib import Path
from typing import NamedTuple

from .. import ROOT

ENTRANCES = ("nodes", "tools")  # drawn as a room each, though outside the editor
BOX, PLACE, BEND, ROW, MARGIN = (112, 32), 132, 40, 76, 20  # pixels; a bend is of an arrow
BESIDE = 14  # pixels between a dashed arrow and a solid one of the same rooms
SWEEPS = 12  # down and up, to untangle the arrows

Node = str | tuple[str, str, int]  # a room, or the bend of an arrow in a row that it crosses
Line = list[Node]  # of an arrow
Graph = dict[str, set[str]]
STYLE = (
    "text{font:14px sans-serif;text-anchor:middle;fill:#222}"
    "rect{fill:#f4f6fa;stroke:#4a5a78}path{fill:none;stroke:#7a8aa8}.lazy{stroke-dasharray:5 4}"
)
ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M0,0L8,4L0,8z" style="fill:#7a8aa8"/></marker>'
)


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


def room_of(name: str) -> str | None:
    """The room of a dotted name; None for what is no part of the drawing."""
    folder, _, inside = name.partition(".")
    room = inside.partition(".")[0]
    return folder if folder in ENTRANCES else room if folder == "editor_core" else None


def room_graph(root: Path) -> tuple[Graph, Graph]:
    """Which rooms each room imports: at once, and within a function alone."""
    graph: Graph = defaultdict(set)
    lazy: Graph = defaultdict(set)
    folders = ("editor_core", *ENTRANCES)
    for path in [path for folder in folders for path in (root / folder).rglob("*.py")]:
        for found in imports_of(root, path):
            room, imported = room_of(found.module), room_of(found.imported)
            if room and imported and room != imported and not room.startswith("__"):
                (lazy if found.lazy else graph)[room].add(imported)
    return graph, {room: imported - graph[room] for room, imported in lazy.items()}


def without_implied(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The imports that no others imply, and how high each room stands above the first ones."""
    below: Graph = {}
    levels: dict[str, int] = {}
    kept: Graph = {}
    for room in TopologicalSorter(graph).static_order():
        imported = graph.get(room, set())
        implied = set().union(*(below[each] for each in imported))
        below[room], kept[room] = imported | implied, imported - implied
        levels[room] = max((levels[each] + 1 for each in imported), default=0)
    return kept, levels


def draw_rooms(root: Path) -> str:
    """The rooms of a checkout and their imports, as SVG."""
    graph, lazy = room_graph(root)
    graph, levels = without_implied(graph)
    solid = [arrow(room, to, levels) for room in sorted(graph) for to in sorted(graph[room])]
    dashed = [arrow(room, to, levels) for room in sorted(lazy) for to in sorted(lazy[room])]
    places = arranged(levels, [*solid, *dashed])
    width = max(x for x, _ in places.values()) + BOX[0] / 2 + MARGIN
    height = max(y for _, y in places.values()) + BOX[1] / 2 + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}">',
            f"<style>{STYLE}</style>{ARROW}",
            '<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>',
            *(curve([places[node] for node in line]) for line in solid),
            *(curve([places[node] for node in line], BESIDE, "lazy") for line in dashed),
            *(box(room, *places[room]) for room in sorted(levels)),
            "</svg>\n",
        ]
    )


def arrow(room: str, to: str, levels: Mapping[str, int]) -> Line:
    """From one room to another, with a bend in every row between them."""
    step = 1 if levels[to] > levels[room] else -1
    return [room, *((room, to, row) for row in range(levels[room] + step, levels[to], step)), to]


def arranged(levels: Mapping[str, int], lines: Sequence[Line]) -> dict[Node, tuple[float, float]]:
    """Where the middle of each room and bend is: rows in order, neighbours near each other."""
    rows: list[list[Node]] = [[] for _ in range(max(levels.values()) + 1)]
    for node in dict.fromkeys([*sorted(levels), *(node for line in lines for node in line)]):
        rows[levels[node] if isinstance(node, str) else node[2]].append(node)
    beside: defaultdict[Node, list[Node]] = defaultdict(list)
    for upper, lower in (pair for line in lines for pair in pairwise(line)):
        beside[upper].append(lower)
        beside[lower].append(upper)
    x: dict[Node, float] = {}
    for row in [each for _ in range(SWEEPS) for each in (*rows, *reversed(rows))]:
        near = {node: [x[other] for other in beside[node] if other in x] for node in row}
        row.sort(key=lambda node: sum(near[node]) / max(len(near[node]), 1))
        widths = [PLACE if isinstance(node, str) else BEND for node in row]
        middles = (
            right - (width + sum(widths)) / 2
            for right, width in zip(accumulate(widths), widths, strict=True)
        )
        x.update(zip(row, middles, strict=True))
    left, first = min(x.values()) - BOX[0] / 2 - MARGIN, MARGIN + BOX[1] / 2
    heights = {node: first + ROW * y for y, row in enumerate(reversed(rows)) for node in row}
    return {node: (x[node] - left, heights[node]) for node in x}


def curve(points: Sequence[tuple[float, float]], aside: float = 0, kind: str = "solid") -> str:
    """A smooth arrow from the edge of the first box to the edge of the last."""
    (x, y), *bends, (end_x, end_y) = points
    half = copysign(BOX[1] / 2, end_y - y)
    stops = [(x + aside, y + half), *bends, (end_x + aside, end_y - half)]
    path = "M{:.0f},{:.0f}".format(*stops[0])
    for (x0, y0), (x1, y1) in pairwise(stops):
        middle = (y0 + y1) / 2
        path += f"C{x0:.0f},{middle:.0f} {x1:.0f},{middle:.0f} {x1:.0f},{y1:.0f}"
    return f'<path class="{kind}" d="{path}" marker-end="url(#arrow)"/>'


def box(room: str, x: float, y: float) -> str:
    """A room's box with its name, by its middle."""
    width, height = BOX
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width}" height="{height}" '
        f'rx="6"/><text x="{x:.0f}" y="{y + 5:.0f}">{room}</text>'
    )
