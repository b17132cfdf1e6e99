"""What is measured of any edit, of drawn and of real faces alike, and what each term adds to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..editor_core.face.parsing import FACE_PARTS, FaceParser, parse_face
from ..editor_core.images import blur, signed
from .figures import Figure, bootstrap

PARSING = "parsing mIoU with the target, face parts"
GAZE = "median gaze error to the target, degrees"


Measures = TypeVar("Measures", bound="EditMeasures")


@dataclass(frozen=True, kw_only=True)
class EditMeasures:
    """One row a pair, for one way of editing them all."""

    rank: Tensor  # (n,) of the source among all sources, by the judge; 0 is first
    identity: Tensor  # (n,) distance to the source, by the judge
    intersection: Tensor  # (n,9) pixels of each face part in edit and target, both as parsed
    union: Tensor  # (n,9)
    gaze_error: Tensor  # (n,) degrees to the target's gaze; NaN where it was not measured
    background_kept: Tensor  # (n,) bool: outside the mask every bit is the target's
    lpips: Tensor  # (n,) LPIPS of the last prediction to the target, outside the mask
    pixel: Tensor  # (n,) mean squared difference of the last prediction to the target
    light: Tensor  # (n,) levels of 255 by which the edit's coarse colours differ, inside the mask

    def columns(self) -> dict[str, Tensor]:
        """The measures by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def concatenated(batches: Sequence[Measures]) -> Measures:
    """The rows of one batch after the other."""
    columns = [batch.columns() for batch in batches]
    joined = {name: torch.cat([each[name] for each in columns]) for name in columns[0]}
    return type(batches[0])(**joined)


def compare_with_targets(
    parser: FaceParser,
    lpips: Callable[[Tensor, Tensor], Tensor],
    edit: Tensor,
    target: Tensor,
    mask: Tensor,
    pred_x0: Tensor,
) -> dict[str, Tensor]:
    """The columns of `EditMeasures` that need no judge.

    Args:
        parser: Parses edits and targets.
        lpips: Of two (n,3,H,W) in [-1, 1].
        edit: (n,3,H,W) in [0,1], with its target outside the mask.
        target: (n,3,H,W) in [0,1].
        mask: (n,H,W) in [0,1], 1 where the edit was free.
        pred_x0: (n,3,H,W) in [-1, 1], the last prediction, before the target was put around it.
    """
    parsed, expected = (parse_face(parser, signed(x)).labels for x in (edit, target))
    parts = [(parsed == part, expected == part) for part in FACE_PARTS]
    outside, kept = 1 - mask[:, None], (edit == target).all(1) | (mask > 0)
    return {
        "intersection": torch.stack([(a & b).sum((1, 2)) for a, b in parts], 1),
        "union": torch.stack([(a | b).sum((1, 2)) for a, b in parts], 1),
        "background_kept": kept.flatten(1).all(1),
        "lpips": lpips(pred_x0 * outside, signed(target) * outside).detach(),
        "pixel": (pred_x0 - signed(target)).square().mean((1, 2, 3)),
        "light": coarse_difference(edit, target, mask[:, None]),
    }


def coarse_difference(edit: Tensor, target: Tensor, mask: Tensor) -> Tensor:  # (n,3,H,W) -> (n,)
    """The mean difference in levels of their colours, blurred over an eighth of the picture."""
    sigma = mask.shape[-1] / 8
    change = blur((edit - target) * mask, sigma).abs().mean(1, keepdim=True)
    covered = blur(mask, sigma)
    return 255 * (change * mask).sum((1, 2, 3)) / (covered * mask).sum((1, 2, 3))


def rank_of_own(likeness: Tensor, own: Tensor) -> Tensor:  # (n,N), (n,) -> (n,)
    """How many of all sources an edit is more like than its own, column `own`; 0 is first."""
    return (likeness > likeness.gather(1, own[:, None])).sum(1)


def median(values: Tensor, rows: Tensor) -> Tensor:  # (n,), (R,m) -> (R,)
    return values[rows].double().quantile(0.5, dim=1)


def mean_figure(name: str, values: Tensor) -> Figure:  # (n,)
    """The mean over pairs, with its interval."""
    return bootstrap(name, lambda rows: values[rows].mean(1), len(values))


def median_figure(name: str, values: Tensor) -> Figure:  # (n,)
    """Their median, with its interval."""
    return bootstrap(name, lambda rows: median(values, rows), len(values))


def mean_iou(measures: EditMeasures, rows: Tensor) -> Tensor:  # (R,n) -> (R,)
    """Intersection over union of each part over all pairs, averaged over the parts."""
    intersection, union = (x[rows].sum(1) for x in (measures.intersection, measures.union))
    return (intersection / union.clamp(min=1)).mean(1)


def mean_of(column: str) -> Callable[[Any, Tensor], Tensor]:
    """A metric: the mean of a column of the measures."""
    return lambda measures, rows: getattr(measures, column)[rows].mean(1)


Metric = Callable[[EditMeasures, Tensor], Tensor]  # measures, rows of pairs (R,n) -> (R,)

TERM_METRICS: dict[str, tuple[str, Metric]] = {
    "identity": ("identity distance, by the judge", mean_of("identity")),
    "parsing": ("1 - parsing mIoU", lambda measures, rows: 1 - mean_iou(measures, rows)),
    "gaze": ("gaze error, degrees", mean_of("gaze_error")),
    "lpips": ("LPIPS to the target, background", mean_of("lpips")),
    "pixel": ("squared difference to the target", mean_of("pixel")),
    "light": ("coarse colours to the target's, levels", mean_of("light")),
}
"""What each term is for, as a mean over pairs that falls when the term helps."""


def ablation(term: str, on: EditMeasures, without: EditMeasures) -> Figure:
    """The term's own metric under all terms, less that without the term."""
    metric, mean = TERM_METRICS[term]
    name = f"{term} term, on - off: {metric}"
    return bootstrap(name, lambda r: mean(on, r) - mean(without, r), len(on.rank)).below_zero()
