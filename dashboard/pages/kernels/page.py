"""All kernels of a layer on one wall: the weights that make each filter."""

from __future__ import annotations

from dash import Dash

from dashboard.components.controls import card, layer_select, number
from dashboard.components.nodes import Node, dcc
from dashboard.pages import ids
from dashboard.pages.kernels import selected, wall
from dashboard.pages.kernels.facts import kernel_facts
from dashboard.pages.page import Control, Page
from dashboard.pages.scripts import fit_filter
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source


def selection(snapshot: Snapshot, state: State) -> Node:
    """The layer, the filter, and the input plane."""
    catalog = snapshot.catalog
    facts = kernel_facts(snapshot, state.layer, state.kernel_part)
    return card(
        [
            dcc.Store(id=ids.KERNELS_SIZES, data=dict(catalog.n_filters)),
            layer_select(ids.KERNELS_LAYER, catalog.n_filters, state.layer),
            number(
                ids.KERNELS_FILTER,
                caption="Filter",
                value=state.filter_index,
                largest=catalog.n_filters[state.layer] - 1,
            ),
            number(
                ids.KERNELS_PLANE,
                caption="Input plane",
                value=state.plane,
                largest=facts.shape[3 if facts.is_depthwise else 2] - 1,
            ),
        ],
        title="Selection",
    )


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks that draw no panel."""
    fit_filter(app, ids.KERNELS_LAYER, ids.KERNELS_FILTER, ids.KERNELS_SIZES)
    wall.register(app, source)


PAGE = Page(
    name="kernels",
    title="Kernels",
    description="The weights of all filters of a layer on one wall.",
    controls={
        "layer": Control(ids.KERNELS_LAYER),
        "filter_index": Control(ids.KERNELS_FILTER),
        "plane": Control(ids.KERNELS_PLANE),
        "kernel_view": Control(ids.KERNELS_VIEW),
        "kernel_part": Control(ids.KERNELS_PART),
        "kernel_range": Control(ids.KERNELS_RANGE),
        "kernel_tile": Control(ids.KERNELS_TILE),
        "kernel_order": Control(ids.KERNELS_ORDER),
        "kernel_window": Control(ids.KERNELS_WINDOW, "data"),
    },
    side=(selection, selected.PANEL),
    main=(wall.wall_card,),
    links={ids.KERNELS_MAPS_LINK: "maps", ids.KERNELS_FILTER_LINK: "filter"},
    is_styled=True,
    register=register,
)
