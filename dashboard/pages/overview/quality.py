"""How good the model is for each class: the share that is right, with an interval."""

from __future__ import annotations

from typing import Any

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.page import Panel
from dashboard.pages.state import State, query_for
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import fraction_text, number_text, share_text
from fmcore.records import Target
from fmcore.statistics import WILSON

MOST_TARGETS = 200


def class_table(snapshot: Snapshot) -> dict[str, Any]:
    """What the browser makes the table of: a list for each column, and a link for each row."""
    confusion = snapshot.confusion().classes
    n_all, recall = confusion.n_label, confusion.scores().recall
    numbers = {"low": recall.low, "high": recall.high, "accuracy": recall.value}
    links = [
        query_for(snapshot.catalog, class_index=index, outcome="wrong")
        for index in range(len(n_all))
    ]
    return {
        "names": list(snapshot.catalog.class_names),
        "n": n_all.tolist(),
        "right": confusion.n_right.tolist(),
        **{
            name: [None if value != value else value for value in values.tolist()]
            for name, values in numbers.items()
        },
        "links": links,
        "tip": WILSON,
    }


def draw(snapshot: Snapshot, _: State, __: Theme) -> tuple[Any, list[Node]]:
    """What the table of classes is made of, or None; and words above it."""
    if snapshot.catalog.has_outcomes:
        confusion = snapshot.confusion()
        accuracy = confusion.accuracy()
        share = fraction_text(float(accuracy.value))
        between = f"{share_text(float(accuracy.low))} to {share_text(float(accuracy.high))}"
        words = [
            html.B(f"{share} right"),
            f": {confusion.n_right:,} of {confusion.n_samples:,} samples (95% interval {between}).",
        ]
        query = query_for(snapshot.catalog)
        link = dcc.Link("Which classes are taken for which →", href=f"errors{query}")
        return class_table(snapshot), [html.P(words), html.P(link)]
    return None, _without_outcomes(snapshot)


def _without_outcomes(snapshot: Snapshot) -> list[Node]:
    """How good a model is that gives several labels or numbers; or why nobody knows it."""
    store = snapshot.store
    quality = store.target_quality()
    if quality is None:
        return [html.P(f"How good the model is, is not known: {store.accuracy_words}.")]
    words = store.accuracy_words
    of_labels = store.target == Target.LABELS
    texts = [
        share_text(value) if of_labels else number_text(value, digits=4)
        for value in quality[:MOST_TARGETS].tolist()
    ]
    unit = "of samples right" if of_labels else "mean absolute error"
    rows = [
        html.Li([html.B(name), f" {text} {unit}"])
        for name, text in zip(store.target_names, texts, strict=False)
    ]
    left = len(quality) - len(rows)
    more = [html.Li(f"and {left:,} more")] if left > 0 else []
    sentence = f"{words[:1].upper()}{words[1:]}."
    return [html.P(sentence), *([html.Ul([*rows, *more])] if len(quality) > 1 else [])]


def _body(_: Snapshot, state: State) -> list[Node]:
    hint = "Click a heading to sort, a class to see its wrong samples."
    return [
        html.Div(id="overview-quality-words"),
        dcc.Store(id="overview-quality"),
        dcc.Store(id=ids.OVERVIEW_SORT_CLASSES, data=state.sort_classes),
        html.Div(id=ids.OVERVIEW_CLASSES, className="row-table overview-classes"),
        dmc.Text(hint, size="sm", c="dimmed", className="overview-hint"),
    ]


PANEL = Panel(
    "quality",
    draw,
    needs=(),
    title="How good",
    fills=(("", "data"), ("-words", "children")),
    body=_body,
)
