"""`fmcore doctor`: the installation and the machine, and whether a capture works here."""

from __future__ import annotations

import argparse
import json
import sys

from fmcore.cli.options import AddVerb, say
from fmcore.doctor import FAILED, IMPOSSIBLE, WELL, as_json, facts, parts, verdict

_WIDTH = 12
_PREFIXES = {WELL: "", IMPOSSIBLE: "not possible: ", FAILED: "FAILED: "}


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `doctor` to the command line."""
    doctor = verb("doctor", _doctor, "print what a bug report needs, and try a small capture")
    doctor.add_argument("--json", action="store_true", help="print everything as JSON")


def _doctor(options: argparse.Namespace) -> int:
    installation, tried = facts(), []
    if not options.json:
        for name, words in installation.lines():
            _line(name, words)
    for part in parts(installation):
        tried.append(part)
        if not options.json:
            _line(part.name, _PREFIXES[part.state] + part.words)
    print(json.dumps(as_json(installation, tried), indent=2) if options.json else verdict(tried))
    return int(any(part.state == FAILED for part in tried))


def _line(name: str, words: str) -> None:
    say(f"{name:{_WIDTH}} {words}")
    # So that a line stays where a broken library ends the process.
    sys.stdout.flush()
