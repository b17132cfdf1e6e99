"""The same guidance on ComfyUI's own models: a chain of terms in any sampler."""

from __future__ import annotations

from functools import partial
from typing import Any

from comfy.patcher_extension import WrappersMP
from comfy_api.latest import io
from torch import Tensor

from ..editor_core.diffusion.blending import composite
from ..editor_core.face.records import Faces
from ..editor_core.images import to_bchw, to_bhwc, to_mask
from ..editor_core.other_models import GuidedTargets, SteeringSettings
from ..editor_core.photos import aligned_faces
from ..editor_core.settings import EditSettings
from . import host, sockets
from .face_model import conditioning, face_model, pixel_vae
from .guidance import Chain
from .host import ManagedModel
from .sampling import KEY, Decoder, SamplingGuidance
from .schemas import node_schema, optional, output, required, setting_inputs

schema = partial(node_schema, category="face editing/your own model")
CROP_SIZE = 256  # pixels of a face's crop, where Align Faces chose none


class ApplyFaceGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "ApplyFaceGuidance",
            "Makes any sampler follow a chain of guidance on one of ComfyUI's own models.",
            search_aliases=["face likeness", "identity correction", "guided ksampler"],
            inputs=[
                required(io.Model, "model", "An image model, with its LoRAs and other patches."),
                required(
                    io.Vae,
                    "vae",
                    "Shows the terms what a latent looks like: the model's own, or its TAESD, "
                    "which is much faster.",
                ),
                required(sockets.Guidance, "guidance", "The chain of terms."),
                required(
                    io.Image,
                    "target",
                    "The picture that is edited, as large as what is drawn; one, or one a latent.",
                ),
                optional(
                    io.Mask,
                    "mask",
                    "White where the face may change, which is what the identity looks at; without "
                    "it, everywhere.",
                ),
                optional(
                    sockets.Embedding,
                    "embedding",
                    "Whose face it becomes, from Embed Identity; one, or one a target or face.",
                ),
                optional(
                    sockets.Faces,
                    "faces",
                    "Of the target, from Align Faces: every term looks at the crop of each. "
                    "Without them the target is taken for one aligned face.",
                ),
                *setting_inputs(SteeringSettings),
            ],
            outputs=[output(io.Model, "model", "For KSampler, or any other sampler.")],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        vae: Any,
        guidance: Chain,
        target: Tensor,
        mask: Tensor | None = None,
        embedding: Tensor | None = None,
        faces: Faces | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        steering = SteeringSettings(**settings)
        if faces is not None:
            faces = aligned_faces(faces, guidance.template, faces.crop_size or CROP_SIZE)
        patched = model.clone()
        if not guidance.terms or (faces is not None and not len(faces)):
            return io.NodeOutput(patched)
        if steering.gradient == "network":
            patched = host.plain_patcher(patched)
        targets = GuidedTargets(
            target.float().cpu()[..., :3], host.to_cpu(mask), faces, embedding, guidance.template
        )
        decoder = Decoder.of(vae)
        wrapper = SamplingGuidance(targets, guidance, decoder, steering)
        patched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, wrapper)
        needed = [decoder.patcher, *(each.patcher for each in guidance.models)]
        others = patched.get_additional_models_with_key(KEY)
        patched.set_additional_models(KEY, [*others, *needed])
        return io.NodeOutput(patched)


class GuidanceMetrics(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "GuidanceMetrics",
            "How every term of Apply Face Guidance went at each step of a sampler's run.",
            inputs=[
                required(io.Model, "model", "From Apply Face Guidance, as the sampler had it."),
                required(io.Latent, "latent", "What the sampler made of it."),
            ],
            outputs=[output(sockets.Metrics, "metrics", "Of the last Apply Face Guidance.")],
        )

    @classmethod
    def execute(cls, model: Any, latent: dict[str, Any]) -> io.NodeOutput:
        wrappers = model.get_wrappers(WrappersMP.OUTER_SAMPLE, KEY)
        for wrapper in reversed(wrappers):
            metrics = wrapper.runs.of(latent["samples"])
            if metrics is not None:
                return io.NodeOutput(metrics)
        raise ValueError(
            "no guided run ended in this latent, expected the one that a sampler made with this "
            "model: wire the sampler's model and its latent"
        )


class FaceModelToModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "FaceModelToModel",
            "A face diffusion model as one of ComfyUI's own, for every sampler and scheduler.",
            inputs=[
                required(sockets.DiffusionModel, "model", "From Load Face Diffusion Model."),
                *setting_inputs(EditSettings, "clip_denoised"),
            ],
            outputs=[
                output(io.Model, "model", "Draws pixels. Identity Conditioning tells it whose."),
                output(io.Vae, "vae", "Hands pixels through: for VAE Encode and VAE Decode."),
            ],
        )

    @classmethod
    def execute(cls, model: ManagedModel, clip_denoised: bool) -> io.NodeOutput:
        return io.NodeOutput(face_model(model.model, clip_denoised), pixel_vae())


class IdentityConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "IdentityConditioning",
            "Whose face a face model draws, as the conditioning of ComfyUI's samplers.",
            inputs=[required(sockets.Embedding, "embedding", "From Embed Identity; one for all.")],
            outputs=[
                output(io.Conditioning, "positive", "This person."),
                output(io.Conditioning, "negative", "Nobody, so that cfg draws more of them."),
            ],
        )

    @classmethod
    def execute(cls, embedding: Tensor) -> io.NodeOutput:
        return io.NodeOutput(conditioning(embedding), conditioning(embedding * 0))


class KeepBackground(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "KeepBackground",
            "The edit inside the mask, and outside it the target bit for bit.",
            inputs=[
                required(io.Image, "target", "The picture that was edited."),
                required(io.Image, "edit", "What the sampler made of it; one or more a target."),
                required(io.Mask, "mask", "White where the edit counts."),
            ],
            outputs=[output(io.Image, "image", "As many as there are edits.")],
        )

    @classmethod
    def execute(cls, target: Tensor, edit: Tensor, mask: Tensor) -> io.NodeOutput:
        before, after = to_bchw(target.float(), "target"), to_bchw(edit.float(), "edit")
        if len(after) % len(before) or before.shape[1:] != after.shape[1:]:
            raise ValueError(
                f"the edits are {tuple(edit.shape)}, the targets {tuple(target.shape)}: give edits "
                "as large as the targets, one or more of each"
            )
        before = before.repeat_interleave(len(after) // len(before), 0)
        area = to_mask(mask.float(), before)
        return io.NodeOutput(host.to_intermediate(to_bhwc(composite(before, after, area))))
