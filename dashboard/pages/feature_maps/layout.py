"""The components of the page: the selection, the samples, the wall, one filter."""

from __future__ import annotations

from dashboard.components.controls import (
    card,
    class_select,
    layer_select,
    number,
    only_if,
    segments,
    select,
    step,
    switch,
)
from dashboard.components.graph import graph
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import ids, state
from dashboard.pages.state import filter_orders_of, outcomes_of, sample_orders_of
from dashboard.pages.words import why_no_predictions
from dashboard.stores.catalog import Catalog
from dashboard.stores.source import Snapshot
from fmcore.records import Target

# What the script of the page only does, and gives nothing back: Dash wants an output of each.
DOINGS = ("show", "mark", "outline", "fade", "save")
# Of what is said of a sample where the model gives no class.
TITLES = {Target.LABELS: "Labels", Target.NUMBER: "Numbers"}


def layout(snapshot: Snapshot, shown: state.State) -> Node:
    """The page: what is selected on the left, the wall and the enlarged filter on the right."""
    catalog = snapshot.catalog
    return html.Div(
        [
            *(
                dcc.Store(id=one, data=data)
                for one, data in (
                    (ids.MAPS_QUERY, None),
                    (ids.MAPS_FACTS, None),
                    (ids.MAPS_SCORES, None),
                    (ids.MAPS_PICKS, None),
                    (ids.MAPS_PAGE, None),
                    (ids.MAPS_SETTLED, shown.sample),
                    (ids.MAPS_WINDOW, shown.window),
                    (ids.MAPS_ENLARGED_DRAWN, None),
                    *((ids.MAPS_DONE.format(what=what), None) for what in DOINGS),
                )
            ),
            html.Div(
                [_selection(catalog, shown), _samples(catalog, shown), _prediction(snapshot)],
                className="side",
            ),
            html.Div([_wall(catalog, shown), _one_filter(snapshot)]),
        ],
        className="page",
    )


def _selection(catalog: Catalog, shown: state.State) -> Node:
    return card(
        [
            layer_select(ids.MAPS_LAYER, catalog.n_filters, shown.layer),
            number(
                ids.MAPS_FILTER,
                caption="Filter",
                value=shown.filter_index,
                largest=catalog.n_filters[shown.layer] - 1,
            ),
            html.Div(
                [
                    number(
                        ids.MAPS_SAMPLE,
                        caption="Sample",
                        value=shown.sample,
                        largest=catalog.n_samples - 1,
                    ),
                    step(ids.MAPS_PREVIOUS, "‹", "Previous sample (←)"),
                    step(ids.MAPS_NEXT, "›", "Next sample (→)"),
                ],
                className="stepper",
            ),
            only_if(
                catalog.has_classes,
                class_select(
                    ids.MAPS_CLASS,
                    catalog.class_names,
                    shown.class_index,
                    caption="Samples of class",
                ),
            ),
            only_if(
                catalog.has_outcomes,
                segments(
                    ids.MAPS_OUTCOME,
                    caption="Prediction",
                    options=outcomes_of(catalog),
                    value=shown.outcome,
                ),
            ),
        ],
        title="Selection",
    )


def _samples(catalog: Catalog, shown: state.State) -> Node:
    return card(
        [
            select(
                ids.MAPS_PICKED,
                caption="Order of samples",
                options=sample_orders_of(catalog),
                value=shown.picked,
            ),
            html.Div(
                dmc.Text(id=ids.MAPS_POSITION, size="sm", c="dimmed"),
                role="status",
            ),
            html.Div(id=ids.MAPS_THUMBNAILS, className="thumbnails"),
        ],
        title="Samples",
    )


def _prediction(snapshot: Snapshot) -> Node:
    there = snapshot.catalog.has_predictions
    title = "Prediction" if there else "Class"
    if not snapshot.catalog.has_classes:
        title = TITLES.get(snapshot.store.target, title)
    bars = [
        dmc.Text("Probability of each class", size="sm", fw=500),
        graph(ids.MAPS_PROBABILITY, height="230px", bare=True),
    ]
    why = "" if there else why_no_predictions(snapshot)
    return card(
        [
            html.Div(id=ids.MAPS_VERDICT, role="status"),
            *([dmc.Text(why, size="sm", c="dimmed")] if why else []),
            only_if(there, html.Div(bars)),
        ],
        title=title,
    )


def _wall(catalog: Catalog, shown: state.State) -> Node:
    controls = [
        segments(
            ids.MAPS_RANGE,
            caption="Colours span",
            options=state.RANGES,
            value=shown.color_range,
        ),
        segments(ids.MAPS_ZOOM, caption="Zoom", options=state.ZOOMS, value=shown.zoom),
        select(
            ids.MAPS_ORDER,
            caption="Order of filters",
            options=filter_orders_of(catalog),
            value=shown.filter_order,
        ),
        html.Div(
            [
                switch(ids.MAPS_DEAD, caption="Hide dead filters", on=shown.dead == "hide"),
                switch(ids.MAPS_ZEROS, caption="Mark exact zeros", on=shown.zeros == "mark"),
            ],
            className="switches",
        ),
        dmc.Menu(
            [
                dmc.MenuTarget(dmc.Button("Save", variant="default", size="sm")),
                dmc.MenuDropdown(
                    [
                        dmc.MenuItem("Picture (.png)", id=ids.MAPS_SAVE_PNG),
                        dmc.MenuItem("Values (.npy)", id=ids.MAPS_SAVE_NPY),
                        dmc.MenuItem("Values (.csv)", id=ids.MAPS_SAVE_CSV),
                    ]
                ),
            ],
        ),
    ]
    hint = "Drag or wheel to zoom, shift-drag to move, double-click for all, click to select."
    return card(
        [
            html.Div(controls, className="controls wall-controls"),
            html.Div(id=ids.MAPS_MESSAGE, className="message", role="status"),
            html.Div(id=ids.MAPS_WALL, className="wall"),
            html.Div(id=ids.MAPS_LEGEND, className="legend"),
            dmc.Text(
                [html.Span(id=ids.MAPS_ORDER_NOTE), " ", hint],
                size="sm",
                c="dimmed",
            ),
        ],
        title="All filters",
    )


def _one_filter(snapshot: Snapshot) -> Node:
    height, width = snapshot.image_shape
    panels = [
        html.Div(
            [dmc.Text("Feature map", size="sm", fw=500), graph(ids.MAPS_ENLARGED)],
        ),
        html.Div(
            [
                dmc.Text("Input, with the map over it", size="sm", fw=500),
                html.Div(
                    id=ids.MAPS_INPUT,
                    className="picture input-picture",
                    style={"aspectRatio": f"{width} / {height}"},
                ),
                dmc.Slider(
                    id=ids.MAPS_OPACITY,
                    value=45,
                    min=0,
                    max=100,
                    size="sm",
                    label=None,
                    persistence=True,
                    persistence_type="local",
                    thumbLabel="Opacity of the map",
                ),
                dmc.Text(id=ids.MAPS_FIELD_NOTE, size="xs", c="dimmed"),
            ],
            className="input-panel",
        ),
        html.Div(
            [
                dmc.Text("Kernel", size="sm", fw=500),
                graph(ids.MAPS_KERNEL, bare=True),
                dmc.Text(id=ids.MAPS_KERNEL_NOTE, size="sm", c="dimmed"),
                html.Div(id=ids.MAPS_FILTER_NOTE),
            ]
        ),
    ]
    return card(
        [
            html.Div(id=ids.MAPS_FILTER_LINK),
            html.Div(panels, className="one-filter"),
        ],
        title="One filter",
    )
