"""Reads the bytes of many shards as if they were one file, of which few are open at a time."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
import weakref
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import StoreError
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import stated_digest
from fmcore.storage.file.shard_table import ShardFacts

if sys.platform != "win32":
    import resource

# A process may open this share of its files for the shards of one store: a server has 16 stores
# open, and connections beside them. To open one again takes 25 µs on a local disk.
SHARE_OF_FILES = 32
LEAST_OPEN, MOST_OPEN = 4, 128
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


class ShardedBytes:
    """The bytes of all shards, one after the other; safe to share between threads.

    A shard is opened when it is first read, and each time it must be, bit by bit in its metadata,
    the file that was joined: no link, of the stated size, with the stated digest in its seal.

    Attributes:
        path: the path of the store, for messages.
        folder: the folder of the shards.
        size: the bytes of all shards.
        starts: where each shard begins, <int64>[shard].
    """

    def __init__(self, path: Path, folder: Path, shards: Sequence[ShardFacts]) -> None:
        """Opens nothing yet.

        Args:
            path: the path of the store, for messages.
            folder: the folder of the shards.
            shards: what the store states of each.
        """
        self.path = path
        self.folder, self._shards = folder, shards
        *starts, self.size = accumulate((shard.n_bytes for shard in shards), initial=0)
        self._starts = starts
        self.starts: NDArray[np.int64] = np.array(starts, np.int64)
        self._lock = threading.Lock()
        # The latest comes last. One that goes is closed when no thread reads it any more.
        self._open_files: OrderedDict[int, FileBytes] = OrderedDict()
        self._most_open = _most_open()
        self._descriptor: int | None = None  # of the folder

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from `offset`; fewer if the shard ends before.

        Raises:
            StoreError: if the shard is missing, cannot be opened, or is another file by now.
            OSError: if the disk refuses.
        """
        place = bisect_right(self._starts, offset) - 1
        start = offset - self._starts[place]
        size = min(size, self._shards[place].n_bytes - start)
        return self.file(place).read(start, size)

    def read_now(self, offset: int, size: int) -> bytes | None:
        """The bytes from `offset` if they are in memory already, and their shard is open."""
        place = bisect_right(self._starts, offset) - 1
        with self._lock:
            file = self._open_files.get(place)
        return None if file is None else file.read_now(offset - self._starts[place], size)

    def describe(self, offset: int) -> str:
        """The store and the shard that holds a byte, for messages."""
        return f"{self.path}, shard {self._shards[bisect_right(self._starts, offset) - 1].name},"

    def file(self, place: int) -> FileBytes:
        """One of the shards, which is as the store states.

        Args:
            place: its place among the shards.

        Raises:
            StoreError: if it is not, naming it.
        """
        with self._lock:
            file = self._open_files.get(place)
            if file is not None:
                self._open_files.move_to_end(place)
                return file
        file = self._checked(self._shards[place])  # two threads may both open it
        with self._lock:
            self._open_files[place] = file
            while len(self._open_files) > self._most_open:
                self._open_files.popitem(last=False)
        return file

    def _checked(self, shard: ShardFacts) -> FileBytes:
        """Opens a shard, and closes others where there are too many open files."""
        while True:
            try:
                file = self._opened(shard.name)
                problem = _problem(file, shard)
            except FileNotFoundError as error:
                raise self._error(shard, "is missing") from error
            except OSError as error:
                if error.errno in _TOO_MANY:
                    with self._lock:
                        if self._open_files:
                            self._open_files.popitem(last=False)
                            continue
                    reason = "cannot be opened: too many files are open; allow more (`ulimit -n`)"
                elif error.errno in (errno.ELOOP, errno.ENOTDIR):
                    reason = "is a link, or its folder is; shards must lie beside the store"
                else:
                    reason = f"cannot be read: {error.strerror or error}"
                raise self._error(shard, reason) from error
            if problem:
                raise self._error(shard, problem)
            return file

    def _opened(self, name: str) -> FileBytes:
        if os.open not in os.supports_dir_fd:  # Windows
            return FileBytes(self.folder / name)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self._folder_descriptor())
        try:
            return FileBytes(Path(name), descriptor=descriptor)
        finally:
            os.close(descriptor)

    def _folder_descriptor(self) -> int:
        """The open folder; by it no link can take its place while the store is open."""
        with self._lock:
            if self._descriptor is None:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                self._descriptor = os.open(self.folder, flags)
                weakref.finalize(self, os.close, self._descriptor)
            return self._descriptor

    def _error(self, shard: ShardFacts, problem: str) -> StoreError:
        return StoreError(
            f"{self.path} is an incomplete store: its shard {self.folder.name}/{shard.words} "
            f"{problem}; put back the file that was there, or capture again"
        )


def _problem(file: FileBytes, shard: ShardFacts) -> str:
    """How a file differs from what is stated of the shard; empty if it does not."""
    if not stat.S_ISREG(os.fstat(file.descriptor).st_mode):
        return "is no file"
    if file.size != shard.n_bytes:
        return f"has {file.size:,} bytes, expected {shard.n_bytes:,}"
    if stated_digest(file) != shard.digest:
        return "is another file than the one that was joined"
    return ""


def _most_open() -> int:
    """How many shards of a store may be open at a time."""
    if sys.platform == "win32":
        return MOST_OPEN
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return MOST_OPEN
    return max(LEAST_OPEN, min(MOST_OPEN, allowed // SHARE_OF_FILES))
