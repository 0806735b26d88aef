"""The table of A's filters, each with the filter of B that goes with it."""

from __future__ import annotations

import numpy as np
from dash import Dash
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.components.controls import status_note
from dashboard.components.nodes import Node, dcc, dmc
from dashboard.components.table import (
    HOW_TO_USE,
    ONE_ROW,
    Column,
    grid,
    keep_order,
    records,
    select_rows,
    sorted_columns,
)
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.compare.pair import Pair
from dashboard.pages.compare.partners import matches, of_partners, partners
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.all_filters import best_classes
from dashboard.stores.snapshot import Snapshot
from fmcore.export import no_formula
from fmcore.numbers import fraction_text

TABLE = "compare-filters"
R_TIP = "Pearson's correlation of the pooled means of both filters over all samples."


def columns(pair: Pair) -> list[Column]:
    """What is known of each filter of A and of its partner; without the same samples no r."""
    first, second = pair.layers
    goes_with = partners(pair)
    table = [
        Column("filter", "Filter", np.arange(len(goes_with))),
        Column("match", "Filter of B", _numbers(goes_with), "The filter of B that goes with it."),
    ]
    if pair.alike.same:
        table.append(Column("r", "r", matches(pair).r(goes_with), R_TIP))
    means = (
        mean_of_maps(pair.first, first),
        of_partners(mean_of_maps(pair.second, second), goes_with),
    )
    tip = "Mean activation over all samples and pixels."
    table += [Column("mean_a", "Mean A", means[0], tip), Column("mean_b", "Mean B", means[1], tip)]
    if pair.alike.same:
        table.append(Column("difference", "B − A", means[1] - means[0], "Mean in B less that in A"))
    table += _best(pair.first, first, "A", np.arange(len(goes_with)))
    table += _best(pair.second, second, "B", goes_with)
    if pair.alike.same:
        single = matches(pair).one_to_one
        tip = "Each filter of B at most once, so that the sum of all r is the largest there is."
        table += [
            Column("one_to_one", "One to one", _numbers(single), tip),
            Column("one_to_one_r", "its r", matches(pair).r(single), R_TIP),
        ]
    return table


def mean_of_maps(snapshot: Snapshot, layer: str) -> NDArray[np.float64]:
    """The mean of each filter over all samples and pixels, <float64>[filter]."""

    def make() -> NDArray[np.float64]:
        mean: NDArray[np.float64] = (
            snapshot.layer(layer).pooled("mean")[...].mean(0, dtype=np.float64)
        )
        return mean

    return snapshot.derived(("mean of maps", layer), make)


def _best(snapshot: Snapshot, layer: str, letter: str, filters: NDArray[np.int64]) -> list[Column]:
    """The class that each filter tells best, and its AUC; nothing where the store has no scores."""
    if not snapshot.catalog.has_classes or "auc_mean" not in snapshot.layer(layer).statistics:
        return []
    names = snapshot.catalog.class_names
    best, auc = best_classes(snapshot.statistic(layer, "auc_mean"))
    classes = np.where(filters < 0, -1, best[np.maximum(filters, 0)]).tolist()
    texts = ["" if index < 0 else no_formula(names[index]) for index in classes]
    tip = f"The class that the filter of {letter} tells best, by ROC-AUC of its pooled mean."
    return [
        Column(f"best_{letter.lower()}", f"Best class {letter}", texts, tip),
        Column(f"auc_{letter.lower()}", f"AUC {letter}", of_partners(auc, filters), tip),
    ]


def _numbers(filters: NDArray[np.int64]) -> NDArray[np.float64]:
    """Indices, NaN for none."""
    return np.where(filters < 0, np.nan, filters)


def table_note(pair: Pair) -> str:
    """How filters go together, and how well they do."""
    if not pair.alike.same:
        return (
            "Side by side are filters of the same number, without matches, r and differences: "
            f"{_lower(pair.alike.words)}"
        )
    matched, goes_with = matches(pair), partners(pair)
    r = matched.r(goes_with)
    finite = r[np.isfinite(r)]
    if not finite.size:
        return "No r is known: in one of the layers no filter varies, or none is finite."
    fits = ", since both are the same layer of one model" * (pair.state.pairing == "fit")
    how = {
        "match": "Filter of B is the match: that whose pooled mean correlates most with A's over "
        "all samples.",
        "one": "Filter of B is used once at most, so that the sum of the correlations r of pooled "
        "means is the largest.",
        "number": f"Filter of B is that of the same number{fits}; r is the correlation of pooled "
        "means.",
    }[pair.pairing]
    taken = len(set(goes_with[goes_with >= 0].tolist()))
    without = int(np.count_nonzero(np.isnan(r)))
    none = f" {without:,} without r: dead, the same for every sample, or left over." * bool(without)
    n_alike = np.count_nonzero(finite >= 0.9)
    median = fraction_text(np.median(finite), decimals=3)
    return (
        f"{how} Median r {median}; {n_alike:,} of {len(r):,} filters have r ≥ 0.9; "
        f"{taken:,} of B's {matched.correlation.shape[1]:,} filters take part.{none}"
    )


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]


def draw(pair: Pair, _: State, __: Theme, *, sort: object) -> tuple[object, object, str]:
    """The columns and rows of the table, and a sentence."""
    table = columns(pair)
    return (
        sorted_columns([column.definition for column in table], sort),
        records(table),
        table_note(pair),
    )


def _body(_: Snapshot, state: State) -> list[Node]:
    return [
        dcc.Store(id=ids.COMPARE_SORT, data=state.sort),
        status_note(f"{TABLE}-note"),
        grid(TABLE, height="400px", **ONE_ROW),
        dmc.Text(HOW_TO_USE, size="sm", c="dimmed"),
    ]


def register(app: Dash) -> None:
    """Ties the selected row to the number of A's filter."""
    select_rows(app, TABLE, ids.COMPARE_FILTER)
    keep_order(app, TABLE, ids.COMPARE_SORT)


PANEL = Panel(
    "filters",
    draw,
    needs=("pairing",),
    title="Filters",
    fills=(("", "columnDefs"), ("", "rowData"), ("-note", "children")),
    body=_body,
    also={"sort": DashState(ids.COMPARE_SORT, "data")},
)
