"""What an edit is told: the models, the numbers, and the parts that may be exchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from torch import Generator, Tensor

from .diffusion.blending import LinearRamp, NoisedBackground, composite
from .diffusion.noise import Noise, PerImageNoise
from .diffusion.process import Denoiser, DiffusionModel, GaussianDiffusion
from .diffusion.sampling import Blend, GuidedDenoiser, Listener, sample_ddim, sample_ddpm
from .face.eyes import EyeBoxes, find_eyes_in_landmarks, find_eyes_in_parsing
from .face.gaze import GazeEstimator
from .face.identity import IdentityEncoder
from .face.parsing import FaceParser, FaceParsing, face_mask
from .guidance.estimate import Estimate
from .guidance.gradient import EveryNth, Guide
from .guidance.terms import ALWAYS, GuidanceTerm, PercentWindow, Perceptual, Window
from .guidance.views import RandomViews
from .images import to_unit

LEAST = {
    **{"views": 1, "skip": 0, "eta": 0, "candidates": 1, "grow": 0, "feather": 0},
    "guide_every": 1,
}
CHOICES = {
    "sampler": ("ddpm", "ddim"),
    "gradient": ("network", "estimate"),
    "memory": ("normal", "low"),
}


@dataclass(frozen=True)
class FaceModels:
    """The trained models of an edit; gaze and LPIPS only where their terms are wanted."""

    diffusion: DiffusionModel
    identity: IdentityEncoder
    parser: FaceParser
    gaze: GazeEstimator | None = None
    lpips: Perceptual | None = None


@dataclass(frozen=True)
class TermSettings:
    """How hard a guidance term pulls, 0 for not at all, and when."""

    scale: float
    window: Window = ALWAYS


class SeededNoise(Noise, Protocol):
    """Noise that shares its generators, one an image, with every other random draw of a run."""

    @property
    def generators(self) -> Sequence[Generator]: ...


class Sampler(Protocol):
    """`sample_ddpm`, or `sample_ddim` with its eta."""

    def __call__(
        self,
        guide: GuidedDenoiser,
        diffusion: GaussianDiffusion,
        x_t: Tensor,
        start: int,
        *,
        noise: Noise,
        blend: Blend,
        on_step: Listener,
    ) -> Tensor: ...


def unchanged(models: FaceModels) -> FaceModels:
    """The models as they were loaded."""
    return models


def random_views(generators: Sequence[Generator], copies: int) -> RandomViews:
    """DiffFace's rotations, shifts and perspectives, drawn for each picture."""
    return RandomViews(generators, copies)


def find_eyes(parsing: FaceParsing, landmarks: Tensor | None) -> EyeBoxes:
    """From the landmarks (B,68,2) or (B,4,2) where there are any, else from the parsing."""
    if landmarks is None:
        return find_eyes_in_parsing(parsing)
    height, width = parsing.logits.shape[-2:]
    return find_eyes_in_landmarks(landmarks, (height, width))


def ramped_background(
    target: Tensor, mask: Tensor, diffusion: GaussianDiffusion, start: int, settings: EditSettings
) -> Blend:
    """The noised target around a mask that grows from the first step, index `start`."""
    ramp = LinearRamp(diffusion, diffusion.percent(start), settings.ramp_end)
    return NoisedBackground(target, mask, diffusion, ramp, settings.keep_background)


def choose_sampler(settings: EditSettings) -> Sampler:
    """The sampler that the settings name."""
    return sample_ddpm if settings.sampler == "ddpm" else partial(sample_ddim, eta=settings.eta)


def compose(target: Tensor, pred_x0: Tensor, mask: Tensor) -> Tensor:
    """The finished pictures (B,H,W,3): pred_x0 (B,3,H,W) in the mask (B,1,H,W) on the target."""
    return composite(target, to_unit(pred_x0), mask[:, 0])


@dataclass(frozen=True)
class Behaviour:
    """The parts of an edit that may be exchanged for others of the same form."""

    models: Callable[[FaceModels], FaceModels] = unchanged
    noise: Callable[[Sequence[int]], SeededNoise] = PerImageNoise
    views: Callable[[Sequence[Generator], int], Callable[[Tensor], Tensor]] = random_views
    eyes: Callable[[FaceParsing, Tensor | None], EyeBoxes] = find_eyes
    guide: Callable[[Denoiser, GaussianDiffusion, Sequence[GuidanceTerm]], GuidedDenoiser] = Guide
    background: Callable[[Tensor, Tensor, GaussianDiffusion, int, EditSettings], Blend] = (
        ramped_background
    )
    sampler: Callable[[EditSettings], Sampler] = choose_sampler
    face_of_edit: Callable[[FaceParsing], Tensor] = face_mask
    compose: Callable[[Tensor, Tensor, Tensor], Tensor] = compose


@dataclass(frozen=True)
class EditSettings:
    """The numbers of an edit; the defaults are DiffFace's (arXiv 2212.13344)."""

    identity: TermSettings = TermSettings(6000)
    parsing: TermSettings = TermSettings(200)
    gaze: TermSettings = TermSettings(200, PercentWindow(0.5, 0.9))
    pixel: TermSettings = TermSettings(50)
    lpips: TermSettings = TermSettings(0)
    views: int = 8  # of the face that the identity term sees at each step
    respacing: str = "100"  # steps of the whole schedule, see `spaced_steps`
    skip: int = 25  # of those, noisiest first
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    eta: float = 0.0  # noise of DDIM
    seed: int = 404  # of the first picture; the next has the next seed
    candidates: int = 4  # edits of each pair
    ramp_end: float = 0.7  # percent of the full schedule from which the whole mask counts
    grow: int = 0  # pixels added to the parsed mask
    feather: float = 0.0  # pixels (sigma) by which its edge is blurred
    keep_background: bool = True  # else the final mask is the face of the edit itself
    clip_denoised: bool = False  # hold pred_x0 in [-1, 1]
    gradient: Literal["network", "estimate"] = "network"  # through the U-Net, or see `Estimate`
    guide_every: int = 1  # steps from one guided step to the next
    memory: Literal["normal", "low"] = "normal"  # low: the backward pass computes the U-Net anew
    template: str = "ffhq"  # what the model's pictures were aligned to, for faces cut out of photos
    behaviour: Behaviour = Behaviour()

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: expected {least} or more")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                expected = " or ".join(f'"{choice}"' for choice in choices)
                raise ValueError(
                    f'{name} is "{getattr(self, name)}", expected {expected}: choose one'
                )


def steer(
    denoiser: Denoiser,
    diffusion: GaussianDiffusion,
    terms: Sequence[GuidanceTerm],
    settings: EditSettings,
) -> GuidedDenoiser:
    """The denoiser under its terms, by the gradient and as often as the settings say."""
    if settings.gradient == "estimate":
        denoiser = Estimate(denoiser, diffusion)
    return EveryNth(settings.behaviour.guide(denoiser, diffusion, terms), settings.guide_every)
