"""The components of the page: what is beside each other, maps, filters, classes, layers."""

from __future__ import annotations

from dashboard.components.controls import card, layer_select, number, only_if, segments, select
from dashboard.components.graph import graph
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import ONE_ROW, grid
from dashboard.pages import ids, state
from dashboard.stores.catalog import Catalog
from dashboard.stores.source import Snapshot
from fmcore.statistics import STATISTICS

SIDES = ("a", "b", "difference")


def layout(snapshot: Snapshot, shown: state.State) -> Node:
    """The page: the selection on the left, all else on the right; callbacks fill in B's part."""
    body = [
        card(html.Div(id=ids.COMPARE_ABOUT, role="status")),
        _maps(),
        _table(),
        _classes(snapshot.catalog),
        _layers(),
    ]
    return html.Div(
        [
            dcc.Store(id=ids.COMPARE_QUERY),
            html.Div(id=ids.COMPARE_NOTES),
            html.Div(
                [
                    html.Div(
                        _selection(snapshot, shown), id=ids.COMPARE_CONTROLS, className="side"
                    ),
                    html.Div(body, id=ids.COMPARE_BODY),
                ],
                className="page compare-page",
            ),
        ]
    )


def _selection(snapshot: Snapshot, shown: state.State) -> Node:
    catalog = snapshot.catalog
    beside = dmc.NumberInput(
        id=ids.COMPARE_OTHER_FILTER,
        label="Filter of B",
        placeholder="the one that goes with it",
        value="" if shown.other_filter is None else shown.other_filter,
        min=0,
        allowDecimal=False,
        size="sm",
    )
    return card(
        [
            select(ids.COMPARE_WITH, caption="Compare with (B)", options={}, value=None),
            layer_select(ids.COMPARE_LAYER, catalog.n_filters, shown.layer, caption="Layer of A"),
            select(ids.COMPARE_OTHER, caption="Layer of B", options={}, value=shown.other or None),
            number(
                ids.COMPARE_FILTER,
                caption="Filter of A",
                value=shown.filter_index,
                largest=catalog.n_filters[shown.layer] - 1,
            ),
            beside,
            segments(
                ids.COMPARE_PAIRING,
                caption="Which filters go together",
                options=state.PAIRINGS,
                value=shown.pairing,
            ),
            number(
                ids.COMPARE_SAMPLE,
                caption="Sample",
                value=shown.sample,
                largest=catalog.n_samples - 1,
            ),
            only_if(
                bool(catalog.statistics),
                select(
                    ids.COMPARE_STATISTIC,
                    caption="Statistic of classes" if catalog.has_classes else "Statistic",
                    options={name: STATISTICS[name].title for name in catalog.statistics},
                    value=shown.statistic,
                ),
            ),
        ],
        title="Selection",
    )


def _note(component_id: str) -> Node:
    return html.Div(id=component_id, className="compare-note", role="status")


def _maps() -> Node:
    """Three columns; row by row, so that what stands beside each other is at one height."""
    rows = [
        [html.H3(id=ids.COMPARE_TITLE.format(which=side)) for side in SIDES],
        [
            html.Div(id=ids.COMPARE_INPUT.format(which=side), className="compare-input")
            for side in SIDES
        ],
        [graph(ids.COMPARE_MAP.format(which=side)) for side in SIDES],
    ]
    cells = [
        html.Div(one, className=f"compare-{side}")
        for row in rows
        for side, one in zip(SIDES, row, strict=True)
    ]
    return card(
        [
            _note(ids.COMPARE_MAPS_NOTE),
            html.Div(cells, className="compare-maps"),
        ],
        title="Feature maps",
    )


def _table() -> Node:
    return card(
        [
            _note(ids.COMPARE_TABLE_NOTE),
            grid(ids.COMPARE_TABLE, height="400px", **ONE_ROW),
            dmc.Text(
                "Click a heading to sort, a row to select its filter (Space on the keyboard).",
                size="sm",
                c="dimmed",
            ),
        ],
        title="Filters",
    )


def _classes(catalog: Catalog) -> Node:
    parts: list[Node] = [_note(ids.COMPARE_CLASSES_NOTE)]
    for side in SIDES:
        parts += [
            html.H3(id=ids.COMPARE_CLASSES_TITLE.format(which=side)),
            html.Div(graph(ids.COMPARE_CLASSES.format(which=side)), className="compare-wide"),
        ]
    return card(parts, title="Classes" if catalog.has_classes else "All samples")


def _layers() -> Node:
    return card(
        [
            _note(ids.COMPARE_CKA_NOTE),
            html.Div(graph(ids.COMPARE_CKA), className="compare-wide"),
        ],
        title="Layers",
    )
