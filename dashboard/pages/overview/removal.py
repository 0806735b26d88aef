"""How many filters of a layer, and of all layers, can go together: the accuracy that is left."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np

from dashboard.components.controls import layer_select, status_note
from dashboard.components.graph import NONE, graph
from dashboard.components.nodes import Node, html
from dashboard.figures.removal import removal_figure
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.page import GRAPH as FIGURE
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.pages.words import replaced_words
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import number_text, share_text
from fmcore.records import Target
from fmcore.statistics import Curve
from fmcore.storage import AblationFacts

GRAPH = "overview-removal"
MODEL_GRAPH = "overview-model-removal"
HEIGHT = "460px"
# Orders in which filters go, for people.
ORDERS = {
    "cost": "least costly first",
    "apoz": "most zeros first (APoZ)",
    "l1": "smallest weights first (L1)",
    "auc": "least AUC first",
    "mi": "least mutual information first",
    "duplicate": "duplicates first",
}
# How far the accuracy may fall in the sentence that says how many can go.
POINT = 0.01


def draw(snapshot: Snapshot, state: State, theme: Theme) -> tuple[Any, Any, list[Node]]:
    """The curves, their height, and what they say.

    Raises:
        StatisticNotFoundError: if nothing was measured.
        LayerNotFoundError: if it was not measured of the layer.
        StoreError: if what was measured is damaged, or of another store.
    """
    facts, curve = snapshot.ablation().facts, snapshot.layer_costs(state.layer).curve
    if curve is None:
        words = (
            f"What happens when many filters of {state.layer} go together was not measured: "
            f"`{_command(snapshot, facts)} --curve` does. One at a time, each has its cost "
            "in the table above."
        )
        return *NONE, [html.P(words)]
    return _filling(curve, facts, state.layer, theme)


def draw_model(snapshot: Snapshot, _: State, theme: Theme) -> tuple[Any, Any, list[Node]]:
    """The curves of filters of all measured layers, their height, and what they say.

    Raises:
        StoreError: if what was measured is damaged, or of another store.
    """
    if not snapshot.ablations.measured:  # which the panel above says
        return *NONE, []
    ablation, heading = snapshot.ablation(), html.H3("Filters of all measured layers")
    if ablation.curve is None:
        words = (
            "What happens when filters of all layers go together was not measured: "
            f"`{_command(snapshot, ablation.facts)} --model-curve` does."
        )
        return *NONE, [heading, html.P(words)]
    owner = f"{len(ablation.layers)} layers"
    figure, style, notes = _filling(ablation.curve, ablation.facts, owner, theme)
    return figure, style, [heading, *notes]


def _filling(
    curve: Curve, facts: AblationFacts, owner: str, theme: Theme
) -> tuple[Any, Any, list[Node]]:
    is_share = facts.target == Target.CLASS
    title = _quality_title(facts.labels) if is_share else "relative error of the output"
    figure = removal_figure(curve, ORDERS, title=title, is_share=is_share, theme=theme)
    words = curve_words(curve, owner, is_share=is_share)
    how = f"{replaced_words(facts.by)}; n = {curve.n_samples:,} samples, of the "
    how += f"{facts.n_samples:,} of the costs."
    return figure, {"height": HEIGHT}, [html.P(words), html.P(how)]


def _command(snapshot: Snapshot, facts: AblationFacts) -> str:
    return f"fmcore ablate {shlex.quote(snapshot.file_name)} --model MODEL --by {facts.by}"


def _quality_title(labels: str) -> str:
    return "accuracy" if labels == "given" else "same answer as the whole model"


def curve_words(curve: Curve, owner: str, *, is_share: bool) -> str:
    """What the curves say: how many filters can go, and what that costs at random.

    Args:
        curve: what was measured.
        owner: whose filters go: a layer, or all of them.
        is_share: whether values are shares that are right; else errors.
    """
    quality, steps = curve.order_quality("cost"), curve.steps
    n_filters = int(steps[-1])
    low, mean, high = curve.random_band()
    draws = f"{curve.n_random} random orders"
    if not is_share:
        at = len(steps) // 2
        values = [number_text(part[at], digits=3) for part in (quality, mean, low, high)]
        return (
            f"Without the {steps[at]:,} least costly of the {n_filters:,} filters of {owner} the "
            f"output has a relative error of {values[0]}; of {draws}, {values[1]} on average "
            f"({values[2]} to {values[3]})."
        )
    falls = np.flatnonzero(quality < quality[0] - POINT)
    at = int(falls[0]) - 1 if len(falls) else len(steps) - 1
    beside = f"in {draws} {share_text(mean[at])} is left on average ({share_text(low[at])} to "
    beside += f"{share_text(high[at])})"
    if not at:
        return (
            f"With all {n_filters:,} filters of {owner} {share_text(quality[0])} is right; already "
            f"without the {steps[1]:,} least costly {share_text(quality[1])} is: more than one "
            "point less."
        )
    return (
        f"The {steps[at]:,} least costly of the {n_filters:,} filters of {owner} can go together "
        f"and {share_text(quality[at])} is right, of {share_text(quality[0])} before: within one "
        f"point. With as many gone {beside}. Costs were measured on the same test set: on other "
        "images the curve may fall sooner."
    )


def _body(snapshot: Snapshot, state: State) -> list[Node]:
    return [
        html.Div(
            layer_select(ids.OVERVIEW_LAYER, snapshot.catalog.n_filters, state.layer),
            className="controls",
        ),
        html.Div(graph(GRAPH, "Accuracy while filters go, in several orders"), className="filled"),
        status_note(f"{GRAPH}-note"),
    ]


def _model_body(_: Snapshot, __: State) -> list[Node]:
    words = "Accuracy while filters of all measured layers go, in several orders"
    return [
        status_note(f"{MODEL_GRAPH}-note"),
        html.Div(graph(MODEL_GRAPH, words), className="filled"),
    ]


MODEL_PANEL = Panel(
    "model-removal", draw_model, needs=(), fills=FIGURE, body=_model_body, themed=True
)
PANEL = Panel(
    "removal",
    draw,
    needs=("layer",),
    title="What can go",
    fills=FIGURE,
    body=_body,
    beside=(MODEL_PANEL,),
    themed=True,
    in_sight=True,
)
