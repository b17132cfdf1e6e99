"""The benchmark's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..figures import Figure, median_and_range
from .plain import to_plain_unet
from .processes import can_measure_memory, measure_memory
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
    VARIANTS,
    floor_parts,
    guided,
    other_parts,
)
from .subject import Subject
from .timing import ShowRounds, Task, interleaved, ratio, total

Tables = dict[str, list[Figure]]  # rows by title
Series = Mapping[str, Sequence[float]]  # seconds by name, one a round

FLOOR_PARTS, OTHER_PARTS, STEPS = "parts of the floor, ms", "beside them, ms", "steps, ms"
CANDIDATES = "ms a candidate, by candidates at once"
STEP_LIMITS = {"demo": 1.25, "256-128": 1.10, "256-256": 1.10}  # guided step over the floor
NAIVE_LEAST = 1.4  # naive step over the guided one, where pictures are of 256 pixels
AT_ONCE, AT_ONCE_LIMIT = 4, 0.667  # candidates; the time of each over that of one, on the demo
LOOP_LIMIT = 2.0  # ms
MEMORY_LIMIT = 1.1  # what a guided step adds over what the floor adds
PEAK_LIMIT = 8 * 1024  # MiB, of half precision with low memory


@dataclass(frozen=True)
class BenchmarkPlan:
    """What to measure."""

    config: str
    rounds: int = 5
    candidates: Sequence[int] = (1, 2, AT_ONCE, 8)
    threads: int = 1


def time_tables(subject: Subject, plan: BenchmarkPlan, progress: ShowRounds) -> Tables:
    """Milliseconds of all parts and steps, measured in the same rounds, and their ratios."""
    series = time_tasks(subject, plan, progress)
    parts, others, steps = (series[title] for title in (FLOOR_PARTS, OTHER_PARTS, STEPS))
    each = {n: [s / int(n) for s in seconds] for n, seconds in series[CANDIDATES].items()}
    rows = milliseconds(others)
    return {
        FLOOR_PARTS: milliseconds({**parts, FLOOR: total(parts.values())}),
        OTHER_PARTS: [row.at_most(LOOP_LIMIT) if row.name == LOOP else row for row in rows],
        STEPS: milliseconds(steps),
        CANDIDATES: milliseconds(each),
        "ratios": time_ratios(plan.config, parts, others, steps, each),
    }


def time_ratios(
    config: str, parts: Series, others: Series, steps: Series, each: Series
) -> list[Figure]:
    """What steps cost over what they are compared with, round by round."""
    floor = total(parts.values())
    plain_floor = total({**parts, UNET: others[PLAIN_UNET]}.values())
    naive = ratio(f"{NAIVE} / {GUIDED}", steps[NAIVE], steps[GUIDED])
    ratios = [
        ratio(f"{GUIDED} / {FLOOR}", steps[GUIDED], floor).at_most(STEP_LIMITS[config]),
        naive if config == "demo" else naive.at_least(NAIVE_LEAST),
        ratio(f"{FLOOR} / {FLOOR} of plain modules", floor, plain_floor),
        ratio(f"{UNGUIDED} / {UNET_FORWARD}", steps[UNGUIDED], others[UNET_FORWARD]),
    ]
    for name in (name for name in steps if name not in (GUIDED, NAIVE)):
        ratios.append(ratio(f"{name} / {GUIDED}", steps[name], steps[GUIDED]))
    if {"1", str(AT_ONCE)} <= each.keys():
        row = ratio(f"each of {AT_ONCE} candidates / one alone", each[str(AT_ONCE)], each["1"])
        ratios.append(row.at_most(AT_ONCE_LIMIT) if config == "demo" else row)
    return ratios


def time_tasks(subject: Subject, plan: BenchmarkPlan, progress: ShowRounds) -> Mapping[str, Series]:
    """Seconds of everything, by table."""
    variants = {name: variant for name, variant in VARIANTS.items() if name != FLOOR}
    conversions = {to_plain_unet, *(variant.convert for variant in variants.values())}
    subjects = {convert: subject.converted(convert) for convert in conversions}
    plain_unet = floor_parts(subjects[to_plain_unet])[UNET]
    tasks: dict[str, Mapping[str, Task]] = {
        FLOOR_PARTS: floor_parts(subject),
        OTHER_PARTS: {**other_parts(subject), PLAIN_UNET: plain_unet},
        STEPS: {name: each.make(subjects[each.convert]) for name, each in variants.items()},
        CANDIDATES: {str(n): guided(replace(subject, candidates=n)) for n in plan.candidates},
    }
    flat = {(title, name): task for title in tasks for name, task in tasks[title].items()}
    seconds = interleaved(flat, plan.rounds, progress)
    return {title: {name: seconds[title, name] for name in tasks[title]} for title in tasks}


def milliseconds(series: Series) -> list[Figure]:
    """A row for each series of seconds."""
    return [median_and_range(name, [1000 * s for s in series[name]]) for name in series]


def memory_tables(plan: BenchmarkPlan, progress: ShowRounds) -> Tables:
    """MiB of every way to take a step, where the machine can measure it."""
    if not can_measure_memory():
        return {}
    names = progress(list(VARIANTS))
    measured = {name: measure_memory(plan.config, name, plan.threads) for name in names}
    peaks = {name: median_and_range(name, [memory.peak]) for name, memory in measured.items()}
    if plan.config == "256-256":
        peaks[HALF_LOW] = peaks[HALF_LOW].at_most(PEAK_LIMIT)
    grown = ratio(f"{GUIDED} / {FLOOR}", [measured[GUIDED].step], [measured[FLOOR].step])
    adds = [median_and_range(name, [memory.step]) for name, memory in measured.items()]
    return {
        "MiB that a step adds": adds,
        "MiB at the peak, models and libraries included": list(peaks.values()),
        "memory ratio": [grown.at_most(MEMORY_LIMIT)],
    }
