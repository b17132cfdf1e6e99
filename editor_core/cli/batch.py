"""`batch`: many pairs, one edit each, resumed where it stopped, on one machine or on a cluster."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..files import write_text
from .cluster import on_cluster
from .options import add_models, add_settings, settings_of
from .pairs import Outcome, Pair, PairEditor, Work, failed, pairs_in_folders, pairs_in_table
from .swap import edit_metadata

REPORT = "report.jsonl"
LOCAL = "local"


def add_batch(commands: Any) -> None:
    """The command's arguments."""
    parser = commands.add_parser("batch", help="edit many pairs")
    parser.add_argument("pairs", type=Path, nargs="?", help="CSV with columns source and target")
    parser.add_argument("--sources", type=Path, help="folder, in place of a CSV")
    parser.add_argument("--targets", type=Path, help="folder, its pictures paired by order of name")
    parser.add_argument("--out", type=Path, required=True, help="folder of the edits")
    add_models(parser)
    add_settings(parser)
    parser.add_argument("--threads", type=int, help="of torch in each process (its own choice)")
    parser.add_argument(
        "--ray", nargs="?", const=LOCAL, metavar="ADDRESS", help="on a Ray cluster, or a local one"
    )
    parser.add_argument("--workers", type=int, help="of Ray (as many as there is room for)")
    parser.set_defaults(run=batch)


def batch(arguments: argparse.Namespace) -> None:
    """Edits what is not edited yet; the report has one line a pair, failures with their reason."""
    pairs, work = _pairs(arguments), _work(arguments)
    work.out.mkdir(parents=True, exist_ok=True)
    found = [outcome for pair in pairs if (outcome := work.found(pair))]
    write_text(work.out / REPORT, "".join(outcome.line() for outcome in found))
    names = {outcome.name for outcome in found}
    todo = [pair for pair in pairs if pair.name not in names]
    with tqdm(desc="editing", unit="pair", initial=len(found), total=len(pairs)) as bar:
        failures = reported(work, todo, _outcomes(arguments, work, todo), bar)
    print(f"{len(pairs) - failures} edited, {len(found)} of them before; see {work.out / REPORT}")
    if failures:
        raise ValueError(
            f"{failures} of {len(pairs)} pairs failed: {work.out / REPORT} says why; run the "
            "command again to try them again"
        )


def reported(work: Work, todo: Sequence[Pair], outcomes: Iterable[Outcome], bar: tqdm) -> int:
    """Adds a line to the report for each pair as it ends; the number of failures."""
    lost, failures = {pair.name: pair for pair in todo}, 0
    with open(work.out / REPORT, "a", encoding="utf-8", buffering=1) as report:
        for outcome in outcomes:
            del lost[outcome.name]
            failures += outcome.status == "failed"
            report.write(outcome.line())
            bar.update()
        for pair in lost.values():
            report.write(failed(pair, "its worker died, and died again: try it alone").line())
    return failures + len(lost)


def _outcomes(arguments: argparse.Namespace, work: Work, todo: Sequence[Pair]) -> Iterable[Outcome]:
    if not todo:
        return ()
    if arguments.ray is None:
        return map(PairEditor(work).edit, todo)
    return on_cluster(work, todo, arguments.ray, arguments.workers)


def _pairs(arguments: argparse.Namespace) -> list[Pair]:
    folders = (arguments.sources, arguments.targets)
    if arguments.pairs and not any(folders):
        return pairs_in_table(arguments.pairs)
    if not arguments.pairs and all(folders):
        return pairs_in_folders(*folders)
    raise ValueError("expected a CSV of pairs, or --sources and --targets: give one of the two")


def _work(arguments: argparse.Namespace) -> Work:
    settings, models = settings_of(arguments), arguments.models.resolve()
    return Work(
        folder=Path.cwd(),
        models=models,
        out=arguments.out.resolve(),
        settings=settings,
        metadata=edit_metadata(arguments.preset, settings, models, arguments.precision),
        precision=arguments.precision,
        compiled=arguments.compile,
        threads=arguments.threads or torch.get_num_threads(),
    )
