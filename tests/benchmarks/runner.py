"""Runs a list of scripts, one after the other or, where they are quick, several at a time.

What they need is looked for before the first one starts. All of them run, whatever becomes of one;
the exit code is 1 where a script failed or a row of its table is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import NOT_PRODUCED

# How to get an outside program.
REMEDIES = {
    "chromium": "Debian: apt install chromium",
    "wrk": "Debian: apt install wrk",
}


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and what must be there for it.

    Attributes:
        path: the script.
        arguments: of a full run, beside those that are passed on to it.
        tools: outside programs, by name or path.
        packages: of Python, beside what fmcore and the dashboard need.
    """

    path: Path
    arguments: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a script ended: what it was called with, its exit code, seconds, and missing rows."""

    name: str
    code: int
    seconds: float
    missing: Sequence[str]


def run_all(scripts: Sequence[Script], *, quick: bool, only: Sequence[str] = ()) -> int:
    """Runs scripts, those of a list of names or all; the exit code."""
    wanted = [script for script in scripts if not only or script.path.stem in only]
    if lacking := _lacking(wanted):
        print("\n".join(f"missing: {what}" for what in lacking), file=sys.stderr)
        return 1
    # A quick one waits for browsers and servers most of its time.
    with ThreadPoolExecutor(os.cpu_count() + 1 if quick else 1) as threads:
        outcomes = list(threads.map(lambda script: _run(script, quick=quick), wanted))
    print(f"\n{'script':56}{'seconds':>8}")
    for outcome in outcomes:
        end = f"FAILED: exit code {outcome.code}" if outcome.code else "ok"
        print(f"{outcome.name:56}{outcome.seconds:8.1f}  {end}")
        for row in outcome.missing:
            print(f"  {NOT_PRODUCED}{row}")
    if quick:
        print("--quick tries that all of it runs; its numbers mean nothing.")
    return int(any(outcome.code or outcome.missing for outcome in outcomes))


class RunnerOptions(argparse.ArgumentParser):
    """The command line of a runner of scripts of these names."""

    def __init__(self, doc: str, names: Sequence[str]) -> None:
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument("--quick", action="store_true", help="all of it small: about a minute")
        self.add_argument("--only", nargs="+", default=(), choices=names)


def _lacking(scripts: Sequence[Script]) -> list[str]:
    """What the scripts need and this machine has not, each with its remedy."""
    tools = dict.fromkeys(tool for script in scripts for tool in script.tools)
    packages = dict.fromkeys(package for script in scripts for package in script.packages)
    return [
        *(
            f"{tool} ({REMEDIES.get(tool, '`make test` makes it')})"
            for tool in tools
            if shutil.which(tool) is None
        ),
        *(
            f"the Python package {package} (pip install -e '.[dev]')"
            for package in packages
            if importlib.util.find_spec(package) is None
        ),
    ]


def _run(script: Script, *, quick: bool) -> Outcome:
    """Runs one script; a quick one says all at its end, so that tables do not mix."""
    words = ["--quick"] if quick else list(script.arguments)
    began, lines = time.perf_counter(), []
    process = subprocess.Popen(
        [sys.executable, str(script.path), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if quick else None,
        text=True,
    )
    name = " ".join([script.path.name, *words])
    if not quick:
        print(f"\n== {name}", flush=True)
    for line in process.stdout:
        lines.append(line)
        if not quick:
            print(line, end="", flush=True)
    code = process.wait()
    if quick:
        print(f"\n== {name}\n{''.join(lines)}", end="", flush=True)
    missing = [
        line.removeprefix(NOT_PRODUCED).rstrip() for line in lines if line.startswith(NOT_PRODUCED)
    ]
    return Outcome(name, code, time.perf_counter() - began, missing)
