"""The evaluation's rows: what an edit achieves."""

from torch import Tensor

from ..figures import Figure, bootstrap, proportion
from ..measures import GAZE, PARSING, mean_iou, median
from .measurements import Measurements

CLOSE = 25.0  # dB: targets this close to their true swap leave too little to gain
GAIN = "median PSNR gain inside the mask, dB"


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
