"""The benchmark's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..evaluate.figures import Figure
from .memory import measurable, memory_of
from .plain import plain
from .startup import IMPORTS, start
from .steps import (
    FLOOR,
    GUIDED,
    HALF_LOW,
    LOOP,
    NAIVE,
    PLAIN_UNET,
    UNET,
    UNET_FORWARD,
    UNGUIDED,
    WAYS,
    Run,
    as_loaded,
    extras,
    guided,
    parts,
    unet_and_back,
)
from .subject import Subject
from .timing import Rounds, figure, interleaved, ratio, total

Series = Mapping[tuple[str, str], Sequence[float]]  # seconds by group and name, one a round

PARTS, OTHERS, STEPS, CANDIDATES = "parts of the floor", "beside them", "steps", "candidates"
STEP_LIMITS = {"demo": 1.25, "256-128": 1.10, "256-256": 1.10}  # guided step over the floor
NAIVE_LEAST = 1.4  # naive step over the guided one, where pictures are of 256 pixels
BATCH, BATCH_LIMIT = 4, 0.667  # candidates; the time of each over that of one alone, on the demo
LOOP_LIMIT = 2.0  # ms
MEMORY_LIMIT = 1.1  # what a guided step adds over what the floor adds
PEAK_LIMIT = 8 * 1024  # MiB, of half precision with low memory


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    config: str
    rounds: int = 5
    candidates: Sequence[int] = (1, 2, BATCH, 8)
    threads: int = 1


@dataclass(frozen=True)
class Table:
    """Figures of one kind."""

    title: str
    figures: Sequence[Figure]

    def text(self) -> str:
        """The table as it is printed."""
        return "\n".join([f"{self.title}:", *(each.line() for each in self.figures)])


def timings(subject: Subject, plan: Plan, heard: Rounds) -> Series:
    """Seconds of all parts and steps, by group and name, in the same rounds."""
    ways = {name: way for name, way in WAYS.items() if name != FLOOR}
    forms = {way.form for way in ways.values()} - {as_loaded}
    formed = {as_loaded: subject, **{form: subject.on(form) for form in forms}}
    runs: dict[tuple[str, str], Run] = {
        **{(PARTS, name): run for name, run in parts(subject).items()},
        **{(OTHERS, name): run for name, run in extras(subject).items()},
        (OTHERS, PLAIN_UNET): partial(unet_and_back, formed[plain]),
        **{(STEPS, name): way.make(formed[way.form]) for name, way in ways.items()},
        **{(CANDIDATES, str(n)): guided(replace(subject, candidates=n)) for n in plan.candidates},
    }
    return interleaved(runs, plan.rounds, heard)


def time_tables(plan: Plan, series: Series) -> Iterator[Table]:
    """Milliseconds of everything, and the ratios that matter."""
    networks, others, steps, batches = (
        {name: seconds for (kind, name), seconds in series.items() if kind == group}
        for group in (PARTS, OTHERS, STEPS, CANDIDATES)
    )
    floor = total(networks.values())
    yield Table(f"{PARTS}, ms", [*_ms(networks), *_ms({FLOOR: floor})])
    yield Table(f"{OTHERS}, ms", [_limited(each) for each in _ms(others)])
    yield Table(f"{STEPS}, ms", _ms(steps))
    each = {n: [second / int(n) for second in seconds] for n, seconds in batches.items()}
    yield Table("ms a candidate, by candidates at once", _ms(each))
    plain_floor = total([*networks.values(), others[PLAIN_UNET], _minus(networks[UNET])])
    yield Table(
        "ratios",
        [
            ratio(f"{GUIDED} / {FLOOR}", steps[GUIDED], floor).at_most(STEP_LIMITS[plan.config]),
            _naive(plan, steps),
            ratio(f"{FLOOR} / {FLOOR} of plain modules", floor, plain_floor),
            ratio(f"{UNGUIDED} / {UNET_FORWARD}", steps[UNGUIDED], others[UNET_FORWARD]),
            *(
                ratio(f"{name} / {GUIDED}", seconds, steps[GUIDED])
                for name, seconds in steps.items()
                if name not in (GUIDED, NAIVE)
            ),
            *_batch(plan, each),
        ],
    )


def memory_table(plan: Plan, heard: Rounds) -> Iterator[Table]:
    """MiB of every way to take a step, where the machine tells them."""
    if not measurable():
        return
    measured = {name: memory_of(plan.config, name, plan.threads) for name in heard(list(WAYS))}
    adds = {name: memory.step for name, memory in measured.items()}
    peaks = {name: _single(name, memory.peak) for name, memory in measured.items()}
    if plan.config == "256-256":
        peaks[HALF_LOW] = peaks[HALF_LOW].at_most(PEAK_LIMIT)
    grown = _single(f"{GUIDED} / {FLOOR}", adds[GUIDED] / adds[FLOOR]).at_most(MEMORY_LIMIT)
    yield Table("MiB that a step adds", [_single(*each) for each in adds.items()])
    yield Table("MiB at the peak, models and libraries included", list(peaks.values()))
    yield Table("memory ratio", [grown])


def startup_table(rounds: int) -> Table:
    """Seconds of a fresh Python that imports so much."""
    series = interleaved({name: start(code) for name, code in IMPORTS.items()}, rounds)
    return Table("start-up, s", [figure(name, seconds) for name, seconds in series.items()])


def _naive(plan: Plan, steps: Mapping[str, Sequence[float]]) -> Figure:
    bare = ratio(f"{NAIVE} / {GUIDED}", steps[NAIVE], steps[GUIDED])
    return bare if plan.config == "demo" else bare.at_least(NAIVE_LEAST)


def _batch(plan: Plan, each: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    if {"1", str(BATCH)} <= set(each):
        bare = ratio(f"each of {BATCH} candidates / one alone", each[str(BATCH)], each["1"])
        yield bare.at_most(BATCH_LIMIT) if plan.config == "demo" else bare


def _ms(series: Mapping[str, Sequence[float]]) -> list[Figure]:
    return [figure(name, [1000 * s for s in seconds]) for name, seconds in series.items()]


def _limited(row: Figure) -> Figure:
    return row.at_most(LOOP_LIMIT) if row.name == LOOP else row


def _minus(seconds: Sequence[float]) -> list[float]:
    return [-second for second in seconds]


def _single(name: str, value: float) -> Figure:
    return Figure(name, value, value, value)
