"""The pairs of a batch on a Ray cluster, by Ray's own pool of actors."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from .pairs import BatchJob, Pair, PairEditor, PairResult


def edit_on_cluster(
    job: BatchJob, pairs: Sequence[Pair], address: str, workers: int | None
) -> Iterator[PairResult]:
    """Edit the pairs in any order; those whose worker died too often have no result.

    Workers, as many as there is room for by default, load the models once; the repository, the
    models and the pictures lie at the same paths on every machine. "local" starts a cluster here.
    """
    ray = _import_ray()
    from ray.exceptions import RayActorError  # pyright: ignore[reportMissingImports]
    from ray.util import ActorPool  # pyright: ignore[reportMissingImports]

    ray.init(address=address, include_dashboard=False, log_to_driver=False)
    try:
        resources = ray.cluster_resources()
        gpus = 1 if resources.get("GPU") else 0
        actor = ray.remote(PairEditor).options(
            num_cpus=job.threads, num_gpus=gpus, max_restarts=-1, max_task_retries=1
        )
        room = max(1, int(resources["GPU"] if gpus else resources["CPU"] // job.threads))
        count = min(len(pairs), workers or room)
        pool: Any = ActorPool([actor.remote(job) for _ in range(count)])
        for pair in pairs:
            pool.submit(lambda editor, pair: editor.edit.remote(pair), pair)
        while pool.has_next():
            with suppress(RayActorError):
                yield pool.get_next_unordered()
    finally:
        ray.shutdown()


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("--ray needs Ray, which is not installed: pip install ray") from error
    return ray
