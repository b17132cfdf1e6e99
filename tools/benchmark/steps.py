"""Whole steps of the sampler, and the parts that they cannot do without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ...editor_core.diffusion.noise import Normal
from ...editor_core.diffusion.process import Denoiser, UNetDenoiser
from ...editor_core.diffusion.sampling import Blend, GuidedDenoiser, Step, batch_index
from ...editor_core.face.eyes import crop_eyes
from ...editor_core.face.identity import embed_identity
from ...editor_core.guidance.terms import GuidanceTerm, Perceptual
from ...editor_core.models.unet import UNet
from ...editor_core.settings import steer
from .plain import NaiveGuide, plain
from .subject import Subject

Run = Callable[[], object]
Form = Callable[[UNet], UNet]


def stop(step: Step) -> None:
    """The listener that ends a run after its first step."""
    raise InterruptedError


def sampled(subject: Subject, guide: GuidedDenoiser) -> Run:
    """One step of the preset's sampler: prediction, noise, guidance and blend."""
    sampler, blend = subject.settings.behaviour.sampler(subject.settings), blending(subject)
    diffusion, x_t, index = subject.diffusion, subject.x_t, subject.index

    def step() -> None:
        with suppress(InterruptedError):
            sampler(guide, diffusion, x_t, index, noise=subject.noise, blend=blend, on_step=stop)

    return step


def blending(subject: Subject) -> Blend:
    """The preset's background around the edit."""
    settings, scene = subject.settings, subject.scene
    target, mask = scene.repeated(scene.target), scene.repeated(scene.mask)
    start = subject.diffusion.num_timesteps - 1 - settings.skip
    return settings.behaviour.background(target, mask, subject.diffusion, start, settings)


def denoiser(subject: Subject) -> Denoiser:
    """The subject's U-Net, told whose face it draws."""
    settings = subject.settings
    return subject.models.diffusion.denoiser(
        subject.diffusion,
        subject.scene.repeated_embedding,
        settings.clip_denoised,
        settings.memory == "low",
    )


def guided(subject: Subject) -> Run:
    """A step as an edit takes it, under every term."""
    return sampled(
        subject, steer(denoiser(subject), subject.diffusion, subject.terms, subject.settings)
    )


def unguided(subject: Subject) -> Run:
    """A step outside every term's window."""
    return sampled(subject, steer(denoiser(subject), subject.diffusion, [], subject.settings))


def estimated(subject: Subject) -> Run:
    """A guided step without a backward pass through the U-Net."""
    return guided(replace(subject, settings=replace(subject.settings, gradient="estimate")))


def low_memory(subject: Subject) -> Run:
    """A guided step whose backward pass computes the U-Net anew."""
    return guided(replace(subject, settings=replace(subject.settings, memory="low")))


def naive(subject: Subject) -> Run:
    """A guided step as the published implementation takes it."""
    scene = subject.scene

    def bind() -> list[GuidanceTerm]:
        embedding = embed_identity(subject.models.identity, subject.source)
        return [each.bind(replace(scene, embedding=embedding)) for each in subject.guidance]

    return sampled(subject, NaiveGuide(denoiser(subject), subject.diffusion, bind))


def floor(subject: Subject) -> Run:
    """What a guided step must do, in the order that keeps least: the U-Net's graph is held while
    each guidance network runs forward and back, then the U-Net runs back."""
    networks = [run for name, run in parts(subject).items() if name != UNET]

    def step() -> None:
        x, out = unet_forward(subject)
        for run in networks:
            run()
        torch.autograd.grad(out.sum(), x)

    return step


def as_loaded(network: UNet) -> UNet:
    """The U-Net itself."""
    return network


def half(network: UNet) -> UNet:
    """The U-Net in bfloat16."""
    return network.to(torch.bfloat16)


@dataclass(frozen=True)
class Way:
    """A step by name: how it is made, and the form of the U-Net that it uses."""

    make: Callable[[Subject], Run]
    form: Form = as_loaded

    def made_of(self, subject: Subject) -> Run:
        """The step, its U-Net changed in place."""
        return self.make(subject.using(self.form(subject.unet)))


FLOOR, GUIDED, UNGUIDED = "floor", "guided", "unguided"
HALF_LOW, NAIVE = "bf16, low memory", "naive"
WAYS = {
    FLOOR: Way(floor),
    GUIDED: Way(guided),
    UNGUIDED: Way(unguided),
    "estimate": Way(estimated),
    "low memory": Way(low_memory),
    "bf16": Way(guided, half),
    HALF_LOW: Way(low_memory, half),
    "naive, our modules": Way(naive),
    NAIVE: Way(naive, plain),
}
UNET, UNET_FORWARD, PLAIN_UNET = "U-Net", "U-Net forward, no graph", "U-Net of plain modules"
LOOP = "sampling loop, networks of no cost"


def parts(subject: Subject) -> Mapping[str, Run]:
    """The networks of the floor, each alone, forward and back to its ready input."""
    models, settings = subject.models, subject.settings
    picture = subject.scene.repeated(subject.scene.target)
    encoder, parser, gaze, lpips = models.identity, models.parser, models.gaze, models.lpips
    face = encoder.resize(encoder.normalise(picture), encoder.size)
    views = face.repeat_interleave(settings.views, 0)
    runs: dict[str, Run] = {UNET: partial(unet_and_back, subject)}
    if settings.parsing.scale:
        shown = parser.normalise(parser.resize(picture, parser.size))
        runs["parser"] = partial(there_and_back, parser.network.logits, shown)
    if settings.identity.scale:
        runs["identity"] = partial(there_and_back, encoder.embed_view, views)
    if settings.gaze.scale and gaze:
        crops = crop_eyes(picture, subject.eyes)
        both = torch.cat([crops.left, crops.right])[:, 0]
        runs["gaze"] = partial(there_and_back, lambda x: gaze.network(x).gaze, both)
    if settings.lpips.scale and lpips:
        runs["LPIPS"] = partial(there_and_back, apart(lpips, picture), picture)
    return runs


def there_and_back(network: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """A network's forward pass, and its backward pass to the input."""
    x = x.detach().requires_grad_()
    torch.autograd.grad(network(x).sum(), x)


def unet_forward(subject: Subject) -> tuple[Tensor, Tensor]:
    """The input of the U-Net, and its output with the graph between."""
    x = subject.x_t.detach().requires_grad_()
    prediction = denoiser(subject)(x, batch_index(subject.index, x))
    return x, prediction.pred_x0


def unet_and_back(subject: Subject) -> None:
    """The U-Net's forward pass, and its backward pass to x_t."""
    x, out = unet_forward(subject)
    torch.autograd.grad(out.sum(), x)


def extras(subject: Subject) -> Mapping[str, Run]:
    """What a step does besides running networks, and LPIPS where its preset leaves it out."""
    models, settings, scene = subject.models, subject.settings, subject.scene
    picture = scene.repeated(scene.target)
    views = settings.behaviour.views(scene.generators, settings.views)
    face = models.identity.resize(picture, models.identity.size)
    blend, unguided = blending(subject), steer(free(subject), subject.diffusion, [], settings)
    runs: dict[str, Run] = {
        UNET_FORWARD: torch.no_grad()(partial(unet_forward, subject)),
        "augmentation": partial(there_and_back, views, face),
        "blending": partial(blend, Normal.known(subject.x_t), subject.index),
        LOOP: sampled(subject, unguided),
    }
    if models.lpips and not settings.lpips.scale:
        runs["LPIPS (not in this preset)"] = partial(
            there_and_back, apart(models.lpips, picture), picture
        )
    return runs


def apart(lpips: Perceptual, picture: Tensor) -> Callable[[Tensor], Tensor]:
    """The distance to a picture whose features are known."""
    with torch.no_grad():
        asked = lpips.features(picture)
    return lambda x: lpips.between(lpips.features(x), asked)


def free(subject: Subject) -> Denoiser:
    """A denoiser whose network costs nothing."""
    settings, x_t = subject.settings, subject.x_t
    out = torch.cat([x_t, x_t], 1)

    def network(x: Tensor, t: Tensor, **conditions: Tensor | None) -> Tensor:
        return out

    return UNetDenoiser(network, subject.diffusion, clip=settings.clip_denoised)
