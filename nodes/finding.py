"""The faces of any photo: found, told, tracked over frames, and chosen."""

from __future__ import annotations

from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..editor_core.face.choosing import FaceChoice
from ..editor_core.face.detecting import PUBLISHED, FaceDetector
from ..editor_core.face.finding import IF_MISSING, given_faces, report_faces
from ..editor_core.face.locate import choose_faces, embed_faces
from ..editor_core.face.records import Faces
from ..editor_core.face.templates import TEMPLATES
from ..editor_core.face.tracking import track_faces
from . import host, sockets
from .inputs import setting_inputs, widget

CATEGORY = "face editing/photos"


def if_missing_input() -> io.Input:
    """What to do with pictures in which there is no face."""
    return widget(
        "if_missing",
        "error",
        "Where a picture has no face. error: stop and say so. pass through: go on without; the "
        "picture stays as it is, and the report says why.",
        choices=IF_MISSING,
    )


def identity_template_input() -> io.Input:
    """How faces are cut out for the identity model."""
    return widget(
        "template",
        "arcface",
        "What the identity model's pictures were aligned to.",
        choices=TEMPLATES,
        advanced=True,
    )


def found_outputs() -> list[Any]:
    """What all that finds or chooses faces hands out."""
    return [
        sockets.Faces.Output(display_name="faces", tooltip="By picture, then from left to right."),
        io.String.Output(display_name="report", tooltip="How many, and which pictures have none."),
    ]


class DetectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "DetectFaces",
            display_name="Detect Faces",
            category=CATEGORY,
            description="Finds the faces of any photo, with YuNet through OpenCV: a box, five "
            "points and a score each.",
            search_aliases=["yunet", "face detection", "find faces", "bbox"],
            inputs=[
                io.Image.Input("image", tooltip="Photos, or the frames of a clip."),
                io.Combo.Input(
                    "detector",
                    options=folder_paths.get_filename_list(host.DETECTORS),
                    tooltip=f"A file in models/face_edit/detection, for instance {PUBLISHED}.",
                ),
                *setting_inputs(FaceDetector, "min_score", "min_size"),
                if_missing_input(),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def validate_inputs(cls, detector: str | None = None) -> bool | str:
        """Say where the file was looked for, before anything runs."""
        return host.validate_name(host.detector_path, detector)

    @classmethod
    def execute(
        cls, image: Tensor, detector: str, min_score: float, min_size: int, if_missing: str
    ) -> io.NodeOutput:
        finder = FaceDetector(host.detector_path(detector), min_score, min_size)
        faces = finder.find(image.float().cpu())
        what = f"no face of {min_size} pixels or more with a score of {min_score:g} or more"
        return io.NodeOutput(faces, report_faces(faces, what, if_missing))


class FacesFromLandmarks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "FacesFromLandmarks",
            display_name="Faces from Landmarks",
            category=CATEGORY,
            description="Takes the faces from whatever tells of them: core's face landmarks or "
            "bounding boxes, a mask, numbers, or a picture that is aligned already.",
            search_aliases=["mediapipe faces", "bounding box to faces", "mask to face"],
            inputs=[
                io.Image.Input("image", tooltip="The photos that the faces are in."),
                sockets.Landmarks.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip="From core's Detect Face Landmarks: the most exact, with the eyes.",
                ),
                sockets.BoundingBoxes.Input(
                    "bboxes",
                    optional=True,
                    tooltip="Boxes from brows to chin, from any detector; faces are taken to be "
                    "upright.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="One upright face a picture, which fills the mask's extent.",
                ),
                widget(
                    "numbers",
                    "",
                    "A line a face: x0 y0 x1 y1 of a box, or x y of the left eye, right eye, nose, "
                    "left and right mouth corner. Sides as in the picture. A frame and a colon may "
                    "go before.",
                    multiline=True,
                ),
                widget(
                    "already_aligned",
                    False,
                    "On: every picture is one aligned face; align with whole box.",
                ),
                if_missing_input(),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        numbers: str,
        already_aligned: bool,
        if_missing: str,
        face_landmarks: dict[str, Any] | None = None,
        bboxes: Any = None,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        name, faces = given_faces(
            (image.shape[1], image.shape[2]),
            len(image),
            face_landmarks=face_landmarks,
            bboxes=bboxes,
            mask=None if mask is None else mask.float().cpu(),
            numbers=numbers.strip() or None,
            already_aligned=already_aligned or None,
        )
        report = report_faces(faces, f"no face given by {name}", if_missing)
        return io.NodeOutput(faces, report)


class TrackFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "TrackFaces",
            display_name="Track Faces",
            category=CATEGORY,
            description="For the frames of one clip: says which faces are the same person's, by "
            "where they are and, with an identity model, by how they look.",
            search_aliases=["video faces", "face tracking", "temporal"],
            inputs=[
                sockets.Faces.Input("faces", tooltip="Of all frames, in their order."),
                sockets.IdentityModel.Input(
                    "identity_model",
                    optional=True,
                    tooltip="Tells people apart who cross, and finds them again after a gap.",
                ),
                io.Image.Input("image", optional=True, tooltip="The frames; for the model alone."),
                identity_template_input(),
            ],
            outputs=[sockets.Faces.Output(display_name="faces", tooltip="With a number a person.")],
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        template: str,
        identity_model: host.ManagedModel | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        if identity_model is not None:
            photos = None if image is None else image.float().cpu()
            with host.on_device(identity_model):
                faces = embed_faces(faces, photos, identity_model.model, template)
        return io.NodeOutput(track_faces(faces))


class SelectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            "SelectFaces",
            display_name="Select Faces",
            category=CATEGORY,
            description="Keeps the faces that are asked for: under a mask, most like a reference, "
            "and by number in an order.",
            search_aliases=["choose face", "face index", "reference face", "filter faces"],
            inputs=[
                sockets.Faces.Input("faces", tooltip="From Detect Faces, for instance."),
                *setting_inputs(FaceChoice, "order", "numbers"),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Of the photo: white on the faces to keep."
                ),
                sockets.Embedding.Input(
                    "embedding",
                    optional=True,
                    tooltip="Who is wanted, from Embed Identity: in each picture the face most "
                    "like them is kept. Needs image and identity_model.",
                ),
                sockets.IdentityModel.Input(
                    "identity_model", optional=True, tooltip="The one that made the embedding."
                ),
                io.Image.Input("image", optional=True, tooltip="The photos of the faces."),
                identity_template_input(),
                *setting_inputs(FaceChoice, "max_distance"),
                if_missing_input(),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        order: str,
        numbers: str,
        template: str,
        max_distance: float,
        if_missing: str,
        mask: Tensor | None = None,
        embedding: Tensor | None = None,
        identity_model: host.ManagedModel | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        models = [] if identity_model is None or embedding is None else [identity_model]
        with host.on_device(*models):
            chosen = choose_faces(
                faces,
                FaceChoice(order, numbers, max_distance),
                mask=None if mask is None else mask.float().cpu(),
                reference=None if embedding is None else embedding.float().cpu(),
                photos=None if image is None else image.float().cpu(),
                encoder=None if identity_model is None else identity_model.model,
                template=template,
            )
        return io.NodeOutput(chosen, report_faces(chosen, "no face that was asked for", if_missing))


NODES = [DetectFaces, FacesFromLandmarks, TrackFaces, SelectFaces]
