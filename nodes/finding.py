"""The faces of any photo: found, tracked over frames, and chosen."""

from __future__ import annotations

from functools import partial
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..editor_core.face.choosing import FaceChoice
from ..editor_core.face.detecting import FaceDetector
from ..editor_core.face.errors import IF_MISSING
from ..editor_core.face.finding import given_faces, report_faces, whole_pictures
from ..editor_core.face.head import describe_meshes
from ..editor_core.face.identity import IdentityEncoder, embed_identity
from ..editor_core.face.landmarks import core_landmarks, face_ovals, find_meshes, with_meshes
from ..editor_core.face.locate import choose_faces, embed_faces
from ..editor_core.face.records import Faces
from ..editor_core.face.templates import TEMPLATES, usual_template
from ..editor_core.face.tracking import track_faces
from ..editor_core.face.yunet import PUBLISHED
from . import host, sockets
from .host import ManagedModel
from .schemas import file_input, node_schema, optional, output, required, setting_inputs, widget

schema = partial(node_schema, category="face editing/photos")
AUTOMATIC = "automatic"


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
    about = "What the identity model's pictures were aligned to; automatic: what it says itself."
    return widget("template", AUTOMATIC, about, choices=(AUTOMATIC, *TEMPLATES))


def encoder_template(chosen: str) -> str | None:
    """A template for `embed_faces`; None where the encoder is to say it."""
    return None if chosen == AUTOMATIC else chosen


def shown_inputs() -> list[io.Input]:
    """Where the faces lie in the pictures that an identity model is to see."""
    return [
        optional(
            sockets.Faces,
            "faces",
            "Makes image the photos of these faces: each is cut out as the model was trained.",
        ),
        widget(
            "template",
            AUTOMATIC,
            "What crops were aligned to: the model sees the face in them as it was trained. "
            "automatic: ffhq, and for the bundled model its own. Not read where there are faces.",
            choices=(AUTOMATIC, *TEMPLATES),
            optional=True,
        ),
    ]


def embed_shown(
    model: ManagedModel, image: Tensor, faces: Faces | None, template: str
) -> Tensor:  # -> (n,E)
    """The identities of crops, or of the faces of photos."""
    encoder: IdentityEncoder = model.model
    with host.on_device(model):
        if faces is not None:
            found = embed_faces(faces, host.to_cpu(image), encoder).embedding
            assert found is not None  # they are embedded
            return host.to_intermediate(found)
        cut_to = usual_template(encoder.template) if template == AUTOMATIC else template
        return embed_identity(encoder, host.to_device(image), template=cut_to)


def faces_outputs() -> list[io.Output]:
    """What all that finds or chooses faces hands out."""
    return [
        output(sockets.Faces, "faces", "By picture, then from left to right."),
        output(io.String, "report", "How many, and which pictures have none."),
    ]


class DetectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "DetectFaces",
            "Finds the faces of any photo, with YuNet through OpenCV: a box, five points and a "
            "score each.",
            search_aliases=["yunet", "face detection", "find faces", "bbox"],
            inputs=[
                required(io.Image, "image", "Photos, or the frames of a clip."),
                file_input(
                    "detector",
                    host.DETECTORS,
                    f"A file in models/face_edit/detection, for instance {PUBLISHED}.",
                ),
                *setting_inputs(FaceDetector),
                if_missing_input(),
            ],
            outputs=faces_outputs(),
        )

    @classmethod
    def validate_inputs(cls, detector: str | None = None) -> bool | str:
        return host.validate_name(host.detector_path, detector)

    @classmethod
    def execute(
        cls, image: Tensor, detector: str, min_score: float, min_size: int, if_missing: str
    ) -> io.NodeOutput:
        faces = FaceDetector(host.detector_path(detector), min_score, min_size).find(
            image.float().cpu()
        )
        what = f"no face of {min_size} pixels or more with a score of {min_score:g} or more"
        return io.NodeOutput(faces, report_faces(faces, what, if_missing))


class FacesFromLandmarks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "FacesFromLandmarks",
            "Takes the faces from whatever tells of them: core's face landmarks or bounding "
            "boxes, a mask, numbers, or a picture that is aligned already.",
            display_name="Faces from Landmarks",
            search_aliases=["mediapipe faces", "bounding box to faces", "mask to face"],
            inputs=[
                required(io.Image, "image", "The photos that the faces are in."),
                optional(
                    sockets.Landmarks,
                    "face_landmarks",
                    "From core's Detect Face Landmarks: the most exact, with the eyes.",
                ),
                optional(
                    sockets.BoundingBoxes,
                    "bboxes",
                    "Boxes from brows to chin, from any detector; faces are taken to be upright.",
                ),
                optional(
                    io.Mask, "mask", "One upright face a picture, which fills the mask's extent."
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
            outputs=faces_outputs(),
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
        way, faces = given_faces(
            (image.shape[1], image.shape[2]),
            len(image),
            face_landmarks=face_landmarks,
            bboxes=bboxes,
            mask=host.to_cpu(mask),
            numbers=numbers.strip() or None,
            already_aligned=already_aligned or None,
        )
        return io.NodeOutput(faces, report_faces(faces, f"no face given by {way}", if_missing))


class FindFaceLandmarks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "FindFaceLandmarks",
            "Finds 478 landmarks of every face, and by them better points to align it by, its "
            "mask, how the head is turned, where the eyes look and what the face expresses.",
            search_aliases=["mediapipe", "face mesh", "blendshapes", "head pose", "face mask"],
            inputs=[
                required(sockets.Landmarker, "landmarker", "From Load Face Landmarker."),
                required(io.Image, "image", "The photos of the faces."),
                optional(
                    sockets.Faces,
                    "faces",
                    "From Detect Faces, for instance. Without: every picture is one aligned face.",
                ),
            ],
            outputs=[
                output(sockets.Faces, "faces", "With landmarks, and points by them."),
                output(io.Mask, "mask", "White on the faces, from brows to chin; one a picture."),
                output(sockets.Landmarks, "face_landmarks", "As core's nodes take them."),
                output(
                    io.String,
                    "report",
                    "A line a face, in degrees: the head's turn, the gaze by the irises, and the "
                    "expressions that show most.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, landmarker: ManagedModel, image: Tensor, faces: Faces | None = None
    ) -> io.NodeOutput:
        photos, size = image.float().cpu(), (image.shape[1], image.shape[2])
        faces = whole_pictures(size, len(photos)) if faces is None else faces
        with host.on_device(landmarker):
            meshes = find_meshes(landmarker.model, photos, faces)
        found, report = with_meshes(faces, meshes), "\n".join(describe_meshes(meshes))
        return io.NodeOutput(found, face_ovals(found), core_landmarks(found, meshes), report)


class TrackFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "TrackFaces",
            "For the frames of one clip: says which faces are the same person's, by where they "
            "are and, with an identity model, by how they look.",
            search_aliases=["video faces", "face tracking", "temporal"],
            inputs=[
                required(sockets.Faces, "faces", "Of all frames, in their order."),
                optional(
                    sockets.IdentityModel,
                    "identity_model",
                    "Tells people apart who cross, and finds them again after a gap.",
                ),
                optional(io.Image, "image", "The frames; for the model alone."),
                identity_template_input(),
            ],
            outputs=[output(sockets.Faces, "faces", "With a number a person.")],
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        template: str,
        identity_model: ManagedModel | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        if identity_model is not None and faces.embedding is None:
            with host.on_device(identity_model):
                own = encoder_template(template)
                faces = embed_faces(faces, host.to_cpu(image), identity_model.model, own)
        return io.NodeOutput(track_faces(faces))


class SelectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "SelectFaces",
            "Keeps the faces that are asked for: under a mask, most like a reference, and by "
            "number in an order.",
            search_aliases=["choose face", "face index", "reference face", "filter faces"],
            inputs=[
                required(sockets.Faces, "faces", "From Detect Faces, for instance."),
                *setting_inputs(FaceChoice, "order", "numbers"),
                optional(io.Mask, "mask", "Of the photo: white on the faces to keep."),
                optional(
                    sockets.Embedding,
                    "embedding",
                    "Who is wanted, from Embed Identity: in each picture the face most like them "
                    "is kept. Needs image and identity_model.",
                ),
                optional(
                    sockets.IdentityModel, "identity_model", "The one that made the embedding."
                ),
                optional(io.Image, "image", "The photos of the faces."),
                identity_template_input(),
                *setting_inputs(FaceChoice, "max_distance"),
                if_missing_input(),
            ],
            outputs=faces_outputs(),
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        template: str,
        if_missing: str,
        mask: Tensor | None = None,
        embedding: Tensor | None = None,
        identity_model: ManagedModel | None = None,
        image: Tensor | None = None,
        **choice: Any,
    ) -> io.NodeOutput:
        compared = embedding is not None and faces.embedding is None
        with host.on_device(*[identity_model] * compared):
            chosen = choose_faces(
                faces,
                FaceChoice(**choice),
                mask=host.to_cpu(mask),
                reference=host.to_cpu(embedding),
                photos=host.to_cpu(image),
                encoder=identity_model and identity_model.model,
                template=encoder_template(template),
            )
        report = report_faces(chosen, "no face that was asked for", if_missing)
        return io.NodeOutput(chosen, report)
