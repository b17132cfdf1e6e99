"""Both files that a workflow becomes: API format for the server, UI format for the browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...nodes import NODES
from .standin.core import CORE
from .workflow_parts import Node, Out, Workflow

WIDTH, COLUMN, GAP = 300, 360, 40  # pixels of a node, of a column, between nodes
TITLE, SLOT, WIDGET, PICTURE = 34, 20, 26, 260  # heights
COLOURS = ("#3f789e", "#88a", "#b58b2a", "#8a8", "#a1309b", "#b06634")
NOTE = "MarkdownNote"
SHOWING = (  # nodes that show a picture
    "PreviewImage",
    "LoadImage",
    "FaceEdit_GuidedFaceSampler",
    "FaceEdit_SaveEditedImage",
)


# The API format


def api_format(flow: Workflow) -> dict[str, Any]:
    """What the server runs."""
    schemas = Schemas()
    return {
        str(node.number): {
            "inputs": {
                name: schemas.link(value) if isinstance(value, Out) else value
                for name, value in schemas.inputs_of(node).items()
            },
            "class_type": node.kind,
            "_meta": {"title": node.title or schemas.of(node.kind).display_name},
        }
        for node in flow.nodes
    }


class Schemas:
    """The schemas of our nodes and of the core nodes that the workflows use."""

    def __init__(self) -> None:
        self.known = {node.define_schema().node_id: node.GET_SCHEMA() for node in NODES}
        self.known |= {name: node.GET_SCHEMA() for name, node in CORE.items()}

    def of(self, kind: str) -> Any:
        return self.known[kind]

    def inputs_of(self, node: Node) -> dict[str, Any]:
        """What the node is given; a widget that the workflow does not name has its default."""
        widgets = filter(is_widget, self.of(node.kind).inputs)
        defaults = {each.id: each.default for each in widgets if each.default is not None}
        return node.inputs | {k: v for k, v in defaults.items() if k not in node.inputs}

    def slot(self, out: Out) -> int:
        """The place of an output, by its name."""
        names = [each.display_name or each.io_type for each in self.of(out.node.kind).outputs]
        return names.index(out.name)

    def link(self, out: Out) -> list[Any]:
        return [str(out.node.number), self.slot(out)]


# The UI format


def ui_format(flow: Workflow) -> dict[str, Any]:
    """What the browser opens: the same graph, laid out in columns under titles."""
    schemas = Schemas()
    places = dict(layout(flow, schemas))
    links = list(wires(flow, schemas))
    nodes = [drawn(node, places[node.number], links, schemas) for node in flow.nodes]
    nodes.append(note(flow))
    return {
        "id": f"guided-face-edit-{flow.name}",
        "revision": 0,
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": list(frames(flow, places)),
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def wires(flow: Workflow, schemas: Schemas) -> Iterator[list[Any]]:
    """`[link, from node, from slot, to node, to slot, type]`."""
    number = 0
    for node in flow.nodes:
        for place, each in enumerate(sockets_of(node, schemas)):
            out = node.inputs.get(each.id)
            if isinstance(out, Out):
                number += 1
                slot = schemas.slot(out)
                kind = schemas.of(out.node.kind).outputs[slot].io_type
                yield [number, out.node.number, slot, node.number, place, kind]


def sockets_of(node: Node, schemas: Schemas) -> list[Any]:
    """The inputs that are drawn as sockets: those required first, as the host orders them."""
    inputs = [each for each in schemas.of(node.kind).inputs if not is_widget(each)]
    return sorted(inputs, key=lambda each: each.optional)


def is_widget(each: Any) -> bool:
    """Whether an input is set on the node itself."""
    return each.io_type in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO") and (
        each.id != "source"  # of Preview Any, which takes anything
    )


def widget_values(node: Node, schemas: Schemas) -> list[Any]:
    """The values of a node's widgets, in order; a seed is followed by what happens to it."""
    values: list[Any] = []
    for each in filter(is_widget, schemas.of(node.kind).inputs):
        values.append(schemas.inputs_of(node)[each.id])
        if getattr(each, "control_after_generate", None):
            values.append("fixed")
    return [*values, "image"] if node.kind == "LoadImage" else values


def drawn(
    node: Node, place: tuple[int, int, int, int], links: list[list[Any]], schemas: Schemas
) -> dict[str, Any]:
    """One node as the browser keeps it."""
    schema, (x, y, width, height) = schemas.of(node.kind), place
    into = {link[4]: link[0] for link in links if link[3] == node.number}
    sockets = sockets_of(node, schemas)
    about = {
        "id": node.number,
        "type": node.kind,
        "pos": [x, y],
        "size": [width, height],
        "flags": {},
        "order": node.number - 1,
        "mode": 0,
        "inputs": [
            {"name": each.id, "type": each.io_type, "link": into.get(slot)}
            for slot, each in enumerate(sockets)
        ],
        "outputs": [
            {
                "name": each.display_name or each.io_type,
                "type": each.io_type,
                "links": [a[0] for a in links if a[1:3] == [node.number, slot]] or None,
            }
            for slot, each in enumerate(schema.outputs)
        ],
        "properties": {"Node name for S&R": node.kind},
        "widgets_values": widget_values(node, schemas),
    }
    return {**about, "title": node.title} if node.title else about


def layout(flow: Workflow, schemas: Schemas) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Number -> x, y, width, height: column by column, from above."""
    tops = [GAP] * len(flow.groups)
    for node in flow.nodes:
        height = height_of(node, schemas)
        yield node.number, (GAP + node.column * COLUMN, tops[node.column], WIDTH, height)
        tops[node.column] += height + TITLE + GAP


def height_of(node: Node, schemas: Schemas) -> int:
    """About as high as the browser draws it."""
    slots = max(len(sockets_of(node, schemas)), len(schemas.of(node.kind).outputs))
    shows = node.kind in SHOWING
    widgets = len(widget_values(node, schemas))
    return 10 + slots * SLOT + widgets * WIDGET + shows * PICTURE


def frames(
    flow: Workflow, places: Mapping[int, tuple[int, int, int, int]]
) -> Iterator[dict[str, Any]]:
    """A titled frame around every column."""
    for column, title in enumerate(flow.groups):
        inside = [places[node.number] for node in flow.nodes if node.column == column]
        bottom = max(y + height for _, y, _, height in inside)
        left = column * COLUMN + GAP // 2
        yield {
            "id": column + 1,
            "title": title,
            "bounding": [left, -GAP - 10, COLUMN - GAP // 2, bottom + 2 * GAP],
            "color": COLOURS[column % len(COLOURS)],
            "font_size": 24,
            "flags": {},
        }


def note(flow: Workflow) -> dict[str, Any]:
    """What the workflow does, left of it."""
    return {
        "id": len(flow.nodes) + 1,
        "type": NOTE,
        "pos": [-COLUMN - GAP, GAP],
        "size": [COLUMN, PICTURE],
        "flags": {},
        "order": len(flow.nodes),
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "title": "About",
        "properties": {},
        "widgets_values": [flow.note],
        "color": "#432",
        "bgcolor": "#653",
    }
