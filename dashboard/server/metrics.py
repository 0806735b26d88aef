"""What the server counts of itself, as text for Prometheus: right over all of its processes.

`prometheus_client` keeps the numbers of each process in files of a folder that all share, where
the environment names one before it is imported: see `shared_folder`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboard.stores.source import StoreUsage

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# Seconds; a step of the sample takes 10 ms, a page 50, and nobody waits for more than 10 s.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# Why a request was refused, by the status that says so.
REFUSALS: Mapping[int, str] = {
    400: "malformed",
    401: "not logged in",
    403: "not allowed",
    408: "slow",
    413: "large body or answer",
    414: "long address",
    429: "too many of one person",
    431: "large headers",
    503: "busy",
}


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder in which several processes keep their numbers; gone with the first of them.

    `dashboard.app` must be imported within: the library looks for the folder when it is imported.
    """
    folder = Path(tempfile.mkdtemp(prefix="fmdash-metrics-"))
    os.environ[_FOLDER] = str(folder)
    owner = os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == owner:  # a worker that ends was forked within, and comes by here too
            del os.environ[_FOLDER]
            shutil.rmtree(folder)


class Metrics:
    """The numbers of one server."""

    def __init__(self, folder: Path | None = None) -> None:
        """Begins at zero.

        Args:
            folder: that of `shared_folder`; None for a server of one process.
        """
        import prometheus_client as library

        self._folder = folder
        self._registry = library.CollectorRegistry()
        self._n = library.Counter(
            "fmdash_requests", "Answers.", ("route", "status"), registry=self._registry
        )
        self._seconds = library.Histogram(
            "fmdash_request_seconds",
            "Seconds until the whole of an answer was sent.",
            ("route",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._refused = library.Counter(
            "fmdash_refused", "Requests that were refused.", ("reason",), registry=self._registry
        )
        names = {
            "store_opens": "Stores that were opened.",
            "cache_hits": "Values that the cache had.",
            "cache_misses": "Values that it had not.",
            "log_lines_lost": "Lines of the access log that could not be written.",
        }
        self._totals = [
            library.Counter(f"fmdash_{name}", words, registry=self._registry)
            for name, words in names.items()
        ]
        self._n_bytes = library.Gauge(
            "fmdash_cache_bytes",
            "What the caches hold, of all workers.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._workers = library.Gauge(
            "fmdash_workers",
            "Processes that answer.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._of: dict[tuple[str, int], tuple[library.Counter, library.Histogram]] = {}
        self._before = (0, 0, 0, 0)

    def begin(self) -> None:
        """Counts this process among those that answer."""
        self._workers.set(1)

    def end(self, pid: int) -> None:
        """Counts a process no more; what it has counted stays."""
        from prometheus_client.multiprocess import mark_process_dead

        if self._folder is not None:
            mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts an answer.

        Args:
            route: a route's path, one of few.
            status: of the answer.
            seconds: that it took.
        """
        kept = self._of.get((route, status))
        if kept is None:  # `labels` takes longer than to count
            kept = self._n.labels(route, str(status)), self._seconds.labels(route)
            self._of[route, status] = kept
        counter, histogram = kept
        counter.inc()
        histogram.observe(seconds)
        if status in REFUSALS:
            self._refused.labels(REFUSALS[status]).inc()

    def used(self, usage: StoreUsage, n_lost: int) -> None:
        """Takes over what this process has counted elsewhere.

        Args:
            usage: of its stores.
            n_lost: lines of its access log that could not be written.
        """
        totals = usage.n_opened, usage.n_hits, usage.n_misses, n_lost
        before, self._before = self._before, totals
        for counter, new, old in zip(self._totals, totals, before, strict=True):
            if new > old:
                counter.inc(new - old)
        self._n_bytes.set(usage.n_bytes)

    def text(self) -> bytes:
        """All numbers, of all processes, in Prometheus' text format."""
        import prometheus_client as library
        from prometheus_client.multiprocess import MultiProcessCollector

        if self._folder is None:
            return library.generate_latest(self._registry)
        everybody = library.CollectorRegistry()
        MultiProcessCollector(everybody, str(self._folder))  # type: ignore[no-untyped-call]
        return library.generate_latest(everybody)
