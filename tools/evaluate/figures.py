"""The evaluation's table: figures with 95% intervals, beside what they must reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import torch
from torch import Tensor

from .measurements import CLOSE, Measurements

RESAMPLES = 2000
Statistic = Callable[[Tensor], Tensor]  # rows of pairs (R,n) -> (R,)
Metric = Callable[[Measurements, Tensor], Tensor]  # measurements, rows (R,n) -> (R,)


@dataclass(frozen=True)
class Figure:
    """One number of the table, with an interval that would hold it 95 times in 100."""

    name: str
    value: float
    low: float
    high: float
    required: str = ""
    reached: bool | None = None

    def line(self) -> str:
        """A row of the printed table."""
        verdict = {True: "yes", False: "NO", None: ""}[self.reached]
        interval = f"[{self.low:.3f}, {self.high:.3f}]"
        return f"{self.name:<56}{self.value:>9.3f}  {interval:<20}{self.required:>8}  {verdict}"

    def at_least(self, bound: float) -> Figure:
        """The figure with its verdict."""
        return replace(self, required=f">= {bound:g}", reached=self.value >= bound)

    def at_most(self, bound: float) -> Figure:
        """The figure with its verdict."""
        return replace(self, required=f"<= {bound:g}", reached=self.value <= bound)

    def keeps(self, reference: Figure) -> bool:
        """Whether it is no worse than the interval of the same figure elsewhere."""
        if self.required.startswith("<"):
            return self.value <= reference.high
        return self.value >= reference.low

    def below_zero(self) -> Figure:
        """The figure with its verdict: the whole interval must lie below zero."""
        return replace(self, required="< 0", reached=self.high < 0)


def bootstrap(name: str, statistic: Statistic, count: int) -> Figure:
    """A figure with its percentile bootstrap interval; resampled pairs keep all their measures."""
    generator = torch.Generator().manual_seed(0)
    value = statistic(torch.arange(count)[None]).item()
    samples = statistic(torch.randint(count, (RESAMPLES, count), generator=generator)).double()
    low, high = samples.quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    return Figure(name, value, low, high)


def proportion(name: str, hits: Tensor) -> Figure:
    """A share of pairs with its Wilson interval, which stays honest near 0 and 1."""
    n, share = len(hits), hits.double().mean().item()
    z = NormalDist().inv_cdf(0.975)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Figure(name, share, middle - half, middle + half)


GAIN = "median PSNR gain inside the mask, dB"


def quality(on: Measurements) -> list[Figure]:
    """What one way of editing achieves."""
    gain = (on.edit_psnr - on.target_psnr)[on.target_psnr < CLOSE]
    pairs = len(on.rank)

    return [
        proportion("edit closer to the true swap than the target is", gain > 0).at_least(0.9),
        bootstrap(GAIN, lambda rows: median(gain, rows), len(gain)).at_least(4),
        proportion("source retrieved first, by the judge", on.rank == 0).at_least(0.9),
        bootstrap("parsing mIoU with the target, face parts", lambda r: mean_iou(on, r), pairs)
        .at_least(0.8),
        bootstrap(
            "median gaze error to the target, degrees", lambda r: median(on.gaze_error, r), pairs
        ).at_most(6),
        proportion("background bit-identical", on.background_kept).at_least(1),
    ]  # fmt: skip


def figures(on: Measurements, gaze_off: Measurements) -> list[Figure]:
    """The table for the full editor; `gaze_off` is the same without the gaze term."""

    def gaze_ratio(rows: Tensor) -> Tensor:
        return median(on.gaze_error, rows) / median(gaze_off.gaze_error, rows)

    *rows, background = quality(on)
    ratio = bootstrap("  over that without the gaze term", gaze_ratio, len(on.rank)).at_most(0.8)
    return [*rows, ratio, background]


OWN_METRICS: dict[str, tuple[str, Metric]] = {
    "identity": ("identity distance, by the judge", lambda m, rows: m.identity[rows].mean(1)),
    "parsing": ("1 - parsing mIoU", lambda m, rows: 1 - mean_iou(m, rows)),
    "gaze": ("gaze error, degrees", lambda m, rows: m.gaze_error[rows].mean(1)),
    "lpips": ("LPIPS to the target, background", lambda m, rows: m.lpips[rows].mean(1)),
    "pixel": ("squared difference to the target", lambda m, rows: m.pixel[rows].mean(1)),
}
"""What each term is for, as a mean over pairs that falls when the term helps."""


def ablations(on: Measurements, off: Mapping[str, Measurements]) -> list[Figure]:
    """Each term's own metric with all terms, less that without the term."""
    return [ablation(term, on, without) for term, without in off.items()]


def ablation(term: str, on: Measurements, without: Measurements) -> Figure:
    """One term's row."""
    metric, mean = OWN_METRICS[term]
    difference = bootstrap(
        f"{term} term, on - off: {metric}",
        lambda rows: mean(on, rows) - mean(without, rows),
        len(on.rank),
    )
    return difference.below_zero()


def median(values: Tensor, rows: Tensor) -> Tensor:  # (n,), (R,m) -> (R,)
    """Medians over resampled pairs."""
    return values[rows].double().quantile(0.5, dim=1)


def mean_iou(m: Measurements, rows: Tensor) -> Tensor:  # (R,n) -> (R,)
    """Intersection over union of each part over all pairs, averaged over the parts."""
    return (m.intersection[rows].sum(1) / m.union[rows].sum(1).clamp(min=1)).mean(1)
