"""How much memory images of files may take: what a person allowed, and no more for a small file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from fmcore.errors import DatasetError
from fmcore.files import size_text

# What a capture takes beyond model and images unless `--memory` says otherwise.
DEFAULT_MEMORY = 1 << 30
# A file may be inflated beyond the memory to so many times its bytes. Photos take 1.2 times, MNIST
# 4.7 times; what deflate is made to inflate to takes 1,000 times.
MOST_GROWTH = 4


def require_room(path: Path, n_bytes: int, stored_bytes: int, memory: int) -> None:
    """Refuses a small file that declares large arrays, before it is inflated.

    Raises:
        DatasetError: naming the file, its sizes and what to do.
    """
    if n_bytes > max(memory, MOST_GROWTH * stored_bytes):
        raise DatasetError(
            f"{path} inflates {stored_bytes:,} bytes to {n_bytes:,}, and {size_text(memory)} are "
            "allowed for that; if these are your images, save them without compression, or give "
            "more --memory"
        )


class Room:
    """Lets threads decode images at a time as far as they fit into a memory together."""

    def __init__(self, n_bytes: int = DEFAULT_MEMORY) -> None:
        self.n_bytes = n_bytes
        self._taken = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, n_bytes: int) -> Iterator[None]:
        """Waits until there is room, and keeps it; no more than `n_bytes` of the room itself."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken + n_bytes <= self.n_bytes)
            self._taken += n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._taken -= n_bytes
                self._changed.notify_all()
