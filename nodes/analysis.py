"""What a face shows: its parts, eyes, gaze and identity, also as a picture or as text."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..editor_core.checkpoints.embeddings import load_embedding, save_embedding
from ..editor_core.face.errors import IF_MISSING, require_no_faults
from ..editor_core.face.eyes import (
    EyeBoxes,
    crop_eyes,
    eyes_where_seen,
    find_eyes_in_labels,
    find_eyes_in_landmarks,
    report_eyes,
)
from ..editor_core.face.finding import eye_corners_of
from ..editor_core.face.gaze import estimate_gaze
from ..editor_core.face.identity import average_identity, identity_distance
from ..editor_core.face.painting import paint_eyes, paint_gaze
from ..editor_core.face.parsing import (
    FaceParsing,
    FacePart,
    face_mask,
    paint_parsing,
    parse_face,
    parts_named,
)
from ..editor_core.face.records import Faces
from ..editor_core.images import one_for_each
from ..editor_core.photos import eye_corners
from ..editor_core.settings import EditSettings
from . import host, sockets
from .finding import AUTOMATIC, embed_shown, shown_inputs
from .host import ManagedModel
from .schemas import (
    file_input,
    node_schema,
    optional,
    output,
    prefix_input,
    required,
    setting_inputs,
    widget,
)

schema = partial(node_schema, category="face editing/analysis")


class ParseFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "ParseFace",
            "Names the part of the face at every pixel, CelebAMask-HQ's 19 classes.",
            search_aliases=["face segmentation", "bisenet", "celebamask"],
            inputs=[
                required(sockets.ParserModel, "parser", "From Load Face Parser."),
                required(io.Image, "image", "Faces of any size, upright and close."),
            ],
            outputs=[
                output(sockets.Parsing, "parsing", "The scores of every class at every pixel."),
                output(io.Image, "preview", "One colour a part."),
            ],
        )

    @classmethod
    def execute(cls, parser: ManagedModel, image: Tensor) -> io.NodeOutput:
        with host.on_device(parser):
            logits = parse_face(parser.model, host.to_device(image)).logits
        parsing = FaceParsing(host.to_intermediate(logits))
        return io.NodeOutput(parsing, paint_parsing(parsing.labels))


class FaceMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "FaceMask",
            "Turns named parts of a parsed face into a mask.",
            search_aliases=["face parts mask", "parsing to mask"],
            inputs=[
                required(sockets.Parsing, "parsing", "From Parse Face."),
                widget(
                    "parts",
                    "face",
                    "Parts to include, separated by commas: "
                    f"{', '.join(part.name.lower() for part in FacePart)}; or face for the nine "
                    "that a swap replaces.",
                ),
                *setting_inputs(EditSettings, "grow", "feather"),
                *setting_inputs(EditSettings, "keep_parts", optional=True),
            ],
            outputs=[output(io.Mask, "mask", "White in the parts, a mask a picture.")],
        )

    @classmethod
    def execute(
        cls, parsing: FaceParsing, parts: str, grow: int, feather: float, keep_parts: str = ""
    ) -> io.NodeOutput:
        before = parts_named(keep_parts, none=True)
        mask = face_mask(parsing, parts_named(parts), grow, feather, before)
        return io.NodeOutput(host.to_intermediate(mask[:, 0]))


class CropEyes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "CropEyes",
            "Finds both eyes, from a parsing or from landmarks, and cuts them out.",
            search_aliases=["eye boxes", "find eyes"],
            inputs=[
                required(io.Image, "image", "The faces."),
                optional(sockets.Parsing, "parsing", "Of the same pictures; or give landmarks."),
                optional(
                    sockets.Landmarks,
                    "face_landmarks",
                    "Of the same pictures, from core's face landmark nodes; they go before the "
                    "parsing, and the first face of each picture counts.",
                ),
                optional(
                    sockets.Faces,
                    "faces",
                    "Aligned faces: image is their photos, the eyes are those of their crops, "
                    "from the faces' landmarks where they have some, else from the parsing.",
                ),
                widget(
                    "if_missing",
                    "error",
                    "Where a face shows no eyes. error: stop and say which. pass through: go on "
                    "without; guidance by the eyes then leaves that face as it is.",
                    choices=IF_MISSING,
                    optional=True,
                ),
            ],
            outputs=[
                output(sockets.Eyes, "eyes", "A box for each eye, in pixels."),
                output(io.Image, "left", "The eye on the picture's left."),
                output(io.Image, "right", "The eye on the picture's right."),
                output(io.Image, "preview", "The image, its eyes framed."),
                output(io.String, "report", "How many faces show eyes, and which do not."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        parsing: FaceParsing | None = None,
        face_landmarks: dict[str, Any] | None = None,
        faces: Faces | None = None,
        if_missing: str = "error",
    ) -> io.NodeOutput:
        pictures = host.faces_to_device(image, faces)
        corners = None if faces is None else eye_corners(faces)
        count, size = len(pictures), (pictures.shape[2], pictures.shape[3])

        def find(rows: list[int]) -> EyeBoxes:
            if face_landmarks is not None:
                return find_eyes_in_landmarks(first_eye_corners(face_landmarks, rows), size)
            if corners is not None:
                return find_eyes_in_landmarks(corners[rows], size)
            if parsing is None:
                raise ValueError("Crop Eyes got neither parsing nor landmarks: wire one of them")
            return find_eyes_in_labels(parsing.labels[rows])

        names = [f"picture {row}" for row in range(count)] if faces is None else faces.names()
        boxes = eyes_where_seen(find, names, if_missing)
        left, right = (
            host.to_intermediate(eye.movedim(1, -1)).expand(-1, -1, -1, 3)
            for eye in crop_eyes(pictures, boxes)
        )
        report = report_eyes(boxes)
        return io.NodeOutput(boxes, left, right, paint_eyes(image.cpu(), boxes, faces), report)


def first_eye_corners(landmarks: dict[str, Any], rows: list[int]) -> Tensor:  # -> (B,4,2) pixels
    """The corners of both eyes of the first face in some of the pictures."""
    found = [landmarks["frames"][row] for row in rows]
    fault = "has no landmarks: choose another, or give a parsing"
    require_no_faults({k: fault for k, faces in enumerate(found) if not faces}, "picture")
    points = [torch.as_tensor(faces[0]["landmarks_xy"]).float() for faces in found]
    return eye_corners_of(torch.stack(points)) if points else torch.zeros(0, 4, 2)


class EstimateGaze(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "EstimateGaze",
            "Reads where the eyes look, in degrees, and draws it as arrows: the mean of both eyes "
            "(EyeNet), or the gaze of the face (L2CS-Net).",
            search_aliases=["gaze direction", "eye contact"],
            inputs=[
                required(sockets.GazeModel, "gaze_model", "From Load Gaze Model."),
                required(io.Image, "image", "The faces."),
                required(
                    sockets.Eyes,
                    "eyes",
                    "Of the same pictures, from Crop Eyes; they also tell where the face is.",
                ),
                optional(
                    sockets.Faces,
                    "faces",
                    "Aligned faces: image is their photos, the eyes are of their crops.",
                ),
            ],
            outputs=[
                output(io.String, "text", "One line a picture."),
                output(io.Image, "arrows", "The gaze, drawn on the faces."),
            ],
        )

    @classmethod
    def execute(
        cls, gaze_model: ManagedModel, image: Tensor, eyes: EyeBoxes, faces: Faces | None = None
    ) -> io.NodeOutput:
        with host.on_device(gaze_model):
            gaze = estimate_gaze(gaze_model.model, host.faces_to_device(image, faces), eyes)
        degrees = torch.rad2deg(torch.stack([gaze.pitch, gaze.yaw], 1)).tolist()
        lines = [f"{k}: {up:+.1f} up, {right:+.1f} right" for k, (up, right) in enumerate(degrees)]
        for row, fault in (eyes.missing.faults if eyes.missing else {}).items():
            lines[row] = f"{row}: {fault}"
        arrows = paint_gaze(image.float().cpu(), eyes, gaze, faces)
        return io.NodeOutput("\n".join(lines), host.to_intermediate(arrows))


class EmbedIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "EmbedIdentity",
            "Says whose face it is, as numbers that guidance and distances use.",
            search_aliases=["face embedding", "arcface", "source face"],
            inputs=[
                required(sockets.IdentityModel, "identity_model", "From Load Identity Model."),
                required(
                    io.Image,
                    "image",
                    "Crops of the source's face, of any size; or photos, with faces.",
                ),
                widget(
                    "average",
                    True,
                    "On: all pictures show one person and are averaged. Off: every picture is a "
                    "person of its own, for the target of the same place.",
                ),
                *shown_inputs(),
            ],
            outputs=[output(sockets.Embedding, "embedding", "One, or one for each picture.")],
        )

    @classmethod
    def execute(
        cls,
        identity_model: ManagedModel,
        image: Tensor,
        average: bool,
        faces: Faces | None = None,
        template: str = AUTOMATIC,
    ) -> io.NodeOutput:
        embedding = embed_shown(identity_model, image, faces, template)
        embedding = average_identity(embedding) if average else embedding
        return io.NodeOutput(host.to_intermediate(embedding))


class IdentityDistance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "IdentityDistance",
            "How far faces are from an identity: 0 is the same, about 1 a stranger.",
            search_aliases=["face similarity", "compare faces"],
            inputs=[
                required(sockets.IdentityModel, "identity_model", "From Load Identity Model."),
                required(io.Image, "image", "The faces to measure: crops; or photos, with faces."),
                required(sockets.Embedding, "embedding", "One for all pictures, or one each."),
                *shown_inputs(),
            ],
            outputs=[
                output(io.Float, "distance", "The mean over the pictures."),
                output(io.String, "text", "One line a picture."),
            ],
        )

    @classmethod
    def execute(
        cls,
        identity_model: ManagedModel,
        image: Tensor,
        embedding: Tensor,
        faces: Faces | None = None,
        template: str = AUTOMATIC,
    ) -> io.NodeOutput:
        found = embed_shown(identity_model, image, faces, template)
        wanted = one_for_each(embedding.to(found), "embeddings", len(found), "pictures")
        distances = identity_distance(found, wanted).tolist()
        text = "\n".join(f"{k}: {distance:.4f}" for k, distance in enumerate(distances))
        return io.NodeOutput(sum(distances) / len(distances), text)


class SaveIdentityEmbedding(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "SaveIdentityEmbedding",
            "Writes an identity to output/embeddings, where Load Identity Embedding lists it.",
            search_aliases=["save face"],
            is_output_node=True,
            inputs=[
                required(sockets.Embedding, "embedding", "From Embed Identity."),
                prefix_input("identity"),
            ],
            outputs=[output(io.String, "path", "The file that was written.")],
        )

    @classmethod
    def execute(cls, embedding: Tensor, filename_prefix: str) -> io.NodeOutput:
        path = host.output_path(f"embeddings/{filename_prefix}", "safetensors")
        save_embedding(path, embedding)
        return io.NodeOutput(str(path), ui=ui.PreviewText(str(path)))


class LoadIdentityEmbedding(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "LoadIdentityEmbedding",
            "Reads an identity that Save Identity Embedding wrote.",
            search_aliases=["load face"],
            inputs=[
                file_input(
                    "embedding_name",
                    host.EMBEDDINGS,
                    "A file in output/embeddings or models/face_edit/embeddings. It fits the "
                    "identity model that made it.",
                )
            ],
            outputs=[output(sockets.Embedding, "embedding", "As it was saved.")],
        )

    @classmethod
    def validate_inputs(cls, embedding_name: str | None = None) -> bool | str:
        return host.validate_name(host.embedding_path, embedding_name)

    @classmethod
    def fingerprint_inputs(cls, embedding_name: str) -> Any:
        return host.fingerprint(host.embedding_path(embedding_name))

    @classmethod
    def execute(cls, embedding_name: str) -> io.NodeOutput:
        return io.NodeOutput(load_embedding(host.embedding_path(embedding_name)))
