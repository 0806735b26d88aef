"""A map of all samples, from which one or a group of them is taken to the other pages."""

from __future__ import annotations

from dash import Dash

from dashboard.components.controls import (
    card,
    layer_options,
    layer_select,
    number,
    only_if,
    segments,
    select,
)
from dashboard.components.nodes import Node, dcc, html
from dashboard.pages import group_field, ids
from dashboard.pages.page import Control, Page
from dashboard.pages.samples import apart, group, map_card, selected
from dashboard.pages.scripts import fit_filter
from dashboard.pages.state import (
    MAP_COLORS,
    MAP_METHODS,
    MAP_POOLINGS,
    MODEL_OUTPUT,
    State,
    map_colors_of,
    map_tables_of,
)
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source

OUTPUT_WORDS = "What the model gives"


def selection(snapshot: Snapshot, state: State) -> Node:
    """What the map is of, and what its points are colored by."""
    catalog = snapshot.catalog
    layers = layer_options(catalog.n_filters)
    tables = {
        name: OUTPUT_WORDS if name == MODEL_OUTPUT else layers[layer]
        for name, (_, layer) in map_tables_of(catalog).items()
    }
    colors = map_colors_of(catalog)
    return card(
        [
            dcc.Store(id=ids.SAMPLES_SIZES, data=dict(catalog.n_filters)),
            select(ids.SAMPLES_TABLE, caption="Map of", options=tables, value=state.map_table),
            segments(
                ids.SAMPLES_POOLING,
                caption="Of each feature map",
                options=MAP_POOLINGS,
                value=state.map_pooling,
            ),
            segments(
                ids.SAMPLES_METHOD, caption="Method", options=MAP_METHODS, value=state.map_method
            ),
            only_if(
                len(colors) > 1,
                select(
                    ids.SAMPLES_COLOR,
                    caption="Color",
                    options={name: MAP_COLORS[name] for name in colors},
                    value=state.map_color,
                ),
            ),
            # Where points are colored by a filter.
            html.Div(
                [
                    layer_select(
                        ids.SAMPLES_LAYER, catalog.n_filters, state.layer, caption="Layer of filter"
                    ),
                    number(
                        ids.SAMPLES_FILTER,
                        caption="Filter",
                        value=state.filter_index,
                        largest=catalog.n_filters[state.layer] - 1,
                    ),
                ],
                id=ids.SAMPLES_FILTER_CHOICE,
                className="samples-filter",
                hidden=state.map_color != "filter",
            ),
            number(
                ids.SAMPLES_SAMPLE,
                caption="Sample",
                value=state.sample,
                largest=catalog.n_samples - 1,
            ),
        ],
        title="Selection",
    )


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks that draw no panel."""
    fit_filter(app, ids.SAMPLES_LAYER, ids.SAMPLES_FILTER, ids.SAMPLES_SIZES)
    map_card.register(app, source)
    group_field.register(app, source, ids.SAMPLES_GROUP)


PAGE = Page(
    name="samples",
    title="Samples",
    description="A map of all samples: what lies near to what, what lies apart, and groups to draw "
    "around.",
    controls={
        "layer": Control(ids.SAMPLES_LAYER),
        "sample": Control(ids.SAMPLES_SAMPLE),
        "filter_index": Control(ids.SAMPLES_FILTER),
        "group": Control(ids.SAMPLES_GROUP),
        "map_table": Control(ids.SAMPLES_TABLE),
        "map_pooling": Control(ids.SAMPLES_POOLING),
        "map_method": Control(ids.SAMPLES_METHOD),
        "map_color": Control(ids.SAMPLES_COLOR),
        "map_only": Control(ids.SAMPLES_ONLY, "data"),
        "map_window": Control(ids.SAMPLES_WINDOW, "data"),
    },
    side=(selection,),
    main=(map_card.map_card, group.PANEL, apart.PANEL),
    beside=(selected.PANEL,),
    names={},
    is_styled=True,
    register=register,
)
