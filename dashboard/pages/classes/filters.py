"""Every filter of a layer: what is wrong with it, its scores, and the strongest for a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import (
    HOW_TO_USE,
    ONE_ROW,
    Column,
    find_rows,
    grid,
    records,
    select_rows,
)
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.chance import verdict, verdicts
from dashboard.pages.classes.heatmap import finite
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.export import no_formula
from fmcore.statistics import (
    CLASS_FILTER,
    HEALTH_RULES,
    STATISTICS,
    LayerHealth,
    score_families,
    unpooled_statistics,
)

# Scores of class and filter, and of the filter alone, each on the pooled table in question.
OF_CLASS = score_families(CLASS_FILTER)
OF_FILTER = [
    family for family, about in score_families(("filter",)).items() if not about.same_order_as
]
NOT_POOLED = unpooled_statistics(("filter",))
TABLE = "classes-filters"


def columns(snapshot: Snapshot, state: State) -> list[Column]:
    """Everything that is known of each filter of a layer, and of the selected class's share."""
    n_filters = snapshot.catalog.n_filters[state.layer]
    words = health_words(snapshot.health(state.layer), snapshot.catalog.class_names)
    of_class = []
    if state.class_index is not None:
        of_class = _of_class(snapshot, state, state.class_index)
    return [
        Column("filter", "Filter", np.arange(n_filters)),
        Column("health", "Health", words, HEALTH_TIP),
        *of_class,
        *_of_filter(snapshot, state),
    ]


def _of_class(snapshot: Snapshot, state: State, row: int) -> list[Column]:
    """The page's statistic and the scores of one class, each with its verdict."""
    name = snapshot.catalog.class_names[row]
    pooling = pooling_of(state.statistic)
    scores = [f"{family}_{pooling}" for family in OF_CLASS]
    columns = []
    for statistic in dict.fromkeys([state.statistic, *scores]):
        if statistic not in snapshot.catalog.statistics:
            continue
        about, band = STATISTICS[statistic], snapshot.chance(state.layer, statistic)
        values = snapshot.statistic(state.layer, statistic)[row]
        beside = f"{statistic}_verdict" if band is not None else ""
        columns.append(
            Column(statistic, f"{about.caption} for {name}", values, about.definition, beside)
        )
        if band is not None:
            texts = verdicts(values, band[:, row], two_sided=about.two_sided).tolist()
            hidden = statistic != scores[0]
            header = f"{about.caption}'s verdict"
            columns.append(Column(beside, header, texts, about.chance, hidden=hidden))
    return columns


def _of_filter(snapshot: Snapshot, state: State) -> list[Column]:
    """The class that a filter tells best, and the scores of the filter over all classes."""
    names, stored = snapshot.catalog.class_names, set(snapshot.statistics(state.layer))
    pooling, columns = pooling_of(state.statistic), []
    if not snapshot.catalog.has_classes:  # what tells classes has no value
        stored &= NOT_POOLED.keys()
    auc = f"auc_{pooling}"
    if auc in stored:
        best, largest = best_classes(snapshot.statistic(state.layer, auc))
        texts = ["" if index < 0 else no_formula(names[index]) for index in best.tolist()]
        columns += [
            Column("best_class", "Best class", texts, "The class with the largest ROC-AUC."),
            Column("best_auc", "Its AUC", largest, STATISTICS[auc].definition),
        ]
    for statistic in (*(f"{family}_{pooling}" for family in OF_FILTER), *NOT_POOLED):
        if statistic in stored:
            about = STATISTICS[statistic]
            values, tip = snapshot.statistic(state.layer, statistic), about.definition
            columns.append(Column(statistic, about.caption, values, f"{about.title}. {tip}"))
    return columns


def pooling_of(statistic: str) -> str:
    """The pooled table that scores are taken of, beside a statistic: its own, else the mean."""
    return STATISTICS[statistic].pooling or "mean"


def best_classes(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The class with the largest value of each filter, -1 for none; and that value.

    Args:
        values: <float64>[class, filter], NaN where there is none.
    """
    table = finite(values)
    none = ~np.isfinite(table).any(axis=0)
    best = np.where(np.isnan(table), -np.inf, table).argmax(axis=0)
    return np.where(none, -1, best), np.fmax.reduce(table)


def strongest(snapshot: Snapshot, state: State) -> tuple[str, int, float] | None:
    """The statistic, filter and value of the strongest filter for the class; None without any.

    By ROC-AUC, which says how well a class is told from all others; in a store without scores by
    the page's statistic.
    """
    if state.class_index is None:
        return None
    auc = f"auc_{pooling_of(state.statistic)}"
    name = auc if auc in snapshot.catalog.statistics else state.statistic
    values = finite(snapshot.statistic(state.layer, name)[state.class_index])
    if not np.isfinite(values).any():
        return None
    best = int(np.nanargmax(values))
    return name, best, float(values[best])


def strongest_words(snapshot: Snapshot, state: State) -> str:
    """The strongest filter for the class, in words; empty where there is none."""
    best = strongest(snapshot, state)
    if best is None or state.class_index is None:
        return ""
    name, index, value = best
    of = snapshot.catalog.class_names[state.class_index]
    band, at = snapshot.chance(state.layer, name), (state.class_index, index)
    about = STATISTICS[name]
    words = "" if band is None else verdict(value, *band[:, *at], two_sided=about.two_sided)
    beside = f", {words}" if words else ""
    return f"Strongest for class {of}: filter {index} ({about.title} {value:.3f}{beside})"


HEALTH_TIP = "; ".join(f"{rule.words}: {rule.definition}" for rule in HEALTH_RULES.values())
OK = "ok"


def health_words(health: LayerHealth, class_names: Sequence[str]) -> list[str]:
    """What is wrong with each filter, <str>[filter]; `ok` for nothing."""
    words: list[list[str]] = [[] for _ in range(health.n_filters)]
    for finding in health.findings:
        for index in health.filters_of(finding):
            words[index].append(health.detail(finding, index, class_names).short)
    return [", ".join(texts) or OK for texts in words]


def health_summary(health: LayerHealth, *, most: int = 8) -> str:
    """How many filters have each finding, and which; never more than `most` numbers of each."""
    n_filters, phrases = health.n_filters, []
    for finding in health.findings:
        which = health.filters_of(finding)
        if which:
            more = f" and {len(which) - most:,} more" if len(which) > most else ""
            listed = ", ".join(map(str, which[:most])) + more
            many = "" if len(which) == 1 else "s"
            phrases.append(f"{len(which):,} {HEALTH_RULES[finding].words} (filter{many} {listed})")
    if not phrases:
        return f"Nothing is wrong with any of the {n_filters:,} filters."
    return f"Of {n_filters:,} filters: {'; '.join(phrases)}."


def scores_missing(snapshot: Snapshot, state: State) -> str:
    """What to do where the store has no scores; empty where it has them."""
    if not snapshot.catalog.has_classes or any(
        STATISTICS[name].origin == "pooled" for name in snapshot.statistics(state.layer)
    ):
        return ""
    return (
        "This store was captured without scores, so there is no AUC and no best class; "
        f"`fmcore stats {snapshot.file_name} --recompute` computes them."
    )


def downloads_as(snapshot: Snapshot, state: State) -> str:
    """The name of the CSV."""
    layer = snapshot.layer(state.layer).group
    of = "" if state.class_index is None else f"-class{state.class_index}"
    return f"{snapshot.name}-{layer}-filters{of}.csv"


def draw(snapshot: Snapshot, state: State, _: Theme) -> tuple[Any, ...]:
    """The table with the name of its file, what is wrong in the layer, and the strongest filter."""
    table, best = columns(snapshot, state), strongest(snapshot, state)
    health = health_summary(snapshot.health(state.layer))
    file = {"fileName": downloads_as(snapshot, state), "allColumns": True}
    return (
        [column.definition for column in table],
        records(table),
        file,
        f"{health} {scores_missing(snapshot, state)}".strip(),
        strongest_words(snapshot, state),
        {} if best else {"display": "none"},
        best and best[1],
    )


def _body(snapshot: Snapshot, _: State) -> list[Node]:
    a_class = ", a class" if snapshot.catalog.has_classes else ""
    button = dmc.Button(
        id=f"{TABLE}-strongest",
        variant="light",
        size="compact-sm",
        className="classes-strongest",
    )
    gray = " Gray and slanted: within chance." if snapshot.catalog.has_classes else ""
    return [
        html.Div(
            [dmc.Text(id=f"{TABLE}-health", size="sm"), button],
            className="classes-findings",
            role="status",
        ),
        dcc.Store(id=f"{TABLE}-best"),
        html.Div(
            [
                dmc.TextInput(
                    id=ids.CLASSES_SEARCH,
                    label="Find filters",
                    placeholder=f"dead, duplicate{a_class} …",
                    size="sm",
                ),
                dmc.Text(id=ids.CLASSES_COUNT, size="sm", c="dimmed", className="grow"),
                dmc.Button("Download CSV", id=ids.CLASSES_DOWNLOAD, variant="default", size="sm"),
            ],
            className="controls classes-tools",
        ),
        grid(
            TABLE,
            height="430px",
            quickFilterText="",
            localeText={"noRowsToShow": "No filter matches"},
            **ONE_ROW,
        ),
        dmc.Text(
            f"{HOW_TO_USE}{gray}",
            size="sm",
            c="dimmed",
        ),
    ]


def register(app: Dash) -> None:
    """Adds what the browser does with the table, and with the button above it."""
    select_rows(app, TABLE, ids.CLASSES_FILTER)
    find_rows(
        app,
        TABLE,
        search=ids.CLASSES_SEARCH,
        count=ids.CLASSES_COUNT,
        download=ids.CLASSES_DOWNLOAD,
    )
    app.clientside_callback(
        ClientsideFunction("panels", "strongest"),
        Output(ids.CLASSES_FILTER, "value", allow_duplicate=True),
        Input(f"{TABLE}-strongest", "n_clicks"),
        DashState(f"{TABLE}-best", "data"),
        prevent_initial_call=True,
    )


PANEL = Panel(
    "filters",
    draw,
    needs=("layer", "class_index", "statistic"),
    title="All filters of the layer",
    fills=(
        ("", "columnDefs"),
        ("", "rowData"),
        ("", "csvExportParams"),
        ("-health", "children"),
        ("-strongest", "children"),
        ("-strongest", "style"),
        ("-best", "data"),
    ),
    body=_body,
    in_sight=True,
)
