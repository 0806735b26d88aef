"""`fmcore stats`: statistics as a tidy table, with their chance levels."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from fmcore.cli.options import AddVerb, add_force, add_query, add_store, query_of, say
from fmcore.errors import OutputError
from fmcore.export import TABLE_FORMATS, TEXT_FORMATS, resolve, statistics_table, write_parquet
from fmcore.files import publish, refuse_existing
from fmcore.storage import open_store


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `stats` to the command line."""
    stats = verb("stats", _stats, "print or write statistics as a tidy table, with chance levels")
    add_store(stats)
    add_query(stats, "layer", "filter", "class", "statistic")
    stats.add_argument(
        "--format",
        choices=TABLE_FORMATS,
        help="format of the table (default: the ending of FILE, else csv)",
    )
    stats.add_argument(
        "--out", type=Path, metavar="FILE", help="the file to write (default: print the table)"
    )
    stats.add_argument(
        "--recompute", action="store_true", help="compute what follows from the pooled tables again"
    )
    add_force(stats)


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
        tables = statistics_table(store, resolve(store, query), again=options.recompute)
        next(tables.pieces(), None)  # an error comes before anything is printed
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
