"""`fmcore validate`: read a whole store and say what is wrong with it."""

from __future__ import annotations

import argparse

from fmcore.cli.options import AddVerb, add_store, say
from fmcore.storage import problems_apart


def add_verb(verb: AddVerb) -> None:
    """Adds it to a parser."""
    validate = verb("validate", _validate, "read a whole store and say what is wrong with it")
    add_store(validate)
    validate.add_argument("--quick", action="store_true", help="structure and metadata only")


def _validate(options: argparse.Namespace) -> int:
    found = problems_apart(options.store, quick=options.quick)
    for problem in found:
        say(f"{options.store}: {problem}")
    looked = " (--quick: structure and metadata only, no array was read)" if options.quick else ""
    count = f"{len(found) or 'no'} problem{'s' if len(found) > 1 else ''} found"
    print(f"{options.store}: {count}{looked}")
    return min(len(found), 1)
