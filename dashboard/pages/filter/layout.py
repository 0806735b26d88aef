"""The components of the page; callbacks fill them."""

from __future__ import annotations

from dashboard.components.controls import (
    card,
    class_select,
    layer_select,
    number,
    only_if,
    segments,
    step,
)
from dashboard.components.graph import graph
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import ids, state
from dashboard.stores.catalog import Catalog
from dashboard.stores.source import Snapshot

# Classes on one page of "Strongest of each class".
CLASSES_AT_ONCE = 10
HISTOGRAM_HEIGHT = "320px"
SCALES = {"log": "Logarithmic", "linear": "Linear"}


def layout(snapshot: Snapshot, shown: state.State) -> Node:
    """The page: the selection and similar filters on the left, all of one filter on the right."""
    return html.Div(
        [
            dcc.Store(id=ids.FILTER_QUERY),
            dcc.Store(id=ids.FILTER_STEPS),
            html.Div(
                [
                    _selection(snapshot.catalog, shown),
                    card(_filled(ids.FILTER_SIMILAR), title="Similar filters"),
                ],
                className="side",
            ),
            html.Div(
                [
                    card(
                        html.Div([_filled(ids.FILTER_HEADER), _kernel()], className="filter-header")
                    ),
                    card(_filled(ids.FILTER_STRONGEST), title="Strongest samples"),
                    _distribution(snapshot.catalog),
                    card(_filled(ids.FILTER_SCORES), title="Scores, beside what chance gives"),
                    card(_filled(ids.FILTER_BANDS), title="Usual samples: bands by percentile"),
                    only_if(snapshot.catalog.has_classes, _classes(snapshot.catalog, shown)),
                    card(_filled(ids.FILTER_RAW), title="Raw arrays of this filter (.npy)"),
                ],
            ),
        ],
        className="page filter-page",
    )


def _filled(component_id: str) -> Node:
    return html.Div(id=component_id, className="filled")


def _selection(catalog: Catalog, shown: state.State) -> Node:
    return card(
        [
            layer_select(ids.FILTER_LAYER, catalog.n_filters, shown.layer),
            html.Div(
                [
                    number(
                        ids.FILTER_FILTER,
                        caption="Filter",
                        value=shown.filter_index,
                        largest=catalog.n_filters[shown.layer] - 1,
                    ),
                    step(ids.FILTER_PREVIOUS, "‹", "Previous filter (↑)"),
                    step(ids.FILTER_NEXT, "›", "Next filter (↓)"),
                ],
                className="stepper",
            ),
            only_if(
                catalog.has_classes,
                class_select(ids.FILTER_CLASS, catalog.class_names, shown.class_index),
            ),
            dmc.Switch(
                id=ids.FILTER_CROP,
                label="Crop images to what the unit sees",
                size="sm",
                persistence=True,
            ),
        ],
        title="Selection",
    )


def _kernel() -> Node:
    return html.Div(
        [
            dmc.Text("Kernel: its weights", size="sm", fw=500),
            graph(ids.FILTER_KERNEL, bare=True),
            dmc.Text(id=ids.FILTER_KERNEL_NOTE, size="sm", c="dimmed"),
        ]
    )


def _distribution(catalog: Catalog) -> Node:
    return card(
        [
            html.Div(
                segments(ids.FILTER_SCALE, caption="Vertical axis", options=SCALES, value="log"),
                className="controls",
            ),
            graph(ids.FILTER_HISTOGRAM, height=HISTOGRAM_HEIGHT),
            dmc.Text(id=ids.FILTER_HISTOGRAM_NOTE, size="sm", c="dimmed"),
        ],
        title="Activations by class" if catalog.has_classes else "Activations",
    )


def _classes(catalog: Catalog, shown: state.State) -> Node:
    n_pages = -(-len(catalog.class_names) // CLASSES_AT_ONCE)
    return card(
        [
            _filled(ids.FILTER_CLASSES),
            dmc.Pagination(
                id=ids.FILTER_CLASSES_PAGE,
                total=n_pages,
                value=(shown.class_index or 0) // CLASSES_AT_ONCE + 1,
                size="sm",
                hideWithOnePage=True,
            ),
        ],
        title="Strongest of each class",
    )
