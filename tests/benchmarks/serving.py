"""A server in a process of its own, and percentiles of what it was measured by."""

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
    """A server's process, and the address that it prints."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    return process, re.search(r"http://[\w.:]+/", line).group()


def ended(process: subprocess.Popen) -> None:
    """Ends a server and waits for it."""
    process.terminate()
    process.wait(20)


def command_for(store: Path) -> list[str]:
    """The command that serves a store on a free port."""
    return [*SERVE, str(store), "--port", "0", "--no-open"]


@contextlib.contextmanager
def serving(store: Path, command: Sequence[str] | None = None) -> Iterator[tuple[str, int]]:
    """The address of a server that answers, and the id of its process."""
    process, url = started(command or command_for(store))
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
        ended(process)


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed; NaN of none."""
    return sorted(values)[min(int(0.95 * len(values)), len(values) - 1)] if values else float("nan")


def middle(values: Sequence[float]) -> float:
    """The median; NaN of none."""
    return statistics.median(values) if values else float("nan")
