"""Keeps errors of the disk, and signals, out of HDF5 until they can be raised safely.

HDF5 cannot recover from a failed write: h5py then raises `RuntimeError` and the interpreter ends in
a segmentation fault (8 of 8 runs on a full disk, also when the error comes out of a Python file
object). So HDF5 never sees the error: it writes through this file, which keeps the first error,
holds what could not be written, and raises when asked. What is held is read back, because HDF5
trusts its own metadata, and damages its heap where other bytes are in their place.

Writes that follow each other are gathered, because each one that reaches the system lets go of the
GIL and has to get it back from the threads that compress.
"""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self

GATHERED_BYTES = 1 << 20
LARGE_BYTES = 128 << 10  # not worth a copy
_NUMBERS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


class DeferredErrorFile(io.FileIO):
    """A file that never fails to write; `check` raises what it held back.

    Attributes:
        error: the first error, or None; also a Ctrl-C that arrived while HDF5 was writing.
    """

    error: BaseException | None = None

    def __init__(self, *arguments: Any) -> None:
        self._gathered = bytearray()
        self._position = 0  # where the next write goes; the gathered bytes end there
        self._lost: list[tuple[int, bytes]] = []  # what the disk refused, and where it belongs
        super().__init__(*arguments)

    def write(self, data: Any, /) -> int:
        """Takes all of the data, or holds the error; says that all was written either way."""
        view = memoryview(data)
        if view.nbytes >= LARGE_BYTES:
            self._put_out()
            self._position += view.nbytes
            self._write_all(view)
            return view.nbytes
        self._position += view.nbytes
        self._gathered += view
        if len(self._gathered) >= GATHERED_BYTES:
            self._put_out()
        return view.nbytes

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Moves, after what is gathered is written, unless it is there already."""
        # After an error the file itself may be elsewhere.
        if whence != io.SEEK_SET or offset != self._position or self.error is not None:
            self._put_out()
            self._position = super().seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """Where the next write goes."""
        return self._position

    def readinto(self, buffer: Any, /) -> int | None:
        """Reads, after what is gathered is written or held."""
        self._put_out()
        n_read = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for first, data in self._lost:
            # In the buffer's own count; what lies before it, and was never written, is a hole.
            start, stop = (place - self._position for place in (first, first + len(data)))
            stop = min(stop, len(view))
            if stop > n_read:
                view[n_read:stop] = bytes(stop - n_read)
                n_read = stop
            if stop > max(start, 0):
                view[max(start, 0) : stop] = data[max(-start, 0) : stop - start]
        self._position += n_read
        return n_read

    def truncate(self, size: int | None = None, /) -> int:
        """Sets the size, or holds the error."""
        self._put_out()
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def flush(self) -> None:
        """Writes what is gathered, or holds the error."""
        self._put_out()

    def close(self) -> None:
        """Writes what is gathered and closes; safe to call twice."""
        if not self.closed:
            self._put_out()
        super().close()

    def check(self) -> None:
        """Raises the first error there was, as it came: mostly an `OSError`."""
        self._put_out()
        if self.error is not None:
            raise self.error

    def _put_out(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        self._write_all(memoryview(gathered))

    def _write_all(self, rest: memoryview) -> None:
        """Writes what ends at the position, or holds what is left of it."""
        while rest and self.error is None:
            try:
                rest = rest[super().write(rest) :]
            except BaseException as error:
                self.error = error
        if rest:
            self._lost.append((self._position - len(rest), bytes(rest)))


class Interrupts:
    """Keeps Ctrl-C and other signals out of HDF5: there they end in a segmentation fault.

    HDF5 writes through a Python file, in which an exception may arrive at any moment; of 60
    captures that were stopped while they made their store, 3 ended in one. So a signal that
    arrives while HDF5 is at work is delivered when it is done, and any other at once. It takes the
    place of the handlers of a program's main thread; elsewhere it does nothing.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._arrived: int | None = None
        self._depth = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While HDF5 is at work: signals wait for the end of the block."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._deliver(None)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in set(_NUMBERS):
                handler = signal.getsignal(number)
                if callable(handler):  # what is ignored, or ends the program, stays so
                    self._handlers[number] = handler
                    signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._arrived = number
        self._deliver(frame)

    def _deliver(self, frame: FrameType | None) -> None:
        if self._depth == 0 and self._arrived is not None:
            number, self._arrived = self._arrived, None
            self._handlers[number](number, frame)
