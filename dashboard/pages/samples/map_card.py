"""The map under its legend, and what its script has to know; see assets/samples/."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input

from dashboard.components.controls import card, save_picture
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import proportions
from dashboard.file_names import file_name
from dashboard.pages import ids
from dashboard.pages.person import why_no_files
from dashboard.pages.scripts import have_called
from dashboard.pages.state import State, map_tables_of
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source

# CSS pixels of the image under the pointer.
IMAGE_PIXELS = 96
HINT = (
    "Drag, pinch or Ctrl + wheel zooms, shift-drag moves, double-click shows all, click selects. "
    "Lasso and Box select a group."
)


def facts(snapshot: Snapshot) -> dict[str, Any]:
    """What the script has to know of the store: `digest`, addresses, and names of what there is."""
    return {
        "digest": snapshot.digest,
        "api": snapshot.api,
        "n": snapshot.catalog.n_samples,
        "tables": {
            name: {"of": of, "layer": layer}
            for name, (of, layer) in map_tables_of(snapshot.catalog).items()
        },
        "image": snapshot.image_url_parts(size=IMAGE_PIXELS),
        "ratio": proportions(snapshot.image_shape),
        "file": file_name(snapshot.name, "group", ending=".csv"),
    }


def map_card(snapshot: Snapshot, state: State) -> Node:
    """The map with its legend; it comes with all that its picture needs but the points."""
    return card(
        [
            dcc.Store(id=ids.SAMPLES_FACTS, data=facts(snapshot)),
            dcc.Store(id=ids.SAMPLES_WINDOW, data=state.map_window),
            dcc.Store(id=ids.SAMPLES_ONLY, data=state.map_only),
            dcc.Store(id=ids.SAMPLES_DONE),
            html.Div(
                id=ids.SAMPLES_LEGEND,
                className="samples-legend",
                role="group",
                **{"aria-label": "What colors mean"},
            ),
            html.Div(id=ids.SAMPLES_MESSAGE, className="message", role="status"),
            html.Div(id=ids.SAMPLES_MAP, className="wall"),
            html.Div(
                [
                    html.Span(id=ids.SAMPLES_TOO_MANY_WORDS, role="status"),
                    dmc.Button(
                        "Save them (.csv)",
                        id=ids.SAMPLES_TOO_MANY_SAVE,
                        variant="default",
                        size="xs",
                        disabled=bool(why_no_files()),
                    ),
                ],
                id=ids.SAMPLES_TOO_MANY,
                className="message samples-too-many",
                hidden=True,
            ),
            save_picture(file_name(snapshot.name, "samples"), scene=ids.SAMPLES_MAP),
            # The map in words, for people who do not see it.
            html.Div(id=ids.SAMPLES_DESCRIPTION, className="unseen"),
            html.Div(id=ids.SAMPLES_ANNOUNCEMENT, className="unseen", role="status"),
            dmc.Text([html.Span(id=ids.SAMPLES_NOTE), f" {HINT}"], size="sm", c="dimmed"),
        ],
        title="Map of all samples",
        fills=(ids.SAMPLES_MAP,),
    )


def register(app: Dash, _: Source) -> None:
    """Has the browser draw the map, and save a group."""
    have_called(
        app,
        "samples",
        "show",
        Input(ids.SAMPLES_FACTS, "data"),
        Input(ids.SAMPLES_TABLE, "value"),
        Input(ids.SAMPLES_POOLING, "value"),
        Input(ids.SAMPLES_METHOD, "value"),
        Input(ids.SAMPLES_COLOR, "value"),
        Input(ids.SAMPLES_LAYER, "value"),
        Input(ids.SAMPLES_FILTER, "value"),
        Input(ids.SAMPLES_WINDOW, "data"),
        Input(ids.SAMPLES_ONLY, "data"),
        Input(ids.SAMPLES_SAMPLE, "value"),
        Input(ids.SAMPLES_GROUP, "value"),
        Input(ids.SCHEME, "data"),
        done=ids.SAMPLES_DONE,
    )
    # Apart from it: the map does not wait for what panels are filled with.
    for name, panel in {"mark": "samples-selected-near", "read": "samples-group-set"}.items():
        have_called(app, "samples", name, Input(panel, "data"), done=ids.SAMPLES_DONE)
    for name, buttons in {
        "save": (ids.SAMPLES_GROUP_SAVE, ids.SAMPLES_TOO_MANY_SAVE),
        "all": (ids.SAMPLES_GROUP_ALL,),
    }.items():
        inputs = (Input(button, "n_clicks") for button in buttons)
        have_called(app, "samples", name, *inputs, done=ids.SAMPLES_DONE, at_start=False)
