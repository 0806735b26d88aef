"""What stays in sight above the rows: the sample, what the model makes of it, kinds of summary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dashboard.components.controls import card, class_select, number, only_if, segments, step
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import proportions
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.feature_maps import prediction
from dashboard.pages.feature_maps.samples import picks
from dashboard.pages.group_field import group_field
from dashboard.pages.page import Panel
from dashboard.pages.state import SUMMARIES, State, outcomes_of
from dashboard.stores.snapshot import Snapshot


def draw(snapshot: Snapshot, state: State, theme: Theme) -> Node:
    """The sample's label and prediction, or its labels or numbers."""
    _, verdict = prediction.draw(snapshot, state, theme)
    return verdict


def index_picks(snapshot: Snapshot, state: State) -> dict[str, Any]:
    """The samples that a step goes through, by index: this page has no choice of their order."""
    return picks(snapshot, replace(state, picked="index"))


def _body(snapshot: Snapshot, state: State) -> Node:
    largest = snapshot.catalog.n_samples - 1
    stepper = [
        number(ids.LAYERS_SAMPLE, caption="Sample", value=state.sample, largest=largest),
        step(ids.LAYERS_PREVIOUS, "‹", "Previous sample (←)"),
        step(ids.LAYERS_NEXT, "›", "Next sample (→)"),
    ]
    picture = html.Div(
        id=ids.LAYERS_INPUT,
        className="picture layers-input",
        style={"--proportions": proportions(snapshot.image_shape)},
    )
    # The sample that is shown when a fast drag rests.
    settled = dcc.Store(id=ids.LAYERS_SETTLED, data=state.sample)
    verdict = html.Div(id="layers-verdict", className="layers-verdict", role="status")
    return html.Div(
        [picture, html.Div([settled, verdict, html.Div(stepper, className="stepper")])],
        className="layers-bar",
    )


def choices(snapshot: Snapshot, state: State) -> Node:
    """Which samples a step goes through, and what each layer's filters are summed up in."""
    catalog = snapshot.catalog
    names, outcomes = catalog.class_names, outcomes_of(catalog)
    of_samples = [
        only_if(
            catalog.has_classes,
            class_select(ids.LAYERS_CLASS, names, state.class_index, caption="Samples of class"),
        ),
        only_if(
            catalog.has_predictions,
            class_select(ids.LAYERS_PREDICTED, names, state.predicted, caption="Predicted class"),
        ),
        only_if(
            catalog.has_outcomes,
            segments(
                ids.LAYERS_OUTCOME, caption="Prediction", options=outcomes, value=state.outcome
            ),
        ),
        group_field(snapshot, ids.LAYERS_GROUP, state.group),
        html.Div(dmc.Text(id=ids.LAYERS_POSITION, size="sm", c="dimmed"), role="status"),
    ]
    of_layers = [
        segments(
            ids.LAYERS_SUMMARY,
            caption="All filters of a layer as one map",
            options=SUMMARIES,
            value=state.summary,
        ),
        html.Div(id=ids.LAYERS_ZOOM),
    ]
    return card(
        [
            dcc.Store(id=ids.LAYERS_PICKS, data=index_picks(snapshot, state)),
            dcc.Store(id=ids.LAYERS_REGION, data=state.region),
            html.Div(of_samples, className="controls"),
            html.Div(of_layers, className="controls"),
        ],
        fills=(ids.LAYERS_PICKS,),
        className="layers-choices",
    )


PANEL = Panel("verdict", draw, needs=("sample",), body=_body)
