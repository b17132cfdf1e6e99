"""The pairs of a batch on a Ray cluster, by Ray's own pool of actors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .pairs import Outcome, Pair, PairEditor, Work

RETRIES = 1  # of a pair whose worker died


def on_cluster(
    work: Work, pairs: Sequence[Pair], address: str, workers: int | None
) -> Iterator[Outcome]:
    """Edits the pairs in any order; those whose worker died too often have no outcome.

    `address` is of a running cluster, or "local" to start one here. Workers load the models once;
    the repository, the models and the pictures lie at the same paths on every machine.
    """
    ray = _ray()
    from ray.exceptions import RayActorError  # pyright: ignore[reportMissingImports]
    from ray.util import ActorPool  # pyright: ignore[reportMissingImports]

    ray.init(address=address, include_dashboard=False, log_to_driver=False)
    try:
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        actor = ray.remote(PairEditor).options(
            num_cpus=work.threads, num_gpus=gpus, max_restarts=-1, max_task_retries=RETRIES
        )
        count = min(len(pairs), workers or _room(ray.cluster_resources(), work.threads, gpus))
        pool: Any = ActorPool([actor.remote(work) for _ in range(count)])
        for pair in pairs:
            pool.submit(lambda editor, pair: editor.edit.remote(pair), pair)
        while pool.has_next():
            with suppress(RayActorError):
                yield pool.get_next_unordered()
    finally:
        ray.shutdown()


def _room(resources: Mapping[str, float], threads: int, gpus: int) -> int:
    """How many workers the cluster has room for."""
    room = resources["GPU"] if gpus else resources["CPU"] // threads
    return max(1, int(room))


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("--ray needs Ray, which is not installed: pip install ray") from error
    return ray
