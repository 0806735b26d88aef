"""Keeps disk errors and signals out of HDF5 until they can be raised safely.

HDF5 cannot recover from a failed write: h5py then raises `RuntimeError` and the interpreter ends in
a segmentation fault (8 of 8 runs on a full disk, also when the error comes out of a Python file
object). So HDF5 never sees the error: it writes through this file, which keeps the first error,
holds the data that could not be written, and raises the error in `check`. The held data are read
back, because HDF5 trusts its own metadata, and damages its heap if it reads other bytes instead.

Consecutive writes are buffered, because each one that reaches the system releases the GIL and has
to get it back from the threads that compress.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self

from fmcore.storage.file.page_cache import WrittenParts

BUFFER_BYTES = 1 << 20
LARGE_BYTES = 128 << 10  # not worth a copy
_SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


class DeferredErrorFile(io.FileIO):
    """A file whose writes never fail; `check` raises the error it kept.

    To HDF5 it is empty at first, whatever bytes an interrupted run left in it: HDF5 makes its
    metadata anew around them, see `in_place`.

    Attributes:
        error: the first error, or None; also a Ctrl-C that arrived while HDF5 was writing.
        kept_bytes: the file is not made shorter than this.
    """

    error: BaseException | None = None
    kept_bytes: int = 0

    def __init__(self, *arguments: Any) -> None:
        self._buffer = bytearray()
        self._position = 0  # where the next write goes; the buffered bytes end there
        self._end = 0  # the length of the file to HDF5
        self._in_place: tuple[int, int] | None = None  # position and size
        self._writes: list[tuple[int, int]] | None = None  # likewise, while `list_writes` is on
        self._unwritten: list[tuple[int, bytes]] = []  # what the disk refused, with its place
        super().__init__(*arguments)
        self._written = WrittenParts(self.fileno())

    def write(self, data: Any, /) -> int:
        """Writes the data or keeps the error; returns the full length either way."""
        view = memoryview(data)
        if self._writes is not None:
            self._writes.append((self._position, view.nbytes))
        if (self._position, view.nbytes) == self._in_place:
            self._in_place = None
            self.seek(self._position + view.nbytes)
            self._end = max(self._end, self._position)
            return view.nbytes
        is_large = view.nbytes >= LARGE_BYTES
        if is_large:
            self._flush_buffer()
        self._position += view.nbytes
        self._end = max(self._end, self._position)
        if is_large:
            self._write_all(view)
            if self.error is None:
                self._written.add(self._position - view.nbytes, self._position)
            return view.nbytes
        self._buffer += view
        if len(self._buffer) >= BUFFER_BYTES:
            self._flush_buffer()
        return view.nbytes

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Moves to a position; writes the buffer first, unless the file is there already."""
        if whence == io.SEEK_END:
            offset, whence = offset + self._end, io.SEEK_SET
        # After an error the file itself may be elsewhere.
        if whence != io.SEEK_SET or offset != self._position or self.error is not None:
            self._flush_buffer()
            self._position = super().seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """Where the next write goes."""
        return self._position

    def readinto(self, buffer: Any, /) -> int | None:
        """Reads into a buffer what was written, also what the disk refused."""
        self._flush_buffer()
        n_read = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for first, data in self._unwritten:
            # Relative to the buffer; what lies before, and was never written, is a hole.
            start, stop = (offset - self._position for offset in (first, first + len(data)))
            stop = min(stop, len(view))
            if stop > n_read:
                view[n_read:stop] = bytes(stop - n_read)
                n_read = stop
            if stop > max(start, 0):
                view[max(start, 0) : stop] = data[max(-start, 0) : stop - start]
        self._position += n_read
        return n_read

    def truncate(self, size: int | None = None, /) -> int:
        """Sets the size of the file, or keeps the error."""
        self._flush_buffer()
        self._end = self._position if size is None else size
        try:
            return super().truncate(max(self._end, self.kept_bytes))
        except OSError as error:
            self.error = self.error or error
            return self._end

    @contextlib.contextmanager
    def in_place(self, position: int, size: int) -> Iterator[None]:
        """In this block a write of `size` bytes at `position` is left out: they lie there already.

        Raises:
            ValueError: if there was no such write.
        """
        self._in_place = position, size
        yield
        if self._in_place is not None:
            self._in_place = None
            raise ValueError(f"{size:,} bytes were not written at {position:,} again")

    @contextlib.contextmanager
    def list_writes(self) -> Iterator[list[tuple[int, int]]]:
        """Yields a list that gets position and size in bytes of each write of this block."""
        writes: list[tuple[int, int]] = []
        self._writes = writes
        try:
            yield writes
        finally:
            self._writes = None

    def flush(self) -> None:
        """Writes the buffer, or keeps the error."""
        self._flush_buffer()

    def close(self) -> None:
        """Writes the buffer and closes the file; safe to call twice."""
        if not self.closed:
            self._flush_buffer()
        super().close()

    def sync(self) -> int:
        """Writes all that HDF5 wrote through to the disk, and returns the bytes of the file.

        Raises:
            OSError: if the disk refuses.
        """
        self.check()
        os.fsync(self.fileno())
        return os.fstat(self.fileno()).st_size

    def check(self) -> None:
        """Raises the first error, if there was one: usually an `OSError`."""
        self._flush_buffer()
        if self.error is not None:
            raise self.error

    def _flush_buffer(self) -> None:
        buffered, self._buffer = self._buffer, bytearray()
        self._write_all(memoryview(buffered))

    def _write_all(self, data: memoryview) -> None:
        """Writes data that end at the current position, or keeps what the disk refuses."""
        while data and self.error is None:
            try:
                data = data[super().write(data) :]
            except BaseException as error:
                self.error = error
        if data:
            self._unwritten.append((self._position - len(data), bytes(data)))


class Interrupts:
    """Keeps Ctrl-C and other signals out of HDF5, where they end in a segmentation fault.

    HDF5 writes through a Python file, in which an exception may arrive at any moment: of 60
    captures that were stopped while they created their store, 3 ended that way. So a signal that
    arrives while HDF5 is at work is delivered when HDF5 is done, and any other at once. In a
    program's main thread this replaces the signal handlers; in other threads it does nothing.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._pending: int | None = None
        self._depth = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds signals back until the end of the block, in which HDF5 is at work.

        Python collects no garbage meanwhile: HDF5 writes through a Python file, and there Python
        would close objects of HDF5 that an earlier file left behind, inside of HDF5, which then
        fails ("no VOL object wrap context").
        """
        self._depth += 1
        collects = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collects:
                gc.enable()
            self._depth -= 1
            self._deliver(None)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in set(_SIGNALS):
                handler = signal.getsignal(number)
                if callable(handler):  # a signal that is ignored, or ends the program, stays so
                    self._handlers[number] = handler
                    signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._pending = number
        self._deliver(frame)

    def _deliver(self, frame: FrameType | None) -> None:
        if self._depth == 0 and self._pending is not None:
            number, self._pending = self._pending, None
            self._handlers[number](number, frame)
