"""Whether the model is right as often as it is confident: a figure, and the same in words."""

from __future__ import annotations

from typing import Any

from dashboard.components.graph import graph
from dashboard.components.nodes import Node, html
from dashboard.figures.calibration import calibration_figure
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import number_text, share_text
from fmcore.statistics import Calibration

GRAPH = "errors-calibration"


def sentences(calibration: Calibration) -> list[str]:
    """What the numbers say, a sentence each."""
    if not calibration.n.sum():
        return ["No sample has probabilities that are finite."]
    error, chance = calibration.error, calibration.error_by_chance
    brier, nll = (number_text(value, digits=4) for value in (calibration.brier, calibration.nll))
    beside = "so this is within chance" if error <= chance else "so this is more than chance"
    words = [
        f"Expected calibration error {share_text(error)} (Guo et al. 2017): how far confidence and "
        "accuracy lie apart, on average over samples. Of a model that is right just as often as it "
        f"is confident, 95% of such samples give less than {share_text(chance)}; {beside}.",
        f"Brier score {brier}, from 0, the best, to 2; mean negative logarithm of the label's "
        f"probability {nll}.",
    ]
    if calibration.n_left_out:
        words.append(f"{calibration.n_left_out:,} samples have probabilities that are not finite.")
    return words


def draw(
    snapshot: Snapshot, _: State, theme: Theme
) -> tuple[dict[str, Any], dict[str, str], list[Node], str]:
    """The figure, its height, what it says, and its bins for people who do not see it.

    Raises:
        StatisticNotFoundError: if labels or predictions are not known.
    """
    calibration = snapshot.calibration()
    note = [html.P(words) for words in sentences(calibration)]
    return (
        calibration_figure(calibration, theme=theme),
        {"height": "400px"},
        note,
        _bins(calibration),
    )


def _bins(calibration: Calibration) -> str:
    parts = [
        f"confidence {share_text(low)} to {share_text(high)}: "
        f"{n:,} samples, {share_text(calibration.accuracy.value[at])} right"
        for at, (n, low, high) in enumerate(
            zip(calibration.n.tolist(), calibration.edges, calibration.edges[1:], strict=False)
        )
        if n
    ]
    return f"Calibration. {'; '.join(parts)}"


def _body(_: Snapshot, __: State) -> list[Node]:
    return [
        html.Div(graph(GRAPH, "", height="400px"), className="errors-calibration"),
        html.Div(id=f"{GRAPH}-note", role="status"),
    ]


PANEL = Panel(
    "calibration",
    draw,
    needs=(),
    title="Calibration: is it right as often as it is confident?",
    fills=(("", "figure"), ("", "style"), ("-note", "children"), ("-words", "children")),
    body=_body,
    themed=True,
    is_there=lambda catalog: catalog.has_outcomes,
)
