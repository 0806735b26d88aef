"""A line of JSON for each request, written by a thread of its own: nobody waits for the disk."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import sys
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

# What one process keeps for a disk that is slow, about 4 MB; what comes beyond is lost and counted.
MOST_WAITING = 10_000
# Of one write; a path may be as long as a request's first line.
LINES_AT_ONCE = 500
LONGEST_PATH = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One request.

    Attributes:
        time: when it was answered, in seconds since 1970.
        id: which one it is, as its answer says.
        person: who asked; empty for nobody who was let in.
        method: of HTTP.
        path: without its query.
        status: of the answer; 499 where the client left before there was one.
        bytes: of the answer's body.
        ms: until all of it was sent.
    """

    time: float
    id: str
    person: str
    method: str
    path: str
    status: int
    bytes: int
    ms: float

    def text(self) -> str:
        """The line as JSON, with no character in it that ends a line or moves a cursor."""
        when = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        return json.dumps(
            asdict(self) | {"time": when, "path": self.path[:LONGEST_PATH], "ms": round(self.ms, 2)}
        )


class AccessLog:
    """Where the lines go; every process that shares it appends whole lines.

    Attributes:
        n_lost: lines of this process that could not be written.
    """

    def __init__(self, path: Path | None) -> None:
        """Opens nothing yet: the file is opened for each write, so that it may be moved away.

        Args:
            path: of the file; None for standard error.
        """
        self._path = path
        self._waiting: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._fails = False
        self.n_lost = 0

    def write(self, line: Line) -> None:
        """Has a line written soon."""
        if self._pid != os.getpid():  # threads do not survive a fork
            self._begin()
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(line)
        else:
            self.n_lost += 1

    def close(self) -> None:
        """Waits until all is written that waits in this process."""
        if self._thread is not None and self._pid == os.getpid():
            self._waiting.put(None)
            self._thread.join(5.0)
            self._pid = 0

    def _begin(self) -> None:
        self._pid, self._waiting = os.getpid(), queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _run(self) -> None:
        lines: list[Line | None] = []
        while None not in lines:
            lines = [self._waiting.get()]
            while len(lines) < LINES_AT_ONCE and not self._waiting.empty():
                lines.append(self._waiting.get())
            texts = [f"{line.text()}\n" for line in lines if line is not None]
            if texts:
                self._append("".join(texts).encode(), len(texts))

    def _append(self, data: bytes, n_lines: int) -> None:
        try:
            if self._path is None:
                _write_all(sys.__stderr__.fileno() if sys.__stderr__ else 2, data)
            else:
                file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
                try:
                    _write_all(file, data)
                finally:
                    os.close(file)
            self._fails = False
        except OSError as error:
            self.n_lost += n_lines
            if not self._fails:  # said once, until a line can be written again
                log.error("the access log cannot be written: %s", error)  # noqa: TRY400
            self._fails = True


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
