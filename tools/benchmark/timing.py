"""Seconds of several tasks, interleaved, so that a machine that slows down slows them all."""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, TypeVar

import torch

from ..figures import Figure, median_and_range

Name = TypeVar("Name", bound=Hashable)
Task = Callable[[], object]
ShowRounds = Callable[[Iterable[Any]], Iterable[Any]]  # passes its items on, and may show how far
QUICK, REPEATS = 1.0, 5  # seconds; times that a quicker task is run in a round


def interleaved(
    tasks: Mapping[Name, Task], rounds: int, progress: ShowRounds = iter
) -> dict[Name, list[float]]:
    """Run every task once unmeasured, then `rounds` times in turn: seconds, one a round.

    A quick task is run once more and then timed several times, of which the median counts: the
    first run finds caches and memory as something larger has left them.
    """
    quick = {name for name, task in tasks.items() if timed(task) < QUICK}
    seconds: dict[Name, list[float]] = {name: [] for name in tasks}
    for _ in progress(range(rounds)):
        for name, task in tasks.items():
            if name in quick:
                task()
            times = [timed(task) for _ in range(REPEATS if name in quick else 1)]
            seconds[name].append(median(times))
    return seconds


def timed(task: Task) -> float:
    """Seconds of one run, from when the device is free until it is done."""
    synchronise = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    synchronise()
    begun = time.perf_counter()
    task()
    synchronise()
    return time.perf_counter() - begun


def ratio(name: str, above: Sequence[float], below: Sequence[float]) -> Figure:
    """The ratio of two series, round by round."""
    return median_and_range(name, [a / b for a, b in zip(above, below, strict=True)])


def total(series: Iterable[Sequence[float]]) -> list[float]:
    """Several series added up, round by round."""
    return [sum(each) for each in zip(*series, strict=True)]
