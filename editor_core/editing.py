"""From a source and a target face to ranked edits of the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from torch import Generator, Tensor

from .autograd import gradients
from .diffusion.noise import Noise
from .diffusion.process import DiffusionModel
from .diffusion.sampling import Listener, Step, batch_index, unheard
from .face.eyes import EyeBoxes
from .face.gaze import GazeEstimator
from .face.identity import (
    IdentityEncoder,
    embed_identity,
    identity_distance,
    one_for_each,
)
from .face.parsing import FaceParser, FaceParsing, face_mask, parse_face, require_face
from .guidance.chain import (
    GazeGuidance,
    Guidance,
    IdentityGuidance,
    LpipsGuidance,
    ParsingGuidance,
    PixelGuidance,
    Scene,
)
from .guidance.terms import GuidanceTerm, Perceptual
from .images import to_mask, to_signed
from .metrics import EditMetrics
from .settings import EditSettings, FaceModels, steer

Model = TypeVar("Model")


@dataclass(frozen=True)
class EditResult:
    """Edits of n targets, k candidates each; if they are ranked, the closest identity is first."""

    images: Tensor  # (n,k,H,W,3) in [0,1]
    mask: Tensor  # (n,k,H,W): outside it the image is the target, bit for bit
    metrics: EditMetrics  # losses of the terms at each step, pictures in the order of `images`
    distances: Tensor  # (n,k): identity distance to the source; NaN if nothing ranked them


def edit_face(
    models: FaceModels,
    source: Tensor,
    target: Tensor,
    settings: EditSettings,
    *,
    mask: Tensor | None = None,
    landmarks: Tensor | None = None,
    people: Sequence[int] | None = None,
    on_step: Listener = unheard,
) -> EditResult:
    """Put the source's face into the target, n pairs (n,H,W,3) in [0,1] at once.

    `mask` (n,H,W) replaces the parsed face; `landmarks` (n,68,2) of the target, or its points 36,
    39, 42 and 45, replace the parsed eyes. Targets of the same number in `people` get the same
    noise. `on_step` hears every step and may raise to cancel.
    """
    with gradients():
        models, device = settings.behaviour.models(models), models.diffusion.device
        _require_pairs(source, target)
        _require_size(target, models.diffusion.image_size)
        faces = to_signed(source, "source").to(device)
        require_face(parse_face(models.parser, faces), "source")
        parsing = parse_face(models.parser, to_signed(target, "target").to(device))
        points = None if landmarks is None else landmarks.to(device)
        return edit_target(
            models.diffusion,
            target,
            _area(parsing, settings)[:, 0] if mask is None else mask,
            list(
                guidance_of(
                    settings,
                    models.identity,
                    models.parser,
                    models.gaze,
                    models.lpips,
                    partial(settings.behaviour.eyes, parsing, points),
                )
            ),
            settings,
            embedding=embed_identity(models.identity, faces),
            ranked_by=models.identity,
            parser=models.parser,
            people=people,
            on_step=on_step,
        )


def guidance_of(
    settings: EditSettings,
    identity: IdentityEncoder,
    parser: FaceParser,
    gaze: GazeEstimator | None,
    lpips: Perceptual | None,
    eyes: Callable[[], EyeBoxes],
) -> Iterator[Guidance]:
    """The guidance that the settings give a scale; `eyes` is asked where there is a gaze."""

    def views(generators: Sequence[Generator]) -> Callable[[Tensor], Tensor]:
        return settings.behaviour.views(generators, settings.views)

    if settings.identity.scale:
        yield IdentityGuidance(identity, views, **vars(settings.identity))
    if settings.parsing.scale:
        yield ParsingGuidance(parser, **vars(settings.parsing))
    if settings.gaze.scale:
        yield GazeGuidance(_loaded(gaze, "gaze"), eyes(), **vars(settings.gaze))
    if settings.pixel.scale:
        yield PixelGuidance(**vars(settings.pixel))
    if settings.lpips.scale:
        yield LpipsGuidance(_loaded(lpips, "lpips"), **vars(settings.lpips))


def edit_target(
    model: DiffusionModel,
    target: Tensor,
    mask: Tensor,
    guidance: Sequence[Guidance],
    settings: EditSettings,
    *,
    embedding: Tensor | None = None,
    ranked_by: IdentityEncoder | None = None,
    parser: FaceParser | None = None,
    people: Sequence[int] | None = None,
    on_step: Listener = unheard,
) -> EditResult:
    """Edit n targets (n,H,W,3) inside their masks (n or 1,H,W), under any guidance.

    `embedding` (n or 1,E) is the sources'. `ranked_by` orders the candidates; the `parser` finds
    the face of the edit where the background need not be kept. Targets of the same number in
    `people` get the same noise, by default each its own. Of the settings, those of the terms and of
    the parsed mask have done their work already.
    """
    with gradients():
        _require_size(target, model.image_size)
        noise = settings.behaviour.noise(_seeds(settings, people or range(len(target))))
        scene = Scene(
            target=to_signed(target, "target").to(model.device),
            mask=to_mask(mask, target).to(model.device),
            embedding=None
            if embedding is None
            else one_for_each(embedding, len(target), "targets").to(model.device),
            generators=noise.generators,
            candidates=settings.candidates,
        )
        heard = Recorder(on_step)
        pred_x0 = edit(
            model,
            scene.repeated(scene.target),
            scene.repeated(scene.mask),
            [each.bind(scene) for each in guidance],
            settings,
            noise,
            identity=scene.repeated_embedding,
            on_step=heard,
        )
        area = _final_mask(scene, pred_x0, settings, parser).to(target.device)
        images = settings.behaviour.compose(scene.repeated(target), pred_x0.to(target.device), area)
        distances = _distances(images, scene, ranked_by).to(target.device)
        return _ranked(images, area, distances, heard.metrics, scene.candidates)


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
    low_memory = settings.memory == "low"
    denoiser = model.denoiser(diffusion, identity, settings.clip_denoised, low_memory)
    x_t = diffusion.q_sample(target, batch_index(start, target), noise.draw(target))
    return parts.sampler(settings)(
        steer(denoiser, diffusion, terms, settings),
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
    metrics: EditMetrics = field(default_factory=EditMetrics)

    def __call__(self, step: Step) -> None:
        for name, values in step.values.items():
            self.metrics.record(name, step.t, values)
        self.on_step(step)


def _loaded(model: Model | None, name: str) -> Model:
    if model is None:
        raise ValueError(
            f"the {name} term has a scale but there is no {name} model: load one or set the scale 0"
        )
    return model


def _require_pairs(source: Tensor, target: Tensor) -> None:
    if len(source) != len(target):
        raise ValueError(
            f"got {len(source)} sources and {len(target)} targets: give one source a target"
        )


def _require_size(target: Tensor, size: int) -> None:
    height, width = target.shape[1:3]
    if (height, width) != (size, size):
        raise ValueError(
            f"target is {height}x{width}, the model edits {size}x{size}: resize the target first"
        )


def _area(parsing: FaceParsing, settings: EditSettings) -> Tensor:
    require_face(parsing, "target")
    return face_mask(parsing, grow=settings.grow, feather=settings.feather)


def _seeds(settings: EditSettings, people: Sequence[int]) -> list[int]:
    """One for each candidate of each target."""
    k = settings.candidates
    return [settings.seed + number * k + each for number in people for each in range(k)]


def _first_index(steps: int, skip: int) -> int:
    if skip >= steps:
        raise ValueError(f"skip is {skip} of {steps} steps: skip fewer than {steps}")
    return steps - 1 - skip


def _final_mask(
    scene: Scene, pred_x0: Tensor, settings: EditSettings, parser: FaceParser | None
) -> Tensor:
    if settings.keep_background:
        return scene.repeated(scene.mask)
    if parser is None:
        raise ValueError(
            "without keeping the background the face of the edit must be parsed, but there is no "
            "parser: give one, or keep the background"
        )
    return settings.behaviour.face_of_edit(parse_face(parser, pred_x0.clamp(-1, 1)))


def _distances(images: Tensor, scene: Scene, encoder: IdentityEncoder | None) -> Tensor:
    if encoder is None or scene.embedding is None:
        return torch.full((len(images),), torch.nan)
    edits = to_signed(images, "edit").to(scene.embedding.device)
    return identity_distance(embed_identity(encoder, edits), scene.repeated(scene.embedding))


def _ranked(
    images: Tensor, area: Tensor, distances: Tensor, metrics: EditMetrics, k: int
) -> EditResult:
    order = _order(distances, k)
    return EditResult(
        images=images[order].unflatten(0, (-1, k)),
        mask=area[order, 0].unflatten(0, (-1, k)),
        metrics=metrics.reordered(order.tolist()),
        distances=distances[order].unflatten(0, (-1, k)),
    )


def _order(distances: Tensor, k: int) -> Tensor:
    """Flat indices (n x k) that put each target's closest candidate first."""
    order = torch.sort(distances.unflatten(0, (-1, k)), dim=1, stable=True).indices
    first = torch.arange(len(order), device=order.device)[:, None] * k
    return (first + order).flatten()
