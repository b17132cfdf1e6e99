"""The sampler: noises the target, and draws it anew under guidance."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import io
from torch import Tensor

from ..editor_core.editing import EditResult, edit_target
from ..editor_core.face.identity import IdentityEncoder
from ..editor_core.face.parsing import FaceParser
from ..editor_core.face.records import Faces
from ..editor_core.guidance import chain
from ..editor_core.metrics import EditMetrics
from ..editor_core.photos import NOISES, aligned_faces, edit_crops
from ..editor_core.settings import EditSettings
from . import host, sockets
from .guidance import Chain


class GuidedFaceSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "GuidedFaceSampler",
            display_name="Guided Face Sampler",
            category="face editing/sampling",
            description="Edits the target inside the mask: noises it, then draws it anew, guided "
            "by the chain. With keep_background on, the result equals the target bit for bit "
            "outside the mask. With faces, targets are whole photos, which come back edited.",
            search_aliases=["face swap", "diffface", "blended diffusion", "ksampler face"],
            inputs=[
                sockets.DiffusionModel.Input("model", tooltip="From Load Face Diffusion Model."),
                io.Image.Input(
                    "target",
                    tooltip="Aligned face crops of the model's own size, one edit each; or, with "
                    "faces, the photos that these were found in.",
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="White where the target may change; one, or one a target. With faces, "
                    "of the photos or of the aligned crops.",
                ),
                sockets.Embedding.Input(
                    "embedding",
                    optional=True,
                    tooltip="Whose face it becomes, from Embed Identity; one, or one a target. A "
                    "model or guidance that knows identities needs it.",
                ),
                sockets.Guidance.Input(
                    "guidance", optional=True, tooltip="The chain of terms; none draws freely."
                ),
                host.seed_input(
                    "Of the first edit; each further candidate and target takes the next.",
                    most=0xFFFFFFFFFFFF,
                ),
                io.Int.Input(
                    "steps",
                    default=100,
                    min=1,
                    max=1000,
                    tooltip="Steps of the whole schedule, of which skip are left out. More is "
                    "finer and slower.",
                ),
                io.Int.Input(
                    "skip",
                    default=25,
                    min=0,
                    max=999,
                    tooltip="The noisiest steps left out: more keeps more of the target.",
                ),
                io.Combo.Input(
                    "sampler",
                    options=["ddpm", "ddim"],
                    default="ddpm",
                    tooltip="ddpm adds noise at every step; ddim does with fewer steps.",
                ),
                io.Float.Input(
                    "eta",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Noise of ddim: 0 none, 1 as much as ddpm.",
                ),
                io.Int.Input(
                    "candidates",
                    default=4,
                    min=1,
                    max=64,
                    tooltip="Edits of each target, made at once and ranked by identity distance.",
                ),
                io.Float.Input(
                    "ramp_end",
                    default=0.7,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="When the whole mask is free: it opens slowly until here, 0 being "
                    "pure noise and 1 the finished picture. Later blends more softly.",
                ),
                io.Boolean.Input(
                    "keep_background",
                    default=True,
                    tooltip="Off: the final mask is the face of the edit itself, as the parser of "
                    "Parsing Guidance sees it; where it sees none, the target stays.",
                ),
                io.Boolean.Input(
                    "clip_denoised",
                    default=False,
                    tooltip="Hold each prediction within the range of pictures; steadier where "
                    "steps are few.",
                ),
                sockets.Faces.Input(
                    "faces",
                    optional=True,
                    tooltip="Makes target a batch of photos: each face is cut out, edited and "
                    "pasted back. Faces that Align Faces did not align are cut as FFHQ's.",
                ),
                io.Combo.Input(
                    "gradient",
                    options=["network", "estimate"],
                    default="network",
                    optional=True,
                    tooltip="network: through the U-Net. estimate: taken at the prediction, up to "
                    "twice as fast and with less memory, another result.",
                ),
                io.Int.Input(
                    "guide_every",
                    default=1,
                    min=1,
                    max=100,
                    optional=True,
                    tooltip="Guide one step in so many: more is faster and pulls less.",
                ),
                io.Combo.Input(
                    "memory",
                    options=["normal", "low"],
                    default="normal",
                    optional=True,
                    tooltip="low: the U-Net is computed again for its gradient, which takes less "
                    "memory and about a third more time. The same result.",
                ),
                io.Combo.Input(
                    "noise",
                    options=list(NOISES),
                    default="per image",
                    optional=True,
                    tooltip="per person: a face that Track Faces knows has the same noise in all "
                    "frames, so that a clip flickers less.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="candidates",
                    tooltip="All edits, target by target, best first. Identity Guidance ranks "
                    "them; without it they come by seed. With faces, their crops, face by face.",
                ),
                io.Image.Output(
                    display_name="best",
                    tooltip="The best edit of each target; with faces, the photos with the best "
                    "edit of each face.",
                ),
                sockets.Metrics.Output(display_name="metrics", tooltip="Every term at every step."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: host.Hosted,
        target: Tensor,
        mask: Tensor,
        embedding: Tensor | None = None,
        guidance: Chain | None = None,
        faces: Faces | None = None,
        noise: str = "per image",
        **numbers: int | float | str | bool,
    ) -> io.NodeOutput:
        links = guidance or ()
        hosted = [model, *(link.hosted for link in links if link.hosted)]
        settings = settings_of(**numbers)

        def edit(
            crops: Tensor, area: Tensor | None, people: Sequence[int] | None = None
        ) -> EditResult:
            pixels = settings.candidates * crops.shape[:3].numel()
            with host.on_device(*hosted, pixels=pixels):
                return edit_target(
                    model.model,
                    crops,
                    area,
                    [link.guidance for link in links],
                    settings,
                    embedding=embedding,
                    ranked_by=encoder_in(links),
                    parser=parser_in(links),
                    people=people,
                    on_step=host.Progress(),
                )

        if faces is None:
            result = edit(target.float(), mask.float())
            return handed_back(result, result.images[:, 0])
        aligned = aligned_faces(faces, settings.template, model.model.image_size)
        photos = edit_crops(target.float(), aligned, mask.float(), edit, noise=noise)
        if photos.edit is None:
            return io.NodeOutput(target, target, EditMetrics())
        return handed_back(photos.edit, photos.image)


def handed_back(result: EditResult, best: Tensor) -> io.NodeOutput:
    """Every candidate, the best pictures and the metrics."""
    candidates = host.handed_back(result.images.flatten(0, 1))
    return io.NodeOutput(candidates, host.handed_back(best), result.metrics)


def settings_of(steps: int, **numbers) -> EditSettings:
    """The sampler's own settings; those of the terms are in the chain."""
    return EditSettings(respacing=str(steps), **numbers)


def encoder_in(links: Chain) -> IdentityEncoder | None:
    """The encoder of the first identity guidance, which also ranks."""
    pulls = (link.guidance for link in links)
    return next((p.encoder for p in pulls if isinstance(p, chain.IdentityGuidance)), None)


def parser_in(links: Chain) -> FaceParser | None:
    """The parser of the first parsing guidance."""
    pulls = (link.guidance for link in links)
    return next((p.parser for p in pulls if isinstance(p, chain.ParsingGuidance)), None)


NODES = [GuidedFaceSampler]
