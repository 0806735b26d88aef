"""How alike the layers of the model are to each other: linear CKA."""

from __future__ import annotations

import numpy as np
from dash import Dash, Input
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.components.controls import status_note
from dashboard.components.graph import NONE, graph
from dashboard.components.nodes import Node, dcc, html
from dashboard.figures.heatmap import cka_heatmap
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.compare.pair import thinned_means
from dashboard.pages.page import GRAPH as FIGURE
from dashboard.pages.page import Panel
from dashboard.pages.scripts import have_called
from dashboard.pages.state import State, query_for
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import fraction_text
from fmcore.statistics import cka_between

GRAPH = "overview-cka"
CKA = "cka_mean"


def draw(snapshot: Snapshot, _: State, theme: Theme) -> tuple[object, object, object]:
    """The heatmap, its style, and what it is with the pair that is most alike."""
    paths = list(snapshot.catalog.n_filters)
    if len(paths) < 2:
        return *NONE, "The store has one layer, so there is none to be like it."
    values, n_used = cka_of_layers(snapshot)
    figure, height = cka_heatmap(
        values,
        rows=paths,
        columns=paths,
        axes=("layer", "layer"),
        hover="%{y}<br>%{x}",
        row=14,
        largest=900,
        theme=theme,
    )
    return figure, {"height": height}, _words(snapshot, values, n_used)


def cka_of_layers(snapshot: Snapshot) -> tuple[NDArray[np.float64], int]:
    """CKA of each layer with each, <float64>[layer, other_layer], and of how many samples.

    As stored; of a store without, from the pooled means of samples that are evenly spaced.
    """
    paths = list(snapshot.catalog.n_filters)
    n_samples = snapshot.catalog.n_samples
    if CKA in snapshot.store.similarities:
        return snapshot.store.similarity(CKA), n_samples

    def make() -> tuple[NDArray[np.float64], int]:
        tables = thinned_means(snapshot, paths, n_filters=sum(snapshot.catalog.n_filters.values()))
        return cka_between(tables, tables), len(tables[0])

    return snapshot.derived_once(("cka",), make)


def _words(snapshot: Snapshot, values: NDArray[np.float64], n_used: int) -> list[Node | str]:
    of = snapshot.catalog.n_samples
    part = "" if n_used == of else f" Over {n_used:,}, evenly spaced, of {of:,} samples."
    words: list[Node | str] = [
        "Linear CKA of pooled means (Kornblith et al. 2019): 1 where two layers arrange the "
        "samples alike up to rotation and scale, 0 where not at all; few samples, or some extreme "
        f"ones, make it large.{part} A click opens the maps of the row's layer."
    ]
    paths = list(snapshot.catalog.n_filters)
    pairs = np.where(np.triu(np.isfinite(values), 1), values, -1.0)
    best = float(pairs.max())
    if best < 0:
        return [*words, " No two layers have a value: a layer that does not vary has none."]
    places = np.unravel_index(int(pairs.argmax()), pairs.shape)
    first, second = (
        dcc.Link(paths[at], href=f"maps{query_for(snapshot.catalog, layer=paths[at])}")
        for at in places
    )
    number = fraction_text(best, decimals=3)
    return [*words, " Most alike are ", first, " and ", second, f": {number}."]


def _body(snapshot: Snapshot, _: State) -> list[Node]:
    links = [query_for(snapshot.catalog, layer=path) for path in snapshot.catalog.n_filters]
    return [
        status_note(f"{GRAPH}-note"),
        dcc.Store(id=ids.OVERVIEW_LINKS, data=links),
        html.Div(graph(GRAPH, "CKA of each layer with each"), className="overview-wide"),
    ]


def register(app: Dash) -> None:
    """Has a click on a cell open the maps of the layer of its row."""
    have_called(
        app,
        "overview",
        "layerOf",
        Input(GRAPH, "clickData"),
        DashState(ids.OVERVIEW_LINKS, "data"),
        done=ids.OVERVIEW_DONE,
        at_start=False,
    )


PANEL = Panel(
    "cka", draw, needs=(), title="How alike layers are", fills=FIGURE, body=_body, themed=True
)
