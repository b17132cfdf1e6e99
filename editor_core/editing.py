"""From a source and a target face to ranked edits of the target."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from .autograd import gradients
from .denoising import Recorder, denoise
from .diffusion.blending import composite
from .diffusion.noise import PerImageNoise
from .diffusion.process import DiffusionModel
from .diffusion.sampling import StepCallback
from .face.clip import text_directions
from .face.errors import require_no_faults
from .face.eyes import EyeBoxes, find_eyes
from .face.identity import IdentityEncoder, embed_identity, identity_distance
from .face.laying import lay_face, start_inside
from .face.parsing import (
    FaceParser,
    FaceParsing,
    face_mask,
    parse_face,
    parts_named,
    require_face,
)
from .face.records import require_points
from .guidance.batch import EditBatch
from .guidance.terms import TERMS, GuidanceTerm, bind_terms
from .guidance.views import RandomViews, Views
from .images import (
    empty_masks,
    free_area,
    one_for_each,
    signed,
    to_bchw,
    to_bhwc,
    to_mask,
    unit,
)
from .loading.models import FaceModels
from .metrics import EditMetrics
from .settings import EditSettings


@dataclass(frozen=True)
class EditResult:
    """Edits of n targets, k candidates each; if they are ranked, the closest identity is first."""

    pictures: Tensor  # (n,k,3,H,W) in [0,1]
    mask: Tensor  # (n,k,H,W): outside it a picture is the target, bit for bit
    metrics: EditMetrics  # losses of the terms at each step, pictures in the order of `pictures`
    distances: Tensor  # (n,k): identity distance to the source; NaN if nothing ranked them
    labels: Tensor | None = None  # (n,H,W), the `FacePart`s of the targets where they were parsed

    @property
    def images(self) -> Tensor:  # (n,k,H,W,3)
        """The pictures as a host or a file wants them."""
        return to_bhwc(self.pictures)


def edit_face(
    models: FaceModels,
    source: Tensor,
    target: Tensor,
    settings: EditSettings,
    *,
    mask: Tensor | None = None,
    keep: Tensor | None = None,
    landmarks: Tensor | None = None,
    points: Tensor | None = None,
    source_points: Tensor | None = None,
    embedding: Tensor | None = None,
    on_step: StepCallback | None = None,
) -> EditResult:
    """Put the source's face into the target, n pairs at once.

    Args:
        models: From `load_models`.
        source: (n,h,w,3) in [0,1], aligned face crops of any size: whose face it becomes.
        target: (n,S,S,3) in [0,1], aligned face crops of the diffusion model's size.
        settings: For instance `preset("diffface")`.
        mask: (n or 1,S,S) in [0,1], 1 where to edit; replaces the parsed face.
        keep: (n or 1,S,S) in [0,1], 1 where the target stays bit for bit, whatever the mask: what
            lies before the face.
        landmarks: (n,68,2) of the target, x and y in pixels, or its points 36, 39, 42 and 45;
            replace the parsed eyes.
        points: (n,5,2) of the target, its eyes, nose and mouth corners in pixels; by default where
            the settings' template has them. So an identity encoder of another template sees the
            face as it was trained.
        source_points: (n,5,2) of the source, likewise.
        embedding: (n or 1,E), who it becomes in place of the source, for instance from
            `mix_identities`; a start from the source is from its face all the same.
        on_step: Called with every `Step`; may raise to cancel.

    Raises:
        ValueError: The pictures, the mask or the settings do not fit each other or the models, or a
            picture shows no face; the message says what to do.

    Examples:
        >>> from dataclasses import replace
        >>> from guided_face_edit import edit_face, load_models, preset
        >>> from guided_face_edit.editor_core.demo.models import WEIGHTS
        >>> from guided_face_edit.editor_core.demo.pairs import draw_pairs
        >>> pair = draw_pairs(1, seed=0, size=64)
        >>> settings = replace(preset("demo"), respacing="4", skip=1, candidates=2)
        >>> result = edit_face(
        ...     load_models(WEIGHTS), pair.source.image, pair.target.image, settings
        ... )
        >>> tuple(result.images.shape)  # closest identity first
        (1, 2, 64, 64, 3)
    """
    pictures = to_bchw(source, "source"), to_bchw(target, "target")
    places = {"landmarks": landmarks, "points": points, "source_points": source_points}
    options: dict[str, Any] = {"mask": mask, "keep": keep, "embedding": embedding, **places}
    return edit_aligned(models, *pictures, settings, **options, on_step=on_step)


def edit_aligned(
    models: FaceModels,
    source: Tensor,
    target: Tensor,
    settings: EditSettings,
    *,
    mask: Tensor | None = None,
    keep: Tensor | None = None,
    landmarks: Tensor | None = None,
    points: Tensor | None = None,
    source_points: Tensor | None = None,
    embedding: Tensor | None = None,
    people: Sequence[int] | None = None,
    on_step: StepCallback | None = None,
) -> EditResult:
    """`edit_face` of pictures (n,3,H,W) in [0,1].

    Targets of the same number in `people` get the same noise, by default each its own.
    """
    if settings.exact:
        from .reference.pipeline import edit_exactly

        asked = {
            "keep": keep is not None,
            "embedding": embedding is not None,
            "start from the source": settings.start != EditSettings.start,
            "ramp_end": settings.ramp_end != EditSettings.ramp_end,
            "template": settings.template != EditSettings.template,
            "recurrence": settings.recurrence != EditSettings.recurrence,
        }
        for name, given in asked.items():
            if given:
                raise ValueError(
                    f'the preset "diffface-exact" has no {name}, got one: choose another preset, '
                    "or leave it out"
                )
        options = {"mask": mask, "landmarks": landmarks, "people": people, "on_step": on_step}
        return edit_exactly(models, source, target, settings, **options)
    with gradients():
        faces, parsing, mask = parse_pair(models, source, target, settings, mask)
        eyes = find_eyes(parsing, landmarks) if settings.gaze.scale and models.gaze else None
        if embedding is None:
            seen = {"template": settings.template, "points": source_points}
            embedding = embed_identity(models.identity, faces, **seen)
        start = None
        if settings.start == "source":
            known = {"source_points": source_points, "points": points}
            aim, area = signed(target).to(faces), free_area(mask, keep, target).to(faces)
            start = unit(lay_face(faces, aim, area, landmarker=models.landmarks, **known))
        return edit_batch(
            models.diffusion,
            target,
            mask,
            build_terms(settings, eyes=eyes, **vars(models)),
            settings,
            embedding=embedding,
            encoder=models.identity,
            parser=models.parser,
            parsing=parsing,
            keep=keep,
            points=points,
            start=start,
            people=people,
            on_step=on_step,
        )


def parse_pair(
    models: FaceModels, source: Tensor, target: Tensor, settings: EditSettings, mask: Tensor | None
) -> tuple[Tensor, FaceParsing, Tensor]:
    """The sources in [-1,1], the parsing of the targets, and where to edit them (n,H,W)."""
    if len(source) != len(target):
        raise ValueError(
            f"got {len(source)} sources and {len(target)} targets: give one source a target"
        )
    require_size(target, models.diffusion.image_size)
    faces = signed(source).to(models.diffusion.device)
    require_face(parse_face(models.parser, faces), "source")
    parsing = parse_face(models.parser, signed(target).to(faces.device))
    if mask is None:
        require_face(parsing, "target")
        parts = parts_named(settings.parts)
        before = parts_named(settings.keep_parts, none=True)
        mask = face_mask(parsing, parts, settings.grow, settings.feather, before)[:, 0]
    return faces, parsing, mask


def build_terms(
    settings: EditSettings, *, eyes: EyeBoxes | None, views: Views | None = None, **models: Any
) -> list[GuidanceTerm]:
    """The terms that the settings give a scale.

    A term's fields are named as what it needs: a model as in `FaceModels`, the `eyes` of the
    targets, the `views` that an identity is looked at from, the `goal` of the gaze, the blendshapes
    `asked`, or the `texts` of the wish. What is not known is None.
    """
    views, clip = views or RandomViews(settings.views), models.get("clip")
    texts = text_directions(clip, settings.wish) if settings.text.scale and clip else None
    known = {**models, "clip": clip, "texts": texts, "margin": settings.wish.margin}
    known |= {"eyes": eyes, "views": views, "goal": settings.gaze_goal}
    known["asked"] = settings.expression_goal.asked()
    terms = []
    for term in TERMS:
        weight = getattr(settings, term.name)
        if not weight.scale:
            continue
        needs = {each.name: known[each.name] for each in fields(term) if each.name in known}
        for need in (name for name, value in needs.items() if value is None):
            if need == "eyes":
                raise ValueError(
                    "the gaze needs eyes, got none: crop the eyes of the targets, or leave the "
                    "gaze model out"
                )
            raise ValueError(
                f"the {term.name} term has a scale but there is no {need} model: load one or set "
                "the scale 0"
            )
        terms.append(term(**needs, **vars(weight)))
    return terms


def edit_batch(
    model: DiffusionModel,
    target: Tensor,
    mask: Tensor,
    terms: Sequence[GuidanceTerm],
    settings: EditSettings,
    *,
    embedding: Tensor | None = None,
    encoder: IdentityEncoder | None = None,
    parser: FaceParser | None = None,
    parsing: FaceParsing | None = None,
    keep: Tensor | None = None,
    points: Tensor | None = None,
    start: Tensor | None = None,
    people: Sequence[int] | None = None,
    on_step: StepCallback | None = None,
) -> EditResult:
    """Edit targets inside their masks, under any terms.

    Args:
        model: The diffusion model.
        target: (n,3,H,W) in [0,1]: as exact as it was given, since the background stays so.
        mask: (n or 1,H,W) in [0,1], 1 where to edit.
        terms: Any guidance terms; none at all draws freely.
        settings: Of these, those of the terms and of the parsed mask are not read; `template` is
            what the targets were cut to.
        embedding: (n or 1,E), the sources' identities: for a U-Net or a term that needs one.
        encoder: Ranks the candidates by their distance to the embedding.
        parser: Finds the face of the edit where the background need not be kept.
        parsing: Of the targets by that parser, where it is there already.
        keep: (n or 1,H,W) in [0,1], 1 where the target stays, whatever the mask.
        points: (n,5,2), as in `edit_face`.
        start: (n or 1,3,H,W) in [0,1], what is noised inside the mask in place of the targets, for
            instance from `lay_face`.
        people: Targets of the same number get the same noise, by default each its own.
        on_step: Called with every `Step`; may raise to cancel.

    Raises:
        ValueError: Something does not fit, or a term or the settings need what was not given.
    """
    with gradients():
        numbers, k = people or range(len(target)), settings.candidates
        noise = PerImageNoise([settings.seed + n * k + each for n in numbers for each in range(k)])
        known = keep, settings.template, points, start
        batch = make_batch(model, target, mask, embedding, noise.generators, k, *known)
        if parser and parsing:
            batch.parsings.append((parser, parsing))
        recorder = Recorder(on_step)
        pred_x0 = denoise(model, batch, bind_terms(terms, batch), settings, noise, on_step=recorder)
        area = final_mask(batch, pred_x0, settings, parser).clone()
        area.unflatten(0, (-1, k))[faces_to_leave(terms)] = 0
        pictures = composite(
            batch.repeated(target), unit(pred_x0).to(target.device), area.to(target.device)
        )
        return ranked(pictures, area, batch, encoder, recorder.metrics, parsing)


def make_batch(
    model: DiffusionModel,
    target: Tensor,
    mask: Tensor,
    embedding: Tensor | None,
    generators: Sequence[torch.Generator],
    candidates: int,
    keep: Tensor | None = None,
    template: str | None = None,
    points: Tensor | None = None,
    start: Tensor | None = None,
) -> EditBatch:
    """What terms are bound to, on the model's device."""
    require_size(target, model.image_size)
    if points is not None:
        require_points(points, len(target))
    kept = None if keep is None else to_mask(keep, target, "keep").to(model.device)
    area = to_mask(mask, target).to(model.device)
    require_no_faults(empty_masks(area[:, 0]), "target")
    area = area if kept is None else area * (1 - kept)
    aim = signed(target).to(model.device)
    return EditBatch(
        target=aim,
        mask=area,
        keep=kept,
        embedding=None
        if embedding is None
        else one_for_each(embedding, "embeddings", len(target)).to(model.device),
        generators=generators,
        candidates=candidates,
        template=template,
        points=None if points is None else points.to(model.device),
        start=None if start is None else start_inside(start, aim, area),
    )


def final_mask(
    batch: EditBatch, pred_x0: Tensor, settings: EditSettings, parser: FaceParser | None
) -> Tensor:  # (n x candidates,1,H,W)
    """Where the edit is kept: the mask, or the face of the edit itself."""
    if settings.keep_background:
        return batch.repeated(batch.mask)
    if parser is None:
        raise ValueError(
            "without keeping the background the face of the edit must be parsed, but there is no "
            "parser: give one, or keep the background"
        )
    area = face_mask(parse_face(parser, pred_x0.clamp(-1, 1)))
    return area if batch.keep is None else area * (1 - batch.repeated(batch.keep))


def faces_to_leave(terms: Sequence[GuidanceTerm]) -> list[int]:
    """The targets that stay as they are, since a term needs their eyes and they show none."""
    faults = [eyes.missing for term in terms if (eyes := getattr(term, "eyes", None))]
    for fault in filter(None, faults):
        logging.warning("Guided Face Edit: %s, passed through", fault)
    return sorted({row for fault in faults if fault for row in fault.rows})


def ranked(
    pictures: Tensor,
    area: Tensor,
    batch: EditBatch,
    encoder: IdentityEncoder | None,
    metrics: EditMetrics,
    parsing: FaceParsing | None,
) -> EditResult:
    """The candidates of every target, by their distance to the source where an encoder tells it."""
    k, device = batch.candidates, pictures.device
    distances = torch.full((len(pictures),), torch.nan)
    if encoder and batch.embedding is not None:
        edits = signed(pictures).to(batch.embedding.device)
        seen = batch.embed(encoder, edits)
        distances = identity_distance(seen, batch.repeated(batch.embedding))
    by_target = distances.to(device).unflatten(0, (-1, k))
    order = by_target.sort(dim=1, stable=True).indices
    order = (torch.arange(len(order), device=device)[:, None] * k + order).flatten()
    return EditResult(
        pictures=pictures[order].unflatten(0, (-1, k)),
        mask=area.to(device)[order, 0].unflatten(0, (-1, k)),
        metrics=metrics.reordered(order.tolist()),
        distances=by_target.flatten()[order].unflatten(0, (-1, k)),
        labels=None if parsing is None else parsing.labels.to(device),
    )


def require_size(target: Tensor, size: int) -> None:
    """Refuse targets (n,3,H,W) that a model of `size` pixels cannot edit."""
    height, width = target.shape[2:]
    if (height, width) != (size, size):
        raise ValueError(
            f"target is {height}x{width}, the model edits {size}x{size}: resize the target first"
        )
