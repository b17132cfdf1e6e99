"""From photos to aligned crops of their faces, and back; and drawn photos to try it on."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..editor_core.face.aligning import align_faces, crop_faces
from ..editor_core.face.choosing import numbers_in
from ..editor_core.face.parsing import FaceParsing, FacePart, face_mask
from ..editor_core.face.pasting import Pasting, paste_faces
from ..editor_core.face.records import Faces
from ..editor_core.face.templates import template_named
from ..editor_core.face.tracking import smooth_faces
from ..editor_core.images import to_unit
from ..editor_core.settings import EditSettings
from . import host, sockets
from .finding import schema
from .schemas import optional, output, required, seed_input, setting_inputs, widget


class AlignFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AlignFaces",
            "Cuts every face out, upright and scaled as the pictures were that a model learned "
            "from.",
            search_aliases=["crop face", "warp face", "ffhq align"],
            inputs=[
                required(io.Image, "image", "The photos of the faces."),
                required(sockets.Faces, "faces", "From Detect Faces, for instance."),
                *setting_inputs(
                    EditSettings,
                    "template",
                    tooltip="ffhq: for the published diffusion models. arcface: for identity "
                    "models, mtcnn for FaceNet. demo: for the bundled models. whole box: for "
                    "pictures that are aligned already.",
                ),
                widget(
                    "size", 256, "Pixels of a crop's side, those of the model.", low=16, high=2048
                ),
                widget(
                    "smoothing",
                    0.0,
                    "Frames (sigma) over which a tracked person's crop is averaged; more is "
                    "steadier and follows more slowly. 0 for single photos.",
                    low=0.0,
                    high=30.0,
                    step=0.5,
                ),
            ],
            outputs=[
                output(io.Image, "crops", "One a face, in their order."),
                output(sockets.Faces, "faces", "With the crops' places, for Paste Faces Back."),
                output(
                    io.Mask,
                    "inside",
                    "White where a crop shows the photo, black where it is reflected beyond the "
                    "photo's edges.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, image: Tensor, faces: Faces, template: str, size: int, smoothing: float
    ) -> io.NodeOutput:
        aligned = align_faces(faces, template_named(template), size)
        if smoothing:
            aligned = smooth_faces(aligned, smoothing)
        crops = crop_faces(image.float().cpu(), aligned)
        pictures = host.to_intermediate(to_unit(crops.image))
        return io.NodeOutput(pictures, aligned, host.to_intermediate(crops.inside[:, 0]))


class PasteFacesBack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "PasteFacesBack",
            "Puts edited crops back into their photos, at the photos' own resolution. Outside the "
            "masks the photos stay bit for bit.",
            search_aliases=["uncrop", "paste face", "face composite"],
            inputs=[
                required(io.Image, "image", "The photos that the faces were cut out of."),
                required(sockets.Faces, "faces", "From Align Faces."),
                required(io.Image, "crops", "The edited crops, one a face."),
                optional(
                    io.Mask,
                    "mask",
                    "Of the crops: white where they are pasted; one, or one a face.",
                ),
                optional(
                    sockets.Parsing,
                    "parsing",
                    "Of the crops: the face is pasted where there is no mask, and colours are "
                    "matched on the skin.",
                ),
                *setting_inputs(Pasting),
                optional(io.Mask, "keep", "White where the photos stay bit for bit."),
            ],
            outputs=[
                output(io.Image, "image", "The photos with all their faces."),
                output(io.Mask, "pasted", "Where something was pasted."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        faces: Faces,
        crops: Tensor,
        mask: Tensor | None = None,
        parsing: FaceParsing | None = None,
        keep: Tensor | None = None,
        **pasting: Any,
    ) -> io.NodeOutput:
        if mask is None and parsing is not None:
            mask = face_mask(parsing)[:, 0]
        pasted = paste_faces(
            image.float().cpu(),
            faces,
            host.to_device(crops, "crops").cpu(),
            None if mask is None else mask.float().cpu().expand(len(faces), -1, -1),
            Pasting(**pasting),
            None if parsing is None else parsing.mask(FacePart.SKIN)[:, 0].cpu(),
            host.to_cpu(keep),
        )
        return io.NodeOutput(host.to_intermediate(pasted.image), host.to_intermediate(pasted.mask))


class DrawDemoPhoto(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "DrawDemoPhoto",
            "Draws a photo of people that nobody trained on, or a clip of them, with their faces "
            "as they truly lie: so that a graph runs with no file to fetch.",
            search_aliases=["example photo", "test group photo"],
            inputs=[
                seed_input("Which people; try others."),
                widget("people", 3, "How many, side by side.", low=1, high=8),
                widget("frames", 1, "More than 1: they move.", low=1, high=64),
                widget("width", 768, "Pixels of the photo.", low=128, high=4096, step=8),
                widget("height", 432, "Pixels of the photo.", low=128, high=4096, step=8),
                widget(
                    "known",
                    "0",
                    "Whose portraits come along, from 0 at the left, as 0, 2. Empty: all.",
                ),
            ],
            outputs=[
                output(io.Image, "image", "The photo, or the frames."),
                output(sockets.Faces, "faces", "As a perfect detector would find them."),
                output(
                    io.Image,
                    "references",
                    "Other pictures of those, 64 pixels, for the bundled models.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, seed: int, people: int, frames: int, width: int, height: int, known: str
    ) -> io.NodeOutput:
        from ..editor_core.demo.groups import draw_group_photos, draw_references

        photos = draw_group_photos(seed, people, frames, (height, width))
        references = draw_references(seed, people, numbers_in(known) or range(people))
        return io.NodeOutput(photos.image, photos.faces, references)
