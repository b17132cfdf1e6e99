"""The numbers of the tools' tables, each with an interval, beside what it must reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, median

import torch
from torch import Tensor

RESAMPLES = 2000
Statistic = Callable[[Tensor], Tensor]  # rows of samples (R,n) -> (R,)


@dataclass(frozen=True)
class Figure:
    """A row of a table: a value, the interval around it, and the bound that one of them keeps."""

    name: str
    value: float
    low: float
    high: float
    required: str = ""
    reached: bool | None = None

    def line(self) -> str:
        """The row as it is printed."""
        reached = {True: "yes", False: "NO", None: ""}[self.reached]
        interval = f"[{self.low:.3f}, {self.high:.3f}]"
        return f"{self.name:<56}{self.value:>9.3f}  {interval:<20}{self.required:>8}  {reached}"

    def at_least(self, bound: float) -> Figure:
        """The figure with a lower bound for its value."""
        return replace(self, required=f">= {bound:g}", reached=self.value >= bound)

    def at_most(self, bound: float) -> Figure:
        """The figure with an upper bound for its value."""
        return replace(self, required=f"<= {bound:g}", reached=self.value <= bound)

    def below_zero(self) -> Figure:
        """The figure of which the whole interval must lie below zero."""
        return replace(self, required="< 0", reached=self.high < 0)

    def as_good_as(self, reference: Figure) -> bool:
        """Whether it is no worse than the interval of the same figure elsewhere."""
        if self.required.startswith("<"):
            return self.value <= reference.high
        return self.value >= reference.low


def bootstrap(name: str, statistic: Statistic, count: int) -> Figure:
    """A figure over `count` samples with its 95% percentile bootstrap interval."""
    generator = torch.Generator().manual_seed(0)
    value = statistic(torch.arange(count)[None]).item()
    resampled = statistic(torch.randint(count, (RESAMPLES, count), generator=generator)).double()
    low, high = resampled.quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    return Figure(name, value, low, high)


def proportion(name: str, hits: Tensor) -> Figure:
    """A share of samples with its 95% Wilson interval, which stays honest near 0 and 1."""
    n, share = len(hits), hits.double().mean().item()
    z = NormalDist().inv_cdf(0.975)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Figure(name, share, middle - half, middle + half)


def median_and_range(name: str, values: Sequence[float]) -> Figure:
    """The median between the smallest and the largest."""
    return Figure(name, median(values), min(values), max(values))
