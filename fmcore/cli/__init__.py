"""The command line `fmcore`: options become calls; the only package of the core that prints."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from fmcore import __version__
from fmcore.cli import (
    ablate,
    capture,
    contrast,
    doctor,
    export,
    figure,
    health,
    info,
    layers,
    project,
    stats,
    train,
    validate,
    verify,
)
from fmcore.command import run_command

# In the order in which `fmcore --help` lists them.
VERBS = (
    train,
    capture,
    verify,
    layers,
    info,
    validate,
    export,
    figure,
    stats,
    health,
    contrast,
    ablate,
    project,
    doctor,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 on success, 1 for an error, which is printed in one line, 2 for wrong usage, 3 where
        `health` finds more than `--fail-on` allows.
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
        verb_parser = verbs.add_parser(name, help=text, description=text)
        verb_parser.set_defaults(run=run)
        return verb_parser

    for module in VERBS:
        module.add_verb(verb)
    return parser
