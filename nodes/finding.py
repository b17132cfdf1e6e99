"""The faces of any photo: found, told, tracked over frames, and chosen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..editor_core.face.aligning import align_faces
from ..editor_core.face.choosing import (
    ORDERS,
    SAME_PERSON,
    choose_by_likeness,
    choose_by_mask,
    choose_by_number,
    embed_faces,
    numbers_in,
)
from ..editor_core.face.detecting import PUBLISHED, FaceDetector
from ..editor_core.face.finding import (
    faces_in_boxes,
    faces_in_landmarks,
    faces_in_masks,
    faces_in_text,
    missing_faces,
    whole_pictures,
)
from ..editor_core.face.records import Faces
from ..editor_core.face.templates import TEMPLATES, template_named
from ..editor_core.face.tracking import track_faces
from . import host, sockets

CATEGORY = "face editing/photos"
POLICIES = ("error", "pass through")


def policy_input() -> Any:
    """What to do with pictures in which there is no face."""
    return io.Combo.Input(
        "if_missing",
        options=list(POLICIES),
        default="error",
        tooltip="Where a picture has no face. error: stop and say so. pass through: go on without; "
        "the picture stays as it is, and the report says why.",
    )


def template_input(default: str, tooltip: str) -> Any:
    """The choice of a template."""
    return io.Combo.Input("template", options=list(TEMPLATES), default=default, tooltip=tooltip)


def answer(faces: Faces, what: str, if_missing: str) -> io.NodeOutput:
    """The faces and a report, or an error, as the policy wants where faces are missing."""
    host.chosen("if_missing", if_missing, dict.fromkeys(POLICIES))
    missing = missing_faces(faces, what)
    if missing and if_missing == "error":
        raise ValueError(f"{missing}: give another picture, or choose pass through")
    lines = [f"{len(faces)} faces in {faces.frames} pictures"]
    if missing:
        lines.append(f"{missing}, passed through")
        logging.warning("Guided Face Edit: %s", lines[-1])
    return io.NodeOutput(faces, "\n".join(lines))


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
                io.Float.Input(
                    "min_score",
                    default=0.6,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How sure the detector must be. More finds fewer faces and fewer "
                    "things that are none.",
                ),
                io.Int.Input(
                    "min_size",
                    default=24,
                    min=4,
                    max=4096,
                    tooltip="Pixels of the longer side of a face; more leaves small faces out.",
                ),
                policy_input(),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def validate_inputs(cls, detector: str | None = None) -> bool | str:
        """Say where the file was looked for, before anything runs."""
        return host.verdict(host.detector_path, detector)

    @classmethod
    def execute(
        cls, image: Tensor, detector: str, min_score: float, min_size: int, if_missing: str
    ) -> io.NodeOutput:
        finder = FaceDetector(host.detector_path(detector), min_score, min_size)
        faces = finder.find(image.float().cpu())
        what = f"no face of {min_size} pixels or more with a score of {min_score:g} or more"
        return answer(faces, what, if_missing)


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
                io.String.Input(
                    "numbers",
                    default="",
                    multiline=True,
                    tooltip="A line a face: x0 y0 x1 y1 of a box, or x y of the left eye, right "
                    "eye, nose, left and right mouth corner. Sides as in the picture. A frame and "
                    "a colon may go before.",
                ),
                io.Boolean.Input(
                    "already_aligned",
                    default=False,
                    tooltip="On: every picture is one aligned face; align with whole box.",
                ),
                policy_input(),
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
        frames, size = len(image), (image.shape[1], image.shape[2])
        told: dict[str, Callable[[], Faces]] = {}
        if face_landmarks is not None:
            told["face_landmarks"] = partial(faces_in_landmarks, face_landmarks["frames"], size)
        if bboxes is not None:
            told["bboxes"] = partial(faces_in_boxes, boxes_by_frame(bboxes, frames), size)
        if mask is not None:
            told["mask"] = partial(faces_in_masks, mask.float().cpu(), size, frames)
        if numbers.strip():
            told["numbers"] = partial(faces_in_text, numbers, size, frames)
        if already_aligned:
            told["already_aligned"] = partial(whole_pictures, size, frames)
        name, find = the_only_one(told)
        return answer(find(), f"{name} tell of no face", if_missing)


def the_only_one(told: dict[str, Callable[[], Faces]]) -> tuple[str, Callable[[], Faces]]:
    """The one way in which faces are told."""
    if len(told) != 1:
        raise ValueError(
            f"faces are told by {' and '.join(told) or 'nothing'}, expected one of face_landmarks, "
            "bboxes, mask, numbers and already_aligned: give just one"
        )
    return next(iter(told.items()))


def boxes_by_frame(bboxes: Any, frames: int) -> Sequence[Sequence[dict[str, float]]]:
    """Core's boxes: one, or a list that counts for all frames, or one list a frame."""
    boxes = [bboxes] if isinstance(bboxes, dict) else bboxes
    if boxes and isinstance(boxes[0], dict):
        return [boxes] * frames
    return boxes


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
                template_input("arcface", "What the identity model's pictures were aligned to."),
            ],
            outputs=[sockets.Faces.Output(display_name="faces", tooltip="With a number a person.")],
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        template: str,
        identity_model: host.Hosted | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        if identity_model is not None:
            faces = embedded(faces, identity_model, image, template)
        return io.NodeOutput(track_faces(faces))


def embedded(
    faces: Faces, identity_model: host.Hosted | None, image: Tensor | None, template: str
) -> Faces:
    """The faces with embeddings, which are made where there are none."""
    if faces.embedding is not None:
        return faces
    if identity_model is None or image is None:
        raise ValueError("to compare faces give their image and an identity_model")
    with host.on_device(identity_model):
        encoder = identity_model.model
        seen = align_faces(faces, template_named(template), encoder.size)
        return replace(faces, embedding=embed_faces(encoder, image.float().cpu(), seen))


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
                io.Combo.Input(
                    "order",
                    options=list(ORDERS),
                    default="left to right",
                    tooltip="What the numbers count; the same in every run, and for tracked "
                    "people in every frame.",
                ),
                io.String.Input(
                    "numbers",
                    default="",
                    tooltip="Places in that order, from 0 in each picture, as 0, 2. Empty: all.",
                ),
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
                template_input("arcface", "What the identity model's pictures were aligned to."),
                io.Float.Input(
                    "max_distance",
                    default=SAME_PERSON,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Identity distance up to which a face is the wanted person's; more "
                    "takes less likely ones.",
                ),
                policy_input(),
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
        identity_model: host.Hosted | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        if mask is not None:
            faces = choose_by_mask(faces, mask.float().cpu())
        if embedding is not None:
            faces = embedded(faces, identity_model, image, template)
            faces = choose_by_likeness(faces, embedding.float().cpu(), max_distance)
        chosen = choose_by_number(faces, order, numbers_in(numbers))
        return answer(chosen, "no face that was asked for", if_missing)


NODES = [DetectFaces, FacesFromLandmarks, TrackFaces, SelectFaces]
