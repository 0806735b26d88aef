"""One sample through every layer: a map for all filters of each, and the filters that stand out."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output

from dashboard.components.controls import card, save_picture
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.file_names import file_name
from dashboard.pages import group_field, ids
from dashboard.pages.layers import bar
from dashboard.pages.layers.rows import layer_facts
from dashboard.pages.page import Control, Page
from dashboard.pages.scripts import have_called
from dashboard.pages.state import State, state_for
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source

ALL = "This model has few filters: each layer shows the maps of all of them, by index."
STRONGEST = (
    "Each layer shows {shown} filters: those whose largest activation here comes nearest the top "
    "of their own range over the whole test set."
)
COLORS = (
    "A filter's colors span its range over the whole test set, a summary's what it has here; "
    "colors of principal components mean the same in all samples. A click on a filter opens it on "
    "Feature maps. Drag a box on a summary, or turn the wheel with Ctrl held, to zoom all rows "
    "together."
)


def rows_card(snapshot: Snapshot, _: State) -> Node:
    """The rows, which the script of the page fills."""
    facts = layer_facts(snapshot)
    is_small = facts["shown"] >= sum(snapshot.catalog.n_filters.values())
    words = ALL if is_small else STRONGEST.format(shown=facts["shown"])
    return card(
        [
            dcc.Store(id=ids.LAYERS_FACTS, data=facts),
            dcc.Store(id=ids.LAYERS_DONE),
            html.Div(id=ids.LAYERS_ROWS, className="layers-rows"),
            html.Div(id=ids.LAYERS_ANNOUNCEMENT, className="unseen", role="status"),
            dmc.Text(f"{words} {COLORS}", size="sm", c="dimmed"),
            save_picture(file_name(snapshot.name, "layers"), scene=ids.LAYERS_ROWS),
        ],
        title="Every layer, from the first to the last",
    )


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks that draw no panel; a step of the sample is made in assets/layers."""

    @app.callback(
        Output(ids.LAYERS_PICKS, "data"),
        Input(ids.LAYERS_CLASS, "value"),
        Input(ids.LAYERS_PREDICTED, "value"),
        Input(ids.LAYERS_OUTCOME, "value"),
        Input(ids.LAYERS_GROUP, "value"),
        prevent_initial_call=True,
    )
    def choose_samples(
        class_index: object, predicted: object, outcome: object, group: object
    ) -> dict[str, Any]:
        snapshot = source.snapshot()
        state = state_for(
            snapshot.catalog,
            class_index=class_index,
            predicted=predicted,
            outcome=outcome,
            group=group,
        )
        return bar.index_picks(snapshot, state)

    group_field.register(app, source, ids.LAYERS_GROUP)

    have_called(
        app,
        "layers",
        "show",
        Input(ids.LAYERS_FACTS, "data"),
        Input(ids.LAYERS_SAMPLE, "value"),
        Input(ids.LAYERS_SUMMARY, "value"),
        Input(ids.LAYERS_REGION, "data"),
        Input(ids.SCHEME, "data"),
        done=ids.LAYERS_DONE,
    )
    have_called(app, "layers", "pick", Input(ids.LAYERS_PICKS, "data"), done=ids.LAYERS_DONE)


PAGE = Page(
    name="layers",
    title="Layers",
    description="One sample through every layer: a summary of each, and its strongest filters.",
    controls={
        "sample": Control(ids.LAYERS_SETTLED, "data"),
        "class_index": Control(ids.LAYERS_CLASS),
        "predicted": Control(ids.LAYERS_PREDICTED),
        "outcome": Control(ids.LAYERS_OUTCOME),
        "group": Control(ids.LAYERS_GROUP),
        "summary": Control(ids.LAYERS_SUMMARY),
        "region": Control(ids.LAYERS_REGION, "data"),
    },
    above=(bar.PANEL, bar.choices),
    side=(),
    main=(rows_card,),
    names={"sample": "sample "},
    is_styled=True,
    register=register,
)
