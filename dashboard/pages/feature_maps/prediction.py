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
    parts: list[Node] = [dmc.Group(badges, gap="xs")] if badges else []
    if rows:
        parts.append(dmc.Table(data={"head": head, "body": rows}, className="sample-targets"))
    if note:
        parts.append(dmc.Text(note, size="sm", c="dimmed"))
    return bars, dmc.Stack(parts, gap="xs")


def _title(catalog: Catalog) -> str:
    if not catalog.has_classes and catalog.target in TITLES:
        return TITLES[catalog.target]
    return "Prediction" if catalog.has_predictions else "Class"


def _body(snapshot: Snapshot, _: State) -> list[Node]:
    predicts = snapshot.catalog.has_predictions
    bars = [
        dmc.Text("Probability of each class", size="sm", fw=500),
        graph("maps-probability", height="230px", bare=True),
    ]
    why = "" if predicts else why_no_predictions(snapshot)
    return [
        html.Div(id="maps-probability-verdict", role="status"),
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
