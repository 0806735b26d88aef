"""The verbs that give numbers about filters: `stats` and `health`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from fmcore.cli.terminal import AddVerb, add_force, add_query, add_store, query_of, say
from fmcore.errors import OutputError, SelectionError
from fmcore.export import TABLE_FORMATS, TEXT_FORMATS, choose, tidy, write_parquet
from fmcore.files import publish, refuse_existing
from fmcore.health import health_report, parse_limits
from fmcore.storage import open_store

# `health` found more than it may: neither an error (1) nor wrong usage (2).
BEYOND_LIMITS = 3


def add_verbs(verb: AddVerb) -> None:
    """Adds them to a parser."""
    stats = verb("stats", _stats, "print or write statistics as a tidy table, with chance levels")
    add_store(stats)
    add_query(stats, "layer", "filter", "class", "statistic")
    stats.add_argument("--format", choices=TABLE_FORMATS, help="(the ending of FILE, else csv)")
    stats.add_argument("--out", type=Path, metavar="FILE", help="(print)")
    stats.add_argument(
        "--recompute", action="store_true", help="compute what follows from the pooled tables anew"
    )
    add_force(stats)

    health = verb("health", _health, "say which filters are dead, useless or broken")
    add_store(health)
    health.add_argument("--json", action="store_true", help="everything, as JSON")
    health.add_argument(
        "--fail-on",
        type=_limits,
        default={},
        metavar="FINDING=SHARE,…",
        help=f"exit code {BEYOND_LIMITS} where a larger share of a layer's filters is so; such as "
        "dead=0.1,nonfinite=0",
    )


def _limits(text: str) -> dict[str, float]:
    try:
        return parse_limits(text)
    except SelectionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _stats(options: argparse.Namespace) -> None:
    out: Path | None = options.out
    ending = out.suffix.lstrip(".") if out is not None else ""
    name = options.format or (ending if ending in TABLE_FORMATS else "csv")
    if name == "parquet" and out is None:
        raise OutputError("a Parquet table cannot be printed; name a file with --out FILE.parquet")
    if out is not None:
        refuse_existing(out, overwrite=options.force)
    with open_store(options.store) as store:
        query = dataclasses.replace(query_of(options), what="statistics")
        tables = tidy(store, choose(store, query), again=options.recompute)
        next(tables.pieces(), None)  # what is wrong is said before anything is printed
        if out is None:
            sys.stdout.writelines(TEXT_FORMATS[name](tables))
            return
        with publish(out, overwrite=options.force) as partial:
            if name == "parquet":
                write_parquet(tables, partial)
            else:
                with partial.open("w", encoding="utf-8", newline="") as stream:
                    stream.writelines(TEXT_FORMATS[name](tables))
    say(f"Wrote {out}")


def _health(options: argparse.Namespace) -> int:
    with open_store(options.store) as store:
        report = health_report(store)
    if options.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        for line in report.lines():
            say(line)
    beyond = report.beyond(options.fail_on)
    for sentence in beyond:
        print(f"fmcore: {sentence}", file=sys.stderr)
    return BEYOND_LIMITS if beyond else 0
