"""What an edit of real faces achieves, by networks that have no part in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...editor_core.cli.pairs import Pair
from ...editor_core.diffusion.sampling import Step, StepCallback
from ...editor_core.editing import edit_aligned
from ...editor_core.face.identity import embed_identity
from ...editor_core.images import signed
from ...editor_core.loading.models import FaceModels
from ...editor_core.settings import EditSettings
from ..measures import EditMeasures, compare_with_targets, rank_of_own
from .crops import FaceCrops
from .judges import GazeJudge, IdentityJudge

EDGE = 2  # pixels inside the mask's edge: what lies nearer is of the seam, not of the face
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class RealMeasures(EditMeasures):
    """One row a pair; cosines are of embeddings, those of the judge without the crops' mean."""

    judge: Tensor  # (n,) cosine of edit and source, by the judge
    judge_before: Tensor  # (n,) of the target as it was and the source
    judge_target: Tensor  # (n,) of edit and target
    guide: Tensor  # (n,) cosine of edit and source, by the encoder that guides
    guide_before: Tensor  # (n,)
    sharpness: Tensor  # (n,) of the edit inside the mask, over the target's


@dataclass(frozen=True)
class Measure:
    """Edits pairs of crops and measures them; what is the same for all pairs is done once."""

    models: FaceModels
    lpips: Callable[[Tensor, Tensor], Tensor]  # two (n,3,H,W) in [-1,1] -> (n,)
    crops: FaceCrops
    judge: Judged
    gaze_judge: GazeJudge | None = None

    def __call__(
        self,
        pairs: Sequence[Pair],
        numbers: Sequence[int],
        settings: EditSettings,
        on_step: StepCallback | None = None,
    ) -> tuple[RealMeasures, Tensor]:  # and the edits (n,3,S,S) in [0,1]
        """Edit pairs, pair `numbers[k]` with the noise that it has in whatever batch."""
        sources, targets = (
            self.crops.rows_of([getattr(pair, role) for pair in pairs])
            for role in ("source", "target")
        )
        source, target = self.crops.pictures[sources], self.crops.pictures[targets]
        last: list[Step] = []

        def keep_last(step: Step) -> None:
            last[:] = [step]
            if on_step:
                on_step(step)

        alone = replace(settings, candidates=1)
        result = edit_aligned(self.models, source, target, alone, people=numbers, on_step=keep_last)
        edit, mask = result.pictures[:, 0], result.mask[:, 0]
        parser, pred_x0 = self.models.parser, last[0].pred_x0
        measures = RealMeasures(
            **self.judge.compare(edit, sources, targets),
            **self.by_guide((edit, source, target), settings.template),
            gaze_error=self.gaze_error(edit, target),
            sharpness=detail(edit, mask) / detail(target, mask),
            **compare_with_targets(parser, self.lpips, edit, target, mask, pred_x0),
        )
        return measures, edit

    def by_guide(self, pictures: Sequence[Tensor], template: str) -> dict[str, Tensor]:
        """The cosines of edits, sources and targets, cut to `template`, by what guides."""
        edit, source, target = (
            embed_identity(self.models.identity, signed(each), template=template)
            for each in pictures
        )
        return {"guide": (edit * source).sum(1), "guide_before": (target * source).sum(1)}

    def gaze_error(self, edit: Tensor, target: Tensor) -> Tensor:  # (n,) degrees
        """The angle between the gazes of edits and targets; NaN where none was found."""
        if self.gaze_judge is None:
            return torch.full((len(edit),), torch.nan)
        return (self.gaze_judge.gaze(edit) - self.gaze_judge.gaze(target)).norm(dim=1)


@dataclass(frozen=True)
class Judged:
    """The crops as a judge sees them: unit vectors, without the mean of all.

    A network that learned distances, as dlib's, has all faces on one side; without their mean
    strangers have a cosine of 0.
    """

    judge: IdentityJudge
    mean: Tensor  # (1,E)
    embeddings: Tensor  # (N,E)

    @classmethod
    def of(cls, judge: IdentityJudge, crops: FaceCrops) -> Judged:
        """Show the judge every crop."""
        seen = judge.embed(crops.pictures)
        mean = seen.mean(0, keepdim=True)
        return cls(judge, mean, F.normalize(seen - mean, dim=1))

    def compare(self, edit: Tensor, sources: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Edits (n,3,H,W) with all crops; sources and targets (n,) are rows among them."""
        seen = F.normalize(self.judge.embed(edit) - self.mean, dim=1)
        likeness, before = seen @ self.embeddings.T, self.embeddings[targets]
        own = likeness.gather(1, sources[:, None])[:, 0]
        return {
            "rank": rank_of_own(likeness, sources),
            "identity": 1 - own,
            "judge": own,
            "judge_before": (before * self.embeddings[sources]).sum(1),
            "judge_target": likeness.gather(1, targets[:, None])[:, 0],
        }


def detail(picture: Tensor, mask: Tensor) -> Tensor:  # (n,3,H,W), (n,H,W) -> (n,)
    """Tenengrad, the mean squared gradient of the brightness, inside a mask but for its edge."""
    grey = (picture * picture.new_tensor(LUMA)[:, None, None]).sum(1)
    across, down = grey.diff(dim=2)[:, :-1], grey.diff(dim=1)[:, :, :-1]
    outside = F.max_pool2d((mask < 0.5).float()[:, None], 2 * EDGE + 1, 1, EDGE)
    inside = (1 - outside)[:, 0, :-1, :-1]
    squares = (across.square() + down.square()) * inside
    return squares.sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
