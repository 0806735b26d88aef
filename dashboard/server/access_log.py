"""A line of JSON for each request, in a file or on standard error."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted  # as `json.dumps` writes a text
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

# A path may be as long as a request's first line.
LONGEST_PATH = 1_000


class Line(NamedTuple):
    """One request.

    Attributes:
        route: of the server, one of few.
        time: when it was answered, in seconds since 1970.
        id: which one it is, as its answer says.
        person: who asked; empty for nobody who was let in.
        method: of HTTP.
        path: without its query.
        status: of the answer; 499 where the client left before there was one.
        n_bytes: of the answer's body.
        seconds: until all of it was sent.
    """

    route: str
    time: float
    id: str
    person: str
    method: str
    path: str
    status: int
    n_bytes: int
    seconds: float

    def text(self) -> str:
        """The line as JSON, with no character in it that ends a line or moves a cursor."""
        when = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        return (
            f'{{"time": "{when}", "id": "{self.id}", "person": {quoted(self.person)}, '
            f'"method": {quoted(self.method)}, "path": {quoted(self.path[:LONGEST_PATH])}, '
            f'"status": {self.status}, "bytes": {self.n_bytes}, "ms": {1e3 * self.seconds:.2f}}}\n'
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
        self._fails = False
        self.n_lost = 0

    def append(self, lines: Sequence[Line]) -> None:
        """Writes lines, all at once; those that cannot be written are counted, and missed."""
        data = "".join(map(Line.text, lines)).encode()
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
            self.n_lost += len(lines)
            if not self._fails:  # said once, until a line can be written again
                log.error("the access log cannot be written: %s", error)  # noqa: TRY400
            self._fails = True


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
