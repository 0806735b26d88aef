"""Keeps account of requests in a thread of its own: nobody waits for numbers, lines or the disk."""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable

from dashboard.server.access_log import AccessLog, Line
from dashboard.server.metrics import Metrics
from dashboard.stores.source import StoreUsage

# What one process keeps for a disk that is slow, about 4 MB; what comes beyond is lost and counted.
MOST_WAITING = 10_000
# A thread that woke for each line took a third of a small answer's time away.
TOGETHER_SECONDS = 0.1


class Ledger:
    """Counts what was asked, and has it written down."""

    def __init__(
        self, metrics: Metrics, access_log: AccessLog | None, usage: Callable[[], StoreUsage]
    ) -> None:
        """Starts no thread yet: none survives a fork.

        Args:
            metrics: where requests are counted.
            access_log: where lines go; None for nowhere.
            usage: what of the stores has been used so far, in this process.
        """
        self._metrics = metrics
        self._log = access_log
        self._usage = usage
        self._pid = self._n_lost = 0
        self._renew()

    def write(self, line: Line) -> None:
        """Has a request counted and written down soon."""
        if self._pid != os.getpid():
            self._begin()
        if len(self._waiting) >= MOST_WAITING:
            self._n_lost += 1
            return
        self._waiting.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def settle(self) -> None:
        """Counts and writes all that waits in this process."""
        with self._settling:
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            for line in lines:
                self._metrics.answered(line.route, line.status, line.seconds)
            if self._log is not None and lines:
                self._log.append(lines)
            lost = self._n_lost + (self._log.n_lost if self._log else 0)
            self._metrics.used(self._usage(), lost)

    def text(self) -> bytes:
        """The numbers of all processes; others may lag by `TOGETHER_SECONDS`."""
        self.settle()
        return self._metrics.text()

    def close(self) -> None:
        """Settles, and ends the thread of this process."""
        if self._pid == os.getpid():
            self._ended.set()
            self._wake.set()
            self._thread.join(5.0)
            self._pid = 0
            atexit.unregister(self.close)

    def _renew(self) -> None:
        self._waiting: deque[Line] = deque()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._settling = threading.Lock()

    def _begin(self) -> None:
        self._renew()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.wait()
            self._ended.wait(TOGETHER_SECONDS)
            self._wake.clear()
            self.settle()
