"""Which samples a person picks from, in which order, and their thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dash import Dash, Input, Output
from numpy.typing import NDArray

from dashboard.components.controls import card, class_select, only_if, segments, select, step
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import picture
from dashboard.pages import group_field, ids
from dashboard.pages.feature_maps.scripts import have_done, question_state
from dashboard.pages.state import State, outcomes_of, sample_orders_of, state_for
from dashboard.pages.words import names_of, outcome_words
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from fmcore.errors import SelectionError
from fmcore.numbers import number_text, share_text

# Thumbnails of one request, at most; a page of them is what assets/feature_maps/samples.js says.
MOST_THUMBNAILS = 100
THUMBNAIL_PIXELS = 96
# What the choice of samples may depend on.
PICKS_FIELDS = (
    "class_index",
    "predicted",
    "outcome",
    "group",
    "picked",
    "layer",
    "filter_index",
)


def samples_card(snapshot: Snapshot, state: State) -> Node:
    """Which samples a step goes through: their choice, their order, and their thumbnails."""
    catalog = snapshot.catalog
    names, outcomes = catalog.class_names, outcomes_of(catalog)
    orders = sample_orders_of(catalog)
    return card(
        [
            dcc.Store(id=ids.MAPS_PICKS, data=picks(snapshot, state)),
            dcc.Store(id=ids.MAPS_PICKS_QUESTION),
            dcc.Store(id=ids.MAPS_PAGE),
            only_if(
                catalog.has_classes,
                class_select(ids.MAPS_CLASS, names, state.class_index, caption="Samples of class"),
            ),
            only_if(
                catalog.has_predictions,
                class_select(ids.MAPS_PREDICTED, names, state.predicted, caption="Predicted class"),
            ),
            only_if(
                catalog.has_outcomes,
                segments(
                    ids.MAPS_OUTCOME, caption="Prediction", options=outcomes, value=state.outcome
                ),
            ),
            group_field.group_field(snapshot, ids.MAPS_GROUP, state.group),
            dcc.Store(id=ids.MAPS_FROM, data=state.first_sample),
            select(ids.MAPS_PICKED, caption="Order of samples", options=orders, value=state.picked),
            html.Div(dmc.Text(id=ids.MAPS_POSITION, size="sm", c="dimmed"), role="status"),
            html.Div(id=ids.MAPS_THUMBNAILS, className="thumbnails"),
            html.Div(
                [
                    step(ids.MAPS_TURN_FIRST, "«", "First page of samples"),
                    step(ids.MAPS_TURN_BACK, "‹", "Page of samples before"),
                    html.Span(id=ids.MAPS_TURN_NOTE, role="status"),
                    step(ids.MAPS_TURN_ON, "›", "Next page of samples"),
                    step(ids.MAPS_TURN_LAST, "»", "Last page of samples"),
                ],
                id=ids.MAPS_TURN,
                className="turn",
                hidden=True,
            ),
        ],
        title="Samples",
        fills=(ids.MAPS_PICKS, ids.MAPS_THUMBNAILS),
    )


def picks(snapshot: Snapshot, state: State) -> dict[str, Any]:
    """The samples that match, in the order of `state.picked`, as JSON for the script.

    Keys: `list`, their indices, or None for all samples by index; `n`, how many match;
    `total`, how many there are; `by`, `layer` and `filter`, what they were ordered by; `label`,
    `predicted`, `outcome` and `group`, which were asked for. A group that the store does not
    understand has no samples: its field says why.
    """
    try:
        matching = snapshot.matching(state.class_index, state.outcome, state.predicted, state.group)
    except SelectionError:
        matching = np.zeros(0, np.int64)
    total = snapshot.catalog.n_samples
    everything = len(matching) == total and state.picked == "index"
    return {
        "list": None if everything else _ordered(snapshot, state, matching).tolist(),
        "n": len(matching),
        "total": total,
        "by": state.picked,
        "layer": state.layer,
        "filter": state.filter_index,
        "label": state.class_index,
        "predicted": state.predicted,
        "outcome": state.outcome,
        "group": state.group,
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
            number = number_text(largest[index], digits=3)
            about = f"largest activation {number_text(largest[index])}"
        elif confidence is not None:
            number = share_text(confidence[index])
            about = f"predicted with {share_text(confidence[index])}"
        outcome = ", ".join(filter(None, (outcome_words(label, predicted), about)))
        words = f"Sample {index}: {outcome}" if outcome else f"Sample {index}"
        buttons.append(
            html.Button(
                [
                    picture(str(index).join(url), words="", shape=snapshot.image_shape),
                    html.Span(f"Sample {index}: ", className="unseen"),
                    html.Span(short, className="thumbnail-label"),
                    html.Span(number, className="thumbnail-number"),
                ],
                className="thumbnail wrong" if wrong else "thumbnail",
                title=words,
                type="button",
                **{"data-sample": str(index)},
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

    group_field.register(app, source, ids.MAPS_GROUP)

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
