"""What the model makes of the sample: the class, or labels and numbers, and how sure it is."""

from __future__ import annotations

from typing import Any

from dashboard.components.controls import badge, only_if
from dashboard.components.graph import NOTHING, graph
from dashboard.components.nodes import Node, dmc, html
from dashboard.figures.probability import probability_figure
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.pages.words import sample_targets, why_no_predictions
from dashboard.stores.catalog import Catalog
from dashboard.stores.snapshot import Snapshot
from fmcore.records import Target

# Of what is said of a sample where the model gives no class.
TITLES = {Target.LABELS: "Labels", Target.NUMBER: "Numbers"}


def draw(snapshot: Snapshot, state: State, theme: Theme) -> tuple[Any, Node]:
    """The probability of each class, and the verdict."""
    sample, names = snapshot.sample(state.sample), snapshot.catalog.class_names
    badges: list[Node] = []
    bars: Any = NOTHING
    if snapshot.store.has_labels:
        badges.append(badge(f"label {names[sample.label]}", "green"))
    if sample.prediction is not None and sample.probability is not None:
        right = sample.label == sample.prediction
        wrong, color = ("", "green") if right else (" (wrong)", "red")
        badges.append(badge(f"predicted {names[sample.prediction]}{wrong}", color))
        bars = probability_figure(
            sample.probability, class_names=names, label=sample.label, theme=theme
        )
    head, rows, note = sample_targets(snapshot, sample.index)
    # Below each other, so that a longer name moves nothing.
    parts: list[Node] = [dmc.Stack(badges, gap=4, align="flex-start")] if badges else []
    if rows:
        parts.append(dmc.Table(data={"head": head, "body": rows}, className="sample-targets"))
    if note:
        parts.append(dmc.Text(note, size="sm", c="dimmed"))
    return bars, dmc.Stack(parts, gap="xs")


def verdict(snapshot: Snapshot) -> Node:
    """Where the verdict stands: not with the bars, so that it is in sight beside the wall."""
    catalog = snapshot.catalog
    heading = "" if catalog.has_classes else TITLES.get(catalog.target, "")
    words = html.Div(id="maps-probability-verdict", className="verdict", role="status")
    return html.Div([dmc.Text(heading, size="sm", fw=500), words] if heading else words)


def _title(catalog: Catalog) -> str:
    return "Prediction" if catalog.has_predictions else "Class"


def _body(snapshot: Snapshot, _: State) -> list[Node]:
    predicts = snapshot.catalog.has_predictions
    bars = [
        dmc.Text("Probability of each class", size="sm", fw=500),
        graph("maps-probability", "Probability of each class", height="230px", bare=True),
    ]
    why = "" if predicts else why_no_predictions(snapshot)
    return [
        *([dmc.Text(why, size="sm", c="dimmed")] if why else []),
        only_if(predicts, html.Div(bars)),
    ]


PANEL = Panel(
    "probability",
    draw,
    needs=("sample",),
    title=_title,
    fills=(("", "figure"), ("-verdict", "children")),
    body=_body,
    themed=True,
)
