"""From a source and a target face to ranked edits of the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .autograd import gradients
from .diffusion.blending import LinearRamp, NoisedBackground, composite
from .diffusion.noise import Noise, PerImageNoise
from .diffusion.process import Denoiser, DiffusionModel, GaussianDiffusion
from .diffusion.sampling import (
    Guider,
    Sampler,
    Step,
    StepCallback,
    batch_index,
    sample_ddim,
    sample_ddpm,
)
from .face.eyes import EyeBoxes, find_eyes
from .face.identity import IdentityEncoder, embed_identity, identity_distance, one_for_each
from .face.parsing import FaceParser, FaceParsing, face_mask, parse_face, require_face
from .guidance.batch import EditBatch
from .guidance.estimate import Estimate
from .guidance.gradient import GradientGuider, IntervalGuider
from .guidance.terms import TERMS, BoundTerm, GuidanceTerm, bind_terms
from .guidance.views import RandomViews, Views
from .images import signed, to_bchw, to_bhwc, to_mask, unit
from .loading.models import FaceModels
from .metrics import EditMetrics
from .settings import EditSettings

MakeGuider = Callable[[Denoiser, GaussianDiffusion, Sequence[BoundTerm]], Guider]


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
    landmarks: Tensor | None = None,
    on_step: StepCallback | None = None,
) -> EditResult:
    """Put the source's face into the target, n pairs at once.

    Args:
        models: From `load_models`.
        source: (n,h,w,3) in [0,1], aligned face crops of any size: whose face it becomes.
        target: (n,S,S,3) in [0,1], aligned face crops of the diffusion model's size.
        settings: For instance `preset("diffface")`.
        mask: (n or 1,S,S) in [0,1], 1 where to edit; replaces the parsed face.
        landmarks: (n,68,2) of the target, x and y in pixels, or its points 36, 39, 42 and 45;
            replace the parsed eyes.
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
    return edit_aligned(
        models, *pictures, settings, mask=mask, landmarks=landmarks, on_step=on_step
    )


def edit_aligned(
    models: FaceModels,
    source: Tensor,
    target: Tensor,
    settings: EditSettings,
    *,
    mask: Tensor | None = None,
    landmarks: Tensor | None = None,
    people: Sequence[int] | None = None,
    on_step: StepCallback | None = None,
) -> EditResult:
    """`edit_face` of pictures (n,3,H,W) in [0,1].

    Targets of the same number in `people` get the same noise, by default each its own.
    """
    if settings.exact:
        from .reference.pipeline import edit_exactly

        options = {"mask": mask, "landmarks": landmarks, "people": people, "on_step": on_step}
        return edit_exactly(models, source, target, settings, **options)
    with gradients():
        faces, parsing, mask = parse_pair(models, source, target, settings, mask)
        eyes = find_eyes(parsing, landmarks) if settings.gaze.scale and models.gaze else None
        return edit_batch(
            models.diffusion,
            target,
            mask,
            build_terms(settings, eyes=eyes, **vars(models)),
            settings,
            embedding=embed_identity(models.identity, faces),
            encoder=models.identity,
            parser=models.parser,
            parsing=parsing,
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
        mask = face_mask(parsing, grow=settings.grow, feather=settings.feather)[:, 0]
    return faces, parsing, mask


def build_terms(
    settings: EditSettings, *, eyes: EyeBoxes | None, views: Views | None = None, **models: Any
) -> list[GuidanceTerm]:
    """The terms that the settings give a scale.

    A term's fields are named as what it needs: a model as in `FaceModels`, the `eyes` of the
    targets, or the `views` that an identity is looked at from. What is not known is None.
    """
    known = {**models, "eyes": eyes, "views": views or RandomViews(settings.views)}
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
    people: Sequence[int] | None = None,
    on_step: StepCallback | None = None,
) -> EditResult:
    """Edit targets inside their masks, under any terms.

    Args:
        model: The diffusion model.
        target: (n,3,H,W) in [0,1]: as exact as it was given, since the background stays so.
        mask: (n or 1,H,W) in [0,1], 1 where to edit.
        terms: Any guidance terms; none at all draws freely.
        settings: Of these, those of the terms and of the parsed mask are not read.
        embedding: (n or 1,E), the sources' identities: for a U-Net or a term that needs one.
        encoder: Ranks the candidates by their distance to the embedding.
        parser: Finds the face of the edit where the background need not be kept.
        parsing: Of the targets by that parser, where it is there already.
        people: Targets of the same number get the same noise, by default each its own.
        on_step: Called with every `Step`; may raise to cancel.

    Raises:
        ValueError: Something does not fit, or a term or the settings need what was not given.
    """
    with gradients():
        numbers, k = people or range(len(target)), settings.candidates
        noise = PerImageNoise([settings.seed + n * k + each for n in numbers for each in range(k)])
        batch = make_batch(model, target, mask, embedding, noise.generators, k)
        if parser and parsing:
            batch.parsings.append((parser, parsing))
        recorder = Recorder(on_step)
        pred_x0 = denoise(model, batch, bind_terms(terms, batch), settings, noise, on_step=recorder)
        area = final_mask(batch, pred_x0, settings, parser)
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
) -> EditBatch:
    """What terms are bound to, on the model's device."""
    require_size(target, model.image_size)
    return EditBatch(
        target=signed(target).to(model.device),
        mask=to_mask(mask, target).to(model.device),
        embedding=None
        if embedding is None
        else one_for_each(embedding, len(target), "targets").to(model.device),
        generators=generators,
        candidates=candidates,
    )


def denoise(
    model: DiffusionModel,
    batch: EditBatch,
    terms: Sequence[BoundTerm],
    settings: EditSettings,
    noise: Noise,
    *,
    on_step: StepCallback | None = None,
) -> Tensor:
    """Noise the targets, then denoise them under the terms: pred_x0 (n x candidates,3,H,W)."""
    target, mask = batch.repeated(batch.target), batch.repeated(batch.mask)
    diffusion = model.diffusion.respaced(settings.respacing)
    start = first_index(diffusion.num_timesteps, settings.skip)
    x_t = diffusion.q_sample(target, batch_index(start, target), noise.draw(target))
    ramp = LinearRamp(diffusion, diffusion.percent(start), settings.ramp_end)
    return sampler_of(settings)(
        make_guider(
            identity_denoiser(model, batch, diffusion, settings), diffusion, terms, settings
        ),
        diffusion,
        x_t,
        start,
        noise=noise,
        blend=NoisedBackground(target, mask, diffusion, ramp, settings.keep_background),
        on_step=on_step,
    )


def identity_denoiser(
    model: DiffusionModel, batch: EditBatch, diffusion: GaussianDiffusion, settings: EditSettings
) -> Denoiser:
    """The U-Net on a respaced schedule, with the sources' identities bound in."""
    identity = None if batch.embedding is None else batch.repeated(batch.embedding)
    low_memory = settings.memory == "low"
    return model.denoiser(diffusion, identity, settings.clip_denoised, low_memory)


def make_guider(
    denoiser: Denoiser,
    diffusion: GaussianDiffusion,
    terms: Sequence[BoundTerm],
    settings: EditSettings,
    guider: MakeGuider = GradientGuider,
) -> Guider:
    """The denoiser under its terms, by the gradient and as often as the settings say."""
    if settings.gradient == "estimate":
        denoiser = Estimate(denoiser, diffusion)
    return IntervalGuider(guider(denoiser, diffusion, terms), settings.guide_every)


def sampler_of(settings: EditSettings) -> Sampler:
    """The sampler that the settings name."""
    return sample_ddpm if settings.sampler == "ddpm" else partial(sample_ddim, eta=settings.eta)


def first_index(steps: int, skip: int) -> int:
    """The index of the first step that is taken."""
    if skip >= steps:
        raise ValueError(f"skip is {skip} of {steps} steps: skip fewer than {steps}")
    return steps - 1 - skip


class Recorder:
    """A callback that keeps every step's losses and passes the step on."""

    def __init__(self, on_step: StepCallback | None) -> None:
        self.on_step, self.metrics = on_step, EditMetrics()

    def __call__(self, step: Step) -> None:
        for name, losses in step.losses.items():
            self.metrics.record(name, step.t, losses)
        if self.on_step:
            self.on_step(step)


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
    return face_mask(parse_face(parser, pred_x0.clamp(-1, 1)))


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
        distances = identity_distance(
            embed_identity(encoder, edits), batch.repeated(batch.embedding)
        )
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
