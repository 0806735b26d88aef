"""Pick a sample, see every filter of a layer, enlarge one beside the input."""

from __future__ import annotations

from dash import Dash

from dashboard.components.controls import card, layer_select, number, step
from dashboard.components.nodes import Node, dcc, html
from dashboard.pages import ids
from dashboard.pages.feature_maps import arithmetic, one_filter, prediction, samples, strip, wall
from dashboard.pages.page import Control, Page
from dashboard.pages.scripts import fit_filter
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source


def selection(snapshot: Snapshot, state: State) -> Node:
    """The layer, the filter and the sample."""
    catalog = snapshot.catalog
    sample = number(
        ids.MAPS_SAMPLE, caption="Sample", value=state.sample, largest=catalog.n_samples - 1
    )
    return card(
        [
            # The sample that is shown when a fast drag rests.
            dcc.Store(id=ids.MAPS_SETTLED, data=state.sample),
            dcc.Store(id=ids.MAPS_DONE),
            dcc.Store(id=ids.MAPS_SIZES, data=dict(catalog.n_filters)),
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
        ],
        title="Selection",
    )


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the wall, the samples and the filter that draw no panel."""
    fit_filter(app, ids.MAPS_LAYER, ids.MAPS_FILTER, ids.MAPS_SIZES)
    wall.register(app, source)
    samples.register(app, source)
    one_filter.register(app, source)
    strip.register(app)


PAGE = Page(
    name="maps",
    title="Feature maps",
    description="Every filter of a layer for one sample, and one of them beside the input.",
    controls={
        "layer": Control(ids.MAPS_LAYER),
        "sample": Control(ids.MAPS_SETTLED, "data"),
        "filter_index": Control(ids.MAPS_FILTER),
        "class_index": Control(ids.MAPS_CLASS),
        "predicted": Control(ids.MAPS_PREDICTED),
        "outcome": Control(ids.MAPS_OUTCOME),
        "group": Control(ids.MAPS_GROUP),
        "picked": Control(ids.MAPS_PICKED),
        "first_sample": Control(ids.MAPS_FROM, "data"),
        "color_range": Control(ids.MAPS_RANGE),
        "color_ends": Control(ids.MAPS_ENDS, "data"),
        "colors": Control(ids.MAPS_COLORS),
        "color_norm": Control(ids.MAPS_NORM),
        "inversion": Control(ids.MAPS_INVERTED, "checked", ("plain", "inverted")),
        "filter_order": Control(ids.MAPS_ORDER),
        "dead": Control(ids.MAPS_DEAD, "checked", ("show", "hide")),
        "zeros": Control(ids.MAPS_ZEROS, "checked", ("plain", "mark")),
        "zoom": Control(ids.MAPS_ZOOM),
        "window": Control(ids.MAPS_WINDOW, "data"),
        "place": Control(ids.MAPS_PLACE, "data"),
        "among": Control(ids.MAPS_AMONG),
        "unit": Control(ids.MAPS_UNIT, "data"),
    },
    side=(selection, samples.samples_card, prediction.PANEL),
    main=(wall.wall_card, one_filter.PANEL, arithmetic.PANEL),
    beside=(strip.strip,),
    links={ids.MAPS_FILTER_LINK: "filter"},
    register=register,
)
