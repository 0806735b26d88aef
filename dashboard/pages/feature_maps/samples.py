"""Which samples a person picks from, in which order, and their thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dash import Dash, Input, Output
from numpy.typing import NDArray

from dashboard.components.controls import card, select
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import picture
from dashboard.pages import ids
from dashboard.pages.feature_maps.scripts import have_done, question_state
from dashboard.pages.state import State, sample_orders_of, state_for
from dashboard.pages.words import names_of, outcome_words
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source

# Thumbnails of one request, at most; a page of them is what assets/feature_maps/samples.js says.
MOST_THUMBNAILS = 100
THUMBNAIL_PIXELS = 96
# In one list; a page of a browser needs no more, and says how many there are.
MOST = 5_000
# What the choice of samples may depend on.
PICKS_FIELDS = ("class_index", "outcome", "picked", "layer", "filter_index")


def samples_card(snapshot: Snapshot, state: State) -> Node:
    """The thumbnails under the choice of their order."""
    orders = sample_orders_of(snapshot.catalog)
    return card(
        [
            dcc.Store(id=ids.MAPS_PICKS, data=picks(snapshot, state)),
            dcc.Store(id=ids.MAPS_PICKS_QUESTION),
            dcc.Store(id=ids.MAPS_PAGE),
            select(ids.MAPS_PICKED, caption="Order of samples", options=orders, value=state.picked),
            html.Div(dmc.Text(id=ids.MAPS_POSITION, size="sm", c="dimmed"), role="status"),
            html.Div(id=ids.MAPS_THUMBNAILS, className="thumbnails"),
        ],
        title="Samples",
    )


def picks(snapshot: Snapshot, state: State) -> dict[str, Any]:
    """The samples that match, in the order of `state.picked`, as JSON for the script.

    Keys: `list`, the first `MOST` of them, or None for all samples by index; `n`, how many match;
    `total`, how many there are; `by`, `layer` and `filter`, what they were ordered by; `label` and
    `outcome`, which were asked for.
    """
    matching = snapshot.matching(state.class_index, state.outcome)
    total = snapshot.catalog.n_samples
    everything = len(matching) == total and state.picked == "index"
    return {
        "list": None if everything else _ordered(snapshot, state, matching)[:MOST].tolist(),
        "n": len(matching),
        "total": total,
        "by": state.picked,
        "layer": state.layer,
        "filter": state.filter_index,
        "label": state.class_index,
        "outcome": state.outcome,
    }


def _ordered(snapshot: Snapshot, state: State, matching: NDArray[np.int64]) -> NDArray[np.int64]:
    """Samples by what `state.picked` says; equal ones by index."""
    if state.picked == "index":
        return matching
    if state.picked == "response":
        values = responses(snapshot, state.layer, state.filter_index)
    else:
        values = snapshot.confidence
    keys = values[matching].astype(np.float64)
    order = np.argsort(keys if state.picked == "unsure" else -keys, kind="stable")
    ordered: NDArray[np.int64] = matching[order]
    return ordered


def responses(snapshot: Snapshot, layer: str, filter_index: int) -> NDArray[Any]:
    """The largest activation of a filter in each sample, <float32>[sample]."""
    return np.asarray(snapshot.layer(layer).pooled("max")[:, filter_index])


def thumbnails(
    snapshot: Snapshot, samples: Sequence[int], largest: NDArray[Any] | None = None
) -> list[Node]:
    """A button with a picture for each sample; the script of the page hears their clicks.

    Args:
        snapshot: the store.
        samples: their indices.
        largest: the largest activation of a filter in each sample of the store, <float32>[sample];
            None where samples are not ordered by it.
    """
    url = snapshot.image_url_parts(size=THUMBNAIL_PIXELS)
    confidence = None
    if largest is None and snapshot.catalog.has_predictions:
        confidence = snapshot.confidence
    buttons: list[Node] = []
    for index in samples:
        label, predicted = names_of(snapshot, index)
        wrong = None not in (label, predicted) and label != predicted
        short = f"{label} → {predicted} ✗" if wrong else label or predicted or f"#{index}"
        number, about = "", ""
        if largest is not None:
            number = f"{largest[index]:.3g}"
            about = f"largest activation {largest[index]:.6g}"
        elif confidence is not None:
            number = f"{confidence[index]:.0%}"
            about = f"predicted with {confidence[index]:.1%}"
        outcome = ", ".join(filter(None, (outcome_words(label, predicted), about)))
        words = f"Sample {index}: {outcome}" if outcome else f"Sample {index}"
        buttons.append(
            html.Button(
                [
                    picture(str(index).join(url), words="", shape=snapshot.image_shape),
                    html.Span(short, className="thumbnail-label"),
                    html.Span(number, className="thumbnail-number"),
                ],
                className="thumbnail wrong" if wrong else "thumbnail",
                title=words,
                type="button",
                **{"data-sample": str(index), "aria-label": words},
            )
        )
    return buttons


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the samples."""

    @app.callback(
        Output(ids.MAPS_PICKS, "data"),
        Input(ids.MAPS_PICKS_QUESTION, "data"),
        prevent_initial_call=True,
    )
    def choose_samples(question: object) -> dict[str, Any]:
        snapshot = source.snapshot()
        return picks(snapshot, question_state(snapshot, question, PICKS_FIELDS))

    @app.callback(
        Output(ids.MAPS_THUMBNAILS, "children"),
        Input(ids.MAPS_PAGE, "data"),
        prevent_initial_call=True,
    )
    def show_thumbnails(page: object) -> list[Node]:
        snapshot = source.snapshot()
        match page:
            case {"samples": [*samples], "by": by, "layer": layer, "filter": filter_index}:
                state = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
                valid = range(snapshot.catalog.n_samples)
                indices = [index for index in samples if isinstance(index, int) and index in valid]
                largest = None
                if by == "response":
                    largest = responses(snapshot, state.layer, state.filter_index)
                return thumbnails(snapshot, indices[:MOST_THUMBNAILS], largest)
            case _:
                return []

    have_done(app, "pick", Input(ids.MAPS_PICKS, "data"))
    have_done(app, "mark", Input(ids.MAPS_THUMBNAILS, "children"))
