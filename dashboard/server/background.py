"""Long answers are made behind all else: whoever takes a layer home slows nobody who looks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

THREADS = 2
# The kernel's least: such a thread runs where nobody else in the machine wants to.
NICE = 19


def _stand_back() -> None:
    """On Linux niceness is a thread's own; elsewhere it would be the whole process'."""
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


# Threads begin with the first answer, and so after a worker is forked.
_POOL = ThreadPoolExecutor(THREADS, "background", initializer=_stand_back)


async def streamed(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same parts, each made in the background when the one before is sent."""
    loop = asyncio.get_running_loop()
    while (part := await loop.run_in_executor(_POOL, next, parts, None)) is not None:
        yield part
