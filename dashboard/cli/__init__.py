"""`fmdash`: serves stores in the browser, writes snapshots, and knows who may look at them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version

from dashboard.cli import people, serving, snapshot
from fmcore.command import run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 0 where it went well, 1 for an error that is said in one line, 2 usage."""
    return run_command("fmdash", _parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fmdash", description="Browse stores in the browser.")
    parser.add_argument(
        "--version", action="version", version=f"fmdash {version('feature-map-dashboard')}"
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    serving.add_to(verbs)
    snapshot.add_to(verbs)
    people.add_to(verbs)
    return parser
