"""Which shards ended the worker that captured them.

While a worker captures a shard, a small file beside the shards says so. A worker that is closed
removes it; one that dies of itself cannot. Dask counts a death for each task that waited on the
worker too, which says nothing of these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from distributed import Worker, WorkerPlugin

from fmcore.errors import ClusterError

# A shard that ended so many workers will end the next one.
MOST_DEATHS = 3
# The files of this process.
_current: set[Path] = set()


@contextlib.contextmanager
def attempt(folder: Path, name: str, *, token: str, words: str) -> Iterator[None]:
    """Records that this process captures a shard now.

    Args:
        folder: the folder of the shards.
        name: the name of the shard, such as `shard-000042`.
        token: names the attempt.
        words: the shard, for the message.

    Raises:
        ClusterError: if the shard ended `MOST_DEATHS` workers.
    """
    deaths = len(list(folder.glob(f"{name}-*.attempt")))
    if deaths >= MOST_DEATHS:
        raise ClusterError(
            f"{words} ended {deaths} workers that captured nothing else at that time; the log of "
            "the cluster says why (often memory: give --batch-size or a smaller --shard-samples)"
        )
    path = folder / f"{name}-{token}.attempt"
    path.touch(exist_ok=False)
    _current.add(path)
    try:
        yield
    finally:
        end_attempts({path})


def end_attempts(paths: set[Path]) -> None:
    """Removes the files of attempts that ended otherwise than by the death of the worker."""
    for path in paths:
        _current.discard(path)
        path.unlink(missing_ok=True)


class Attempts(WorkerPlugin):
    """Removes the files of a worker that is closed, as one is that lost its scheduler."""

    name = "fmcore-attempts"

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 (Dask names it)
        """Ends all attempts of this process."""
        end_attempts(set(_current))
