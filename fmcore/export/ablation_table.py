"""What a model loses without each filter, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fmcore.export.contents import TEXT, Coded, Column, Table, Tables
from fmcore.export.table_kinds import table_kind
from fmcore.statistics import Costs
from fmcore.storage import Ablation

KINDS = {
    "layer": TEXT,
    "filter": "int64",
    "class": TEXT,
    "by": TEXT,
    "rank": "int64",
    "model_rank": "int64",
    "n": "int64",
    "n_lost": "int64",
    "n_gained": "int64",
    "n_changed": "int64",
    **{
        f"{name}{end}": "float64"
        for name in ("accuracy_cost", "probability_cost", "loss_cost")
        for end in ("", "_low", "_high")
    },
    "p": "float64",
    "q": "float64",
    "output_change": "float64",
}
# What `fmcore ablate --out FILE --force` replaces.
ABLATION_TABLE = table_kind("a table of `fmcore ablate`", KINDS)


def ablation_table(
    ablation: Ablation, layers: Sequence[str], class_names: Sequence[str], *, by_class: bool
) -> Tables:
    """One row for each filter, the least costly of each layer first.

    The column `rank` says in which order filters of a layer may go, from 0; `model_rank` in which
    order those of all measured layers may.

    Args:
        ablation: what was measured.
        layers: the paths of the layers.
        class_names: the names of the classes.
        by_class: whether a row for each class follows, where `class` is not missing.
    """
    loaded = [ablation.layer(path) for path in layers]

    def pieces() -> Iterator[Table]:
        model_ranks = ablation.ranks()
        for layer in loaded:
            overall = layer.costs()
            order = overall.order()
            rank = np.empty_like(order)
            rank[order] = np.arange(len(order))
            ranks = {"rank": rank, "model_rank": model_ranks[layer.path]}
            yield _rows(ablation, layer.path, overall, None, order, ranks)
            if by_class:
                costs = layer.costs_by_class()
                for index, name in enumerate(class_names):
                    yield _rows(ablation, layer.path, costs.row(index), name, order, ranks)

    n_rows = sum(layer.n_filters for layer in loaded)
    return Tables(KINDS, pieces, n_rows * (1 + len(class_names) * by_class), nan_is_missing=True)


def _rows(
    ablation: Ablation,
    layer: str,
    costs: Costs,
    class_name: str | None,
    order: np.ndarray[tuple[int], np.dtype[np.int64]],
    ranks: Mapping[str, np.ndarray[tuple[int], np.dtype[np.int64]]],
) -> Table:
    size = len(order)
    columns: dict[str, Column] = {
        "layer": Coded.constant(layer, size),
        "filter": order,
        "class": Coded.constant(class_name, size),
        "by": Coded.constant(str(ablation.facts.by), size),
        **{name: values[order] for name, values in ranks.items()},
        **{name: getattr(costs, name)[order] for name in ("n", "n_lost", "n_gained", "n_changed")},
    }
    for name in ("accuracy", "probability", "loss"):
        change = getattr(costs, name)
        columns |= {
            f"{name}_cost": change.value[order],
            f"{name}_cost_low": change.low[order],
            f"{name}_cost_high": change.high[order],
        }
    columns |= {"p": costs.p[order], "q": costs.q[order], "output_change": costs.output[order]}
    return Table(columns)
