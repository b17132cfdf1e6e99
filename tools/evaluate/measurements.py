"""What the editor achieves on unseen pairs whose correct answers are known."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from tqdm import tqdm

from ...editor_core.demo.pairs import DrawnPairs
from ...editor_core.diffusion.sampling import Step
from ...editor_core.editing import EditResult, edit_face
from ...editor_core.face.gaze import Gaze, estimate_gaze
from ...editor_core.face.identity import identity_distance
from ...editor_core.images import to_bchw, to_signed
from ...editor_core.loading.models import FaceModels
from ...editor_core.settings import EditSettings
from ..measures import EditMeasures, compare_with_targets, concatenated, rank_of_own
from .networks import MetricNetworks

PAIRS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Measurements(EditMeasures):
    """With the true swap, which only a drawn world knows, also how near an edit comes to it."""

    target_psnr: Tensor  # (n,) of the unedited target against the truth, inside the mask
    edit_psnr: Tensor  # (n,)


def measure(
    models: FaceModels,
    networks: MetricNetworks,
    pairs: DrawnPairs,
    settings: EditSettings,
    bar: tqdm,
) -> Measurements:
    """Edit every pair once, advancing the bar, and compare with the truth."""
    sources, batches, last = judge_embedding(networks, pairs.source.image), [], list[Step]()

    def on_step(step: Step) -> None:
        last[:] = [step]
        bar.update()

    for first in range(0, len(pairs), PAIRS_AT_ONCE):
        batch = pairs.rows(slice(first, first + PAIRS_AT_ONCE))
        shifted = replace(settings, candidates=1, seed=settings.seed + first)
        images = batch.source.image, batch.target.image
        result = edit_face(models, *images, shifted, on_step=on_step)
        batches.append(compare_edits(networks, batch, result, last[0].pred_x0, sources, first))
    return concatenated(batches)


def compare_edits(
    networks: MetricNetworks,
    pairs: DrawnPairs,
    result: EditResult,
    pred_x0: Tensor,
    sources: Tensor,
    first: int,
) -> Measurements:
    """Measure the edits of pairs, whose sources the judge embeds from row `first` of `sources`."""
    target, edit = pairs.target.image, result.images[:, 0]
    identity, own = judge_embedding(networks, edit), torch.arange(first, first + len(pairs))
    pictures, mask = result.pictures[:, 0], result.mask[:, 0]
    background = to_bchw(target), mask, pred_x0
    return Measurements(
        target_psnr=psnr_inside(target, pairs),
        edit_psnr=psnr_inside(edit, pairs),
        rank=rank_of_own(identity @ sources.T, own),
        identity=identity_distance(identity, sources[own]),
        gaze_error=gaze_error(networks, edit, pairs),
        **compare_with_targets(networks.parser, networks.lpips, pictures, *background),
    )


@torch.no_grad()
def judge_embedding(networks: MetricNetworks, image: Tensor) -> Tensor:  # (n,H,W,3) -> (n,E)
    return networks.judge.embed(to_signed(image))


def psnr_inside(image: Tensor, pairs: DrawnPairs) -> Tensor:  # (n,H,W,3) -> (n,)
    """Peak signal-to-noise ratio to the truth, in dB, inside the target's face."""
    mask = pairs.mask[..., None]
    squares = ((image - pairs.truth.image) ** 2 * mask).sum((1, 2, 3))
    return -10 * (squares / (3 * mask.sum((1, 2, 3)))).log10()


def gaze_error(networks: MetricNetworks, edit: Tensor, pairs: DrawnPairs) -> Tensor:  # -> (n,)
    """Degrees between the estimated gaze of the edit and the drawn gaze of the target."""
    estimated = estimate_gaze(networks.gaze, to_signed(edit), pairs.target.eye_boxes)
    cosine = (gaze_direction(estimated) * gaze_direction(pairs.target.gaze)).sum(1)
    return torch.rad2deg(cosine.clamp(-1, 1).acos())


def gaze_direction(gaze: Gaze) -> Tensor:  # (n,3)
    pitch, yaw = gaze.pitch, gaze.yaw
    return torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()], 1)
