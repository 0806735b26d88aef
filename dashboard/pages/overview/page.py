"""The whole model: its health, every filter of it, how good it is, where it came from."""

from __future__ import annotations

from dash import Dash, Input

from dashboard.components.nodes import Node, dcc
from dashboard.pages import ids
from dashboard.pages.overview import health, layers_alike, network, quality, removal
from dashboard.pages.overview.all_filters import filters_card
from dashboard.pages.overview.first_steps import first_steps
from dashboard.pages.overview.origin import origin_card
from dashboard.pages.page import Control, Page
from dashboard.pages.scripts import have_called
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source


def done(_: Snapshot, __: State) -> Node:
    """What calls of scripts write into, and nobody reads."""
    return dcc.Store(id=ids.OVERVIEW_DONE)


def register(app: Dash, source: Source) -> None:
    """Has the browser fill, sort, search and save the tables; see assets/overview/tables.js."""
    have_called(
        app,
        "overview",
        "filters",
        Input(ids.OVERVIEW_TABLE, "data"),
        Input(ids.OVERVIEW_SEARCH, "value"),
        Input(ids.OVERVIEW_SORT, "data"),
        done=ids.OVERVIEW_DONE,
    )
    have_called(
        app,
        "overview",
        "classes",
        Input("overview-quality", "data"),
        Input(ids.OVERVIEW_SORT_CLASSES, "data"),
        done=ids.OVERVIEW_DONE,
    )
    download = Input(ids.OVERVIEW_DOWNLOAD, "n_clicks")
    have_called(app, "overview", "save", download, done=ids.OVERVIEW_DONE, at_start=False)
    layers_alike.register(app)
    network.register(app, source)


PAGE = Page(
    name="overview",
    title="Overview",
    description="The whole model: its health, all filters of all layers, how good it is for each "
    "class, how alike its layers are, and where it came from.",
    controls={
        "layer": Control(ids.OVERVIEW_LAYER),
        "find_all": Control(ids.OVERVIEW_SEARCH),
        "sort_all": Control(ids.OVERVIEW_SORT, "data"),
        "sort_classes": Control(ids.OVERVIEW_SORT_CLASSES, "data"),
        **network.CONTROLS,
    },
    above=(first_steps,),
    side=(health.PANEL, quality.PANEL),
    main=(
        network.PANEL,
        filters_card,
        removal.PANEL,
        layers_alike.PANEL,
        origin_card,
        done,
    ),
    names={},
    minor_fields=frozenset({"layer"}),  # who names one wants its maps
    is_styled=True,
    register=register,
)
