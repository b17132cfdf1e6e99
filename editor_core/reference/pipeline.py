"""The reference's edit from picture to picture, in the order of its own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..autograd import gradients
from ..denoising import MakeGuider, Recorder, first_index, identity_denoiser, make_guider
from ..diffusion.noise import Noise, Normal
from ..diffusion.process import DiffusionModel, GaussianDiffusion
from ..diffusion.sampling import (
    Blend,
    GuidedPrediction,
    Guider,
    StepCallback,
    StepResult,
    batch_index,
    ddpm_step,
    run_steps,
    sample_ddim,
)
from ..editing import EditResult, build_terms, make_batch, parse_pair, ranked
from ..face.eyes import EYE_CORNERS, EyeBoxes, boxes_around
from ..face.identity import embed_identity
from ..face.parsing import FaceParsing, parse_face
from ..guidance.batch import EditBatch
from ..guidance.gradient import GradientGuider
from ..guidance.terms import BoundTerm, bind_terms
from ..guidance.views import Views
from ..images import signed, unit
from ..loading.models import FaceModels
from ..settings import EditSettings
from .inputs import with_reference_inputs
from .views import DrawnWarps, TwoWarpViews

EYE_PADDING = (5, 9)  # pixels, whatever the picture's size
RAMP_START = 75  # spaced steps, whatever the respacing and the skip
MASKING_THRESHOLD = 30  # spaced steps below which the whole mask counts
PALETTE_RED = (0, 255, 0, 0, 255, 204, 0, 204, 102, 0, 76, 102, 255, 0, 0, 0, 0, 0, 0)


def edit_exactly(
    models: FaceModels,
    source: Tensor,
    target: Tensor,
    settings: EditSettings,
    *,
    mask: Tensor | None = None,
    landmarks: Tensor | None = None,
    people: Sequence[int] | None = None,
    on_step: StepCallback | None = None,
    noise: Noise | None = None,
    views: Views | None = None,
    masking_threshold: int = MASKING_THRESHOLD,
) -> EditResult:
    """`editing.edit_aligned` as the reference does it, with DiffFace's own networks.

    Args:
        people: The first one's number moves the seed.
        noise: The draws of the run; by default one stream from the first seed.
        views: Of the face; by default drawn from the same stream.
        masking_threshold: Spaced steps below which the whole mask counts.
    """
    with gradients():
        models = with_reference_inputs(models)
        faces, parsing, mask = parse_pair(models, source, target, settings, mask)
        first = people[0] * settings.candidates if people else 0
        stream = torch.Generator().manual_seed(settings.seed + first)
        views = views or TwoWarpViews(DrawnWarps(stream), settings.views)
        eyes = eyes_unclamped(landmarks) if settings.gaze.scale and models.gaze else None
        embedding = embed_identity(models.identity, faces)
        batch = make_batch(models.diffusion, target, mask, embedding, [stream], settings.candidates)
        batch.parsings.append((models.parser, parsing))
        recorder = Recorder(on_step)
        pred_x0 = denoise_exactly(
            models.diffusion,
            batch,
            bind_terms(build_terms(settings, eyes=eyes, views=views, **vars(models)), batch),
            settings,
            noise or StreamNoise(stream),
            masking_threshold=masking_threshold,
            on_step=recorder,
        )
        area = batch.repeated(batch.mask)
        if not settings.keep_background:
            area = palette_mask(parse_face(models.parser, pred_x0.clamp(-1, 1)))
        area, pred_x0 = area.to(target.device), pred_x0.to(target.device)
        kept = signed(batch.repeated(target).to(pred_x0))
        pictures = unit(kept * (1 - area) + pred_x0 * area)  # blended before the clamp
        return ranked(pictures, area, batch, models.identity, recorder.metrics, parsing)


def denoise_exactly(
    model: DiffusionModel,
    batch: EditBatch,
    terms: Sequence[BoundTerm],
    settings: EditSettings,
    noise: Noise,
    *,
    masking_threshold: int = MASKING_THRESHOLD,
    guider: MakeGuider | None = None,
    on_step: StepCallback | None = None,
) -> Tensor:
    """Noise the targets and denoise them under the terms: pred_x0 (n x candidates,3,H,W).

    DDPM blends; DDIM is handed a background and never uses it.
    """
    target, mask = batch.repeated(batch.target), batch.repeated(batch.mask)
    diffusion = model.diffusion.respaced(settings.respacing)
    start = first_index(diffusion.num_timesteps, settings.skip)
    denoiser = identity_denoiser(model, batch, diffusion, settings)
    guide = make_guider(denoiser, diffusion, terms, settings, guider or UnscaledGuider)
    x_t = diffusion.q_sample(target, batch_index(start, target), noise.draw(target))
    if settings.sampler == "ddim":
        return sample_ddim(
            guide, diffusion, x_t, start, noise=noise, eta=settings.eta, on_step=on_step
        )
    keep = settings.keep_background
    background = ReferenceBackground(target, mask, diffusion, masking_threshold, keep)
    return sample_drawing_twice(guide, x_t, start, noise, background, on_step)


def sample_drawing_twice(
    guider: Guider,
    x_t: Tensor,
    start: int,
    noise: Noise,
    blend: Blend,
    on_step: StepCallback | None,
) -> Tensor:
    """DDPM that draws a step's noise before it guides, and noise for the background after it.

    The second is drawn where nothing is blended, too.
    """

    def step(x_t: Tensor, t: int) -> StepResult:
        drawn = noise.draw(x_t)
        guided = guider(x_t, t) if t > 0 else GuidedPrediction(guider.predict(x_t, t))
        sample = Normal.known(ddpm_step(guided, batch_index(t, x_t)).at(drawn))
        return StepResult(sample, guided.prediction.pred_x0, guided.losses)

    return run_steps(step, x_t, start, noise, blend, on_step)


@dataclass(frozen=True)
class StreamNoise:
    """One stream for every random draw of a run.

    The tries of the reference continue its stream: it is met by one picture a run.
    """

    stream: torch.Generator

    def draw(self, like: Tensor) -> Tensor:
        """Standard normal of the shape of `like`."""
        return torch.randn(like.shape, generator=self.stream).to(like)


def detector_image(image: Tensor) -> Tensor:  # (B,3,H,W) in [0,1] -> (B,H,W,3) uint8
    """What the landmark detector was shown: x * 128 + 128, so that 1.0 wraps around to 0."""
    return (image * 128 + 128).to(torch.int32).to(torch.uint8).movedim(1, -1)


def eyes_unclamped(landmarks: Tensor | None) -> EyeBoxes:
    """Boxes around the eyes' landmarks, which may reach over the picture's edge and then fail."""
    if landmarks is None:
        raise ValueError(
            "the exact eye boxes need landmarks, got none: give points 36, 39, 42 and 45 of the "
            "target, or set the gaze scale 0"
        )
    corners = landmarks if landmarks.shape[1] == 4 else landmarks[:, EYE_CORNERS]
    return boxes_around(corners, EYE_PADDING)


def unscaled_index(diffusion: GaussianDiffusion) -> Tensor:
    """The index (T,) guessed from the network's timestep; wrong where steps are uneven."""
    timesteps = diffusion.model_timesteps(torch.arange(diffusion.num_timesteps))
    return (timesteps * (diffusion.num_timesteps / 1000)).long()


class UnscaledGuider(GradientGuider):
    """Takes the gradient at the guessed index, which costs a second pass where it is wrong."""

    def __call__(self, x_t: Tensor, t: int) -> GuidedPrediction:
        """Predict at t, with the gradient and the losses of the guessed index."""
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


def palette_mask(parsing: FaceParsing) -> Tensor:  # -> (B,1,H,W)
    """The red channel of a colour map of the parts, taken for a mask."""
    red = torch.tensor(PALETTE_RED, device=parsing.logits.device) / 255
    return red[parsing.labels][:, None]
