"""The only door to stores: opens them read-only in each process, and gives numpy out."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from dashboard.stores.cache import ByteCache
from dashboard.stores.discovery import Entry, find_stores
from dashboard.stores.file_keys import Key, key_of
from dashboard.stores.looks import Looks
from dashboard.stores.snapshot import Sample, Snapshot
from dashboard.stores.summary import StoreSummary
from fmcore import FmcoreError, open_store
from fmcore.errors import InputFileError, StoreError
from fmcore.selection import near_matches
from fmcore.storage import FileBytes

__all__ = [
    "DIGESTS_HERE",
    "STORE_HERE",
    "Sample",
    "Snapshot",
    "Source",
    "StoreNotFoundError",
    "StoreNotOpenedError",
]

T = TypeVar("T")

# The store that the request at hand is about, where its address says so.
STORE_HERE: ContextVar[str | None] = ContextVar("STORE_HERE", default=None)
# The digests of the stores that the answer at hand is of; None where nobody asks.
DIGESTS_HERE: ContextVar[set[str] | None] = ContextVar("DIGESTS_HERE", default=None)
# Folders are looked through again after this time, if somebody asks what there is.
SCAN_SECONDS = 2.0
# Open at the same time; each takes a few file descriptors, and the places of its chunks.
MOST_OPEN = 16
# What the catalogue waits for first looks at new files: 300 stores on a slow machine. What is left
# is listed as such, and looked at when somebody asks again.
LOOK_SECONDS = 30.0
ATTEMPTS = 10
# For a description of the API, which gets along without a store.
MOST_TRIED = 5
NOT_YET = "it was not looked at yet: many stores are new; look again in a moment"


class StoreNotOpenedError(FmcoreError, ValueError):
    """A file is listed as a store and cannot be opened as one; the message says why."""


class StoreNotFoundError(FmcoreError, KeyError):
    """No store has the name that was asked for."""


@dataclass(slots=True)
class _Slot:
    """A store's place: its file, and the snapshot of it that is open."""

    entry: Entry
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
        self._cache, self._looks = ByteCache(), Looks()
        self._slots: dict[str, _Slot] = {}
        self._logged_links: dict[Path, str] = {}
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
        return {name: slot.entry.path for name, slot in self._slots.items()}

    def snapshot(self, name: str | None = None) -> Snapshot:
        """The store as it is now; one callback asks once, so that its numbers belong together.

        Args:
            name: which store; None for that of the request, or the only one there is.

        Raises:
            StoreNotFoundError: if there is no store of that name.
            InputFileError: if the file is gone.
            StoreNotOpenedError: if it is no store, a damaged one, or leads elsewhere.
        """
        name, slot = self._slot(name)
        with slot.lock:
            if slot.opened is None or not _is_current(slot):
                # The old file is left to its readers; it closes when the last of them lets go.
                slot.opened = None
                slot.opened = self._open(slot.entry, name)
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
        self._scan()
        until = time.monotonic() + LOOK_SECONDS
        return [self._summary(name, slot.entry, until) for name, slot in self._slots.items()]

    def example(self) -> Snapshot | None:
        """One of the first stores, which can be opened; None if none of these can."""
        for name in self.names[:MOST_TRIED]:
            with contextlib.suppress(FmcoreError):
                return self.snapshot(name)
        return None

    def current(self, name: str) -> Snapshot | None:
        """The open snapshot, without waiting; None if it must be opened or its file was replaced.

        Args:
            name: which store.
        """
        slot = self._slots.get(name)
        if slot is None or not slot.lock.acquire(blocking=False):
            return None
        try:
            if slot.opened is None or not _is_current(slot):
                return None
            slot.used = next(self._turns)
            return slot.opened[1]
        finally:
            slot.lock.release()

    def _summary(self, name: str, entry: Entry, until: float) -> StoreSummary:
        """The line of an entry; new files are looked at until a time of the monotonic clock."""
        if entry.problem:
            return StoreSummary(name=name, problem=f"{entry.label} {entry.problem}")
        key = _key(entry.path)
        # A link that leads elsewhere by now is found when it is opened.
        summary = None if key is None else self._looks.kept(entry.label, key)
        if summary is None or entry.path.is_symlink():
            if time.monotonic() > until:
                return StoreSummary(name=name, problem=NOT_YET)
            try:
                summary = self._unchanged(entry, lambda _, summary: summary)
            except FmcoreError as error:
                return StoreSummary(name=name, problem=str(error))
        return replace(summary, name=name)

    def _open(self, entry: Entry, name: str) -> tuple[Key, Snapshot]:
        """Opens a store that a process apart has looked through, and nothing else."""

        def read(file: FileBytes, summary: StoreSummary) -> tuple[Key, Snapshot]:
            if summary.problem:
                raise StoreNotOpenedError(summary.problem)
            key = key_of(os.fstat(file.descriptor))
            # Pages show what an error says: not where on the server the file lies.
            return key, Snapshot(open_store(entry.label, file=file), name, self._cache)

        return self._unchanged(entry, read)

    def _unchanged(self, entry: Entry, read: Callable[[FileBytes, StoreSummary], T]) -> T:
        """What is read of a file and a first look at it; anew if it was replaced meanwhile."""
        for _ in range(ATTEMPTS):
            file = _opened(entry)
            key, summary = key_of(os.fstat(file.descriptor)), self._looks.look(file, entry.label)
            if summary.problem and _key(entry.path) != key:
                continue
            try:
                return read(file, summary)
            except (StoreNotOpenedError, StoreError, InputFileError):
                if _key(entry.path) == key:
                    raise
        raise InputFileError(
            f"cannot open store {entry.label}: it is being replaced again and again; try later"
        )

    def _slot(self, name: str | None) -> tuple[str, _Slot]:
        name = name or STORE_HERE.get() or ("" if self.has_catalogue else self._only)
        slot = self._slots.get(name)
        if slot is None or _key(slot.entry.path) is None:
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
            slots, files = self._slots, find_stores(self._paths, self._logged_links)
            same = {name for name, slot in slots.items() if files.get(name) == slot.entry}
            self._slots = {
                name: slots[name] if name in same else _Slot(entry) for name, entry in files.items()
            }
            self._scanned = time.monotonic()

    def _close_unused(self, newest: _Slot) -> None:
        """Lets go of those that lay longest unused, now that one more is open."""
        others = [slot for slot in self._slots.values() if slot is not newest and slot.opened]
        others.sort(key=lambda slot: slot.used)
        for slot in others[: max(0, len(others) - (MOST_OPEN - 1))]:
            slot.opened = None


def _is_current(slot: _Slot) -> bool:
    """Whether a store is open, and neither it nor what lies beside it was replaced since."""
    if slot.opened is None:
        return False
    key, snapshot = slot.opened
    return key == _key(slot.entry.path) and snapshot.ablations.are_same


def _key(path: Path) -> Key | None:
    """What tells a file from the one that replaced it."""
    try:
        return key_of(path.stat())
    except (OSError, ValueError):
        return None


def _opened(entry: Entry) -> FileBytes:
    """Opens the file of an entry, if it still is a file within its folder.

    Raises:
        InputFileError: if it is gone.
        StoreNotOpenedError: if it cannot be opened, or lies elsewhere.
    """
    if entry.problem:
        raise StoreNotOpenedError(f"{entry.label} {entry.problem}")
    try:
        file = FileBytes(entry.path)
        is_file = stat.S_ISREG(os.fstat(file.descriptor).st_mode)
        is_inside = entry.root is None or file.real_path().is_relative_to(entry.root)
    except FileNotFoundError as error:
        raise InputFileError(f"cannot open store {entry.label}: there is no such file") from error
    except OSError as error:
        raise StoreNotOpenedError(f"cannot open store {entry.label}: {error.strerror}") from error
    if not is_inside:
        raise StoreNotOpenedError(
            f"{entry.label} leads out of the folder of stores; it is not opened"
        )
    if not is_file:
        raise StoreNotOpenedError(f"{entry.label} is no file; it is not opened")
    if file.name == entry.path:  # Windows, which has no names for open files
        return file
    # Errors name it by its path: people are told no more of that than the folder of stores shows.
    return FileBytes(Path(entry.label), descriptor=file.descriptor)
