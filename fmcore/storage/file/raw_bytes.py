"""Reads the bytes of a store without HDF5 and its lock, from any thread."""

from __future__ import annotations

import errno
import os
import threading
import weakref
from pathlib import Path

import h5py

from fmcore.apart import OPEN_FILES, name_of_open


def real_path(path: Path) -> Path:
    """A path without links; `Path.resolve` raises `RuntimeError` for a loop of them.

    Raises:
        OSError: if there is nothing, or a link on the way leads nowhere.
    """
    return Path(os.path.realpath(path, strict=True))


class FileBytes:
    """Reads any part of a file, from any thread; the file is closed with the last reference to it.

    So a store may be closed while another thread reads, and that read still succeeds. If the
    descriptor were closed and reused, the thread would read the bytes of another file.

    Attributes:
        path: the path of the file, for messages.
        descriptor: the descriptor of the open file.
        size: the size of the file in bytes.
    """

    def __init__(self, path: Path, *, descriptor: int | None = None) -> None:
        """Opens a file.

        Args:
            path: the path of the file, for messages; of an open one, only that.
            descriptor: of the file, if it is open: another is made of it.

        Raises:
            OSError: if it cannot be opened.
        """
        self.path = path
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        flags |= getattr(os, "O_NONBLOCK", 0)  # a pipe of that name must not be waited for
        self.descriptor = os.open(path, flags) if descriptor is None else os.dup(descriptor)
        weakref.finalize(self, os.close, self.descriptor)
        self.size = os.fstat(self.descriptor).st_size
        self._lock = threading.Lock()

    @property
    def name(self) -> Path:
        """A name under which this very file opens, even if another lies at its path by now."""
        return name_of_open(self.descriptor, self.path)

    def real_path(self) -> Path:
        """Where this very file lies, without links, as far as the system says it.

        Raises:
            OSError: if that cannot be found out.
        """
        if self.name.parent == OPEN_FILES[0]:  # on Linux
            return self.name.readlink()
        real = real_path(self.path)
        if not os.path.samestat(real.stat(), os.fstat(self.descriptor)):
            raise OSError(errno.EAGAIN, "it was replaced just now", str(self.path))
        return real

    def read_now(self, offset: int, size: int) -> bytes | None:
        """The bytes from `offset` if they are in memory already; None if the disk must be awaited.

        So a thread that must not wait need not hand every small read to another thread.
        """
        if not hasattr(os, "RWF_NOWAIT"):
            return None
        data = bytearray(size)
        try:
            n_read = os.preadv(self.descriptor, [data], offset, os.RWF_NOWAIT)
        except OSError:  # it would wait, or the file system does not support this
            return None
        return bytes(data) if n_read == size else None

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from `offset`; fewer if the file ends before.

        Raises:
            OSError: if the disk refuses.
        """
        if hasattr(os, "pread"):
            return os.pread(self.descriptor, size, offset)
        with self._lock:  # Windows
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            return os.read(self.descriptor, size)

    def describe(self, _: int) -> str:
        """The file, for messages; `ShardedBytes` names the shard that holds a byte."""
        return str(self.path)

    def is_same_as(self, file: h5py.File) -> bool:
        """Whether HDF5 has opened the same file: a store may be replaced under its name."""
        return os.path.samestat(os.fstat(self.descriptor), os.fstat(file.id.get_vfd_handle()))
