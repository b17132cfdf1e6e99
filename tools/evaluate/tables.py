"""The evaluation's rows: what an edit achieves, and what each guidance term adds to it."""

from collections.abc import Callable

from torch import Tensor

from ..figures import Figure, bootstrap, proportion
from .measurements import Measurements

Metric = Callable[[Measurements, Tensor], Tensor]  # measurements, rows of pairs (R,n) -> (R,)

CLOSE = 25.0  # dB: targets this close to their true swap leave too little to gain
GAIN = "median PSNR gain inside the mask, dB"
PARSING = "parsing mIoU with the target, face parts"
GAZE = "median gaze error to the target, degrees"


def quality(on: Measurements) -> list[Figure]:
    """What one way of editing achieves."""
    gain = (on.edit_psnr - on.target_psnr)[on.target_psnr < CLOSE]
    pairs = len(on.rank)
    return [
        proportion("edit closer to the true swap than the target is", gain > 0).at_least(0.9),
        bootstrap(GAIN, lambda rows: median(gain, rows), len(gain)).at_least(4),
        proportion("source retrieved first, by the judge", on.rank == 0).at_least(0.9),
        bootstrap(PARSING, lambda rows: mean_iou(on, rows), pairs).at_least(0.8),
        bootstrap(GAZE, lambda rows: median(on.gaze_error, rows), pairs).at_most(6),
        proportion("background bit-identical", on.background_kept).at_least(1),
    ]


def evaluation(on: Measurements, gaze_off: Measurements) -> list[Figure]:
    """The quality under all terms, and the gaze error beside that without the gaze term."""

    def gaze_ratio(rows: Tensor) -> Tensor:
        return median(on.gaze_error, rows) / median(gaze_off.gaze_error, rows)

    *rows, background = quality(on)
    ratio = bootstrap("  over that without the gaze term", gaze_ratio, len(on.rank)).at_most(0.8)
    return [*rows, ratio, background]


TERM_METRICS: dict[str, tuple[str, Metric]] = {
    "identity": ("identity distance, by the judge", lambda m, rows: m.identity[rows].mean(1)),
    "parsing": ("1 - parsing mIoU", lambda m, rows: 1 - mean_iou(m, rows)),
    "gaze": ("gaze error, degrees", lambda m, rows: m.gaze_error[rows].mean(1)),
    "lpips": ("LPIPS to the target, background", lambda m, rows: m.lpips[rows].mean(1)),
    "pixel": ("squared difference to the target", lambda m, rows: m.pixel[rows].mean(1)),
}
"""What each term is for, as a mean over pairs that falls when the term helps."""


def ablation(term: str, on: Measurements, without: Measurements) -> Figure:
    """The term's own metric under all terms, less that without the term."""
    metric, mean = TERM_METRICS[term]
    name = f"{term} term, on - off: {metric}"
    return bootstrap(name, lambda r: mean(on, r) - mean(without, r), len(on.rank)).below_zero()


def median(values: Tensor, rows: Tensor) -> Tensor:  # (n,), (R,m) -> (R,)
    return values[rows].double().quantile(0.5, dim=1)


def mean_iou(m: Measurements, rows: Tensor) -> Tensor:  # (R,n) -> (R,)
    """Intersection over union of each part over all pairs, averaged over the parts."""
    return (m.intersection[rows].sum(1) / m.union[rows].sum(1).clamp(min=1)).mean(1)
