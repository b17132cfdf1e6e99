"""The quirks of the DiffFace implementation: objects to hand in, in place of the editor's own.

They reproduce published results to the digit (arXiv 2212.13344). `exact` gathers them; nothing else
knows them, and without them the editor does the corrected thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..diffusion.noise import Noise, Normal
from ..diffusion.process import GaussianDiffusion
from ..diffusion.sampling import (
    Blend,
    Guided,
    GuidedDenoiser,
    Listener,
    Reached,
    batch_index,
    reach_ddpm,
    sample_ddim,
    unblended,
    walk,
)
from ..face.eyes import EYE_CORNERS, EyeBoxes, boxes_around
from ..face.parsing import FaceParsing
from ..guidance.gradient import Guide
from ..guidance.views import perspective, rigid
from ..images import to_unit
from ..settings import Behaviour, EditSettings, Sampler
from .inputs import with_reference_inputs

EYE_PADDING = (5, 9)  # pixels, whatever the picture's size
RAMP_START = 75  # spaced steps, whatever the respacing and the skip
PALETTE_RED = (0, 255, 0, 0, 255, 204, 0, 204, 102, 0, 76, 102, 255, 0, 0, 0, 0, 0, 0)


def exact(masking_threshold: int = 30) -> Behaviour:
    """All quirks together; the whole mask counts below `masking_threshold` spaced steps."""
    return Behaviour(
        models=with_reference_inputs,
        noise=SharedNoise,
        views=drawn_views,
        eyes=eyes_unclamped,
        guide=UnscaledGuide,
        background=partial(reference_background, masking_threshold),
        sampler=choose_sampler,
        face_of_edit=palette_mask,
        compose=compose,
    )


# Pictures and eyes


def detector_image(image: Tensor) -> Tensor:  # (B,3,H,W) in [0,1] -> (B,H,W,3) uint8
    """What the landmark detector was shown: x * 128 + 128, so that 1.0 wraps around to 0."""
    return (image * 128 + 128).to(torch.int32).to(torch.uint8).movedim(1, -1)


def eyes_unclamped(parsing: FaceParsing, landmarks: Tensor | None) -> EyeBoxes:
    """Boxes around the eyes' landmarks, which may reach over the picture's edge and then fail."""
    if landmarks is None:
        raise ValueError(
            "the exact eye boxes need landmarks, got none: give points 36, 39, 42 and 45 of the "
            "target, or set the gaze scale 0"
        )
    corners = landmarks if landmarks.shape[1] == 4 else landmarks[:, EYE_CORNERS]
    return boxes_around(corners, EYE_PADDING)


# Noise and views


class SharedNoise:
    """One stream for every random draw of a run, started by the first seed.

    The tries of the reference continue its stream: it is met by one picture a run.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seeds[0])]

    def draw(self, like: Tensor) -> Tensor:
        """Standard normal of the shape of `like`."""
        return torch.randn(like.shape, generator=self.generators[0]).to(like)


@dataclass(frozen=True)
class Warps:
    """Two homographies a copy, from source to destination in [-1,1], and whether they apply."""

    affine: Tensor  # (n,3,3)
    affine_applied: Tensor  # (n,) bool
    perspective: Tensor  # (n,3,3)
    perspective_applied: Tensor  # (n,) bool


@dataclass(frozen=True)
class DrawnWarps:
    """Rotation and a vertical shift, then a perspective, each with probability 0.7."""

    generator: Generator

    def __call__(self, count: int, side: int) -> Warps:
        """Draw coins, angles, shifts in x (of no size) and y, coins, corners; `side` in pixels."""
        turned = self._coins(count)
        angle, _, shift = (self._uniform(int(turned.sum())) * 2 - 1 for _ in range(3))
        tilted = self._coins(count)
        inset = self._uniform(int(tilted.sum()), 4, 2) * 0.35
        unit = 2 * side / (side - 1)  # a side, where the outermost pixel centres are -1 and 1
        affine, tilt = torch.eye(3).repeat(2, count, 1, 1)
        affine[turned] = rigid(torch.deg2rad(angle * 15), _downwards(shift * 0.1 * unit))
        tilt[tilted] = perspective(inset * unit)
        return Warps(affine, turned, tilt, tilted)

    def _coins(self, count: int) -> Tensor:
        return torch.bernoulli(torch.full((count,), 0.7), generator=self.generator).bool()

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)


def _downwards(shift: Tensor) -> Tensor:  # (n,) -> (n,2): x, y
    return torch.stack([torch.zeros_like(shift), shift], 1)


@dataclass(frozen=True)
class TwoWarpViews:
    """Copies of each picture resampled twice, the first left plain."""

    warps: Callable[[int, int], Warps]
    copies: int

    def __call__(self, x: Tensor) -> Tensor:  # (B,3,S,S) -> (B,copies,3,S,S)
        return torch.stack([self._copies(picture) for picture in x])

    def _copies(self, picture: Tensor) -> Tensor:
        warps = self.warps(self.copies - 1, picture.shape[-1])
        tiled = picture.expand(self.copies - 1, -1, -1, -1)
        turned = _where(warps.affine_applied, warp_affine(tiled, warps.affine), tiled)
        tilted = warp_perspective(turned, warps.perspective)
        return torch.cat([picture[None], _where(warps.perspective_applied, tilted, turned)])


def drawn_views(generators: Sequence[Generator], copies: int) -> TwoWarpViews:
    """Views of every picture from the one stream of `SharedNoise`."""
    return TwoWarpViews(DrawnWarps(generators[0]), copies)


def warp_affine(x: Tensor, matrix: Tensor) -> Tensor:  # (n,3,S,S), (n,3,3)
    """Bilinear, the border repeated; pixel centres where the matrix means corners."""
    side = x.shape[-1]
    centres = (torch.arange(side) * 2 + 1) / side - 1
    return _sample(x, matrix, centres, "border")


def warp_perspective(x: Tensor, matrix: Tensor) -> Tensor:  # (n,3,S,S), (n,3,3)
    """Bilinear, zeros outside; a grid from corner to corner is read as one of pixel centres.

    The identity homography therefore enlarges the picture a little.
    """
    return _sample(x, matrix, torch.linspace(-1, 1, x.shape[-1]), "zeros")


def _sample(x: Tensor, matrix: Tensor, axis: Tensor, padding: str) -> Tensor:
    back = torch.linalg.inv(matrix).to(x)
    grid = torch.stack(
        [*torch.meshgrid(axis, axis, indexing="xy"), torch.ones(len(axis), len(axis))]
    )
    points = (back @ grid.to(x).flatten(1)).unflatten(2, (len(axis), len(axis)))
    seen = (points[:, :2] / points[:, 2:]).movedim(1, -1)
    return F.grid_sample(x, seen, mode="bilinear", padding_mode=padding, align_corners=False)


def _where(applied: Tensor, warped: Tensor, plain: Tensor) -> Tensor:
    return torch.where(applied.to(plain.device)[:, None, None, None], warped, plain)


# Guidance and blending


@dataclass(frozen=True)
class StepWindow:
    """Between two spaced steps, both exclusive, whatever part of the schedule they are."""

    after: int
    before: int

    def active(self, t: int, diffusion: GaussianDiffusion) -> bool:
        """Whether step t lies between."""
        return self.after < t < self.before


def unscaled_index(diffusion: GaussianDiffusion) -> Tensor:
    """The index (T,) guessed from the network's timestep; wrong where steps are uneven."""
    timesteps = diffusion.model_timesteps(torch.arange(diffusion.num_timesteps))
    return (timesteps * (diffusion.num_timesteps / 1000)).long()


class UnscaledGuide(Guide):
    """Takes the gradient at the guessed index, which costs a second pass where it is wrong."""

    def __call__(self, x_t: Tensor, t: int) -> Guided:
        """Predict at t, with the gradient and the values of the guessed index."""
        guess = int(unscaled_index(self.diffusion)[t])
        guided = super().__call__(x_t, guess)
        return guided if guess == t else replace(guided, prediction=self.predict(x_t, t))


@dataclass(frozen=True)
class ReferenceBackground:
    """Blends the target at noise level t into a sample of level t - 1."""

    target: Tensor  # (B,3,H,W)
    mask: Tensor  # (B,1,H,W)
    diffusion: GaussianDiffusion
    masking_threshold: int
    after_ramp: bool = True

    def __call__(self, sample: Normal, t: int) -> Normal:
        """Blend the sample to which the step at index t leads."""
        if t <= self.masking_threshold and not self.after_ramp:
            return sample
        noised = self.diffusion.marginal(self.target, batch_index(t, self.target))
        return sample.over(noised, self.mask * self.weight(t))

    def weight(self, t: int) -> float:
        """The ramp; negative above step 75, where the mask should count for nothing."""
        return min(1.0, (RAMP_START - (t + 1)) / (RAMP_START - self.masking_threshold))


def reference_background(
    masking_threshold: int,
    target: Tensor,
    mask: Tensor,
    diffusion: GaussianDiffusion,
    start: int,
    settings: EditSettings,
) -> Blend:
    """The background of `exact`, which knows nothing of the first step."""
    return ReferenceBackground(target, mask, diffusion, masking_threshold, settings.keep_background)


def sample_ddpm_drawing_twice(
    guide: GuidedDenoiser,
    diffusion: GaussianDiffusion,
    x_t: Tensor,
    start: int,
    *,
    noise: Noise,
    blend: Blend,
    on_step: Listener,
) -> Tensor:
    """DDPM that draws a step's noise before it guides, and noise for the background after it.

    The second is drawn where nothing is blended, too.
    """

    def reach(x_t: Tensor, t: int) -> Reached:
        drawn = noise.draw(x_t)
        reached = reach_ddpm(guide, x_t, t)
        return replace(reached, sample=Normal.known(reached.sample.at(drawn)))

    return walk(reach, x_t, start, noise, blend, on_step)


def sample_ddim_unblended(*args, blend: Blend, **options) -> Tensor:
    """DDIM that is handed a blend and never calls it."""
    return sample_ddim(*args, blend=unblended, **options)


def choose_sampler(settings: EditSettings) -> Sampler:
    """DDPM with two draws a step, or DDIM without a blend."""
    return (
        sample_ddpm_drawing_twice
        if settings.sampler == "ddpm"
        else partial(sample_ddim_unblended, eta=settings.eta)
    )


# The finished picture


def palette_mask(parsing: FaceParsing) -> Tensor:  # -> (B,1,H,W)
    """The red channel of a colour map of the parts, taken for a mask."""
    red = torch.tensor(PALETTE_RED, device=parsing.logits.device) / 255
    return red[parsing.labels][:, None]


def compose(target: Tensor, pred_x0: Tensor, mask: Tensor) -> Tensor:
    """Blended before the clamp: (B,H,W,3) in [0,1], (B,3,H,W), (B,1,H,W) -> (B,H,W,3)."""
    kept = target.to(pred_x0).movedim(-1, 1) * 2 - 1
    return to_unit(kept * (1 - mask) + pred_x0 * mask)
