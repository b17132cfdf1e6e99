"""Any photo in, the same photo out: its faces aligned, edited in one batch, and pasted back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .diffusion.sampling import StepCallback
from .editing import EditResult, edit_aligned
from .face.aligning import align_faces, crop_faces, crop_masks
from .face.errors import FaceError, require_if_missing, require_no_faults, without_faulty
from .face.finding import eye_corners_of
from .face.pasting import Pasting, paste_faces
from .face.records import Faces
from .face.resampling import transform
from .face.templates import template_named
from .face.tracking import flicker
from .guidance.terms import GuidanceTerm
from .images import empty_masks, one_for_each, signed, to_bchw, unit
from .loading.models import FaceModels
from .settings import EditSettings


@dataclass(frozen=True)
class CropBatch:
    """The crops of the aligned faces of some photos, with what an edit is to know of them."""

    image: Tensor  # (n,3,S,S) in [0,1]
    mask: Tensor | None  # (n,S,S), where to edit
    keep: Tensor | None  # (n,S,S), what stays
    people: Sequence[int] | None = None  # of equal noise
    points: Tensor | None = None  # (n,5,2) in pixels of the crops


EditCrops = Callable[[CropBatch], EditResult]


@dataclass(frozen=True)
class PhotoEdit:
    """Photos whose faces were edited."""

    image: Tensor  # (frames,H,W,3 or 4) in [0,1]: outside the mask the photo, bit for bit
    mask: Tensor  # (frames,H,W) in [0,1]: where something was pasted
    faces: Faces  # as they were aligned
    edit: EditResult | None  # of the crops, face by face; None where there was no face
    left: FaceError | None = None  # the faces that cannot be edited, by their rows in those given

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
    keep: Tensor | None = None,
    source_points: Tensor | None = None,
    embedding: Tensor | None = None,
    pasting: Pasting | None = None,
    if_missing: str = "error",
    on_step: StepCallback | None = None,
) -> PhotoEdit:
    """Put the source's face into photos of any size, at their own resolution.

    Args:
        models: From `load_models`.
        source: (1,h,w,3) in [0,1], an aligned face crop; or (n,h,w,3), one for each face.
        photos: (frames,H,W,3 or 4) in [0,1]; alpha stays.
        faces: Those to edit, from a detector or a `faces_in_...` function; their landmarks, where
            they have some, tell where the eyes are.
        settings: For instance `preset("diffface")`.
        mask: (1 or frames,H,W) of the photos; replaces the parsed faces.
        keep: (1 or frames,H,W) of the photos, 1 where they stay bit for bit: what lies before a
            face.
        source_points: (1 or n,5,2) of the sources in their pixels, as in `edit_face`.
        embedding: (1 or n,E), who the faces become in place of the sources.
        pasting: How the edited crops are blended in.
        if_missing: One of `IF_MISSING`: whether a face that cannot be edited, since its crop shows
            none or no eyes, is an error, or stays as it is while the others are edited.
        on_step: Called with every `Step`; may raise to cancel.

    Raises:
        FaceError: Some faces cannot be edited, and they are not to be passed through.
        ValueError: Something does not fit; the message says what to do.

    Examples:
        >>> from dataclasses import replace
        >>> from guided_face_edit import edit_photos, load_models, preset
        >>> from guided_face_edit.editor_core.demo.groups import draw_group_photos
        >>> from guided_face_edit.editor_core.demo.models import WEIGHTS
        >>> from guided_face_edit.editor_core.demo.pairs import draw_pairs
        >>> photos = draw_group_photos(0, people=2, frames=1, size=(128, 224))
        >>> source = draw_pairs(1, seed=5, size=64).source.image
        >>> settings = replace(preset("demo"), respacing="4", skip=1, candidates=1)
        >>> edit = edit_photos(load_models(WEIGHTS), source, photos.image, photos.faces, settings)
        >>> tuple(edit.image.shape), len(edit.distances)
        ((1, 128, 224, 3), 2)
    """
    size = models.diffusion.image_size
    aligned = aligned_faces(faces, settings.template, size)
    sources = one_for_each(to_bchw(source, "source"), "sources", len(aligned), "faces")
    known = {"source_points": source_points, "embedding": embedding}
    of_sources = {
        name: one_for_each(rows, f"rows of {name}", len(aligned), "faces")
        for name, rows in known.items()
        if rows is not None
    }

    def edit_rows(rows: list[int]) -> PhotoEdit:
        some, area = aligned, mask
        if len(rows) < len(aligned):
            some = aligned.rows(rows)
            if mask is not None and mask.shape[1:] != faces.size and len(mask) > 1:
                area = mask[rows]

        def edit(crops: CropBatch) -> EditResult:
            return edit_aligned(
                models,
                sources[rows],
                crops.image,
                settings,
                mask=crops.mask,
                keep=crops.keep,
                landmarks=eye_corners(some),
                points=crops.points,
                people=crops.people,
                on_step=on_step,
                **{name: each[rows] for name, each in of_sources.items()},
            )

        return cut_edit_paste(photos, some, area, edit, settings.noise, pasting, keep, numbers=rows)

    edited, _, left = without_faulty(edit_rows, aligned.names(), if_missing)
    return replace(edited, left=left)


def aligned_faces(faces: Faces, template: str, size: int) -> Faces:
    """The faces cut to a model's size; those that are aligned already keep their template."""
    if faces.affine is None or faces.crop_size is None:
        return align_faces(faces, template_named(template), size)
    return replace(faces, affine=faces.affine * (size / faces.crop_size), crop_size=size)


def template_of(faces: Faces, unknown: str) -> str:
    """What aligned faces were cut to; `unknown` where only the box says it."""
    return unknown if faces.template in (None, "whole box") else faces.template


def points_in_crops(faces: Faces) -> Tensor:  # -> (n,5,2)
    """The five points in the aligned crops."""
    return transform(faces.aligned()[0], faces.points)


def cut_edit_paste(
    photos: Tensor,
    faces: Faces,
    mask: Tensor | None,
    edit: EditCrops,
    noise: str,
    pasting: Pasting | None = None,
    keep: Tensor | None = None,
    *,
    numbers: Sequence[int] | None = None,
    if_missing: str = "error",
) -> PhotoEdit:
    """Cut the aligned faces out, edit them all at once, and paste each one's best edit back.

    `mask` is of the photos (1 or frames,H,W), or of the crops (n,S,S); `keep` is of the photos;
    `noise` as in the settings, and `numbers` which noise of its own each face has, by default that
    of its row. Passing through (`if_missing`), a face whose mask is empty stays as it is, and its
    candidates are its crop.
    """
    if noise == "per person" and faces.person is None:
        raise ValueError("noise per person needs tracked faces: track them, or use noise per image")
    people = numbers if noise == "per image" or faces.person is None else faces.person.tolist()
    if not len(faces):
        return PhotoEdit(photos, photos.new_zeros(photos.shape[:3]), faces, None)
    mask = None if mask is None else masks_in_crops(mask, faces)
    kept = None if keep is None else crop_masks(keep, faces, "keep")
    mask, left = filled_masks(mask, faces, if_missing)
    crops = crop_faces(photos, faces).image
    result = edit(CropBatch(unit(crops), mask, kept, people, points_in_crops(faces)))
    if left:
        result = with_faces_left(result, unit(crops), left.rows)
    edited = signed(result.pictures[:, 0].float()).to(crops)
    where = (result.mask[:, 0] > 0).to(crops)  # the edit is composed by the mask's greys already
    pasted = paste_faces(photos, faces, edited, where, pasting, keep=keep)
    flickers = flicker(faces, crops, edited)
    if len(flickers):
        result.metrics.record("flicker", 0, flickers)
    return PhotoEdit(pasted.image, pasted.mask, faces, result, left)


def filled_masks(
    mask: Tensor | None, faces: Faces, if_missing: str
) -> tuple[Tensor | None, FaceError | None]:
    """The crops' masks (n or 1,S,S), those that are empty filled, and the faces of these."""
    require_if_missing(if_missing)
    if mask is None or len(mask) != len(faces):
        return mask, None
    try:
        require_no_faults(empty_masks(mask), "face", faces.names())
    except FaceError as error:
        if if_missing == "error":
            raise
        return mask.index_fill(0, torch.tensor(error.rows, device=mask.device), 1), error
    return mask, None


def with_faces_left(result: EditResult, crops: Tensor, rows: Sequence[int]) -> EditResult:
    """The edits, where some faces show their crop (n,3,S,S) in [0,1] as it is."""
    pictures, mask = result.pictures.clone(), result.mask.clone()
    pictures[rows] = crops[rows, None].to(pictures)
    mask[rows] = 0
    return replace(result, pictures=pictures, mask=mask)


def crop_term(term: GuidanceTerm, faces: Faces) -> GuidanceTerm:
    """The term for the crops of aligned faces: a mask of their photos is cut as they are."""
    if term.mask is None or term.mask.shape[1:] != faces.size:
        return term
    name = f"the {term.name} term's mask"
    return replace(term, mask=crop_masks(term.mask.float().cpu(), faces, name))


def masks_in_crops(mask: Tensor, faces: Faces) -> Tensor:
    """Masks of aligned faces' crops (n or 1,S,S), cut from the photos' where they are of these."""
    return crop_masks(mask, faces) if mask.shape[1:] == faces.size else mask


def eye_corners(faces: Faces) -> Tensor | None:  # -> (n,4,2)
    """The corners of the eyes in the aligned crops, where landmarks tell them."""
    if faces.landmarks is None:
        return None
    affine, _ = faces.aligned()
    return transform(affine, eye_corners_of(faces.landmarks))
