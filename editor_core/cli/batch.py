"""`batch`: many pairs, one edit each, resumed where it stopped, on one machine or on a cluster."""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..files import write_text
from .cluster import edit_on_cluster
from .options import add_models, add_settings, settings_of
from .output import edit_metadata
from .pairs import BatchJob, Pair, PairEditor, PairResult, pairs_in_folders, pairs_in_table


def add_batch(commands: Any) -> None:
    parser = commands.add_parser("batch", help="edit many pairs")
    parser.add_argument("pairs", type=Path, nargs="?", help="CSV with columns source and target")
    parser.add_argument("--sources", type=Path, help="folder, in place of a CSV")
    parser.add_argument("--targets", type=Path, help="folder, its pictures paired by order of name")
    parser.add_argument("--out", type=Path, required=True, help="folder of the edits")
    add_models(parser)
    add_settings(parser)
    parser.add_argument("--threads", type=int, help="of torch in each process (its own choice)")
    cluster = "on a Ray cluster, or a local one"
    parser.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help=cluster)
    parser.add_argument("--workers", type=int, help="of Ray (as many as there is room for)")
    parser.set_defaults(run=batch)


def batch(arguments: Namespace) -> None:
    """Edit what is not edited yet; the report has one line a pair, failures with their reason."""
    pairs, job = _pairs(arguments), _job(arguments)
    job.out.mkdir(parents=True, exist_ok=True)
    earlier = [result for pair in pairs if (result := job.earlier_result(pair))]
    path = job.out / "report.jsonl"
    write_text(path, "".join(result.line() for result in earlier))
    names = {result.name for result in earlier}
    todo = [pair for pair in pairs if pair.name not in names]
    with tqdm(desc="editing", unit="pair", initial=len(earlier), total=len(pairs)) as bar:
        failures = _report(path, todo, _edit(arguments, job, todo), bar)
    print(f"{len(pairs) - failures} edited, {len(earlier)} of them before; see {path}")
    if failures:
        raise ValueError(
            f"{failures} of {len(pairs)} pairs failed: {path} says why; run the command again to "
            "try them again"
        )


def _pairs(arguments: Namespace) -> list[Pair]:
    folders = (arguments.sources, arguments.targets)
    if arguments.pairs and not any(folders):
        return pairs_in_table(arguments.pairs)
    if not arguments.pairs and all(folders):
        return pairs_in_folders(*folders)
    raise ValueError("expected a CSV of pairs, or --sources and --targets: give one of the two")


def _job(arguments: Namespace) -> BatchJob:
    settings, models = settings_of(arguments), arguments.models.resolve()
    return BatchJob(
        folder=Path.cwd(),
        models=models,
        out=arguments.out.resolve(),
        settings=settings,
        metadata=edit_metadata(arguments.preset, settings, models, arguments.precision),
        precision=arguments.precision,
        compiled=arguments.compile,
        threads=arguments.threads or torch.get_num_threads(),
    )


def _edit(arguments: Namespace, job: BatchJob, pairs: Sequence[Pair]) -> Iterable[PairResult]:
    if not pairs:
        return ()
    if arguments.ray is None:
        return map(PairEditor(job).edit, pairs)
    return edit_on_cluster(job, pairs, arguments.ray, arguments.workers)


def _report(path: Path, pairs: Sequence[Pair], results: Iterable[PairResult], bar: tqdm) -> int:
    """Add a line to the report for each pair as it ends; the number of failures."""
    unfinished, failures = {pair.name: pair for pair in pairs}, 0
    with open(path, "a", encoding="utf-8", buffering=1) as report:
        for result in results:
            del unfinished[result.name]
            failures += result.status == "failed"
            report.write(result.line())
            bar.update()
        for pair in unfinished.values():
            reason = "its worker died, and died again: try it alone"
            report.write(PairResult.failed(pair, reason).line())
    return failures + len(unfinished)
