"""The only door to stores: opens them read-only in each process, and gives numpy out."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dashboard.stores.cache import ByteCache
from dashboard.stores.discovery import find_stores
from dashboard.stores.snapshot import Sample, Snapshot
from dashboard.stores.summary import StoreSummary, summarize
from fmcore import FmcoreError, open_store
from fmcore.selection import near_matches

__all__ = ["DIGESTS_HERE", "STORE_HERE", "Sample", "Snapshot", "Source", "StoreNotFoundError"]

# The store that the request at hand is about, where its address says so.
STORE_HERE: ContextVar[str | None] = ContextVar("STORE_HERE", default=None)
# The digests of the stores that the answer at hand is of; None where nobody asks.
DIGESTS_HERE: ContextVar[set[str] | None] = ContextVar("DIGESTS_HERE", default=None)
# Folders are looked through again after this time, if somebody asks what there is.
SCAN_SECONDS = 2.0
# Open at the same time; each takes a few file descriptors, and the places of its chunks.
MOST_OPEN = 16

Key = tuple[int, int, int]


class StoreNotFoundError(FmcoreError, KeyError):
    """No store has the name that was asked for."""


@dataclass(slots=True)
class _Slot:
    """A store's place: its file, and the snapshot of it that is open."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    opened: tuple[Key, Snapshot] | None = None
    used: int = 0


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What one process has used of its stores so far.

    Attributes:
        n_opened: how often a store was opened.
        n_hits: how often the cache had what was asked for; `n_misses` how often not.
        n_bytes: what the cache holds now.
    """

    n_opened: int
    n_hits: int
    n_misses: int
    n_bytes: int


class Source:
    """Gives the current snapshot of each store, opened anew when its file is another one.

    Attributes:
        has_catalogue: whether there may be several stores, of which a person chooses.
    """

    def __init__(self, *paths: Path) -> None:
        """Looks for stores.

        Args:
            paths: stores, and folders of stores, which are found there while the server runs.
        """
        self._paths = paths
        self.has_catalogue = len(paths) != 1 or paths[0].is_dir()
        self._cache = ByteCache()
        self._slots: dict[str, _Slot] = {}
        self._scanning = threading.Lock()
        self._scanned = -SCAN_SECONDS
        self._turns = itertools.count(1)
        self._n_opened = 0
        self._scan()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stores there are."""
        return tuple(self.files)

    @property
    def files(self) -> Mapping[str, Path]:
        """The files of the stores there are, by name."""
        self._scan()
        return {name: slot.path for name, slot in self._slots.items()}

    def snapshot(self, name: str | None = None) -> Snapshot:
        """The store as it is now; one callback asks once, so that its numbers belong together.

        Args:
            name: which store; None for that of the request, or the only one there is.

        Raises:
            StoreNotFoundError: if there is no store of that name.
            InputFileError, StoreError: if the file is gone or is no store.
        """
        name, slot = self._slot(name)
        with slot.lock:
            key = _key(slot.path)
            if slot.opened is None or key is None or slot.opened[0] != key:
                # The old file is left to its readers; it closes when the last of them lets go.
                slot.opened = None
                slot.opened = (key or (0, 0, 0), Snapshot(open_store(slot.path), name, self._cache))
                self._n_opened += 1
                self._close_unused(slot)
            slot.used, snapshot = next(self._turns), slot.opened[1]
        seen = DIGESTS_HERE.get()
        if seen is not None:
            seen.add(snapshot.digest)
        return snapshot

    def usage(self) -> StoreUsage:
        """What this process has used of the stores so far."""
        cache = self._cache
        return StoreUsage(self._n_opened, cache.n_hits, cache.n_misses, cache.n_bytes)

    def check(self) -> None:
        """Looks whether stores can be opened now.

        Raises:
            OSError: of the operating system, if a folder cannot be read, or the only store.
        """
        for path in self._paths:
            if path.is_dir():
                with os.scandir(path) as entries:
                    next(entries, None)
            else:
                with path.open("rb") as file:
                    file.read(1)

    def summaries(self) -> list[StoreSummary]:
        """A line for each store there is, broken ones too; kept as long as the file is the same."""
        return [
            self._cache.get(("summary", name, path, _key(path)), partial(summarize, name, path))
            for name, path in self.files.items()
        ]

    def current(self, name: str) -> Snapshot | None:
        """The open snapshot, without waiting; None if it must be opened or its file was replaced.

        Args:
            name: which store.
        """
        slot = self._slots.get(name)
        if slot is None or not slot.lock.acquire(blocking=False):
            return None
        try:
            opened = slot.opened
            if opened is None or opened[0] != _key(slot.path):
                return None
            slot.used = next(self._turns)
            return opened[1]
        finally:
            slot.lock.release()

    def _slot(self, name: str | None) -> tuple[str, _Slot]:
        name = name or STORE_HERE.get() or ("" if self.has_catalogue else self._only)
        slot = self._slots.get(name)
        if slot is None or not slot.path.exists():
            self._scan()
            slot = self._slots.get(name)
        if slot is None:
            names = list(self._slots)
            first = ", ".join(names[:20]) + (f" and {len(names) - 20} more" * (len(names) > 20))
            raise StoreNotFoundError(
                f"no store {name!r}; there are {first or 'none'}{near_matches(name, names)}"
            )
        return name, slot

    @property
    def _only(self) -> str:
        return self._paths[0].stem

    def _scan(self) -> None:
        """Looks through the folders, unless somebody just did."""
        if not self.has_catalogue and self._slots:
            return
        with self._scanning:
            if time.monotonic() - self._scanned < SCAN_SECONDS:
                return
            slots, files = self._slots, find_stores(self._paths)
            same = {name for name, slot in slots.items() if files.get(name) == slot.path}
            self._slots = {
                name: slots[name] if name in same else _Slot(path) for name, path in files.items()
            }
            self._scanned = time.monotonic()

    def _close_unused(self, newest: _Slot) -> None:
        """Lets go of those that lay longest unused, now that one more is open."""
        others = [slot for slot in self._slots.values() if slot is not newest and slot.opened]
        others.sort(key=lambda slot: slot.used)
        for slot in others[: max(0, len(others) - (MOST_OPEN - 1))]:
            slot.opened = None


def _key(path: Path) -> Key | None:
    """What tells a file from the one that replaced it."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
