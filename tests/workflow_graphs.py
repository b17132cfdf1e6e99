"""Our workflows as code; `workflow_formats` makes files of them.

`python -m pytest tests/test_workflows.py --rewrite` writes the files anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..editor_core.presets import preset
from ..editor_core.settings import EditSettings, TermSettings


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


def preset_chain(flow: Workflow, models: Mapping[str, Node], eyes: Node, name: str) -> Node:
    """A preset's whole chain, with the models that there are."""
    flow.group("Guidance")
    lpips = {"lpips_model": models["lpips"]["lpips_model"]} if "lpips" in models else {}
    return flow.own(
        "GuidancePreset",
        preset=name,
        identity_model=models["identity"]["identity_model"],
        parser=models["parser"]["parser"],
        gaze_model=models["gaze"]["gaze_model"],
        eyes=eyes["eyes"],
        **lpips,
    )


DEMO, DEMO_SIZE = preset("demo"), 64


def pull(term: TermSettings) -> dict[str, float]:
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
    """A drawn source and target, and what is seen in them."""
    flow.group("Pictures")
    pair = flow.own("DrawDemoPortraits", seed=seed, pairs=1)
    return pair, look(flow, models, pair["source"], pair["target"])


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
        **{"seed": 0, "candidates": 4, "keep_background": True, "noise": "per image", **numbers},
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
    pair, seen = drawn_pair(flow, models, seed=0)
    chain = demo_chain(flow, models, seen["eyes"])
    edit = sample(flow, models["diffusion"], pair["target"], seen, chain, **sampling_of(DEMO))
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
        "diffusion": flow.own(
            "LoadFaceDiffusionModel", model_name="Model.pt", precision="auto", compile=False
        ),
        "identity": flow.own("LoadIdentityModel", model_name="Arcface.tar"),
        "parser": flow.own("LoadFaceParser", model_name="FaceParser.pth"),
        "gaze": flow.own("LoadGazeModel", model_name="GazeEstimator.pt"),
    }
    flow.group("Pictures")
    source = flow.add("LoadImage", "Source: whose face", image="source.png")
    target = flow.add("LoadImage", "Target: what is edited", image="target.png")
    target = scaled(flow, target["IMAGE"], 256)
    seen = look(flow, models, source["IMAGE"], target["IMAGE"])
    chain = preset_chain(flow, models, seen["eyes"], "diffface")
    numbers = sampling_of(preset("diffface"))
    edit = sample(flow, models["diffusion"], target["IMAGE"], seen, chain, **numbers)
    flow.group("Result")
    flow.add("PreviewImage", "Candidates, best first", images=edit["candidates"])
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/edit")
    return flow


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


def analysis_only() -> Workflow:
    """What the pack sees in a face, without an edit."""
    flow = Workflow(
        "analysis_only",
        "## What is seen in a face\n\nParts, mask, eyes, gaze and identity of a target, and how "
        "far it is from a source. Nothing is edited.",
    )
    models = demo_models(flow)
    pair, seen = drawn_pair(flow, models, seed=3)
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
    pair, seen = drawn_pair(flow, models, seed=1)
    chain = preset_chain(flow, models, seen["eyes"], "demo")
    numbers = {**sampling_of(DEMO), "candidates": 8}
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
    target = scaled(flow, pairs["targets"], DEMO_SIZE, "To the model's size")
    seen = look(flow, models, pairs["sources"], target["IMAGE"])
    chain = demo_chain(flow, models, seen["eyes"])
    numbers = {**sampling_of(DEMO), "candidates": 2}
    edit = sample(flow, models["diffusion"], target["IMAGE"], seen, chain, **numbers)
    flow.group("Result")
    side_by_side = sheet(flow, pairs["sources"], target["IMAGE"], seen, edit["best"])
    flow.add("PreviewImage", "Pair by pair", images=side_by_side["sheet"])
    flow.own("SaveEditedImage", "Best edits", images=edit["best"], filename_prefix="face_edit/pair")
    return flow


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
        **{"template": "demo", "max_distance": 0.6, "if_missing": "error", **compared},
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
    """What is seen in the crops, the guidance of the demo, and the edit of the photo."""
    seen = look(flow, models, source["source"], aligned["crops"])
    seen["eyes"].inputs |= {"image": photo["image"], "faces": aligned["faces"]}
    chain = preset_chain(flow, models, seen["eyes"], "demo")
    numbers = {**sampling_of(DEMO), "candidates": 2, **numbers}
    edit = sample(
        flow, models["diffusion"], photo["image"], seen, chain, faces=aligned["faces"], **numbers
    )
    flow.group("Result")
    flow.add("PreviewImage", "Before", images=photo["image"])
    flow.add("PreviewImage", "The eyes that were found", images=seen["eyes"]["preview"])
    flow.add("PreviewImage", "The edited crops", images=edit["candidates"])
    flow.own(
        "SaveEditedImage", "After", images=edit["best"], filename_prefix=f"face_edit/{flow.name}"
    )
    return edit


OWN_PHOTOS = (
    "For photos of your own, put **Load Image** and **Detect Faces** in the place of **Draw Demo "
    "Photo**, choose the published models, and in **Align Faces** the template `ffhq` and the "
    "model's size."
)


def photo_swap() -> Workflow:
    """One face of a photo, and the photo comes back."""
    flow = Workflow(
        "photo_swap",
        "## Any photo in, the same photo out\n\nOne face of a drawn photo is found, aligned, "
        "edited and pasted back at the photo's own resolution. Outside the face the photo stays "
        f"bit for bit. `numbers` of **Select Faces** chooses another.\n\n{OWN_PHOTOS}",
    )
    models = demo_models(flow)
    photo, source = drawn_photo(flow, people=2, width=448, height=256)
    flow.group("Faces")
    chosen = select(flow, photo["faces"], "0")
    aligned = align(flow, photo, chosen["faces"])
    edit_photo(flow, models, source, photo, aligned)
    return flow


def group_photo() -> Workflow:
    """Two of five people, whom references show."""
    flow = Workflow(
        "group_photo",
        "## The right faces of many\n\nTwo of five people are edited: those whom the references "
        "show, which are other pictures of them. Without an embedding **Select Faces** keeps all "
        f"five.\n\n{OWN_PHOTOS}",
    )
    models = demo_models(flow)
    photo, source = drawn_photo(flow, people=5, width=960, height=320, known="1, 3")
    flow.group("Faces")
    wanted = flow.own(
        "EmbedIdentity",
        "Who is wanted",
        identity_model=models["identity"]["identity_model"],
        image=photo["references"],
        average=False,
    )
    chosen = select(
        flow,
        photo["faces"],
        embedding=wanted["embedding"],
        identity_model=models["identity"]["identity_model"],
        image=photo["image"],
    )
    aligned = align(flow, photo, chosen["faces"])
    edit_photo(flow, models, source, photo, aligned)
    return flow


def frames() -> Workflow:
    """A clip whose people keep their new faces."""
    flow = Workflow(
        "frames",
        "## A clip\n\nThe faces of all frames are tracked, their crops smoothed over time, and all "
        "edited in one batch with the same noise for the same person. The metrics have `flicker`: "
        "how much the edited crops change from frame to frame, relative to the clip's own."
        f"\n\n{OWN_PHOTOS}",
    )
    models = demo_models(flow)
    photo, source = drawn_photo(flow, people=1, width=256, height=256, frames=6)
    flow.group("Faces")
    tracked = flow.own(
        "TrackFaces",
        faces=photo["faces"],
        identity_model=models["identity"]["identity_model"],
        image=photo["image"],
        template="demo",
    )
    aligned = align(flow, photo, tracked["faces"], smoothing=1.0)
    edit = edit_photo(flow, models, source, photo, aligned, candidates=1, noise="per person")
    flow.own(
        "SaveMetrics",
        metrics=edit["metrics"],
        filename_prefix="face_edit/frames",
        format="json",
    )
    return flow


WORKFLOWS: tuple[Callable[[], Workflow], ...] = (
    face_swap_demo,
    face_swap_diffface,
    analysis_only,
    candidates_and_metrics,
    batch_pairs,
    photo_swap,
    group_photo,
    frames,
)
