"""Every filter of every layer in one table, which the browser fetches, sorts and searches."""

from __future__ import annotations

from dashboard.components.controls import card
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import find_tools
from dashboard.file_names import file_name
from dashboard.pages import ids
from dashboard.pages.person import why_no_files
from dashboard.pages.state import State
from dashboard.stores.findings import NO_EFFECT_TEXT
from dashboard.stores.snapshot import Snapshot

HINT = "Click a heading to sort, a row to see the filter's maps. On the keyboard: arrows and Enter."


def filters_card(snapshot: Snapshot, state: State) -> Node:
    """The table below what finds rows of it; see assets/overview/."""
    catalog = snapshot.catalog
    a_class = ", a class" if catalog.has_classes else ""
    effect = NO_EFFECT_TEXT if catalog.measured else "duplicate"
    gray = (
        " Gray and slanted: within chance, that is what labels in random order give."
        if catalog.has_classes
        else ""
    )
    about = {
        "url": f"{snapshot.api}/filters",
        "digest": snapshot.digest,
        "file": file_name(snapshot.name, "all", "filters", ending=".csv"),
    }
    return card(
        [
            dcc.Store(id=ids.OVERVIEW_TABLE, data=about),
            dcc.Store(id=ids.OVERVIEW_SORT, data=state.sort_all),
            *find_tools(
                search=ids.OVERVIEW_SEARCH,
                text=state.find_all,
                placeholder=f"dead, {effect}, a layer{a_class} …",
                count=html.Div(id=ids.OVERVIEW_COUNT, className="status-note grow", role="status"),
                download=ids.OVERVIEW_DOWNLOAD,
                reason=why_no_files(),
            ),
            html.Div(id=ids.OVERVIEW_FILTERS, className="row-table overview-filters"),
            dmc.Text(f"{HINT}{gray}", size="sm", c="dimmed"),
        ],
        title="All filters of all layers",
        fills=(ids.OVERVIEW_FILTERS,),
    )
