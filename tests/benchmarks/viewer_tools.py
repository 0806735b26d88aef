"""What the parts of the viewer's benchmark share: a server in a process of its own, percentiles."""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

SERVE = [sys.executable, "-m", "dashboard.cli", "serve"]


def started(command: Sequence[str]) -> tuple[subprocess.Popen, str]:
    """A server's process, and the address that it says."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = process.stdout.readline()
    return process, re.search(r"http://[\w.:]+/", said).group()


@contextlib.contextmanager
def serving(store: Path, command: Sequence[str] | None = None) -> Iterator[tuple[str, int]]:
    """The address of a server that answers, and the id of its process."""
    process, url = started(command or [*SERVE, str(store), "--port", "0", "--no-open"])
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}healthz", timeout=10).read()
                break
            except urllib.error.URLError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(20)


def p95(values: Sequence[float]) -> float:
    return sorted(values)[min(int(0.95 * len(values)), len(values) - 1)]


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)
