"""Two stores beside each other: maps, filters, classes and layers, and what differs."""

from __future__ import annotations

from dash import Dash

from dashboard.pages import ids
from dashboard.pages.compare import classes, filters, layers, maps, selection
from dashboard.pages.compare.pair import Pair, open_pair
from dashboard.pages.page import Control, Page
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source


def pair_of(source: Source, first: Snapshot, state: State) -> tuple[Pair, State]:
    """The two stores of a state, and the state with what it left open.

    Raises:
        FmcoreError: if there is no other store, or it is gone or broken.
    """
    pair = open_pair(source, first, state)[0]
    return pair, pair.state


def register(app: Dash, source: Source) -> None:
    """Adds what selects stores, layers and filters."""
    selection.register(app, source)
    filters.register(app)
    classes.register(app)


PAGE = Page(
    name="compare",
    title="Compare",
    description="Two stores side by side: maps, filters, classes and layers, and what differs.",
    controls={
        "with_store": Control(ids.COMPARE_WITH),
        "layer": Control(ids.COMPARE_LAYER),
        "other": Control(ids.COMPARE_OTHER_PATH, "data"),
        "filter_index": Control(ids.COMPARE_FILTER),
        "other_filter": Control(ids.COMPARE_OTHER_FILTER),
        "pairing": Control(ids.COMPARE_PAIRING),
        "sample": Control(ids.COMPARE_SAMPLE),
        "statistic": Control(ids.COMPARE_STATISTIC),
        "sort": Control(ids.COMPARE_SORT, "data"),
    },
    above=(selection.notes_above,),
    side=(selection.selection,),
    main=(selection.ABOUT, maps.PANEL, filters.PANEL, classes.PANEL, layers.PANEL),
    always=("with_store", "layer", "other"),
    subject=pair_of,
    names={"layer": "", "with_store": "with "},
    is_styled=True,
    register=register,
)
