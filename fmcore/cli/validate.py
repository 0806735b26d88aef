"""`fmcore validate`: read a whole store and print what is wrong with it."""

from __future__ import annotations

import argparse
from pathlib import Path

from fmcore.cli.options import AddVerb, add_store, say
from fmcore.errors import StoreError
from fmcore.storage import opened_apart, problems_apart


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `validate` to the command line."""
    validate = verb("validate", _validate, "read a whole store and print what is wrong with it")
    add_store(validate)
    validate.add_argument("--quick", action="store_true", help="check structure and metadata only")


def _validate(options: argparse.Namespace) -> int:
    problems = problems_apart(options.store, quick=options.quick)
    if not problems:
        problems = _problems_beside(options.store)
    for problem in problems:
        say(f"{options.store}: {problem}")
    scope = " (--quick: structure and metadata only, no array was read)" if options.quick else ""
    count = f"{len(problems) or 'no'} problem{'s' if len(problems) > 1 else ''} found"
    print(f"{options.store}: {count}{scope}")
    return min(len(problems), 1)


def _problems_beside(path: Path) -> list[str]:
    """Problems of the ablations that lie beside a sound store."""
    problems: list[str] = []
    with opened_apart(path) as store:
        for by in store.ablations:
            try:
                ablation = store.ablation(by)
                problems += [f"{ablation.path.name}: {text}" for text in ablation.problems()]
            except StoreError as error:
                problems.append(str(error))
    return problems
