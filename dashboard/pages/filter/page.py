"""A permanent link for each filter, with all that the store says of it."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState

from dashboard.components.controls import card, class_select, layer_select, number, only_if, step
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import ids
from dashboard.pages.filter import distribution, downloads, header, samples, scores, similar
from dashboard.pages.page import Control, Page
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source


def selection(snapshot: Snapshot, state: State) -> Node:
    """The layer, the filter, and a class to look at."""
    catalog = snapshot.catalog
    return card(
        [
            dcc.Store(id=ids.FILTER_STEPS),
            dcc.Store(id=ids.FILTER_SIZES, data=dict(catalog.n_filters)),
            layer_select(ids.FILTER_LAYER, catalog.n_filters, state.layer),
            html.Div(
                [
                    number(
                        ids.FILTER_FILTER,
                        caption="Filter",
                        value=state.filter_index,
                        largest=catalog.n_filters[state.layer] - 1,
                    ),
                    step(ids.FILTER_PREVIOUS, "‹", "Previous filter (↑)"),
                    step(ids.FILTER_NEXT, "›", "Next filter (↓)"),
                ],
                className="stepper",
            ),
            only_if(
                catalog.has_classes,
                class_select(ids.FILTER_CLASS, catalog.class_names, state.class_index),
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


def register(app: Dash, _: Source) -> None:
    """Ties the buttons, and the filters that a layer has, to the number of the filter."""
    app.clientside_callback(
        ClientsideFunction("navigation", "stepFilter"),
        Output(ids.FILTER_FILTER, "value"),
        Output(ids.FILTER_FILTER, "max"),
        Output(ids.FILTER_STEPS, "data"),
        Input(ids.FILTER_PREVIOUS, "n_clicks"),
        Input(ids.FILTER_NEXT, "n_clicks"),
        Input(ids.FILTER_LAYER, "value"),
        DashState(ids.FILTER_FILTER, "value"),
        DashState(ids.FILTER_SIZES, "data"),
        DashState(ids.FILTER_STEPS, "data"),
        prevent_initial_call=True,
    )


PAGE = Page(
    name="filter",
    title="Filter",
    description="One filter: its strongest samples, distribution, scores, and raw arrays.",
    controls={
        "layer": Control(ids.FILTER_LAYER),
        "filter_index": Control(ids.FILTER_FILTER),
        "class_index": Control(ids.FILTER_CLASS),
    },
    side=(selection, similar.PANEL),
    main=(
        header.PANEL,
        samples.STRONGEST,
        distribution.PANEL,
        scores.PANEL,
        samples.USUAL,
        samples.OF_CLASSES,
        downloads.PANEL,
    ),
    register=register,
)
