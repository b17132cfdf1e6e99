"""From a source and a target face to ranked edits of the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from .autograd import gradients
from .diffusion.noise import Noise
from .diffusion.process import DiffusionModel
from .diffusion.sampling import Listener, Step, batch_index, unheard
from .face.identity import embed_identity, identity_distance
from .face.parsing import FaceParsing, face_mask, parse_face, require_face
from .guidance.terms import GazeTerm, GuidanceTerm, IdentityTerm, LpipsTerm, ParsingTerm, PixelTerm
from .images import to_mask, to_signed
from .metrics import EditMetrics
from .settings import EditSettings, FaceModels, SeededNoise

Model = TypeVar("Model")


@dataclass(frozen=True)
class EditResult:
    """Edits of n pairs, k candidates each, the one closest to its source's identity first."""

    images: Tensor  # (n,k,H,W,3) in [0,1]
    distances: Tensor  # (n,k): identity distance to the source
    mask: Tensor  # (n,k,H,W): outside it the image is the target, bit for bit
    parsing: FaceParsing  # of the n targets
    metrics: EditMetrics  # losses of the terms at each step, pictures in the order of `images`


@dataclass(frozen=True)
class Scene:
    """Everything that stays the same over the steps, one row a candidate: B = n x k."""

    models: FaceModels
    target: Tensor  # (B,3,H,W)
    mask: Tensor  # (B,1,H,W)
    parsing: FaceParsing  # of the targets
    embedding: Tensor  # (B,E) of the sources
    landmarks: Tensor | None  # (B,68,2) or (B,4,2) of the targets, pixels
    noise: SeededNoise


def edit_face(
    models: FaceModels,
    source: Tensor,
    target: Tensor,
    settings: EditSettings,
    *,
    mask: Tensor | None = None,
    landmarks: Tensor | None = None,
    on_step: Listener = unheard,
) -> EditResult:
    """Put the source's face into the target, n pairs (n,H,W,3) in [0,1] at once.

    `mask` (n,H,W) replaces the parsed face; `landmarks` (n,68,2) of the target, or its points 36,
    39, 42 and 45, replace the parsed eyes. `on_step` hears every step and may raise to cancel.
    """
    with gradients():
        scene = prepare(models, source, target, settings, mask, landmarks)
        heard = Recorder(on_step)
        pred_x0 = edit(
            scene.models.diffusion,
            scene.target,
            scene.mask,
            bind_terms(scene, settings),
            settings,
            scene.noise,
            identity=scene.embedding,
            on_step=heard,
        )
        return _ranked(scene, target, pred_x0, settings, heard.steps)


def prepare(
    models: FaceModels,
    source: Tensor,
    target: Tensor,
    settings: EditSettings,
    mask: Tensor | None = None,
    landmarks: Tensor | None = None,
) -> Scene:
    """Look once at both faces, and repeat what was seen for each candidate."""
    models = settings.behaviour.models(models)
    device = next(models.diffusion.network.parameters()).device
    faces, scenes = to_signed(source, "source").to(device), to_signed(target, "target").to(device)
    _require_pairs(source, target, models.diffusion.image_size)
    require_face(parse_face(models.parser, faces), "source")
    parsing = parse_face(models.parser, scenes)
    area = _area(parsing, settings) if mask is None else to_mask(mask, target).to(device)
    rows = partial(torch.repeat_interleave, repeats=settings.candidates, dim=0)
    return Scene(
        models=models,
        target=rows(scenes),
        mask=rows(area),
        parsing=FaceParsing(rows(parsing.logits)),
        embedding=rows(embed_identity(models.identity, faces)),
        landmarks=None if landmarks is None else rows(landmarks.to(device)),
        noise=settings.behaviour.noise(_seeds(settings, len(target))),
    )


def bind_terms(scene: Scene, settings: EditSettings) -> list[GuidanceTerm]:
    """The terms that the settings give a scale, bound to the scene's features."""
    binders: dict[str, Callable[[Scene, EditSettings], GuidanceTerm]] = {
        "identity": _identity_term,
        "parsing": _parsing_term,
        "gaze": _gaze_term,
        "pixel": _pixel_term,
        "lpips": _lpips_term,
    }
    return [
        bind(scene, settings) for name, bind in binders.items() if getattr(settings, name).scale
    ]


def edit(
    model: DiffusionModel,
    target: Tensor,
    mask: Tensor,
    terms: Sequence[GuidanceTerm],
    settings: EditSettings,
    noise: Noise,
    *,
    identity: Tensor | None = None,
    on_step: Listener = unheard,
) -> Tensor:
    """Noise the target, then denoise it under any terms: (B,3,H,W) in [-1,1] -> pred_x0 likewise.

    `mask` (B,1,H,W) is 1 where the picture may change; `identity` (B,E) goes to a U-Net that takes
    one. Of the settings it reads the schedule, the sampler, the blending and the parts.
    """
    parts = settings.behaviour
    diffusion = model.diffusion.respaced(settings.respacing)
    start = _first_index(diffusion.num_timesteps, settings.skip)
    denoiser = model.denoiser(diffusion, identity, settings.clip_denoised)
    x_t = diffusion.q_sample(target, batch_index(start, target), noise.draw(target))
    return parts.sampler(settings)(
        parts.guide(denoiser, diffusion, terms),
        diffusion,
        x_t,
        start,
        noise=noise,
        blend=parts.background(target, mask, diffusion, start, settings),
        on_step=on_step,
    )


@dataclass(frozen=True)
class Recorder:
    """Passes every step on and keeps its values."""

    on_step: Listener
    steps: list[tuple[int, dict[str, Tensor]]] = field(default_factory=list)

    def __call__(self, step: Step) -> None:
        self.steps.append((step.t, step.values))
        self.on_step(step)


def _identity_term(scene: Scene, settings: EditSettings) -> GuidanceTerm:
    views = settings.behaviour.views(scene.noise.generators, settings.views)
    encoder, how = scene.models.identity, vars(settings.identity)
    return IdentityTerm(encoder, scene.embedding, scene.mask, views, **how)


def _parsing_term(scene: Scene, settings: EditSettings) -> GuidanceTerm:
    return ParsingTerm(scene.models.parser, scene.parsing.logits, **vars(settings.parsing))


def _gaze_term(scene: Scene, settings: EditSettings) -> GuidanceTerm:
    boxes = settings.behaviour.eyes(scene.parsing, scene.landmarks)
    estimator = _loaded(scene.models.gaze, "gaze")
    return GazeTerm.bind(estimator, scene.target, boxes, **vars(settings.gaze))


def _pixel_term(scene: Scene, settings: EditSettings) -> GuidanceTerm:
    return PixelTerm(scene.target, **vars(settings.pixel))


def _lpips_term(scene: Scene, settings: EditSettings) -> GuidanceTerm:
    network = _loaded(scene.models.lpips, "lpips")
    return LpipsTerm(network, scene.target, scene.mask, **vars(settings.lpips))


def _loaded(model: Model | None, name: str) -> Model:
    if model is None:
        raise ValueError(
            f"the {name} term has a scale but there is no {name} model: load one or set the scale 0"
        )
    return model


def _require_pairs(source: Tensor, target: Tensor, size: int) -> None:
    if len(source) != len(target):
        raise ValueError(
            f"got {len(source)} sources and {len(target)} targets: give one source a target"
        )
    height, width = target.shape[1:3]
    if (height, width) != (size, size):
        raise ValueError(
            f"target is {height}x{width}, the model edits {size}x{size}: resize the target first"
        )


def _area(parsing: FaceParsing, settings: EditSettings) -> Tensor:
    require_face(parsing, "target")
    return face_mask(parsing, grow=settings.grow, feather=settings.feather)


def _seeds(settings: EditSettings, pairs: int) -> range:
    return range(settings.seed, settings.seed + pairs * settings.candidates)


def _first_index(steps: int, skip: int) -> int:
    if skip >= steps:
        raise ValueError(f"skip is {skip} of {steps} steps: skip fewer than {steps}")
    return steps - 1 - skip


def _ranked(
    scene: Scene,
    target: Tensor,
    pred_x0: Tensor,
    settings: EditSettings,
    steps: list[tuple[int, dict[str, Tensor]]],
) -> EditResult:
    k, device = settings.candidates, target.device
    mask = _final_mask(scene, pred_x0, settings).to(device)
    targets = target.repeat_interleave(k, 0)
    images = settings.behaviour.compose(targets, pred_x0.to(device), mask)
    distances = _distances(scene, images).to(device)
    order = _order(distances, k)
    return EditResult(
        images=images[order].unflatten(0, (-1, k)),
        distances=distances[order].unflatten(0, (-1, k)),
        mask=mask[order, 0].unflatten(0, (-1, k)),
        parsing=FaceParsing(scene.parsing.logits[::k]),
        metrics=_metrics(steps, order),
    )


def _final_mask(scene: Scene, pred_x0: Tensor, settings: EditSettings) -> Tensor:
    if settings.keep_background:
        return scene.mask
    parsing = parse_face(scene.models.parser, pred_x0.clamp(-1, 1))
    return settings.behaviour.face_of_edit(parsing)


def _distances(scene: Scene, images: Tensor) -> Tensor:
    edits = to_signed(images, "edit").to(scene.embedding.device)
    return identity_distance(embed_identity(scene.models.identity, edits), scene.embedding)


def _order(distances: Tensor, k: int) -> Tensor:
    """Flat indices (n x k) that put each pair's closest candidate first."""
    order = torch.sort(distances.unflatten(0, (-1, k)), dim=1, stable=True).indices
    first = torch.arange(len(order), device=order.device)[:, None] * k
    return (first + order).flatten()


def _metrics(steps: list[tuple[int, dict[str, Tensor]]], order: Tensor) -> EditMetrics:
    metrics = EditMetrics()
    for t, values in steps:
        for name, rows in values.items():
            metrics.record(name, t, rows[order])
    return metrics
