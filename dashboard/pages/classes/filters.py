"""Every filter of a layer: what is wrong with it, its scores, and the strongest for a class."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.chance import verdict, verdicts
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import (
    HOW_TO_USE,
    ONE_ROW,
    WITHIN,
    Column,
    find_rows,
    find_tools,
    grid,
    keep_order,
    records,
    select_rows,
    sorted_columns,
)
from dashboard.figures.theme import Theme
from dashboard.file_names import file_name, numbered
from dashboard.pages import ids
from dashboard.pages.classes.heatmap import finite
from dashboard.pages.page import Panel
from dashboard.pages.person import why_no_files
from dashboard.pages.state import State
from dashboard.pages.two_groups.parts import apart_of
from dashboard.stores.all_filters import (
    BEST_CLASS_TIP,
    HEALTH_TIP,
    NOT_POOLED,
    OF_CLASS,
    OF_FILTER,
    best_classes,
)
from dashboard.stores.findings import NO_EFFECT_TEXT, health_words, no_effect_of
from dashboard.stores.measures import (
    COST,
    COST_HEADERS,
    COST_TIPS,
    COSTS,
    MEASURES,
    cost_parts,
    within_noise,
)
from dashboard.stores.snapshot import Snapshot
from fmcore.export import no_formula
from fmcore.numbers import fraction_text
from fmcore.statistics import NO_EFFECT, STATISTICS, Costs, LayerHealth

TABLE = "classes-filters"


def columns(snapshot: Snapshot, state: State) -> list[Column]:
    """Everything that is known of each filter of a layer, and of the selected class's share."""
    n_filters = snapshot.catalog.n_filters[state.layer]
    health, no_effect = snapshot.health(state.layer), no_effect_of(snapshot, state.layer)
    words = health_words(health, snapshot.catalog.class_names, no_effect)
    of_class = []
    if state.class_index is not None:
        of_class = _of_class(snapshot, state, state.class_index)
    return [
        Column("filter", "Filter", np.arange(n_filters)),
        Column("health", "Health", words, HEALTH_TIP),
        *_of_groups(snapshot, state),
        *_costs(snapshot, state),
        *of_class,
        *_of_filter(snapshot, state),
    ]


def _of_groups(snapshot: Snapshot, state: State) -> list[Column]:
    """How each filter tells group A from group B; nothing where these are not set."""
    apart = apart_of(snapshot, state)
    if apart is None:
        return []
    beside = "groups_verdict"
    tip = "ROC-AUC of the pooled mean: the probability that a sample of A has the larger one"
    verdict_texts = verdicts(apart.auc, apart.chance, two_sided=True).tolist()
    of_q = f"false discovery rate among the {apart.n_tests:,} filters of the model"
    return [
        Column("groups_auc", "AUC of A over B", apart.auc, tip, beside),
        Column(beside, "Its verdict", verdict_texts, "beside the 95% of chance", hidden=True),
        Column("groups_q", "q of A, B", apart.q, of_q),
        Column("groups_a", "Mean of A", apart.means[0], "mean of the pooled means"),
        Column("groups_b", "Mean of B", apart.means[1], "mean of the pooled means"),
    ]


def _costs(snapshot: Snapshot, state: State) -> list[Column]:
    """What the model loses without each filter; nothing where that is not known."""
    name = snapshot.catalog.measured
    if not name or snapshot.why_no_costs(state.layer):
        return []
    return _cost_columns(snapshot.layer_costs(state.layer).costs, name, name, "", COST_TIPS[name])


def _class_costs(snapshot: Snapshot, state: State, name: str, row: int) -> list[Column]:
    """What it loses on samples of a class, where the page shows costs."""
    measured = snapshot.class_costs(state.layer).row(row)
    of = f" for {snapshot.catalog.class_names[row]}"
    return _cost_columns(measured, name, f"{name}_of_class", of, COSTS[name].definition)


def _cost_columns(measured: Costs, name: str, field: str, of: str, tip: str) -> list[Column]:
    """A cost, gray where it is not apart from zero; its interval and q are in tip and CSV."""
    parts = cost_parts(measured, name, len(measured.output))
    header = f"{COSTS[name].caption}{of}"
    if name != COST:
        return [Column(field, header, parts.values, tip)]
    within = np.where(within_noise(measured, name), WITHIN, "").tolist()
    beside = [
        Column(f"{field}_{end}", f"{COST_HEADERS[end]}{of}", getattr(parts, end), hidden=True)
        for end in COST_HEADERS
    ]
    return [
        Column(field, header, parts.values, tip, f"{field}_verdict", has_interval=True),
        Column(f"{field}_verdict", f"{header}, verdict", within, hidden=True),
        *beside,
    ]


def _of_class(snapshot: Snapshot, state: State, row: int) -> list[Column]:
    """The page's statistic and the scores of one class, each with its verdict."""
    name = snapshot.catalog.class_names[row]
    pooling = pooling_of(state.statistic)
    scores = [f"{family}_{pooling}" for family in OF_CLASS]
    columns = []
    for statistic in dict.fromkeys([state.statistic, *scores]):
        if statistic in COSTS:
            columns += _class_costs(snapshot, state, statistic, row)
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
            Column("best_class", "Best class", texts, BEST_CLASS_TIP),
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
    return MEASURES[statistic].pooling or "mean"


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
    about = MEASURES[name]
    words = "" if band is None else verdict(value, *band[:, *at], two_sided=about.two_sided)
    beside = f", {words}" if words else ""
    number = fraction_text(value, decimals=3)
    return f"Strongest for class {of}: filter {index} ({about.title} {number}{beside})"


def health_summary(
    health: LayerHealth, no_effect: NDArray[np.bool_] | None = None, *, most: int = 8
) -> str:
    """How many filters have each finding, and which; never more than `most` numbers of each."""
    n_filters, phrases = health.n_filters, []
    present = {health.words(finding): health.filters_of(finding) for finding in health.findings}
    if no_effect is not None:
        present[NO_EFFECT.words] = np.flatnonzero(no_effect).tolist()
    for words, which in present.items():
        if which:
            more = f" and {len(which) - most:,} more" if len(which) > most else ""
            listed = ", ".join(map(str, which[:most])) + more
            many = "" if len(which) == 1 else "s"
            phrases.append(f"{len(which):,} {words} (filter{many} {listed})")
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
    of = numbered("class", state.class_index)
    return file_name(snapshot.name, state.layer, "filters", of, ending=".csv")


def draw(snapshot: Snapshot, state: State, _: Theme, *, sort: object) -> tuple[Any, ...]:
    """The table with the name of its file, what is wrong in the layer, and the strongest filter."""
    table, best = columns(snapshot, state), strongest(snapshot, state)
    no_effect = no_effect_of(snapshot, state.layer)
    health = health_summary(snapshot.health(state.layer), no_effect)
    file = {"fileName": downloads_as(snapshot, state), "allColumns": True}
    return (
        sorted_columns([column.definition for column in table], sort),
        records(table),
        file,
        f"{health} {scores_missing(snapshot, state)}".strip(),
        strongest_words(snapshot, state),
        {} if best else {"display": "none"},
        best and best[1],
    )


def _body(snapshot: Snapshot, state: State) -> list[Node]:
    a_class = ", a class" if snapshot.catalog.has_classes else ""
    effect = NO_EFFECT_TEXT if snapshot.catalog.measured else "duplicate"
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
        dcc.Store(id=ids.CLASSES_SORT, data=state.sort),
        *find_tools(
            search=ids.CLASSES_SEARCH,
            text=state.find,
            placeholder=f"dead, {effect}{a_class} …",
            count=dmc.Text(id=ids.CLASSES_COUNT, size="sm", c="dimmed", className="grow"),
            download=ids.CLASSES_DOWNLOAD,
            reason=why_no_files(),
        ),
        grid(
            TABLE,
            height="430px",
            quickFilterText=state.find,
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
    keep_order(app, TABLE, ids.CLASSES_SORT)
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
    needs=("layer", "class_index", "statistic", "group_a", "group_b"),
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
    also={"sort": DashState(ids.CLASSES_SORT, "data")},
    in_sight=True,
)
