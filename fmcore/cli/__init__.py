"""`fmcore`: arguments to the verbs of the other modules; the only place of the core that prints."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from fmcore import __version__
from fmcore.cli import capture, doctor, export, figure, health, info, layers, stats, train, validate
from fmcore.command import run_command

# In the order in which `fmcore --help` lists them.
VERBS = (train, capture, layers, info, validate, export, figure, stats, health, doctor)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 where it went well, 1 for an error that is said in one line, 2 for wrong usage, 3 where
        `health` found more than `--fail-on` allows.
    """
    return run_command("fmcore", _parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fmcore",
        description="Store every feature map of a whole test set, and get it back out.",
    )
    parser.add_argument("--version", action="version", version=f"fmcore {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    for module in VERBS:
        module.add_verb(verb)
    return parser
