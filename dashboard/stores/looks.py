"""What a first look at each file came to: its line in the catalogue, or why it cannot be opened.

A process apart looks, which a damaged file may end. What it came to is kept as long as the file is
the same, and shared by all workers, so that a file ends no more than one look of each of them.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from dashboard.stores.file_keys import Key, key_of
from dashboard.stores.summary import StoreSummary
from fmcore import FmcoreError
from fmcore.apart import Apart, ApartError, bounds_for
from fmcore.storage import FileBytes, bytes_of_store, damage_text

log = logging.getLogger(__name__)

LOOK = "dashboard.stores.summary:describe"
# A line takes about 1,000 bytes: 20 MB, for ten folders of as many stores as a scan lists.
MOST_KEPT = 20_000
# What is shared begins anew at this length, if files are replaced all the time.
MOST_SHARED_BYTES = 32 << 20


class Looks:
    """Looks at files, each once; safe to share between threads, and between forked workers."""

    def __init__(self) -> None:
        self._apart = Apart(LOOK)
        self._kept: LRUCache[tuple[str, Key], StoreSummary] = LRUCache(MOST_KEPT)
        self._lock, self._looking = threading.Lock(), threading.Lock()
        # Without a name, so that it goes with the last process; lines are appended as a whole.
        self._shared = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115 (as long as this)
        self._read_bytes = 0

    def kept(self, label: str, key: Key) -> StoreSummary | None:
        """What a look came to that somebody has taken; None if nobody has.

        Args:
            label: the name of the file, as messages have it.
            key: of the file, see `key_of`.
        """
        with self._lock:
            if (label, key) not in self._kept:
                self._read_shared()
            return self._kept.get((label, key))

    def look(self, file: FileBytes, label: str) -> StoreSummary:
        """What a look comes to, which takes a while unless it is kept.

        Args:
            file: the open file.
            label: its name for messages.
        """
        key = key_of(os.fstat(file.descriptor))
        summary = self.kept(label, key)
        if summary is not None:
            return summary
        with self._looking:
            summary = self.kept(label, key)  # by another thread, which was here first
            if summary is not None:
                return summary
            summary = self._look(file, label)
        line = json.dumps([label, key, asdict(summary)]).encode() + b"\n"
        with self._lock:
            self._kept[(label, key)] = summary
            if os.fstat(self._shared.fileno()).st_size > MOST_SHARED_BYTES:
                self._shared.truncate(0)
            self._shared.write(line)
        return summary

    def _look(self, file: FileBytes, label: str) -> StoreSummary:
        try:
            bounds = bounds_for(bytes_of_store(file.real_path()))
            return _summary(self._apart.call(file.descriptor, label, bounds))
        except ApartError as error:
            problem = damage_text(Path(label), error)
        except FmcoreError as error:
            problem = str(error)
        problem = " ".join(problem.split())  # one line, whatever a library has put into it
        try:
            where = file.real_path()
        except OSError:  # it was replaced just now
            where = file.path
        log.warning("%s: %s", where, problem)
        return StoreSummary(name="", n_bytes=file.size, problem=problem)

    def _read_shared(self) -> None:
        """Keeps what other workers have added since."""
        descriptor = self._shared.fileno()
        size = os.fstat(descriptor).st_size
        if size < self._read_bytes:
            self._read_bytes = 0
        if size == self._read_bytes:
            return
        data = os.pread(descriptor, size - self._read_bytes, self._read_bytes)
        data = data[: data.rfind(b"\n") + 1]
        self._read_bytes += len(data)
        for line in data.splitlines():
            label, key, values = json.loads(line)
            self._kept[(label, tuple(key))] = _summary(values)


def _summary(values: dict[str, Any]) -> StoreSummary:
    """A line of the catalogue that was sent as JSON."""
    return StoreSummary(**values | {"target_names": tuple(values["target_names"])})
