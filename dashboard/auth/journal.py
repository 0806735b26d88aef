"""The log of who came in and who took what: a JSON object a line, appended by all workers."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboard.auth.private import keep_private
from fmcore.errors import InputFileError

log = logging.getLogger(__name__)

# Of the end of the file, where the newest lines are: 1,000 lines of 4 KB, and most have 200 bytes.
_TAIL_BYTES = 4 << 20
# What a stranger can cause as often as they like is written once in so many seconds.
_SELDOM_SECONDS = 10.0
# Of a line that cannot be read.
_SHOWN_CHARACTERS = 200


class Journal:
    """One file; each line is written at once, so that workers do not mix theirs.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Takes the file, and makes it for its owner's eyes only where there is none.

        Raises:
            InputFileError: if it cannot be written.
            PeopleError: if everybody may open it, and it is not ours to change.
        """
        self.path = path
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()
        keep_private(path)
        try:
            os.close(self._opened())
        except OSError as error:
            raise InputFileError(f"cannot write the log {path}: {error}") from error

    def write(self, event: str, **facts: Any) -> None:
        """Appends a line: when, what happened, and what else is known of it.

        Where the disk is full, the line goes to the server's own log instead, with the reason:
        nobody is kept out for it, and nothing happens without a trace.
        """
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        data = json.dumps(line | facts, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            file = self._opened()
            try:
                if _is_torn(file):
                    data = b"\n" + data  # the line before takes no other with it
                written = os.write(file, data)
            finally:
                os.close(file)
        except OSError as error:
            log.error("cannot write the log %s (%s): %s", self.path, error, data.decode().strip())  # noqa: TRY400 (one line)
            return
        if written < len(data):
            log.error("the log %s took a part of: %s", self.path, data.decode().strip())

    def write_seldom(self, event: str, **facts: Any) -> None:
        """Appends a line about what strangers do, with how many more there were since the last."""
        with self._lock:
            if time.monotonic() - self._last.get(event, -_SELDOM_SECONDS) < _SELDOM_SECONDS:
                self._left_out[event] += 1
                return
            self._last[event] = time.monotonic()
            n = self._left_out.pop(event, 0)
        self.write(event, **facts, **({"more_before": n} if n else {}))

    def last(self, n: int) -> list[dict[str, Any]]:
        """The newest lines, oldest of them first.

        A line that is no JSON object, as after a power cut, is there as the event `unreadable line`
        with its beginning.
        """
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                lines = file.read(_TAIL_BYTES).split(b"\n")
        except FileNotFoundError:
            return []
        if size > _TAIL_BYTES:
            del lines[0]  # what is left of it
        return [_parsed(line) for line in [line for line in lines if line.strip()][-n:]]

    def _opened(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)


def _is_torn(file: int) -> bool:
    """Whether the last line has no end; False where nothing can be read back, as in a pipe."""
    if not stat.S_ISREG(os.fstat(file).st_mode) or not os.fstat(file).st_size:
        return False
    os.lseek(file, -1, os.SEEK_END)  # what is written goes to the end anyway
    return os.read(file, 1) != b"\n"


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
        # NaN, infinities and halves of characters can be read, but not be sent.
        json.dumps(parsed, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        return parsed
    return {"event": "unreadable line", "text": line.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]}
