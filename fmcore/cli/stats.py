"""`fmcore stats`: statistics as a tidy table, with their chance levels."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from fmcore.cli.options import AddVerb, add_force, add_query, add_store, query_of
from fmcore.cli.tables import TABLE_FORMATS, format_name, give_table, require_printable
from fmcore.errors import one_line
from fmcore.export import (
    TABLE_KIND,
    Format,
    ResolvedQuery,
    Table,
    Tables,
    chosen_costs,
    resolve,
    statistics_table,
)
from fmcore.files import refuse_existing, size_text
from fmcore.statistics import FINEST, STATISTICS, Bins
from fmcore.storage import Store, opened_apart

# The size of a table with more rows is said before it is written.
LARGE_ROWS = 1_000_000
# The pieces of a table of which the largest is written on trial; the first may be about layers.
TRIED_PIECES = 8
# Layers that a note names.
NAMED = 5
_FEWER = "--layer, --class, --filter and --statistic choose fewer"


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
    form = TABLE_FORMATS[format_name(options.format, out, "csv")]
    require_printable(form, out)
    if out is not None:
        refuse_existing(out, overwrite=options.force, kind=TABLE_KIND)
    with opened_apart(options.store) as store:
        query = dataclasses.replace(query_of(options), what="statistics")
        resolved = resolve(store, query)
        costs = chosen_costs(store, resolved)
        tables = statistics_table(store, resolved, again=options.recompute, costs=costs)
        # An error comes before anything is printed.
        pieces = list(itertools.islice(tables.pieces(), TRIED_PIECES))
        if tables.n_rows > LARGE_ROWS:
            size = size_text(_estimated_bytes(tables, pieces, form))
            note = f"{tables.n_rows:,} rows, about {size}; {_FEWER}"
            print(f"fmcore: {note}", file=sys.stderr, flush=True)
        del pieces
        unread = [f"left out: {name}, {reason}" for name, reason in costs.unread.items()]
        for note in (*_bins_notes(store, resolved), *unread):
            print(f"fmcore: {one_line(note)}", file=sys.stderr, flush=True)
        give_table(tables, form, out, TABLE_KIND, overwrite=options.force)


def _bins_notes(store: Store, resolved: ResolvedQuery) -> list[str]:
    """How accurate quantiles in the table are, where bins are wider than usual."""
    patterns = [pattern.strip() for pattern in (resolved.query.statistic or "*").split(",")]
    quantiles = [name for name, statistic in STATISTICS.items() if statistic.level is not None]
    if not any(fnmatchcase(name, pattern) for name in quantiles for pattern in patterns):
        return []
    layers: dict[str, list[str]] = {}
    for path in resolved.layers:
        layer = store.layers[path]
        if layer.has(STATISTICS[quantiles[0]]) and layer.bin_words != Bins(FINEST).words:
            layers.setdefault(layer.bin_words, []).append(path)
    return [
        f"{', '.join(paths[:NAMED])}{f' and {len(paths) - NAMED} more' if paths[NAMED:] else ''}: "
        f"{words}"
        for words, paths in layers.items()
    ]


def _estimated_bytes(tables: Tables, pieces: Sequence[Table], form: Format) -> int:
    """Bytes of a table in a format, about; of text, as the largest of some pieces takes."""
    if form.table_text is None:
        return form.table_bytes(tables)
    piece = max(pieces, key=lambda piece: piece.n_rows)
    alone = dataclasses.replace(tables, pieces=lambda: iter([piece]), n_rows=piece.n_rows)
    n_bytes = sum(len(text.encode()) for text in form.table_text(alone))
    return n_bytes * tables.n_rows // piece.n_rows
