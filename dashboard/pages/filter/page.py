"""A permanent link for each filter, with all that the store says of it."""

from __future__ import annotations

from dash import Dash, Input
from dash import State as DashState

from dashboard.components.controls import (
    card,
    class_select,
    layer_select,
    number,
    only_if,
    step,
    switch,
)
from dashboard.components.nodes import Node, dcc, html
from dashboard.pages import ids
from dashboard.pages.filter import (
    distribution,
    downloads,
    header,
    samples,
    scores,
    similar,
    without,
)
from dashboard.pages.page import Control, Page
from dashboard.pages.scripts import have_called
from dashboard.pages.state import State
from dashboard.pages.two_groups import form, panel
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
            switch(
                ids.FILTER_CROP,
                caption="Crop images to what the unit sees",
                on=state.crop == "seen",
            ),
        ],
        title="Selection",
    )


def groups(snapshot: Snapshot, state: State) -> Node:
    """What sets two groups of samples, to be seen beside each other."""
    return form.form("filter", snapshot, state)


def register(app: Dash, source: Source) -> None:
    """Ties the buttons, and the filters that a layer has, to the number of the filter."""
    have_called(
        app,
        "filter",
        "follow",
        Input(ids.FILTER_LAYER, "value"),
        Input(ids.FILTER_FILTER, "value"),
        DashState(ids.FILTER_SIZES, "data"),
        done=ids.FILTER_STEPS,
    )
    samples.register(app)
    form.register(app, source, "filter")
    panel.register(app, "filter")


GROUPS = panel.panel("filter", with_layer=False)
PAGE = Page(
    name="filter",
    title="Filter",
    description="One filter: its strongest samples, distribution, scores, and raw arrays.",
    controls={
        "layer": Control(ids.FILTER_LAYER),
        "filter_index": Control(ids.FILTER_FILTER),
        "class_index": Control(ids.FILTER_CLASS),
        "first_class": Control(ids.FILTER_FIRST_CLASS, "data"),
        "scale": Control(ids.FILTER_SCALE),
        "crop": Control(ids.FILTER_CROP, "checked", ("whole", "seen")),
        **{name: Control(form.group_id("filter", name)) for name in form.FIELDS},
    },
    side=(selection, groups, similar.PANEL),
    main=(
        header.PANEL,
        GROUPS,
        samples.STRONGEST,
        distribution.PANEL,
        scores.PANEL,
        without.PANEL,
        samples.USUAL,
        samples.OF_CLASSES,
        downloads.PANEL,
    ),
    names={"layer": "", "filter_index": "filter "},
    is_styled=True,
    register=register,
)
