"""Reads the bytes of a store past HDF5 and its lock, from any thread."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path

import h5py


class FileBytes:
    """Reads any place of a file, from any thread; closed when the last one who holds it lets go.

    So a store may be closed while another thread reads: that read ends well, where a number of an
    open file that is closed and given out again would show it the bytes of another file.

    Attributes:
        path: for messages.
        descriptor: the open file's number.
        size: of the file, in bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self.descriptor = os.open(path, flags)
        weakref.finalize(self, os.close, self.descriptor)
        self.size = os.fstat(self.descriptor).st_size
        self._lock = threading.Lock()

    def read_now(self, offset: int, size: int) -> bytes | None:
        """Some bytes if they are in memory already; None where one would wait for the disk.

        So a thread that must not wait need not hand every small read to another.
        """
        if not hasattr(os, "RWF_NOWAIT"):
            return None
        data = bytearray(size)
        try:
            n_read = os.preadv(self.descriptor, [data], offset, os.RWF_NOWAIT)
        except OSError:  # would wait, or a file system that cannot tell
            return None
        return bytes(data) if n_read == size else None

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes; fewer where the file ends.

        Raises:
            OSError: if the disk refuses.
        """
        if hasattr(os, "pread"):
            return os.pread(self.descriptor, size, offset)
        with self._lock:  # Windows
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            return os.read(self.descriptor, size)

    def is_same_as(self, file: h5py.File) -> bool:
        """Whether HDF5 has opened the same file: a store may be replaced under its name."""
        return os.path.samestat(os.fstat(self.descriptor), os.fstat(file.id.get_vfd_handle()))
