"""What the editor achieves on unseen pairs whose correct answers are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...editor_core.demo.pairs import DrawnPairs
from ...editor_core.diffusion.sampling import Listener, Step, unheard
from ...editor_core.editing import EditResult, edit_face
from ...editor_core.face.gaze import GazeEstimator, estimate_gaze
from ...editor_core.face.identity import IdentityEncoder, identity_distance
from ...editor_core.face.parsing import FACE_PARTS, FaceParser, FaceParsing, parse_face
from ...editor_core.images import to_signed
from ...editor_core.loading.models import FaceModels
from ...editor_core.settings import EditSettings

BATCH = 16  # pairs edited at once
CLOSE = 25.0  # dB: targets this close to their true swap leave too little to gain


@dataclass(frozen=True)
class Examiners:
    """The networks that measure: three that guidance uses too, and a judge that it never sees."""

    parser: FaceParser
    gaze: GazeEstimator
    lpips: Callable[[Tensor, Tensor], Tensor]  # two (B,3,H,W) -> (B,)
    judge: IdentityEncoder


@dataclass(frozen=True)
class Measurements:
    """One row a pair, for one way of editing them all."""

    target_psnr: Tensor  # (n,) of the unedited target against the truth, inside the mask
    edit_psnr: Tensor  # (n,)
    rank: Tensor  # (n,) of the source among all sources, by the judge; 0 is first
    identity: Tensor  # (n,) distance to the source, by the judge
    intersection: Tensor  # (n,9) pixels of each face part in edit and target, both as parsed
    union: Tensor  # (n,9)
    gaze_error: Tensor  # (n,) degrees between the gaze of the edit and the target's true one
    background_kept: Tensor  # (n,) bool: outside the mask every bit is the target's
    lpips: Tensor  # (n,) LPIPS of the last prediction to the target, outside the mask
    pixel: Tensor  # (n,) mean squared difference of the last prediction to the target


def measure(
    models: FaceModels,
    examiners: Examiners,
    pairs: DrawnPairs,
    settings: EditSettings,
    on_step: Listener = unheard,
) -> Measurements:
    """Edit every pair once and compare with the truth."""
    settings = replace(settings, candidates=1)
    sources = judged(examiners, pairs.source.image)
    chunks = []
    for first in range(0, len(pairs), BATCH):
        chunk = pairs.rows(slice(first, first + BATCH))
        last = LastStep(on_step)
        shifted = replace(settings, seed=settings.seed + first)
        result = edit_face(models, chunk.source.image, chunk.target.image, shifted, on_step=last)
        own = torch.arange(first, first + len(chunk))
        chunks.append(examined(examiners, chunk, result, last.pred_x0, sources, own))
    columns = zip(*(vars(chunk).values() for chunk in chunks), strict=True)
    return Measurements(*(torch.cat(column) for column in columns))


class LastStep:
    """A listener that passes steps on and remembers the last prediction."""

    pred_x0: Tensor

    def __init__(self, on_step: Listener):
        self.on_step = on_step

    def __call__(self, step: Step) -> None:
        self.pred_x0 = step.pred_x0
        self.on_step(step)


def examined(
    examiners: Examiners,
    pairs: DrawnPairs,
    result: EditResult,
    pred_x0: Tensor,
    sources: Tensor,
    own: Tensor,
) -> Measurements:
    """Measures of the edits of `pairs`, whose sources are rows `own` of the judged `sources`."""
    edit = result.images[:, 0]
    identity = judged(examiners, edit)
    likeness = identity @ sources.T
    parsings = (parse_face(examiners.parser, to_signed(x)) for x in (edit, pairs.target.image))
    intersection, union = overlap(*parsings)
    outside, target = 1 - result.mask[:, :1], to_signed(pairs.target.image)
    return Measurements(
        target_psnr=psnr_inside(pairs.target.image, pairs),
        edit_psnr=psnr_inside(edit, pairs),
        rank=(likeness > likeness.gather(1, own[:, None])).sum(1),
        identity=identity_distance(identity, sources[own]),
        intersection=intersection,
        union=union,
        gaze_error=gaze_error(examiners, edit, pairs),
        background_kept=background_kept(result, pairs),
        lpips=examiners.lpips(pred_x0 * outside, target * outside).detach(),
        pixel=(pred_x0 - target).square().mean((1, 2, 3)),
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


def overlap(edit: FaceParsing, target: FaceParsing) -> tuple[Tensor, Tensor]:
    """Pixels of each face part in both edit and target, and in either, (n,9) each."""
    one, other = edit.labels, target.labels
    both = [((one == part) & (other == part)).sum((1, 2)) for part in FACE_PARTS]
    either = [((one == part) | (other == part)).sum((1, 2)) for part in FACE_PARTS]
    return torch.stack(both, 1), torch.stack(either, 1)


def gaze_error(examiners: Examiners, edit: Tensor, pairs: DrawnPairs) -> Tensor:  # -> (n,)
    """Degrees between the estimated gaze of the edit and the drawn gaze of the target."""
    seen = estimate_gaze(examiners.gaze, to_signed(edit), pairs.target.eye_boxes)
    true = pairs.target.gaze
    cosine = (direction(seen.pitch, seen.yaw) * direction(true.pitch, true.yaw)).sum(1)
    return torch.rad2deg(cosine.clamp(-1, 1).acos())


def direction(pitch: Tensor, yaw: Tensor) -> Tensor:  # (n,), (n,) radians -> (n,3)
    """Unit vectors of gaze."""
    return torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()], 1)


def background_kept(result: EditResult, pairs: DrawnPairs) -> Tensor:  # -> (n,) bool
    """Whether every pixel outside the mask is the target's, bit for bit."""
    same = (result.images[:, 0] == pairs.target.image).all(3)
    return (same | (result.mask[:, 0] > 0)).flatten(1).all(1)
