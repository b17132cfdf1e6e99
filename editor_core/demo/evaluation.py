"""What the editor achieves on unseen pairs whose correct answers are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..diffusion.sampling import Step
from ..editing import EditResult, edit_face
from ..face.eyes import crop_eyes
from ..face.identity import IdentityEncoder, identity_distance
from ..face.parsing import FACE_PARTS, parse_face
from ..images import to_signed
from ..settings import EditSettings, FaceModels
from .pairs import DrawnPairs

BATCH = 16  # pairs edited at once
CLOSE = 25.0  # dB: targets this close to their true swap leave too little to gain
Progress = Callable[[Step], object]


@dataclass(frozen=True)
class Examiners:
    """The networks that measure: the editor's own, and a judge that guidance never sees."""

    models: FaceModels
    judge: IdentityEncoder


@dataclass(frozen=True)
class Measurements:
    """One row a pair, for one way of editing them all."""

    target_psnr: Tensor  # (n,) of the unedited target against the truth, inside the mask
    edit_psnr: Tensor  # (n,)
    rank: Tensor  # (n,) of the source among all sources, by the judge; 0 is first
    identity: Tensor  # (n,) distance to the source, by the judge
    intersection: Tensor  # (n,9) pixels of each face part in edit and target
    union: Tensor  # (n,9)
    gaze_error: Tensor  # (n,) degrees between the gaze of the edit and the target's true one
    background_kept: Tensor  # (n,) bool: outside the mask every bit is the target's
    lpips: Tensor  # (n,) LPIPS of the last prediction to the target, outside the mask
    pixel: Tensor  # (n,) mean squared difference of the last prediction to the target


def measure(
    examiners: Examiners, pairs: DrawnPairs, settings: EditSettings, on_step: Progress
) -> Measurements:
    """Edit every pair once and compare with the truth."""
    settings = replace(settings, candidates=1)
    sources = judged(examiners, pairs.source.image)
    chunks = [
        measure_chunk(examiners, pairs.rows(slice(k, k + BATCH)), sources, k, settings, on_step)
        for k in range(0, len(pairs), BATCH)
    ]
    columns = zip(*(vars(chunk).values() for chunk in chunks), strict=True)
    return Measurements(*(torch.cat(column) for column in columns))


def measure_chunk(
    examiners: Examiners,
    pairs: DrawnPairs,
    sources: Tensor,
    first: int,
    settings: EditSettings,
    on_step: Progress,
) -> Measurements:
    """`measure` for the pairs from index `first` on; `sources` (N,E) are all sources' judged."""
    predictions: list[Tensor] = []

    def heard(step: Step) -> None:
        predictions[:] = [step.pred_x0]
        on_step(step)

    settings = replace(settings, seed=settings.seed + first)
    result = edit_face(
        examiners.models, pairs.source.image, pairs.target.image, settings, on_step=heard
    )
    edit = result.images[:, 0]
    own = torch.arange(first, first + len(pairs))
    likeness = judged(examiners, edit) @ sources.T
    intersection, union = overlap(examiners.models, edit, pairs)
    outside, target = 1 - result.mask[:, None, 0], to_signed(pairs.target.image)
    return Measurements(
        target_psnr=psnr_inside(pairs.target.image, pairs),
        edit_psnr=psnr_inside(edit, pairs),
        rank=(likeness > likeness[torch.arange(len(own)), own][:, None]).sum(1),
        identity=identity_distance(judged(examiners, edit), sources[own]),
        intersection=intersection,
        union=union,
        gaze_error=gaze_error(examiners.models, edit, pairs),
        background_kept=background_kept(result, pairs),
        lpips=examiners.models.lpips(predictions[0] * outside, target * outside).detach(),
        pixel=(predictions[0] - target).square().mean((1, 2, 3)),
    )


@torch.no_grad()
def judged(examiners: Examiners, image: Tensor) -> Tensor:  # (n,H,W,3) -> (n,E)
    """The judge's embeddings."""
    return examiners.judge.embed(to_signed(image))


def psnr_inside(image: Tensor, pairs: DrawnPairs) -> Tensor:  # (n,H,W,3) -> (n,)
    """Peak signal-to-noise ratio to the truth, in dB, inside the target's face."""
    mask = pairs.mask[..., None]
    squares = ((image - pairs.truth.image) ** 2 * mask).sum((1, 2, 3))
    return -10 * (squares / (3 * mask.sum((1, 2, 3)))).log10()


def overlap(models: FaceModels, edit: Tensor, pairs: DrawnPairs) -> tuple[Tensor, Tensor]:
    """Pixels of each face part in both edit and target, and in either, (n,9) each."""
    seen = parse_face(models.parser, to_signed(edit)).labels
    true = pairs.target.labels
    both = [((seen == part) & (true == part)).sum((1, 2)) for part in FACE_PARTS]
    either = [((seen == part) | (true == part)).sum((1, 2)) for part in FACE_PARTS]
    return torch.stack(both, 1), torch.stack(either, 1)


@torch.no_grad()
def gaze_error(models: FaceModels, edit: Tensor, pairs: DrawnPairs) -> Tensor:  # -> (n,)
    """Degrees between the estimated gaze of the edit and the drawn gaze of the target."""
    crops = crop_eyes(to_signed(edit), pairs.target.eye_boxes)
    left, right = models.gaze.estimate(crops)
    pitch, yaw = ((left + right) / 2).unbind(1)
    true = pairs.target.gaze
    cosine = (direction(pitch, -yaw) * direction(true.pitch, true.yaw)).sum(1)
    return torch.rad2deg(cosine.clamp(-1, 1).acos())


def direction(pitch: Tensor, yaw: Tensor) -> Tensor:  # (n,), (n,) radians -> (n,3)
    """Unit vectors of gaze."""
    return torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()], 1)


def background_kept(result: EditResult, pairs: DrawnPairs) -> Tensor:  # -> (n,) bool
    """Whether every pixel outside the mask is the target's, bit for bit."""
    same = (result.images[:, 0] == pairs.target.image).all(3)
    return (same | (result.mask[:, 0] > 0)).flatten(1).all(1)
