"""Tasks to time: whole steps of the sampler, and the parts that they cannot do without."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...editor_core.denoising import make_guider, sampler_of
from ...editor_core.diffusion.blending import LinearRamp, NoisedBackground
from ...editor_core.diffusion.noise import Normal
from ...editor_core.diffusion.process import UNetDenoiser
from ...editor_core.diffusion.sampling import Blend, Guider, Step, batch_index
from ...editor_core.face.eyes import crop_eyes
from ...editor_core.face.identity import embed_identity
from ...editor_core.guidance.terms import BoundTerm, bind_terms
from ...editor_core.guidance.views import RandomViews
from ...editor_core.models.lpips import Lpips
from ...editor_core.models.unet import UNet
from .plain import NaiveGuider, to_plain_unet
from .subject import Convert, Subject
from .timing import Task

FLOOR, GUIDED, UNGUIDED = "floor", "guided", "unguided"
HALF_LOW, NAIVE = "bf16, low memory", "naive"
UNET, UNET_FORWARD, PLAIN_UNET = "U-Net", "U-Net forward, no graph", "U-Net of plain modules"
LOOP = "sampling loop, networks of no cost"


def sampler_step(subject: Subject, guider: Guider) -> Task:
    """One step of the preset's sampler: prediction, noise, guidance and blend."""
    sampler, blend = sampler_of(subject.settings), background_blend(subject)
    diffusion, x_t, index = subject.diffusion, subject.x_t, subject.index

    def stop(step: Step) -> None:
        raise InterruptedError

    def task() -> None:
        with suppress(InterruptedError):
            sampler(guider, diffusion, x_t, index, noise=subject.noise, blend=blend, on_step=stop)

    return task


def background_blend(subject: Subject) -> Blend:
    """The preset's background around the edit."""
    settings, batch, diffusion = subject.settings, subject.batch, subject.diffusion
    start = diffusion.percent(diffusion.num_timesteps - 1 - settings.skip)
    ramp = LinearRamp(start, settings.ramp_end)
    mask = batch.repeated(batch.mask)
    return NoisedBackground(subject.target, mask, diffusion, ramp, settings.keep_background)


def guided(subject: Subject, **changes: Any) -> Task:
    """A step as an edit takes it, under every term and the preset with these changes."""
    subject = replace(subject, settings=replace(subject.settings, **changes))
    terms, diffusion = subject.bound_terms, subject.diffusion
    return sampler_step(subject, make_guider(subject.denoiser, diffusion, terms, subject.settings))


def unguided(subject: Subject) -> Task:
    """A step outside every term's window."""
    guider = make_guider(subject.denoiser, subject.diffusion, [], subject.settings)
    return sampler_step(subject, guider)


def naive(subject: Subject) -> Task:
    """A guided step as the published implementation takes it."""

    def bind() -> list[BoundTerm]:
        embedding = embed_identity(subject.models.identity, subject.source)
        batch = replace(subject.batch, embedding=embedding, parsings=[])
        return bind_terms(subject.terms, batch)

    return sampler_step(subject, NaiveGuider(subject.denoiser, subject.diffusion, bind))


def floor(subject: Subject) -> Task:
    """What a guided step must do, in the order that keeps least: the U-Net's graph is held while
    each guidance network runs forward and back, then the U-Net runs back."""
    networks = [task for name, task in floor_parts(subject).items() if name != UNET]

    def task() -> None:
        x = subject.x_t.detach().requires_grad_()
        pred_x0 = predict_x0(subject, x)
        for run in networks:
            run()
        torch.autograd.grad(pred_x0.sum(), x)

    return task


@dataclass(frozen=True)
class Variant:
    """One way to take a step: what makes its task, and what converts the U-Net before."""

    make: Callable[[Subject], Task]
    convert: Convert | None = None

    def build(self, subject: Subject) -> Task:
        """The task, its U-Net converted in place."""
        return self.make(subject.converted(self.convert, in_place=True))


VARIANTS = {
    FLOOR: Variant(floor),
    GUIDED: Variant(guided),
    UNGUIDED: Variant(unguided),
    "estimate": Variant(partial(guided, gradient="estimate")),
    "low memory": Variant(partial(guided, memory="low")),
    "bf16": Variant(guided, UNet.bfloat16),
    HALF_LOW: Variant(partial(guided, memory="low"), UNet.bfloat16),
    "naive, our modules": Variant(naive),
    NAIVE: Variant(naive, to_plain_unet),
}


def floor_parts(subject: Subject) -> Mapping[str, Task]:
    """The networks of the floor, each alone, forward and back to its ready input."""
    models, settings, target = subject.models, subject.settings, subject.target
    encoder, parser, gaze, lpips = models.identity, models.parser, models.gaze, models.lpips
    face = encoder.resize(encoder.normalise(target), encoder.size)
    views = face.repeat_interleave(settings.views, 0)
    unet = partial(predict_x0, subject)
    tasks: dict[str, Task] = {UNET: partial(forward_and_back, unet, subject.x_t)}
    if settings.parsing.scale:
        picture = parser.normalise(parser.resize(target, parser.size))
        tasks["parser"] = partial(forward_and_back, parser.network.logits, picture)
    if settings.identity.scale:
        tasks["identity"] = partial(forward_and_back, encoder.embed_view, views)
    if settings.gaze.scale and gaze:
        both = torch.cat(crop_eyes(target, subject.eyes))[:, 0]
        tasks["gaze"] = partial(forward_and_back, lambda x: gaze.network(x).gaze, both)
    if settings.lpips.scale and lpips:
        tasks["LPIPS"] = partial(forward_and_back, distance_to(lpips, target), target)
    return tasks


def other_parts(subject: Subject) -> Mapping[str, Task]:
    """What a step does besides running networks, and LPIPS where its preset leaves it out."""
    models, settings, target = subject.models, subject.settings, subject.target
    views = partial(RandomViews(settings.views), generators=subject.batch.generators)
    face = models.identity.resize(target, models.identity.size)
    ready = torch.cat([subject.x_t, subject.x_t], 1)
    costless = UNetDenoiser(lambda x, t, **_: ready, subject.diffusion, clip=settings.clip_denoised)
    loop = make_guider(costless, subject.diffusion, [], settings)
    tasks: dict[str, Task] = {
        UNET_FORWARD: torch.no_grad()(partial(predict_x0, subject, subject.x_t)),
        "augmentation": partial(forward_and_back, views, face),
        "blending": partial(background_blend(subject), Normal.known(subject.x_t), subject.index),
        LOOP: sampler_step(subject, loop),
    }
    if models.lpips and not settings.lpips.scale:
        distance = distance_to(models.lpips, target)
        tasks["LPIPS (not in this preset)"] = partial(forward_and_back, distance, target)
    return tasks


def predict_x0(subject: Subject, x_t: Tensor) -> Tensor:
    """The U-Net's prediction at the subject's step."""
    return subject.denoiser(x_t, batch_index(subject.index, x_t)).pred_x0


def forward_and_back(network: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """A network's forward pass, and its backward pass to the input."""
    x = x.detach().requires_grad_()
    torch.autograd.grad(network(x).sum(), x)


def distance_to(lpips: Lpips, picture: Tensor) -> Callable[[Tensor], Tensor]:
    """The LPIPS distance to a picture whose features are known."""
    with torch.no_grad():
        features = lpips.features(picture)
    return lambda x: lpips.distance(lpips.features(x), features)
