"""Keeps Ctrl-C and other signals out of HDF5: there they end in a segmentation fault.

HDF5 writes through a Python file, in which an exception may arrive at any moment; of 60 captures
that were stopped while they made their store, 3 ended in one. So a signal that arrives while HDF5
is at work is delivered when it is done, and any other at once.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


class Interrupts:
    """Takes the place of the handlers of a program's main thread; elsewhere it does nothing."""

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
