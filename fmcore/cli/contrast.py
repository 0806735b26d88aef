"""`fmcore contrast`: which filters tell one group of samples from another, beside chance."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from fmcore.cli.options import AddVerb, add_force, add_layers, add_store, say
from fmcore.cli.tables import add_table_choice, aligned, give_table, table_form
from fmcore.command import whole_number
from fmcore.export import CONTRAST_TABLE, contrast_table
from fmcore.numbers import fraction_text, number_text
from fmcore.selection import EXAMPLES
from fmcore.statistics import BY, Q_LEVEL, Contrast
from fmcore.storage import opened_apart

FIRST_ROWS = 20
HEADINGS = ("", "AUC", "chance", "q", "p", "effect", "mean A", "mean B")


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `contrast` to the command line."""
    contrast = verb(
        "contrast", _contrast, "name the filters that tell one group of samples from another"
    )
    add_store(contrast)
    contrast.add_argument(
        "--a", required=True, metavar="GROUP", help=f"group A: an expression such as {EXAMPLES}"
    )
    contrast.add_argument(
        "--b", metavar="GROUP", help="group B (default: all samples that are not of A)"
    )
    contrast.add_argument(
        "--by",
        choices=BY,
        default=BY[0],
        help="the pooled value that is compared; zeros is the share of exact zeros (default: "
        "%(default)s)",
    )
    add_layers(contrast)
    contrast.add_argument(
        "--n",
        type=whole_number(1, 10_000_000),
        metavar="N",
        help=f"how many filters, those that tell the groups best (default: {FIRST_ROWS} as text, "
        "else all)",
    )
    add_table_choice(contrast)
    add_force(contrast)


def _contrast(options: argparse.Namespace) -> None:
    form = table_form(options, CONTRAST_TABLE)
    with opened_apart(options.store) as store:
        contrast = store.contrast(options.a, options.b, by=options.by, layer=options.layers)
    if form is None:
        for line in lines(contrast, options.n or FIRST_ROWS):
            say(line)
        return
    for note in contrast.notes:
        print(f"fmcore: {note}", file=sys.stderr, flush=True)
    tables = contrast_table(contrast, n=options.n or None)
    give_table(tables, form, options.out, CONTRAST_TABLE, overwrite=options.force)


def lines(contrast: Contrast, n_rows: int) -> list[str]:
    """A contrast for people: the first filters, and what to know of them."""
    order = contrast.order()
    first = order[np.isfinite(contrast.auc[order])][:n_rows]
    rows = [
        (
            f"{contrast.layers[contrast.layer[row]]} filter {contrast.filter[row]}",
            fraction_text(contrast.auc[row], decimals=3),
            f"{contrast.chance[0, row]:.3f} to {contrast.chance[1, row]:.3f}",
            number_text(contrast.q[row], digits=2),
            number_text(contrast.p[row], digits=2),
            f"{contrast.effect[row]:+.2f}",
            number_text(contrast.mean_a[row], digits=3),
            number_text(contrast.mean_b[row], digits=3),
        )
        for row in first.tolist()
    ]
    n_tests = contrast.n_tests
    return [
        f"A: {contrast.n_a:,} samples, B: {contrast.n_b:,} samples, by {contrast.by}; "
        f"{contrast.n_apart:,} of {n_tests:,} filters have a q below {Q_LEVEL}",
        *contrast.notes,
        "",
        *(aligned(HEADINGS, *rows) if rows else ["No filter can be compared."]),
        "",
        "AUC: the probability that a sample of A has a larger value than one of B; chance: the 95% "
        "band of AUC if samples are exchanged.",
        f"q: p after Benjamini and Hochberg over {n_tests:,} filters; effect: Cliff's delta, "
        "2 AUC - 1.",
    ]
