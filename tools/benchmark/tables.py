"""The benchmark's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..figures import Figure, median_and_range
from . import steps
from .plain import to_plain_unet
from .processes import can_measure_memory, measure_memory
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
    parts, others, whole = (series[title] for title in (FLOOR_PARTS, OTHER_PARTS, STEPS))
    each = {n: [s / int(n) for s in seconds] for n, seconds in series[CANDIDATES].items()}
    rows = milliseconds(others)
    return {
        FLOOR_PARTS: milliseconds({**parts, steps.FLOOR: total(parts.values())}),
        OTHER_PARTS: [row.at_most(LOOP_LIMIT) if row.name == steps.LOOP else row for row in rows],
        STEPS: milliseconds(whole),
        CANDIDATES: milliseconds(each),
        "ratios": time_ratios(plan.config, parts, others, whole, each),
    }


def time_ratios(
    config: str, parts: Series, others: Series, whole: Series, each: Series
) -> list[Figure]:
    """What steps cost over what they are compared with, round by round."""
    series = {**parts, **others, **whole, steps.FLOOR: total(parts.values())}
    plain_floor = total({**parts, steps.UNET: others[steps.PLAIN_UNET]}.values())
    naive = over(steps.NAIVE, steps.GUIDED, series)
    ratios = [
        over(steps.GUIDED, steps.FLOOR, series).at_most(STEP_LIMITS[config]),
        naive if config == "demo" else naive.at_least(NAIVE_LEAST),
        ratio(f"{steps.FLOOR} / {steps.FLOOR} of plain modules", series[steps.FLOOR], plain_floor),
        over(steps.UNGUIDED, steps.UNET_FORWARD, series),
    ]
    ratios += [over(n, steps.GUIDED, series) for n in whole if n not in (steps.GUIDED, steps.NAIVE)]
    if {"1", str(AT_ONCE)} <= each.keys():
        row = ratio(f"each of {AT_ONCE} candidates / one alone", each[str(AT_ONCE)], each["1"])
        ratios.append(row.at_most(AT_ONCE_LIMIT) if config == "demo" else row)
    return ratios


def over(above: str, below: str, series: Series) -> Figure:
    """The ratio of two series, by their names."""
    return ratio(f"{above} / {below}", series[above], series[below])


def time_tasks(subject: Subject, plan: BenchmarkPlan, progress: ShowRounds) -> Mapping[str, Series]:
    """Seconds of everything, by table."""
    variants = {name: variant for name, variant in steps.VARIANTS.items() if name != steps.FLOOR}
    conversions = {to_plain_unet, *(variant.convert for variant in variants.values())}
    subjects = {convert: subject.converted(convert) for convert in conversions}
    plain_unet = steps.floor_parts(subjects[to_plain_unet])[steps.UNET]
    tasks: dict[str, Mapping[str, Task]] = {
        FLOOR_PARTS: steps.floor_parts(subject),
        OTHER_PARTS: {**steps.other_parts(subject), steps.PLAIN_UNET: plain_unet},
        STEPS: {name: each.make(subjects[each.convert]) for name, each in variants.items()},
        CANDIDATES: {str(n): steps.guided(replace(subject, candidates=n)) for n in plan.candidates},
    }
    flat = {(title, name): task for title in tasks for name, task in tasks[title].items()}
    seconds = interleaved(flat, plan.rounds, progress)
    return {title: {name: seconds[title, name] for name in tasks[title]} for title in tasks}


def milliseconds(series: Series) -> list[Figure]:
    return [median_and_range(name, [1000 * s for s in series[name]]) for name in series]


def memory_tables(plan: BenchmarkPlan, progress: ShowRounds) -> Tables:
    """MiB of every way to take a step, where the machine can measure it."""
    if not can_measure_memory():
        return {}
    names = progress(list(steps.VARIANTS))
    measured = {name: measure_memory(plan.config, name, plan.threads) for name in names}
    peaks = {name: median_and_range(name, [memory.peak]) for name, memory in measured.items()}
    if plan.config == "256-256":
        peaks[steps.HALF_LOW] = peaks[steps.HALF_LOW].at_most(PEAK_LIMIT)
    added = {name: [memory.step] for name, memory in measured.items()}
    return {
        "MiB that a step adds": [median_and_range(name, added[name]) for name in added],
        "MiB at the peak, models and libraries included": list(peaks.values()),
        "memory ratio": [over(steps.GUIDED, steps.FLOOR, added).at_most(MEMORY_LIMIT)],
    }
