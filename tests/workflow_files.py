"""Our workflows as code, and both of the files that each becomes: UI format and API format.

`python -m pytest tests/test_workflows.py --rewrite` writes the files anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..editor_core.presets import preset
from ..editor_core.settings import TermSettings
from ..nodes import NODES
from .standin.core import CORE

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


@dataclass
class Node:
    """One node: its number, where it stands, and what is wired to it."""

    number: int
    kind: str
    title: str
    column: int
    inputs: dict[str, Any]  # widget values, and `Out`s

    def __getitem__(self, output: str) -> Out:
        return Out(self, output)


@dataclass(frozen=True)
class Out:
    """An output of a node, by name."""

    node: Node
    name: str


@dataclass
class Workflow:
    """A graph under construction; groups are columns from left to right."""

    name: str
    note: str
    nodes: list[Node] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def group(self, title: str) -> None:
        """Begin the next column."""
        self.groups.append(title)

    def add(self, kind: str, title: str = "", **inputs: Any) -> Node:
        """A node in the current column."""
        node = Node(len(self.nodes) + 1, kind, title, len(self.groups) - 1, inputs)
        self.nodes.append(node)
        return node

    def own(self, kind: str, title: str = "", **inputs: Any) -> Node:
        """A node of the pack."""
        return self.add(f"FaceEdit_{kind}", title, **inputs)


def demo_models(flow: Workflow) -> dict[str, Node]:
    """The five loaders with the bundled weights."""
    flow.group("Models")
    demo = {"model_name": "demo.safetensors"}
    return {
        "diffusion": flow.own("LoadFaceDiffusionModel", precision="auto", **demo),
        "identity": flow.own("LoadIdentityModel", **demo),
        "parser": flow.own("LoadFaceParser", **demo),
        "gaze": flow.own("LoadGazeModel", **demo),
        "lpips": flow.own("LoadLpipsModel", **demo),
    }


def look(flow: Workflow, models: Mapping[str, Node], source: Out, target: Out) -> dict[str, Node]:
    """Everything that is seen in the pair before the edit."""
    flow.group("What is seen")
    parsed = flow.own("ParseFace", parser=models["parser"]["parser"], image=target)
    mask = flow.own("FaceMask", parsing=parsed["parsing"], parts="face", grow=0, feather=0.0)
    eyes = flow.own("CropEyes", image=target, parsing=parsed["parsing"])
    embedding = flow.own(
        "EmbedIdentity",
        identity_model=models["identity"]["identity_model"],
        image=source,
        average=True,
    )
    return {"parsed": parsed, "mask": mask, "eyes": eyes, "embedding": embedding}


def demo_chain(flow: Workflow, models: Mapping[str, Node], eyes: Node) -> Node:
    """The demo preset, term by term."""
    flow.group("Guidance")
    views = {"max_rotation": 15.0, "max_shift": 0.1, "max_inset": 0.35, "probability": 0.7}
    chain = flow.own(
        "IdentityGuidance",
        identity_model=models["identity"]["identity_model"],
        **pull(DEMO.identity),
        views=DEMO.views,
        **views,
    )
    chain = flow.own(
        "ParsingGuidance",
        parser=models["parser"]["parser"],
        **pull(DEMO.parsing),
        guidance=chain["guidance"],
    )
    chain = flow.own(
        "GazeGuidance",
        gaze_model=models["gaze"]["gaze_model"],
        eyes=eyes["eyes"],
        **pull(DEMO.gaze),
        guidance=chain["guidance"],
    )
    chain = flow.own(
        "LpipsGuidance",
        lpips_model=models["lpips"]["lpips_model"],
        **pull(DEMO.lpips),
        guidance=chain["guidance"],
    )
    return flow.own("PixelGuidance", **pull(DEMO.pixel), guidance=chain["guidance"])


DEMO = preset("demo")


def pull(term: TermSettings) -> dict[str, float]:
    """The scale and the window of a term, as a node asks for them."""
    return {"scale": float(term.scale), **asdict(term.window)}


def demo_numbers() -> dict[str, Any]:
    """The sampler's settings for the bundled models."""
    names = ("skip", "sampler", "eta", "ramp_end", "clip_denoised")
    return {"steps": int(DEMO.respacing), **{name: getattr(DEMO, name) for name in names}}


def sample(
    flow: Workflow, model: Node, target: Out, seen: Mapping[str, Node], chain: Node, **numbers: Any
) -> Node:
    """The sampler in a column of its own."""
    flow.group("Edit")
    return flow.own(
        "GuidedFaceSampler",
        model=model["model"],
        target=target,
        mask=seen["mask"]["mask"],
        embedding=seen["embedding"]["embedding"],
        guidance=chain["guidance"],
        **{"seed": 0, "candidates": 4, "keep_background": True, **numbers},
    )


def sheet(flow: Workflow, source: Out, target: Out, seen: Mapping[str, Node], edited: Out) -> Node:
    """Everything side by side."""
    return flow.own(
        "ComparisonSheet",
        source=source,
        target=target,
        parsing=seen["parsed"]["parsing"],
        mask=seen["mask"]["mask"],
        edited=edited,
        side=256,
    )


def face_swap_demo() -> Workflow:
    """Runs untouched: drawn portraits, bundled weights."""
    flow = Workflow(
        "face_swap_demo",
        "## Face swap, ready to run\n\nDraws two people, and puts the face of the *source* on the "
        "*target* with the weights that come with the pack. Press **Run**. Another `seed` of "
        "**Draw Demo Portraits** draws other people.\n\nFor pictures of your own open the template "
        "`face_swap_diffface`.",
    )
    models = demo_models(flow)
    flow.group("Pictures")
    pair = flow.own("DrawDemoPortraits", seed=0, pairs=1)
    seen = look(flow, models, pair["source"], pair["target"])
    chain = demo_chain(flow, models, seen["eyes"])
    edit = sample(flow, models["diffusion"], pair["target"], seen, chain, **demo_numbers())
    flow.group("Result")
    side_by_side = sheet(flow, pair["source"], pair["target"], seen, edit["best"])
    flow.add("PreviewImage", "Source, target, parsing, mask, edit", images=side_by_side["sheet"])
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/demo")
    return flow


def face_swap_diffface() -> Workflow:
    """The published weights on the user's own pictures."""
    flow = Workflow(
        "face_swap_diffface",
        "## Face swap with the published DiffFace weights\n\nPut the four files of "
        "github.com/hxngiee/DiffFace (non-commercial licence) into `models/face_edit/`: `Model.pt` "
        "into `diffusion`, `Arcface.tar` into `identity`, `FaceParser.pth` into `parsing`, "
        "`GazeEstimator.pt` into `gaze`. Give a source and a target that are aligned square crops "
        "of one face, as in CelebA-HQ.\n\nOnly edit people who agreed to it.",
    )
    flow.group("Models")
    models = {
        "diffusion": flow.own("LoadFaceDiffusionModel", model_name="Model.pt", precision="auto"),
        "identity": flow.own("LoadIdentityModel", model_name="Arcface.tar"),
        "parser": flow.own("LoadFaceParser", model_name="FaceParser.pth"),
        "gaze": flow.own("LoadGazeModel", model_name="GazeEstimator.pt"),
    }
    flow.group("Pictures")
    source = flow.add("LoadImage", "Source: whose face", image="source.png")
    target = scaled(flow, flow.add("LoadImage", "Target: what is edited", image="target.png"), 256)
    seen = look(flow, models, source["IMAGE"], target["IMAGE"])
    flow.group("Guidance")
    chain = flow.own(
        "GuidancePreset",
        preset="diffface",
        identity_model=models["identity"]["identity_model"],
        parser=models["parser"]["parser"],
        gaze_model=models["gaze"]["gaze_model"],
        eyes=seen["eyes"]["eyes"],
    )
    numbers = {"steps": 100, "skip": 25, "sampler": "ddpm", "eta": 0.0}
    numbers |= {"ramp_end": 0.7, "clip_denoised": False}
    edit = sample(flow, models["diffusion"], target["IMAGE"], seen, chain, **numbers)
    flow.group("Result")
    flow.add("PreviewImage", "Candidates, best first", images=edit["candidates"])
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/edit")
    return flow


def scaled(flow: Workflow, picture: Node, side: int) -> Node:
    """A picture made as large as the model wants it."""
    return flow.add(
        "ImageScale",
        image=picture["IMAGE"],
        upscale_method="lanczos",
        width=side,
        height=side,
        crop="center",
    )


def analysis_only() -> Workflow:
    """What the pack sees in a face, without an edit."""
    flow = Workflow(
        "analysis_only",
        "## What is seen in a face\n\nParts, mask, eyes, gaze and identity of a target, and how "
        "far it is from a source. Nothing is edited.",
    )
    models = demo_models(flow)
    flow.group("Pictures")
    pair = flow.own("DrawDemoPortraits", seed=3, pairs=1)
    seen = look(flow, models, pair["source"], pair["target"])
    gaze = flow.own(
        "EstimateGaze",
        gaze_model=models["gaze"]["gaze_model"],
        image=pair["target"],
        eyes=seen["eyes"]["eyes"],
    )
    distance = flow.own(
        "IdentityDistance",
        identity_model=models["identity"]["identity_model"],
        image=pair["target"],
        embedding=seen["embedding"]["embedding"],
    )
    flow.group("Shown")
    flow.add("PreviewImage", "Parts", images=seen["parsed"]["preview"])
    flow.add("PreviewImage", "Left eye", images=seen["eyes"]["left"])
    flow.add("PreviewImage", "Gaze", images=gaze["arrows"])
    flow.add("PreviewAny", "Gaze in degrees", source=gaze["text"])
    flow.add("PreviewAny", "Distance to the source", source=distance["text"])
    return flow


def candidates_and_metrics() -> Workflow:
    """Several candidates, ranked, and what every term did at every step."""
    flow = Workflow(
        "candidates_and_metrics",
        "## Candidates and metrics\n\nEight edits of one target in one batch, the closest identity "
        "first; the plot shows every term at every step, and the same numbers are saved as JSON "
        "and CSV.",
    )
    models = demo_models(flow)
    flow.group("Pictures")
    pair = flow.own("DrawDemoPortraits", seed=1, pairs=1)
    seen = look(flow, models, pair["source"], pair["target"])
    flow.group("Guidance")
    chain = flow.own(
        "GuidancePreset",
        preset="demo",
        identity_model=models["identity"]["identity_model"],
        parser=models["parser"]["parser"],
        gaze_model=models["gaze"]["gaze_model"],
        eyes=seen["eyes"]["eyes"],
        lpips_model=models["lpips"]["lpips_model"],
    )
    numbers = {**demo_numbers(), "candidates": 8}
    edit = sample(flow, models["diffusion"], pair["target"], seen, chain, **numbers)
    flow.group("Result")
    flow.add("PreviewImage", "Candidates, best first", images=edit["candidates"])
    plot = flow.own("MetricsPlot", metrics=edit["metrics"])
    flow.add("PreviewImage", "Terms over the steps", images=plot["plot"])
    for kind in ("json", "csv"):
        flow.own(
            "SaveMetrics",
            metrics=edit["metrics"],
            filename_prefix="face_edit/metrics",
            format=kind,
        )
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/best")
    return flow


def batch_pairs() -> Workflow:
    """One edit for every pair of two folders."""
    flow = Workflow(
        "batch_pairs",
        "## Two folders, pair by pair\n\nPut pictures into `input/sources` and `input/targets`: "
        "the first goes on the first, by name. Everything after **Load Image Pairs** runs once for "
        "each pair.",
    )
    models = demo_models(flow)
    flow.group("Pictures")
    pairs = flow.own(
        "LoadImagePairs", source_folder="sources", target_folder="targets", pairing="in order"
    )
    target = flow.add(
        "ImageScale",
        "To the model's size",
        image=pairs["targets"],
        upscale_method="lanczos",
        width=64,
        height=64,
        crop="center",
    )
    seen = look(flow, models, pairs["sources"], target["IMAGE"])
    chain = demo_chain(flow, models, seen["eyes"])
    numbers = {**demo_numbers(), "candidates": 2}
    edit = sample(flow, models["diffusion"], target["IMAGE"], seen, chain, **numbers)
    flow.group("Result")
    side_by_side = sheet(flow, pairs["sources"], target["IMAGE"], seen, edit["best"])
    flow.add("PreviewImage", "Pair by pair", images=side_by_side["sheet"])
    flow.own("SaveEditedImage", "Best edits", images=edit["best"], filename_prefix="face_edit/pair")
    return flow


WORKFLOWS: tuple[Callable[[], Workflow], ...] = (
    face_swap_demo,
    face_swap_diffface,
    analysis_only,
    candidates_and_metrics,
    batch_pairs,
)


# The API format


def api_format(flow: Workflow) -> dict[str, Any]:
    """What the server runs."""
    schemas = Schemas()
    return {
        str(node.number): {
            "inputs": {
                name: schemas.link(value) if isinstance(value, Out) else value
                for name, value in node.inputs.items()
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
        values.append(node.inputs[each.id])
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
