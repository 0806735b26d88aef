"""Sends what was written to a file on its way to the disk, and out of the system's memory.

The system keeps what is written as long as it has memory for it: of 4.5 GB, 2.1 GB were still to be
written when a capture was complete. And memory that was not used for a while may cost more than the
copy: on a virtual machine whose host takes it back, writing 4 GB took 4.7 s of CPU, and 1.4 s where
the same memory is used again and again.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque

# So much of a file stays in memory, for its first readers.
KEPT_BYTES = 256 << 20
# A part of this size is sent to the disk, and leaves the memory when two more are written.
PART_BYTES = 32 << 20
PARTS_ON_THE_WAY = 2


class WrittenParts:
    """What was written to a file and may leave the system's memory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._n_bytes = 0
        self._part: list[tuple[int, int]] = []  # (start, stop) in the file
        self._part_bytes = 0
        self._on_the_way: deque[list[tuple[int, int]]] = deque()

    def add(self, start: int, stop: int) -> None:
        """Adds what was written from `start` to `stop`, and is not read soon."""
        self._n_bytes += stop - start
        if self._n_bytes <= KEPT_BYTES:
            return
        self._part_bytes += stop - start
        if self._part and self._part[-1][1] == start:
            start = self._part.pop()[0]
        self._part.append((start, stop))
        if self._part_bytes < PART_BYTES:
            return
        self._let_go(self._part)
        self._on_the_way.append(self._part)
        self._part, self._part_bytes = [], 0
        if len(self._on_the_way) > PARTS_ON_THE_WAY:
            self._let_go(self._on_the_way.popleft())

    def _let_go(self, part: list[tuple[int, int]]) -> None:
        """Sends to the disk what is not there yet; what is there leaves the memory."""
        if not hasattr(os, "posix_fadvise"):  # macOS and Windows
            return
        with contextlib.suppress(OSError):  # it is only advice
            for start, stop in part:
                os.posix_fadvise(self._descriptor, start, stop - start, os.POSIX_FADV_DONTNEED)
