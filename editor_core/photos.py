"""Any photo in, the same photo out: its faces aligned, edited in one batch, and pasted back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from .diffusion.sampling import Listener, unheard
from .editing import EditResult, edit_face
from .face.aligning import align_faces, crop_faces, crop_masks
from .face.finding import eye_corners_of
from .face.pasting import Pasting, paste_faces
from .face.records import Faces
from .face.resampling import transform
from .face.templates import template_named
from .face.tracking import flicker
from .images import to_signed, to_unit
from .settings import EditSettings, FaceModels

NOISES = ("per image", "per person")

Edit = Callable[[Tensor, Tensor | None, Sequence[int] | None], EditResult]
"""(crops (n,S,S,3), their masks (n,S,S), people of equal noise) -> the edits of the crops."""


@dataclass(frozen=True)
class PhotoEdit:
    """Photos whose faces were edited."""

    image: Tensor  # (frames,H,W,3 or 4) in [0,1]: outside the mask the photo, bit for bit
    mask: Tensor  # (frames,H,W) in [0,1]: where something was pasted
    faces: Faces  # as they were aligned
    edit: EditResult | None  # of the crops, face by face; None where there was no face

    @property
    def distances(self) -> list[float]:
        """The identity distance of every pasted face to its source."""
        return [] if self.edit is None else self.edit.distances[:, 0].tolist()


def edit_photos(
    models: FaceModels,
    source: Tensor,
    photos: Tensor,
    faces: Faces,
    settings: EditSettings,
    *,
    mask: Tensor | None = None,
    pasting: Pasting | None = None,
    noise: str = "per image",
    on_step: Listener = unheard,
) -> PhotoEdit:
    """Put the source's face (1,h,w,3), or one of each face's own (n,h,w,3), into photos.

    `photos` (frames,H,W,3 or 4) in [0,1]; `mask` (1 or frames,H,W) of the photos replaces the
    parsed faces. The eyes come from the faces' landmarks where they are known.
    """
    size = models.diffusion.image_size
    aligned = aligned_faces(faces, settings.template, size)

    def edit(crops: Tensor, area: Tensor | None, people: Sequence[int] | None) -> EditResult:
        return edit_face(
            models,
            source.expand(len(crops), -1, -1, -1) if len(source) == 1 else source,
            crops,
            settings,
            mask=area,
            landmarks=eye_corners(aligned),
            people=people,
            on_step=on_step,
        )

    return edit_crops(photos, aligned, mask, edit, pasting, noise)


def aligned_faces(faces: Faces, template: str, size: int) -> Faces:
    """The faces cut to a model's size; those that are aligned already keep their template."""
    if faces.affine is None or faces.crop_size is None:
        return align_faces(faces, template_named(template), size)
    return replace(faces, affine=faces.affine * (size / faces.crop_size), crop_size=size)


def edit_crops(
    photos: Tensor,
    faces: Faces,
    mask: Tensor | None,
    edit: Edit,
    pasting: Pasting | None = None,
    noise: str = "per image",
) -> PhotoEdit:
    """Cut the aligned faces out, edit them all at once, and paste each one's best edit back.

    `mask` is of the photos (1 or frames,H,W), or of the crops (n,S,S).
    """
    people = people_of(faces, noise)
    if not len(faces):
        return PhotoEdit(photos, photos.new_zeros(photos.shape[:3]), faces, None)
    crops = crop_faces(photos, faces).image
    result = edit(to_unit(crops), cropped(mask, faces), people)
    edited = to_signed(result.images[:, 0].float()).to(crops)
    where = (result.mask[:, 0] > 0).to(crops)  # the edit is composed by the mask's greys already
    pasted = paste_faces(photos, faces, edited, where, pasting)
    restless = flicker(faces, crops, edited)
    if len(restless):
        result.metrics.record("flicker", 0, restless)
    return PhotoEdit(pasted.image, pasted.mask, faces, result)


def cropped(mask: Tensor | None, faces: Faces) -> Tensor | None:  # -> (n,S,S)
    """A mask of the photos as those of the crops; one of the crops as it is."""
    if mask is None or mask.shape[1:] != faces.size:
        return mask
    return crop_masks(mask, faces)


def people_of(faces: Faces, noise: str) -> Sequence[int] | None:
    """Whose noise every face gets."""
    if noise not in NOISES:
        raise ValueError(f'noise is "{noise}", expected one of: {", ".join(NOISES)}')
    if noise == "per image":
        return None
    if faces.person is None:
        raise ValueError("noise per person needs tracked faces: track them, or use noise per image")
    return faces.person.tolist()


def eye_corners(faces: Faces) -> Tensor | None:  # -> (n,4,2)
    """The corners of the eyes in the aligned crops, where landmarks tell them."""
    if faces.landmarks is None:
        return None
    affine, _ = faces.aligned()
    return transform(affine, eye_corners_of(faces.landmarks))
