"""What stays in sight beside the wall: the input, what the model makes of it, what is looked at."""

from __future__ import annotations

from dash import Dash, Input

from dashboard.components.controls import card, facts, segments
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import proportions
from dashboard.pages import ids
from dashboard.pages.feature_maps import prediction
from dashboard.pages.feature_maps.scripts import have_done
from dashboard.pages.scripts import have_called
from dashboard.pages.state import AMONG, State
from dashboard.stores.snapshot import Snapshot

# What the script of the page says of the selected filter's map; a row that it leaves empty is
# hidden.
MAP_FACTS = {
    "filter": "Selected filter",
    "largest": "Largest here",
    "mean": "Mean here",
    "zero": "Exactly zero here",
    "missing": "Not finite here",
    "whole": "Whole test set",
}


HINT = "Click in the image: what reacts here? Drag for a box."
PICTURE_WORDS = (
    "Input image. Arrows move to a place, with shift to a box; Enter lists what reacts there."
)


def strip(snapshot: Snapshot, state: State) -> Node:
    """The input with the map over it, what reacts at a place in it, the verdict, facts."""
    rows = {noun: html.Span(**{"data-fact": name}) for name, noun in MAP_FACTS.items()}
    return card(
        [
            _picture(snapshot),
            _reactions(state),
            prediction.verdict(snapshot),
            # Of fixed height: what the pointer is over must not move what is below.
            html.Div(id=ids.MAPS_HOVERED, className="strip-hovered"),
            dmc.Text(id=ids.MAPS_FIELD_NOTE, size="xs", c="dimmed"),
            html.Div(facts(rows), id=ids.MAPS_FILTER_NOTE),
        ],
        title="Input",
        className="strip",
    )


def _picture(snapshot: Snapshot) -> Node:
    return html.Div(
        [
            html.Div(
                id=ids.MAPS_INPUT,
                className="picture input-picture",
                tabIndex=0,
                # Its keys are its own: a screen reader lets them through.
                role="application",
                **{"aria-label": PICTURE_WORDS},
                style={"--proportions": proportions(snapshot.image_shape)},
            ),
            dmc.Text(HINT, size="xs", c="dimmed", className="place-hint"),
            dmc.Slider(
                id=ids.MAPS_OPACITY,
                value=45,
                min=0,
                max=100,
                size="sm",
                label=None,
                persistence=True,
                persistence_type="local",
                thumbLabel="Opacity of the map",
            ),
        ],
        className="strip-picture",
    )


def _reactions(state: State) -> Node:
    """What reacts at a place; filled by assets/feature_maps/place.js, hidden without a place."""
    parts = [
        html.Div(className="panel-state"),
        html.Div(
            segments(ids.MAPS_AMONG, caption="Compared", options=AMONG, value=state.among),
            className="controls",
        ),
        html.Div(id=ids.MAPS_REACTIONS_LIST),
    ]
    return html.Div(
        [
            dcc.Store(id=ids.MAPS_PLACE, data=state.place),
            html.Div(
                html.Div(parts),
                id=ids.MAPS_REACTIONS,
                className="reactions",
                hidden=True,
                **{"data-fills": ids.MAPS_REACTIONS_LIST},
            ),
        ]
    )


def register(app: Dash) -> None:
    """Has the browser fade the map that lies over the input."""
    have_done(app, "fade", Input(ids.MAPS_OPACITY, "value"))
    have_called(
        app,
        "places",
        "show",
        Input(ids.MAPS_PLACE, "data"),
        Input(ids.MAPS_SETTLED, "data"),
        Input(ids.MAPS_AMONG, "value"),
        Input(ids.MAPS_LAYER, "value"),
        done=ids.MAPS_DONE,
    )
