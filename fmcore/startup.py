"""Keeps TensorFlow's own log off a person's terminal; Python's errors come through as ever."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# absl's prefix: severity, then month and day. Before it is set up, absl heeds no level.
_NOTE = re.compile(rb"(WARNING: All log messages before absl|[IW]\d{4} )")


@contextlib.contextmanager
def without_startup_notes() -> Iterator[None]:
    """Drops informational lines that libraries write past Python while they are imported.

    Whoever sets `TF_CPP_MIN_LOG_LEVEL` gets all that it asks for.
    """
    if LEVEL in os.environ:
        yield
        return
    os.environ[LEVEL] = "3"  # a machine without a GPU is no error
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as spool:
        os.dup2(spool.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            spool.seek(0)
            lines = [line for line in spool if not _NOTE.match(line)]
            os.write(terminal, b"".join(lines))
            os.close(terminal)
