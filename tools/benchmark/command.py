"""What a step of an edit costs, beside the least that it could cost."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from ...editor_core.files import write_json, write_text
from ..figures import median_and_range
from ..machine import describe_machine
from .processes import STARTS, importing
from .subject import CONFIGS, load_subject
from .tables import BenchmarkPlan, memory_tables, time_tables
from .timing import interleaved


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write them as text and as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmark", description=__doc__)
    parser.add_argument("--config", choices=CONFIGS, default="demo", help="models (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of all timings (%(default)s)")
    parser.add_argument(
        "--candidates", type=int, nargs="+", default=[1, 2, 4, 8], help="at once (1 2 4 8)"
    )
    parser.add_argument("--threads", type=int, help="of torch (its own choice)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"), help="folder (%(default)s)")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    plan = BenchmarkPlan(given.config, given.rounds, given.candidates, torch.get_num_threads())
    benchmark(plan, given.out / "step", given.json)


def benchmark(plan: BenchmarkPlan, folder: Path, as_json: bool) -> None:
    """Measure, print and write, with how to repeat it and on which machine it was."""
    bar = partial(tqdm, leave=False)
    memory = memory_tables(plan, partial(bar, desc="memory", unit="step"))
    subject = load_subject(plan.config)
    times = time_tables(subject, plan, partial(bar, desc="timing", unit="round"))
    starts = interleaved({name: importing(STARTS[name]) for name in STARTS}, plan.rounds)
    start_up = [median_and_range(name, starts[name]) for name in starts]
    tables = {**times, **memory, "start-up, s": start_up}
    summary = {
        "command": f"python -m tools.benchmark --config {plan.config} --rounds {plan.rounds} "
        f"--candidates {' '.join(map(str, plan.candidates))} --threads {plan.threads}",
        "machine": describe_machine(),
        "tables": {title: [asdict(row) for row in rows] for title, rows in tables.items()},
    }
    machine = ", ".join(f"{name} {value}" for name, value in describe_machine().items())
    texts = ["\n".join([f"{title}:", *(row.line() for row in tables[title])]) for title in tables]
    text = "\n\n".join(texts)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{plan.config}-{'cuda' if torch.cuda.is_available() else 'cpu'}"
    write_json(folder / f"{name}.json", summary)
    write_text(folder / f"{name}.txt", f"{summary['command']}\n{machine}\n\n{text}\n")
    print(json.dumps(summary, indent=2) if as_json else text)
