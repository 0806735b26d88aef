"""Precision, recall and F1 of each class, or of each of several labels, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import (
    ONE_ROW,
    Column,
    find_rows,
    find_tools,
    grid,
    keep_order,
    records,
    sorted_columns,
)
from dashboard.figures.theme import Theme
from dashboard.file_names import file_name
from dashboard.pages import ids
from dashboard.pages.page import Panel
from dashboard.pages.person import why_no_files
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.export import no_formula
from fmcore.numbers import fraction_text
from fmcore.records import Target
from fmcore.statistics import ClassCounts, Proportion

TABLE = "errors-classes"
# Up to so many rows are all in sight.
FEW = 12
# Each score, its header and what it means.
SCORES = {
    "precision": ("Precision", "Of the samples predicted as the class, the share that has it."),
    "recall": ("Recall", "Of the samples that have the class, the share predicted as it."),
    "f1": ("F1", "The harmonic mean of precision and recall."),
}
INTERVAL = {
    "precision": "Wilson's score interval (1927).",
    "recall": "Wilson's score interval (1927).",
    "f1": "Wilson's score interval (1927) of the share that is right of the samples that have the "
    "class, are predicted as it, or both; F1 grows with that share.",
}


def columns(names: list[str], counts: ClassCounts) -> list[Column]:
    """What is known of each class: its counts, and three scores, each with its 95 % interval.

    Args:
        names: of the classes.
        counts: of the classes.
    """
    scores = counts.scores()
    table = [
        Column("class", "Class", [no_formula(name) for name in names]),
        Column("n_label", "Samples", counts.n_label, "Samples that have the class as label."),
        Column("n_prediction", "Predicted", counts.n_prediction, "Samples predicted as the class."),
        Column("n_right", "Right", counts.n_right, "Samples of the class predicted as it."),
    ]
    for name, (header, tip) in SCORES.items():
        score: Proportion = getattr(scores, name)
        table += [
            Column(name, header, score.value, tip),
            Column(f"{name}_interval", "95%", _intervals(score), INTERVAL[name]),
            Column(f"{name}_low", f"{header}, low end", score.low, hidden=True),
            Column(f"{name}_high", f"{header}, high end", score.high, hidden=True),
        ]
    return table


def _intervals(score: Proportion) -> list[str]:
    return [
        "" if low != low else f"{fraction_text(low, decimals=3)}–{fraction_text(high, decimals=3)}"
        for low, high in zip(score.low.tolist(), score.high.tolist(), strict=True)
    ]


def mean_words(counts: ClassCounts) -> str:
    """The mean of each score over the classes that have one, in words."""
    scores, parts = counts.scores(), []
    for name, (header, _) in SCORES.items():
        values = getattr(scores, name).value
        if np.isfinite(values).any():
            parts.append(
                f"{header.lower() if name != 'f1' else header} "
                f"{fraction_text(float(np.nanmean(values)))}"
            )
    n_empty = int((counts.n_label == 0).sum())
    rest = f" {n_empty:,} without samples have no recall." if n_empty else ""
    return f"Mean over classes: {', '.join(parts)}.{rest}" if parts else "No class has a score."


def draw(snapshot: Snapshot, _: State, __: Theme, *, sort: object) -> tuple[Any, ...]:
    """The table with the name of its file, and the means of its scores.

    Raises:
        StatisticNotFoundError: if labels or predictions are not known.
    """
    counts = snapshot.class_counts()
    table = columns(_names(snapshot), counts)
    definitions = [column.definition | _style(column) for column in table]
    file = {"fileName": file_name(snapshot.name, "classes", ending=".csv"), "allColumns": True}
    return sorted_columns(definitions, sort), records(table), file, mean_words(counts)


def _names(snapshot: Snapshot) -> list[str]:
    several = snapshot.catalog.target == Target.LABELS
    return list(snapshot.store.target_names if several else snapshot.catalog.class_names)


def _style(column: Column) -> dict[str, Any]:
    """How wide a column is, and how it writes its numbers: all of them in sight at once."""
    style: dict[str, Any] = {
        "filter": False,
        "width": 80,
        # A class is found by its name, not by digits of its numbers.
        "getQuickFilterText": {"function": "''"},
    }
    if column.field == "class":
        return {"filter": False, "pinned": "left", "width": 96}
    if column.field in SCORES:
        return style | {"valueFormatter": {"function": "shareText(params.value)"}}
    if column.is_text:
        return style | {"sortable": False, "width": 112}
    return style


def _body(snapshot: Snapshot, state: State) -> list[Node]:
    selects = snapshot.catalog.has_outcomes
    is_short = len(_names(snapshot)) <= FEW
    how = ", a row to select its label (Space on the keyboard)" if selects else ""
    return [
        html.Div(dmc.Text(id=f"{TABLE}-means", size="sm"), role="status"),
        dcc.Store(id=ids.ERRORS_SORT, data=state.sort_errors),
        *find_tools(
            search=ids.ERRORS_SEARCH,
            text=state.find_class,
            label="Find classes",
            placeholder="a name …",
            count=dmc.Text(id=ids.ERRORS_COUNT, size="sm", c="dimmed", className="grow"),
            download=ids.ERRORS_DOWNLOAD,
            reason=why_no_files(),
        ),
        grid(
            TABLE,
            quickFilterText=state.find_class,
            localeText={"noRowsToShow": "No class matches"},
            **(ONE_ROW if selects else {"rowHeight": ONE_ROW["rowHeight"]}),
            **({"height": None, "domLayout": "autoHeight"} if is_short else {"height": "400px"}),
        ),
        dmc.Text(f"Click a heading to sort{how}.", size="sm", c="dimmed"),
    ]


def register(app: Dash) -> None:
    """Adds what the browser does with the table."""
    keep_order(app, TABLE, ids.ERRORS_SORT)
    find_rows(
        app,
        TABLE,
        search=ids.ERRORS_SEARCH,
        count=ids.ERRORS_COUNT,
        download=ids.ERRORS_DOWNLOAD,
    )
    app.clientside_callback(
        ClientsideFunction("panels", "classOfRow"),
        [
            Output(ids.ERRORS_LABEL, "value", allow_duplicate=True),
            Output(ids.ERRORS_PREDICTED, "value", allow_duplicate=True),
        ],
        Input(TABLE, "selectedRows"),
        prevent_initial_call=True,
    )


PANEL = Panel(
    "classes",
    draw,
    needs=(),
    title=lambda catalog: "Each label" if catalog.target == Target.LABELS else "Each class",
    fills=(
        ("", "columnDefs"),
        ("", "rowData"),
        ("", "csvExportParams"),
        ("-means", "children"),
    ),
    body=_body,
    also={"sort": DashState(ids.ERRORS_SORT, "data")},
    is_there=lambda catalog: catalog.has_outcomes or catalog.target == Target.LABELS,
)
