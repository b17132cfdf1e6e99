"""`benchmark`: what a step of an edit costs, beside the least that it could cost."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ...editor_core.files import write_json, write_text
from .machine import machine
from .report import Plan, Table, memory_table, startup_table, time_tables, timings
from .subject import CONFIGS, subject


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables, and writes them as text and as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmark", description=__doc__)
    parser.add_argument("--config", choices=CONFIGS, default="demo", help="models (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of all timings (%(default)s)")
    parser.add_argument(
        "--candidates", type=int, nargs="+", default=[1, 2, 4, 8], help="at once (1 2 4 8)"
    )
    parser.add_argument("--threads", type=int, help="of torch (its own choice)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"), help="folder (%(default)s)")
    benchmark(parser.parse_args(arguments))


def benchmark(arguments: argparse.Namespace) -> None:
    """Measures, prints and writes."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    plan = Plan(arguments.config, arguments.rounds, arguments.candidates, torch.get_num_threads())
    tables = list(measured(plan))
    written, text = summary(plan, tables), "\n\n".join(table.text() for table in tables)
    folder = arguments.out / "step"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{plan.config}-{'cuda' if torch.cuda.is_available() else 'cpu'}"
    write_json(folder / f"{name}.json", written)
    write_text(folder / f"{name}.txt", f"{written['command']}\n{described()}\n\n{text}\n")
    print(json.dumps(written, indent=2) if arguments.json else text)


def measured(plan: Plan) -> list[Table]:
    """Every table of the plan."""
    shown = partial(tqdm, leave=False)
    memory = list(memory_table(plan, partial(shown, desc="memory", unit="way")))
    series = timings(subject(plan.config), plan, partial(shown, desc="timing", unit="round"))
    return [*time_tables(plan, series), *memory, startup_table(plan.rounds)]


def described() -> str:
    """The machine in a line."""
    return ", ".join(f"{name} {value}" for name, value in machine().items())


def summary(plan: Plan, tables: list[Table]) -> dict[str, Any]:
    """What is written: how to repeat it, the machine, the tables."""
    candidates = " ".join(map(str, plan.candidates))
    return {
        "command": f"python -m tools.benchmark --config {plan.config} "
        f"--rounds {plan.rounds} --candidates {candidates} --threads {plan.threads}",
        "machine": machine(),
        "tables": {table.title: [asdict(row) for row in table.figures] for table in tables},
    }
