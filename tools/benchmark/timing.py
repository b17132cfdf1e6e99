"""Seconds of several things, interleaved, so that a machine that slows down slows them all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch

from ..evaluate.figures import Figure

Key = TypeVar("Key", bound=Hashable)
QUICK, GOES = 1.0, 5  # second; goes at what is quicker
Rounds = Callable[[Iterable[Any]], Iterable[Any]]  # passes its items on, and may show progress


def interleaved(
    runs: Mapping[Key, Callable[[], object]], rounds: int, heard: Rounds = iter
) -> dict[Key, list[float]]:
    """Runs everything once unmeasured, then `rounds` times in turn: seconds, one a round.

    What is quick is run once more and then timed several times, of which the median counts: the
    first go finds caches and memory as something larger has left them.
    """
    quick = {name for name, run in runs.items() if timed(run) < QUICK}
    seconds: dict[Key, list[float]] = {name: [] for name in runs}
    for _ in heard(range(rounds)):
        for name, run in runs.items():
            seconds[name].append(typical(run) if name in quick else timed(run))
    return seconds


def typical(run: Callable[[], object]) -> float:
    """Seconds of one run, the median of several after one that finds everything cold."""
    run()
    return statistics.median(timed(run) for _ in range(GOES))


def timed(run: Callable[[], object]) -> float:
    """Seconds of one run, until the device is done with it."""
    finish()
    begun = time.perf_counter()
    run()
    finish()
    return time.perf_counter() - begun


def finish() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def figure(name: str, values: Sequence[float]) -> Figure:
    """The median between the smallest and the largest."""
    return Figure(name, statistics.median(values), min(values), max(values))


def ratio(name: str, above: Sequence[float], below: Sequence[float]) -> Figure:
    """The ratio of two series, taken round by round."""
    return figure(name, [a / b for a, b in zip(above, below, strict=True)])


def total(series: Iterable[Sequence[float]]) -> list[float]:
    """Several series added up, round by round."""
    return [sum(each) for each in zip(*series, strict=True)]
