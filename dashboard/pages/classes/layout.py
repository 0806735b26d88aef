"""The components of the page: the selection, the heatmap, one cell, the table of filters."""

from __future__ import annotations

from dashboard.components.controls import (
    card,
    class_select,
    layer_select,
    number,
    only_if,
    segments,
    select,
)
from dashboard.components.graph import graph
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import ONE_ROW, grid
from dashboard.figures.class_statistic import heatmap_height
from dashboard.pages import ids, state
from dashboard.pages.words import why_no_classes
from dashboard.stores.catalog import Catalog
from dashboard.stores.source import Snapshot
from fmcore.statistics import STATISTICS

SPREAD_HEIGHT = "270px"


def layout(snapshot: Snapshot, shown: state.State) -> Node:
    """The page: the selection and what the statistic means on the left, all else on the right."""
    catalog = snapshot.catalog
    return html.Div(
        [
            dcc.Store(id=ids.CLASSES_QUERY),
            dcc.Store(id=ids.CLASSES_DRAWN),
            html.Div(
                [
                    _selection(catalog, shown),
                    card(html.Div(id=ids.CLASSES_MEANING), title="What it means"),
                ],
                className="side",
            ),
            html.Div([*_no_classes(snapshot), _heatmap(catalog), _cell(catalog), _table(catalog)]),
        ],
        className="page classes-page",
    )


def _no_classes(snapshot: Snapshot) -> list[Node]:
    if snapshot.catalog.has_classes:
        return []
    words = (
        f"{why_no_classes(snapshot)} The one row stands for all samples, and there are no scores "
        "of classes."
    )
    return [dmc.Alert(words, color="gray", variant="light", title="No classes")]


def _selection(catalog: Catalog, shown: state.State) -> Node:
    return card(
        [
            layer_select(ids.CLASSES_LAYER, catalog.n_filters, shown.layer),
            number(
                ids.CLASSES_FILTER,
                caption="Filter",
                value=shown.filter_index,
                largest=catalog.n_filters[shown.layer] - 1,
            ),
            only_if(
                catalog.has_classes,
                class_select(ids.CLASSES_CLASS, catalog.class_names, shown.class_index),
            ),
            only_if(
                catalog.has_classes,
                class_select(
                    ids.CLASSES_AGAINST,
                    catalog.class_names,
                    shown.against,
                    caption="Compare with",
                    placeholder="All other classes",
                ),
            ),
            select(
                ids.CLASSES_STATISTIC,
                caption="Statistic",
                options={name: STATISTICS[name].title for name in catalog.statistics},
                value=shown.statistic,
            ),
            segments(
                ids.CLASSES_ARRANGEMENT,
                caption="Order by",
                options=state.ARRANGEMENTS,
                value=shown.arrangement,
            ),
        ],
        title="Selection",
    )


def _heatmap(catalog: Catalog) -> Node:
    return card(
        [
            html.Div(
                [
                    html.Span(html.Span(className="within-chance"), id=ids.CLASSES_LEGEND),
                    html.Span(id=ids.CLASSES_ORDER),
                    "Click a cell to open it; drag to zoom, double-click for all.",
                ],
                className="classes-words",
                role="status",
            ),
            html.Div(
                graph(ids.CLASSES_HEATMAP, height=heatmap_height(len(catalog.class_names))),
                className="classes-heatmap",
            ),
        ],
        title="Every class and filter" if catalog.has_classes else "Every filter",
    )


def _cell(catalog: Catalog) -> Node:
    of_what = "class and filter" if catalog.has_classes else "filter"
    return card(
        [
            html.Div(id=ids.CLASSES_CELL, role="status"),
            html.Div(
                [
                    html.Div(
                        [
                            _heading("Distribution of activations"),
                            graph(ids.CLASSES_SPREAD, height=SPREAD_HEIGHT),
                            html.Div(id=ids.CLASSES_SPREAD_NOTE, className="classes-note"),
                        ]
                    ),
                    html.Div([_heading("Strongest samples"), html.Div(id=ids.CLASSES_TOP)]),
                ],
                className="classes-pair",
            ),
            _heading("Mean maps"),
            html.Div(
                [
                    graph(ids.CLASSES_MEAN_MAP),
                    graph(ids.CLASSES_OTHER_MAP),
                    graph(ids.CLASSES_DIFFERENCE),
                ],
                className="classes-maps",
            ),
            _note(ids.CLASSES_MAPS_NOTE),
            # Closed, its numbers are not even read.
            dmc.Accordion(
                dmc.AccordionItem(
                    [
                        dmc.AccordionControl(f"All numbers of this {of_what}"),
                        dmc.AccordionPanel(
                            html.Div(id=ids.CLASSES_NUMBERS, className="classes-numbers")
                        ),
                    ],
                    value="numbers",
                ),
                id=ids.CLASSES_OPEN,
                className="classes-open",
            ),
        ],
        title=f"One {of_what}",
    )


def _heading(words: str) -> Node:
    return dmc.Title(words, order=3, className="classes-heading")


def _note(component_id: str) -> Node:
    return dmc.Text(id=component_id, size="sm", c="dimmed")


def _table(catalog: Catalog) -> Node:
    a_class = ", a class" if catalog.has_classes else ""
    return card(
        [
            html.Div(
                [
                    dmc.Text(id=ids.CLASSES_HEALTH, size="sm"),
                    dmc.Button(
                        id=ids.CLASSES_STRONGEST,
                        variant="light",
                        size="compact-sm",
                        className="classes-strongest",
                    ),
                ],
                className="classes-findings",
                role="status",
            ),
            html.Div(
                [
                    dmc.TextInput(
                        id=ids.CLASSES_SEARCH,
                        label="Find filters",
                        placeholder=f"dead, duplicate{a_class} …",
                        size="sm",
                    ),
                    dmc.Text(id=ids.CLASSES_COUNT, size="sm", c="dimmed", className="grow"),
                    dmc.Button(
                        "Download CSV", id=ids.CLASSES_DOWNLOAD, variant="default", size="sm"
                    ),
                ],
                className="controls classes-tools",
            ),
            grid(
                ids.CLASSES_TABLE,
                height="430px",
                quickFilterText="",
                localeText={"noRowsToShow": "No filter matches"},
                **ONE_ROW,
            ),
            dmc.Text(
                "Click a heading to sort, a row to select its filter (Space on the keyboard)."
                + (" Gray and slanted: within chance." if catalog.has_classes else ""),
                size="sm",
                c="dimmed",
            ),
        ],
        title="All filters of the layer",
    )
