"""A contrast of two groups of samples as a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fmcore.export.contents import TEXT, Coded, Column, Table, Tables
from fmcore.export.table_kinds import table_kind
from fmcore.statistics import Contrast
from fmcore.statistics.contrast.record import P_SOURCE_WORDS, WHY_UNCONTRASTED

KINDS = {
    "layer": TEXT,
    "filter": "int64",
    "auc": "float64",
    "chance_low": "float64",
    "chance_high": "float64",
    "effect": "float64",
    "p": "float64",
    "q": "float64",
    "mean_a": "float64",
    "mean_b": "float64",
    "n_a": "int64",
    "n_b": "int64",
    "p_source": TEXT,
    "reason": TEXT,
}
# What `fmcore contrast --out FILE --force` replaces.
CONTRAST_TABLE = table_kind("a table of `fmcore contrast`", KINDS)


def contrast_table(contrast: Contrast, *, n: int | None = None) -> Tables:
    """One row for each filter, the one that tells the groups best first.

    Args:
        contrast: of two groups.
        n: the number of rows; None for all.
    """
    order = contrast.order()[:n]

    def pieces() -> Iterator[Table]:
        sources, reasons = (
            [words or None for words in texts.values()]
            for texts in (P_SOURCE_WORDS, WHY_UNCONTRASTED)
        )
        columns: dict[str, Column] = {
            "layer": Coded(contrast.layers, contrast.layer[order]),
            "filter": contrast.filter[order].astype(np.int64),
            "auc": contrast.auc[order],
            "chance_low": contrast.chance[0, order],
            "chance_high": contrast.chance[1, order],
            "effect": contrast.effect[order],
            "p": contrast.p[order],
            "q": contrast.q[order],
            "mean_a": contrast.mean_a[order],
            "mean_b": contrast.mean_b[order],
            "n_a": np.full(len(order), contrast.n_a),
            "n_b": np.full(len(order), contrast.n_b),
            "p_source": Coded(sources, contrast.p_source[order]),
            "reason": Coded(reasons, contrast.undefined[order]),
        }
        yield Table(columns)

    return Tables(KINDS, pieces, len(order), nan_is_missing=True)
