"""The sampler: noises the target, and denoises it under guidance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..editor_core.declare import declared
from ..editor_core.editing import EditResult, edit_batch
from ..editor_core.face.errors import IF_MISSING
from ..editor_core.face.laying import lay_face
from ..editor_core.face.parsing import FaceParsing, parts_named
from ..editor_core.face.records import Faces
from ..editor_core.guidance.terms import GuidanceTerm, ParsingTerm
from ..editor_core.images import free_area, one_for_each, to_bchw, to_unit
from ..editor_core.metrics import EditMetrics
from ..editor_core.photos import (
    CropBatch,
    aligned_faces,
    crop_term,
    cut_edit_paste,
    template_of,
)
from ..editor_core.settings import EditSettings
from . import host, sockets
from .guidance import Chain
from .host import ManagedModel
from .schemas import node_schema, optional, output, required, seed_input, setting_inputs, widget


class LayFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            "LayFace",
            "Lays the source's face over the target's, turned and coloured like it: what the "
            "sampler can start from, so that the face's own lines stay where little noise is "
            "added.",
            category="face editing/sampling",
            search_aliases=["paste face", "init image", "start image"],
            inputs=[
                required(
                    io.Image,
                    "source",
                    "The aligned crop of whose face it becomes; one, or one a target.",
                ),
                required(io.Image, "target", "The aligned crops that the sampler edits."),
                required(io.Mask, "mask", "White where the face is laid, of the crops."),
                optional(
                    sockets.Landmarker,
                    "landmarker",
                    "Fits the faces by their landmarks. Without it they lie as they were cut: both "
                    "to one template.",
                ),
                optional(
                    sockets.Parsing,
                    "source_parsing",
                    "Of the source, from Parse Face: what lies before its face is not laid, there "
                    "the target stays. Without it all is laid.",
                ),
                widget(
                    "keep_parts",
                    EditSettings.keep_parts,
                    "Parts that lie before a face: those of the source are not laid. Empty: all "
                    "are laid.",
                    optional=True,
                ),
                optional(
                    io.Mask,
                    "keep",
                    "What the sampler is given as keep: no face is laid there, and no colour of "
                    "it is taken for the target's light.",
                ),
            ],
            outputs=[output(io.Image, "start", "The targets with the source's face.")],
        )

    @classmethod
    def execute(
        cls,
        source: Tensor,
        target: Tensor,
        mask: Tensor,
        landmarker: ManagedModel | None = None,
        source_parsing: FaceParsing | None = None,
        keep_parts: str = EditSettings.keep_parts,
        keep: Tensor | None = None,
    ) -> io.NodeOutput:
        with host.on_device(landmarker):
            faces, aim = host.to_device(source, "source"), host.to_device(target, "target")
            faces, before = one_for_each(faces, "sources", len(aim)), None
            if source_parsing is not None:
                before = source_parsing.mask(*parts_named(keep_parts, none=True)).to(aim)
                before = one_for_each(before, "parsings of sources", len(aim))
            area = free_area(mask.to(aim), None if keep is None else keep.to(aim), aim)
            mesh = None if landmarker is None else landmarker.model
            laid = lay_face(faces, aim, area, landmarker=mesh, before=before)
        return io.NodeOutput(host.to_intermediate(to_unit(laid)))


class GuidedFaceSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        declarations = declared(EditSettings)
        return node_schema(
            "GuidedFaceSampler",
            "Edits the target inside the mask: noises it, then denoises it, guided by the chain. "
            "With keep_background on, the result equals the target bit for bit outside the mask. "
            "With faces, targets are whole photos, which come back edited.",
            category="face editing/sampling",
            search_aliases=["face swap", "diffface", "blended diffusion", "ksampler face"],
            inputs=[
                required(sockets.DiffusionModel, "model", "From Load Face Diffusion Model."),
                required(
                    io.Image,
                    "target",
                    "Aligned face crops of the model's own size, one edit each; or, with faces, "
                    "the photos that these were found in.",
                ),
                required(
                    io.Mask,
                    "mask",
                    "White where the target may change; one, or one a target. With faces, of the "
                    "photos or of the aligned crops.",
                ),
                optional(
                    sockets.Embedding,
                    "embedding",
                    "Whose face it becomes, from Embed Identity; one, or one a target. A model or "
                    "guidance that knows identities needs it.",
                ),
                optional(sockets.Guidance, "guidance", "The chain of terms; none draws freely."),
                seed_input(declarations["seed"].help, high=0xFFFFFFFFFFFF),
                widget(
                    "steps",
                    int(declarations["respacing"].default),
                    "Steps of the whole schedule, of which skip are left out. More is finer and "
                    "slower.",
                    low=1,
                    high=1000,
                ),
                *setting_inputs(EditSettings, "skip", "sampler", "eta", "candidates", "ramp_end"),
                *setting_inputs(EditSettings, "keep_background", "clip_denoised"),
                optional(
                    sockets.Faces,
                    "faces",
                    "Makes target a batch of photos: each face is cut out, edited and pasted "
                    "back. Faces that Align Faces did not align are cut as FFHQ's.",
                ),
                *setting_inputs(
                    EditSettings, "gradient", "guide_every", "memory", "noise", optional=True
                ),
                *setting_inputs(
                    EditSettings,
                    *("strength", "guide_repeats", "guide_blur", "recurrence"),
                    optional=True,
                ),
                optional(
                    io.Mask,
                    "keep",
                    "White where the target stays bit for bit, whatever the mask: hands, "
                    "microphones, glasses or hair before the face. With faces, of the photos.",
                ),
                optional(
                    io.Image,
                    "start",
                    "What is noised inside the mask in place of the target, from Lay Face; one, or "
                    "one a target. With faces, of the aligned crops.",
                ),
                widget(
                    "if_missing",
                    "error",
                    "With faces, where the mask of one is empty. error: stop and say which. pass "
                    "through: leave that face as it is and edit the others.",
                    choices=IF_MISSING,
                    optional=True,
                ),
            ],
            outputs=[
                output(
                    io.Image,
                    "candidates",
                    "All edits, target by target, best first. Identity Guidance ranks them; "
                    "without it they come by seed. With faces, their crops, face by face; one "
                    "that is passed through shows its crop as it is.",
                ),
                output(
                    io.Image,
                    "best",
                    "The best edit of each target; with faces, the photos with the best edit of "
                    "each face.",
                ),
                output(sockets.Metrics, "metrics", "Every term at every step."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ManagedModel,
        target: Tensor,
        mask: Tensor,
        steps: int,
        embedding: Tensor | None = None,
        guidance: Chain | None = None,
        faces: Faces | None = None,
        keep: Tensor | None = None,
        start: Tensor | None = None,
        if_missing: str = "error",
        **settings: Any,
    ) -> io.NodeOutput:
        chain, sampling = guidance or Chain(), EditSettings(respacing=str(steps), **settings)
        mask, keep = mask.float(), host.to_cpu(keep)
        begun = None if start is None else to_bchw(start.float(), "start", least=0)
        template = chain.template
        aligned = None
        if faces is not None:
            aligned = aligned_faces(faces, sampling.template, model.model.image_size)
            template = template_of(aligned, template)

        def edit(crops: CropBatch, terms: Sequence[GuidanceTerm]) -> EditResult:
            assert crops.mask is not None  # the node has a mask
            pixels = sampling.candidates * crops.image[:, 0].numel()
            with host.on_device(model, *chain.models, pixels=pixels):
                return edit_batch(
                    model.model,
                    crops.image,
                    crops.mask,
                    terms,
                    replace(sampling, template=template),
                    embedding=embedding,
                    encoder=chain.encoder,
                    parser=next((t.parser for t in chain.of(ParsingTerm)), None),
                    keep=crops.keep,
                    points=crops.points,
                    start=begun,
                    people=crops.people,
                    on_step=host.Progress(),
                )

        if aligned is None:
            crops = CropBatch(to_bchw(target.float(), "target"), mask, keep)
            result = edit(crops, chain.terms)
            best = result.images[:, 0]
        else:
            edit_crops = partial(edit, terms=[crop_term(term, aligned) for term in chain.terms])
            options = {"keep": keep, "if_missing": if_missing}
            photos = cut_edit_paste(
                target.float(), aligned, mask, edit_crops, sampling.noise, **options
            )
            if photos.edit is None:
                return io.NodeOutput(target, target, EditMetrics())
            result, best = photos.edit, photos.image
        candidates = host.to_intermediate(result.images.flatten(0, 1))
        return io.NodeOutput(candidates, host.to_intermediate(best), result.metrics)
