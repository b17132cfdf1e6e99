"""One edit for every person and every gaze that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from tqdm import tqdm

from ...editor_core.cli.output import progress_on
from ...editor_core.demo.portraits import Portrait
from ...editor_core.editing import EditResult, edit_face
from ...editor_core.face.gaze import Gaze, GazeGoal
from ...editor_core.face.identity import IdentityEncoder, identity_distance
from ...editor_core.images import to_signed
from ...editor_core.loading.models import FaceModels
from ...editor_core.settings import EditSettings
from ..evaluate.measurements import gaze_direction
from .people import DrawnGazeJudge, DrawnPeople


@dataclass(frozen=True)
class GazeMeasurements:
    """A row an edit."""

    asked: Tensor  # (n,2) pitch and yaw in degrees
    reached: Tensor  # (n,2) of the edit, by the judge
    error: Tensor  # (n,) degrees between them
    before: Tensor  # (n,) degrees between what is asked and the target's own gaze
    floor: Tensor  # (n,) degrees by which the judge misreads the true picture
    identity: Tensor  # (n,) distance of the edit to the target, by the judge of identities
    kept_identity: Tensor  # (n,) of the edit that keeps the gaze
    true_identity: Tensor  # (n,) of the true picture with the gaze that is asked
    edit_psnr: Tensor  # (n,) dB to that picture, inside the mask
    target_psnr: Tensor  # (n,) of the unedited target
    outside_kept: Tensor  # (n,) bool: outside the mask every bit is the target's


@dataclass(frozen=True)
class GazeTrial:
    """People, what measures their edits, and how they are edited."""

    models: FaceModels
    settings: EditSettings
    people: DrawnPeople
    gaze: DrawnGazeJudge
    identity: IdentityEncoder

    def measure(self, asked: Sequence[tuple[float, float]], bar: tqdm) -> GazeMeasurements:
        """Edit everybody for every pitch and yaw in degrees."""
        target = self.people.draw()
        kept = self.edit(target, GazeGoal(), bar).images[:, 0]
        rows = [self.compare(target, kept, goal, bar) for goal in asked]
        columns = zip(*(vars(row).values() for row in rows), strict=True)
        return GazeMeasurements(*(torch.cat(column) for column in columns))

    def edit(self, target: Portrait, goal: GazeGoal, bar: tqdm) -> EditResult:
        settings = replace(self.settings, candidates=1, gaze_goal=goal)
        images = target.image, target.image  # the source is the target: the identity stays
        return edit_face(self.models, *images, settings, on_step=progress_on(bar))

    def compare(
        self, target: Portrait, kept: Tensor, goal: tuple[float, float], bar: tqdm
    ) -> GazeMeasurements:
        """Everybody's edit for one gaze, beside the true picture."""
        bar.reset()
        result = self.edit(target, GazeGoal("set", *goal), bar)
        edit, mask = result.images[:, 0], result.mask[:, 0, :, :, None]
        asked = torch.tensor(goal).expand(len(edit), 2)
        wanted = Gaze(*torch.deg2rad(asked).unbind(1))
        truth = self.people.looking(*asked.unbind(1)).image
        reached = self.gaze.read(edit)
        return GazeMeasurements(
            asked=asked,
            reached=torch.rad2deg(torch.stack([reached.pitch, reached.yaw], 1)),
            error=degrees_between(reached, wanted),
            before=degrees_between(target.gaze, wanted),
            floor=degrees_between(self.gaze.read(truth), wanted),
            identity=self.distance(edit, target.image),
            kept_identity=self.distance(kept, target.image),
            true_identity=self.distance(truth, target.image),
            edit_psnr=psnr_within(mask, edit, truth),
            target_psnr=psnr_within(mask, target.image, truth),
            outside_kept=((edit == target.image) | (mask > 0)).flatten(1).all(1),
        )

    @torch.no_grad()
    def distance(self, image: Tensor, other: Tensor) -> Tensor:  # two (n,H,W,3) -> (n,)
        """Between the identities of pictures, by the judge."""
        return identity_distance(*(self.identity.embed(to_signed(each)) for each in (image, other)))


def degrees_between(gaze: Gaze, other: Gaze) -> Tensor:  # (n,)
    cosine = (gaze_direction(gaze) * gaze_direction(other)).sum(1)
    return torch.rad2deg(cosine.clamp(-1, 1).acos())


def psnr_within(mask: Tensor, image: Tensor, truth: Tensor) -> Tensor:  # (n,H,W,1 or 3) -> (n,)
    """Peak signal-to-noise ratio to the truth, in dB, inside a mask."""
    squares = ((image - truth) ** 2 * mask).sum((1, 2, 3))
    return -10 * (squares / (3 * mask.sum((1, 2, 3)))).log10()
