"""What workflows are written with: nodes, wires, and the columns that many of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...editor_core.guidance.terms import TermSettings
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings

DEMO, GAZE, DEMO_SIZE = preset("demo"), preset("demo-gaze"), 64


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
        "diffusion": flow.own("LoadFaceDiffusionModel", precision="auto", compile=False, **demo),
        "identity": flow.own("LoadIdentityModel", **demo),
        "parser": flow.own("LoadFaceParser", **demo),
        "gaze": flow.own("LoadGazeModel", **demo),
        "lpips": flow.own("LoadLpipsModel", **demo),
    }


def analyse(
    flow: Workflow, models: Mapping[str, Node], source: Out, target: Out
) -> dict[str, Node]:
    """What the nodes read in the pair before the edit; the eyes where there is a gaze model."""
    flow.group("What is seen")
    parsed = flow.own("ParseFace", parser=models["parser"]["parser"], image=target)
    seen = {"parsed": parsed, "mask": flow.own("FaceMask", parsing=parsed["parsing"])}
    if "gaze" in models:
        seen["eyes"] = flow.own("CropEyes", image=target, parsing=parsed["parsing"])
    seen["embedding"] = flow.own(
        "EmbedIdentity",
        identity_model=models["identity"]["identity_model"],
        image=source,
        average=True,
    )
    return seen


def demo_chain(flow: Workflow, models: Mapping[str, Node], eyes: Node) -> Node:
    """The demo preset, term by term."""
    flow.group("Guidance")
    views = {"max_rotation": 15.0, "max_shift": 0.1, "max_inset": 0.35, "probability": 0.7}
    chain = flow.own(
        "IdentityGuidance",
        identity_model=models["identity"]["identity_model"],
        **weight(DEMO.identity),
        views=DEMO.views,
        **views,
    )
    chain = flow.own(
        "ParsingGuidance",
        parser=models["parser"]["parser"],
        **weight(DEMO.parsing),
        guidance=chain["guidance"],
    )
    chain = flow.own(
        "GazeGuidance",
        gaze_model=models["gaze"]["gaze_model"],
        eyes=eyes["eyes"],
        **weight(DEMO.gaze),
        guidance=chain["guidance"],
    )
    chain = flow.own(
        "LpipsGuidance",
        lpips_model=models["lpips"]["lpips_model"],
        **weight(DEMO.lpips),
        guidance=chain["guidance"],
    )
    return flow.own("PixelGuidance", **weight(DEMO.pixel), guidance=chain["guidance"])


def gaze_chain(flow: Workflow, models: Mapping[str, Node], eyes: Node) -> Node:
    """What sets a gaze: the shape of the eyes is kept, and where they look is asked."""
    flow.group("Guidance")
    chain = flow.own("ParsingGuidance", parser=models["parser"]["parser"], **weight(GAZE.parsing))
    return flow.own(
        "GazeGuidance",
        gaze_model=models["gaze"]["gaze_model"],
        eyes=eyes["eyes"],
        **weight(GAZE.gaze),
        mode="set",
        yaw=15.0,
        guidance=chain["guidance"],
    )


def preset_chain(
    flow: Workflow, models: Mapping[str, Node], analysis: Mapping[str, Node], name: str
) -> Node:
    """A preset's whole chain, with the models that there are."""
    flow.group("Guidance")
    outputs = {"identity": "identity_model", "parser": "parser", "gaze": "gaze_model"}
    wired = {output: models[kind][output] for kind, output in outputs.items() if kind in models}
    wired |= {"eyes": analysis["eyes"]["eyes"]} if "eyes" in analysis else {}
    wired |= {"lpips_model": models["lpips"]["lpips_model"]} if "lpips" in models else {}
    return flow.own("GuidancePreset", preset=name, **wired)


def weight(term: TermSettings) -> dict[str, float]:
    """The scale and the window of a term, as a node asks for them."""
    return {"scale": float(term.scale), **asdict(term.window)}


def sampling_of(settings: EditSettings) -> dict[str, Any]:
    """What a preset sets on the sampler, which a chain cannot carry."""
    names = (
        *("skip", "sampler", "eta", "ramp_end", "clip_denoised"),
        *("gradient", "guide_every", "memory"),
    )
    return {"steps": int(settings.respacing), **{name: getattr(settings, name) for name in names}}


def drawn_pair(
    flow: Workflow, models: Mapping[str, Node], seed: int
) -> tuple[Node, dict[str, Node]]:
    """A drawn source and target, and what the nodes read in them."""
    flow.group("Pictures")
    pair = flow.own("DrawDemoPortraits", seed=seed, pairs=1)
    return pair, analyse(flow, models, pair["source"], pair["target"])


def sample(
    flow: Workflow,
    model: Node,
    target: Out,
    analysis: Mapping[str, Node],
    chain: Node,
    **numbers: Any,
) -> Node:
    """The sampler in a column of its own."""
    flow.group("Edit")
    return flow.own(
        "GuidedFaceSampler",
        model=model["model"],
        target=target,
        mask=analysis["mask"]["mask"],
        embedding=analysis["embedding"]["embedding"],
        guidance=chain["guidance"],
        **{"seed": 0, "candidates": 4, "keep_background": True, "noise": "per image", **numbers},
    )


def sheet(
    flow: Workflow, source: Out, target: Out, analysis: Mapping[str, Node], edited: Out
) -> Node:
    """Everything side by side."""
    return flow.own(
        "ComparisonSheet",
        source=source,
        target=target,
        parsing=analysis["parsed"]["parsing"],
        mask=analysis["mask"]["mask"],
        edited=edited,
        side=256,
    )


def scaled(flow: Workflow, picture: Out, side: int, title: str = "") -> Node:
    """A picture made as large as the model wants it."""
    return flow.add(
        "ImageScale",
        title,
        image=picture,
        upscale_method="lanczos",
        width=side,
        height=side,
        crop="center",
    )


def drawn_photo(flow: Workflow, **drawn: Any) -> tuple[Node, Node]:
    """A drawn photo of people, and somebody else as the source."""
    flow.group("Pictures")
    photo = flow.own("DrawDemoPhoto", **{"seed": 0, "frames": 1, "known": "0", **drawn})
    return photo, flow.own("DrawDemoPortraits", seed=5, pairs=1)


def select(flow: Workflow, faces: Out, numbers: str = "", **compared: Any) -> Node:
    """Some of the faces: by number, or those that are compared with an embedding."""
    return flow.own(
        "SelectFaces",
        faces=faces,
        order="left to right",
        numbers=numbers,
        **{"template": "automatic", "max_distance": 0.0, "if_missing": "error", **compared},
    )


def align(flow: Workflow, photo: Node, faces: Out, smoothing: float = 0.0) -> Node:
    """Crops for the bundled models."""
    return flow.own(
        "AlignFaces",
        image=photo["image"],
        faces=faces,
        template="demo",
        size=DEMO_SIZE,
        smoothing=smoothing,
    )


def edit_photo(
    flow: Workflow,
    models: Mapping[str, Node],
    source: Node,
    photo: Node,
    aligned: Node,
    **numbers: Any,
) -> Node:
    """What the nodes read in the crops, the guidance of the demo, and the edit of the photo."""
    analysis = analyse(flow, models, source["source"], aligned["crops"])
    analysis["eyes"].inputs |= {"image": photo["image"], "faces": aligned["faces"]}
    chain = preset_chain(flow, models, analysis, "demo")
    numbers = {**sampling_of(DEMO), "candidates": 2, **numbers}
    edit = sample(
        flow,
        models["diffusion"],
        photo["image"],
        analysis,
        chain,
        faces=aligned["faces"],
        **numbers,
    )
    flow.group("Result")
    flow.add("PreviewImage", "Before", images=photo["image"])
    flow.add("PreviewImage", "The eyes that were found", images=analysis["eyes"]["preview"])
    flow.add("PreviewImage", "The edited crops", images=edit["candidates"])
    flow.own(
        "SaveEditedImage", "After", images=edit["best"], filename_prefix=f"face_edit/{flow.name}"
    )
    return edit
