"""Our workflows as code; `workflow_formats` makes files of them.

`python -m pytest tests/test_workflows.py --rewrite` writes the files again.
"""

from __future__ import annotations

from collections.abc import Callable

from ...editor_core.guidance.terms import TermSettings
from .workflow_models import (
    face_model_any_sampler,
    face_swap_diffface,
    face_swap_unconditional,
)
from .workflow_parts import (
    DEMO,
    DEMO_SIZE,
    GAZE,
    Workflow,
    align,
    analyse,
    demo_chain,
    demo_models,
    drawn_pair,
    drawn_photo,
    edit_photo,
    gaze_chain,
    preset_chain,
    sample,
    sampling_of,
    scaled,
    select,
    sheet,
    weight,
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
    pair, analysis = drawn_pair(flow, models, seed=0)
    chain = demo_chain(flow, models, analysis["eyes"])
    edit = sample(flow, models["diffusion"], pair["target"], analysis, chain, **sampling_of(DEMO))
    flow.group("Result")
    side_by_side = sheet(flow, pair["source"], pair["target"], analysis, edit["best"])
    flow.add("PreviewImage", "Source, target, parsing, mask, edit", images=side_by_side["sheet"])
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/demo")
    return flow


def analysis_only() -> Workflow:
    """What the pack sees in a face, without an edit."""
    flow = Workflow(
        "analysis_only",
        "## What is seen in a face\n\nParts, mask, eyes, gaze and identity of a target, and how "
        "far it is from a source. Nothing is edited.",
    )
    models = demo_models(flow)
    pair, analysis = drawn_pair(flow, models, seed=3)
    gaze = flow.own(
        "EstimateGaze",
        gaze_model=models["gaze"]["gaze_model"],
        image=pair["target"],
        eyes=analysis["eyes"]["eyes"],
    )
    distance = flow.own(
        "IdentityDistance",
        identity_model=models["identity"]["identity_model"],
        image=pair["target"],
        embedding=analysis["embedding"]["embedding"],
    )
    flow.group("Shown")
    flow.add("PreviewImage", "Parts", images=analysis["parsed"]["preview"])
    flow.add("PreviewImage", "Left eye", images=analysis["eyes"]["left"])
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
    pair, analysis = drawn_pair(flow, models, seed=1)
    chain = preset_chain(flow, models, analysis, "demo")
    numbers = {**sampling_of(DEMO), "candidates": 8}
    edit = sample(flow, models["diffusion"], pair["target"], analysis, chain, **numbers)
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


def set_gaze() -> Workflow:
    """Other eyes for the same face."""
    flow = Workflow(
        "set_gaze",
        "## Set where the eyes look\n\nEdits the eyes alone, and keeps whose they are: the mask "
        "covers `l_eye, r_eye`, the identity is the target's own, and nothing holds the pixels. "
        "`pitch` and `yaw` of **Gaze Guidance** are degrees upwards and to the right; `set-each` "
        "gives each eye its own, `keep` changes nothing, and `at-camera` is eye contact, with a "
        "published gaze model.\n\nFor photos: Align Faces before it, and `faces` on Crop Eyes and "
        "the sampler.",
    )
    models = demo_models(flow)
    flow.group("Pictures")
    pair = flow.own("DrawDemoPortraits", seed=9, pairs=1)
    target = pair["target"]
    analysis = analyse(flow, models, target, target)
    analysis["mask"].inputs |= {"parts": GAZE.parts, "grow": GAZE.grow}
    chain = gaze_chain(flow, models, analysis["eyes"])
    numbers = {**sampling_of(GAZE), "candidates": 1}
    edit = sample(flow, models["diffusion"], target, analysis, chain, **numbers)
    flow.group("Result")
    gaze = flow.own(
        "EstimateGaze",
        gaze_model=models["gaze"]["gaze_model"],
        image=edit["best"],
        eyes=analysis["eyes"]["eyes"],
    )
    flow.add("PreviewImage", "Before", images=target)
    flow.add("PreviewAny", "Where the edit looks, by its own guide", source=gaze["text"])
    flow.own("SaveEditedImage", "After", images=edit["best"], filename_prefix="face_edit/gaze")
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
    analysis = analyse(flow, models, pairs["sources"], target["IMAGE"])
    chain = demo_chain(flow, models, analysis["eyes"])
    numbers = {**sampling_of(DEMO), "candidates": 2}
    edit = sample(flow, models["diffusion"], target["IMAGE"], analysis, chain, **numbers)
    flow.group("Result")
    side_by_side = sheet(flow, pairs["sources"], target["IMAGE"], analysis, edit["best"])
    flow.add("PreviewImage", "Pair by pair", images=side_by_side["sheet"])
    flow.own("SaveEditedImage", "Best edits", images=edit["best"], filename_prefix="face_edit/pair")
    return flow


MICROPHONE = 0x2B2F3A  # a colour
LIGHT = TermSettings(1000)

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
        template="automatic",
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


def keep_occluders() -> Workflow:
    """A microphone before the face, which the edit leaves alone."""
    flow = Workflow(
        "keep_occluders",
        "## What lies before the face stays\n\nA microphone is drawn before the target's mouth, "
        "and found again by its colour. **Guided Face Sampler** takes that mask as `keep`: the "
        "microphone comes out bit for bit, and the identity term never sees it.\n\nFor photographs "
        "any mask will do: a painted one (**Load Image**, *Open in MaskEditor*), or one of "
        'ComfyUI\'s own **SAM3 Detect** with the text "microphone, hand". Glasses, hair and hats '
        "need none: `keep_parts` of **Face Mask** holds them.",
    )
    models = demo_models(flow)
    flow.group("Pictures")
    pair = flow.own("DrawDemoPortraits", seed=0, pairs=1)
    microphone = flow.add(
        "EmptyImage", "A microphone", width=12, height=22, batch_size=1, color=MICROPHONE
    )
    target = flow.add(
        "ImageCompositeMasked",
        "The target with it",
        destination=pair["target"],
        source=microphone["IMAGE"],
        x=28,
        y=42,
        resize_source=False,
    )
    keep = flow.add(
        "ImageColorToMask", "Found by its colour", image=target["IMAGE"], color=MICROPHONE
    )
    analysis = analyse(flow, models, pair["source"], target["IMAGE"])
    chain = demo_chain(flow, models, analysis["eyes"])
    numbers = {**sampling_of(DEMO), "keep": keep["MASK"]}
    edit = sample(flow, models["diffusion"], target["IMAGE"], analysis, chain, **numbers)
    flow.group("Result")
    flow.add("MaskPreview", "What is kept", mask=keep["MASK"])
    side_by_side = sheet(flow, pair["source"], target["IMAGE"], analysis, edit["best"])
    flow.add("PreviewImage", "Source, target, parsing, mask, edit", images=side_by_side["sheet"])
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/keep")
    return flow


def mix_identities() -> Workflow:
    """Somebody between two people."""
    flow = Workflow(
        "mix_identities",
        "## Somebody between two people\n\nThe identities of two drawn people are mixed, and put "
        "on a third. The weights of **Mix Identities** say how much of each; only ratios count."
        "\n\n**Light Guidance** holds the target's complexion, whoever it becomes.",
    )
    models = demo_models(flow)
    pair, analysis = drawn_pair(flow, models, seed=0)
    other = flow.own("DrawDemoPortraits", "Another person", seed=12, pairs=1)
    second = flow.own(
        "EmbedIdentity",
        "The other's identity",
        identity_model=models["identity"]["identity_model"],
        image=other["source"],
        average=True,
    )
    analysis["embedding"] = flow.own(
        "MixIdentities",
        embedding_1=analysis["embedding"]["embedding"],
        weight_1=0.5,
        embedding_2=second["embedding"],
        weight_2=0.5,
        weight_3=1.0,
        weight_4=1.0,
    )
    chain = demo_chain(flow, models, analysis["eyes"])
    chain = flow.own("LightGuidance", **weight(LIGHT), cells=8, guidance=chain["guidance"])
    edit = sample(flow, models["diffusion"], pair["target"], analysis, chain, **sampling_of(DEMO))
    flow.group("Result")
    flow.add("PreviewImage", "One person", images=pair["source"])
    flow.add("PreviewImage", "Another", images=other["source"])
    flow.add("PreviewImage", "The target", images=pair["target"])
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/mix")
    return flow


WORKFLOWS: tuple[Callable[[], Workflow], ...] = (
    face_swap_demo,
    face_swap_diffface,
    face_swap_unconditional,
    analysis_only,
    candidates_and_metrics,
    batch_pairs,
    photo_swap,
    group_photo,
    frames,
    keep_occluders,
    mix_identities,
    set_gaze,
    face_model_any_sampler,
)
