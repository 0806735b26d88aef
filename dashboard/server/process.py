"""What the system allows this process."""

from __future__ import annotations

import contextlib
import sys

if sys.platform != "win32":
    import resource

# What systemd allows a service that asks for more; no memory is taken for them.
MOST_OPEN_FILES = 524_288
# Where the system says none, as on Windows.
_UNKNOWN = 2048
# Enough for 300 people with six connections each, and for stores beside them.
_ENOUGH = 4096


def open_files() -> int:
    """How many files, sockets among them, this process may have open."""
    if sys.platform == "win32":
        return _UNKNOWN
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def raise_open_files() -> str:
    """Takes as many open files as the system allows without asking.

    Returns:
        A sentence where these are few; empty where they are enough.
    """
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            # macOS allows less than it says.
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    n = open_files()
    if n >= _ENOUGH:
        return ""
    return (
        f"the system allows {n:,} open files, so that each worker takes {n * 3 // 4:,} "
        f"connections at most; `ulimit -n {_ENOUGH}`, or LimitNOFILE of a service, allows more"
    )
