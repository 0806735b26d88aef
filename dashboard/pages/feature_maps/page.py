"""Pick a sample, see every filter of a layer, enlarge one beside the input."""

from __future__ import annotations

from dash import Dash

from dashboard.components.controls import (
    card,
    class_select,
    layer_select,
    number,
    only_if,
    segments,
    step,
)
from dashboard.components.nodes import Node, dcc, html
from dashboard.pages import ids
from dashboard.pages.feature_maps import one_filter, prediction, samples, wall
from dashboard.pages.page import Control, Page
from dashboard.pages.state import State, outcomes_of
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source


def selection(snapshot: Snapshot, state: State) -> Node:
    """The layer, the filter and the sample, and which samples a step goes through."""
    catalog = snapshot.catalog
    names, outcomes = catalog.class_names, outcomes_of(catalog)
    sample = number(
        ids.MAPS_SAMPLE, caption="Sample", value=state.sample, largest=catalog.n_samples - 1
    )
    return card(
        [
            # The sample that is shown when a fast drag rests.
            dcc.Store(id=ids.MAPS_SETTLED, data=state.sample),
            dcc.Store(id=ids.MAPS_DONE),
            layer_select(ids.MAPS_LAYER, catalog.n_filters, state.layer),
            number(
                ids.MAPS_FILTER,
                caption="Filter",
                value=state.filter_index,
                largest=catalog.n_filters[state.layer] - 1,
            ),
            html.Div(
                [
                    sample,
                    step(ids.MAPS_PREVIOUS, "‹", "Previous sample (←)"),
                    step(ids.MAPS_NEXT, "›", "Next sample (→)"),
                ],
                className="stepper",
            ),
            only_if(
                catalog.has_classes,
                class_select(ids.MAPS_CLASS, names, state.class_index, caption="Samples of class"),
            ),
            only_if(
                catalog.has_outcomes,
                segments(
                    ids.MAPS_OUTCOME, caption="Prediction", options=outcomes, value=state.outcome
                ),
            ),
        ],
        title="Selection",
    )


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the wall, the samples and the filter that draw no panel."""
    wall.register(app, source)
    samples.register(app, source)
    one_filter.register(app, source)


PAGE = Page(
    name="maps",
    title="Feature maps",
    description="Every filter of a layer for one sample, and one of them beside the input.",
    controls={
        "layer": Control(ids.MAPS_LAYER),
        "sample": Control(ids.MAPS_SETTLED, "data"),
        "filter_index": Control(ids.MAPS_FILTER),
        "class_index": Control(ids.MAPS_CLASS),
        "outcome": Control(ids.MAPS_OUTCOME),
        "picked": Control(ids.MAPS_PICKED),
        "color_range": Control(ids.MAPS_RANGE),
        "filter_order": Control(ids.MAPS_ORDER),
        "dead": Control(ids.MAPS_DEAD, "checked", ("show", "hide")),
        "zeros": Control(ids.MAPS_ZEROS, "checked", ("plain", "mark")),
        "zoom": Control(ids.MAPS_ZOOM),
        "window": Control(ids.MAPS_WINDOW, "data"),
    },
    side=(selection, samples.samples_card, prediction.PANEL),
    main=(wall.wall_card, one_filter.PANEL),
    links={ids.MAPS_FILTER_LINK: "filter"},
    register=register,
)
