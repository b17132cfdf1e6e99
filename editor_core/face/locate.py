"""Find, align, embed and choose faces: what the command line, batches and nodes share."""

from dataclasses import replace

import torch
from torch import Tensor

from .aligning import align_faces, crop_faces
from .choosing import FaceChoice, choose_by_likeness, choose_by_mask, choose_by_number
from .detecting import FaceDetector
from .errors import FaceError
from .finding import faces_in_text, whole_pictures
from .identity import SAME_PERSON, IdentityEncoder, embed_identity
from .landmarks import FaceLandmarker, landmark_faces
from .records import Faces
from .templates import template_named


def locate_faces(
    photos: Tensor,
    template: str,
    size: int,
    *,
    detector: FaceDetector | None = None,
    at: str | None = None,
    landmarker: FaceLandmarker | None = None,
    name: object = "the picture",
    hint: str = "say where the face is, or crop it",
) -> Faces:
    """The aligned faces of photos: those given, else those detected, else the picture itself.

    Args:
        photos: (frames,H,W,3 or 4) in [0,1].
        template: What the crops are aligned to, one of `TEMPLATES`.
        size: Pixels of a crop's side.
        detector: Finds the faces; without one a square picture is one face, aligned already.
        at: Where the faces are, as `faces_in_text` reads it; no detector is asked then.
        landmarker: Finds the points of what is given or detected again, and the eyes.
        name: What errors call the picture.
        hint: What errors advise.

    Raises:
        ValueError: No face is found, or it lies outside; or only a detector could find it.

    Examples:
        >>> photo = torch.rand(1, 96, 128, 3)
        >>> faces = locate_faces(photo, "ffhq", 64, at="40, 20, 90, 80")
        >>> tuple(crop_faces(photo, faces).image.shape)
        (1, 3, 64, 64)
    """
    faces, cut = find_faces(photos, template, detector=detector, at=at, name=name, hint=hint)
    if not len(faces):
        raise ValueError(f"no face found in {name}: {hint}")
    whole = at is None and detector is None  # then the points are the template's
    try:
        if landmarker is not None and not whole:
            faces = landmark_faces(landmarker, photos, faces)
        return align_faces(faces, template_named(cut), size)
    except FaceError as error:
        raise error.named(faces.names([name] * len(photos))) from None


def find_faces(
    photos: Tensor,
    template: str,
    *,
    detector: FaceDetector | None,
    at: str | None,
    name: object,
    hint: str,
) -> tuple[Faces, str]:
    """The faces of photos as in `locate_faces`, perhaps none, and the template of their crops."""
    frames, height, width = photos.shape[:3]
    if at is not None:
        return faces_in_text(at, (height, width), frames), template
    if detector is not None:
        return detector.find(photos), template
    require_square(photos, name, hint)
    return whole_pictures((height, width), frames, template), "whole box"


def require_square(photos: Tensor, name: object, hint: str) -> None:
    """Refuse pictures that cannot be one aligned face each."""
    height, width = photos.shape[1:3]
    if height != width:
        raise ValueError(
            f"{name} is {height}x{width}, expected a square crop of an aligned face: {hint}"
        )


def choose_faces(
    faces: Faces,
    choice: FaceChoice,
    *,
    mask: Tensor | None = None,
    reference: Tensor | None = None,
    photos: Tensor | None = None,
    encoder: IdentityEncoder | None = None,
    template: str | None = None,
) -> Faces:
    """The faces under a mask; of those the ones most like somebody; of those some by number.

    Args:
        faces: Of some photos.
        choice: Which numbers in which order, and how like the reference.
        mask: (1 or frames,H,W) of the photos, white on the faces to keep.
        reference: (m,E), who is wanted: in every frame the face most like each is kept.
        photos: With encoder and template for `embed_faces`, where faces must be compared.
        encoder: Says how far a person's faces are apart, where the choice does not.
        template: Of the encoder, where it is another than it says.
    """
    if mask is not None:
        faces = choose_by_mask(faces, mask)
    if reference is not None:
        faces = embed_faces(faces, photos, encoder, template)
        known = SAME_PERSON if encoder is None else encoder.same_person
        faces = choose_by_likeness(faces, reference, choice.max_distance or known)
    return choose_by_number(faces, choice)


def embed_faces(
    faces: Faces,
    photos: Tensor | None,
    encoder: IdentityEncoder | None,
    template: str | None = None,
) -> Faces:
    """The faces with their embeddings, made of their photos where there are none.

    They are cut out anew, to the template that the encoder was trained on, or to `template`.
    """
    if faces.embedding is not None:
        return faces
    if photos is None or encoder is None:
        raise ValueError("to compare faces give their image and an identity_model")
    aligned = align_faces(faces, template_named(template or encoder.template), encoder.size)
    crops = crop_faces(photos, aligned).image.to(next(encoder.network.parameters()))
    rows = [embed_identity(encoder, crop[None]).float().cpu() for crop in crops]
    return replace(faces, embedding=torch.cat(rows) if rows else torch.zeros(0, 1))
