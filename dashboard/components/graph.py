"""Every graph of the dashboard is made here, so that none offers to send data anywhere."""

from __future__ import annotations

from typing import Any

from dashboard.components.nodes import Node, dcc, html

# plotly.js 4 shows a button that uploads the figure unless it is told not to.
CONFIG: Any = {
    "displaylogo": False,
    "showSendToCloud": False,
    "responsive": True,
    "scrollZoom": False,  # a page is longer than a screen: scrolling must scroll it
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}
# Until the first answer; with axes it took four times as long to draw.
NOTHING: Any = {"data": [], "layout": {"xaxis": {"visible": False}, "yaxis": {"visible": False}}}
# The style of a graph of which there is nothing to draw.
NO_GRAPH = {"display": "none"}
# A figure and the style of its graph; what is not there takes no room.
Drawn = tuple[Any, dict[str, str]]
NONE: Drawn = (NOTHING, NO_GRAPH)


def graph(component_id: str, words: str, *, height: str = "auto", bare: bool = False) -> Node:
    """A graph as wide as its box.

    Args:
        component_id: its id.
        words: what it shows, for people who do not see it; a panel that says more fills the
            component with `-words` at the end of the id.
        height: in CSS; `auto` where a callback sets its style.
        bare: no zoom, and a tool bar that only saves, for small pictures.
    """
    config = CONFIG | {"modeBarButtons": [["toImage"]]} if bare else CONFIG
    drawing = dcc.Graph(
        id=component_id,
        # What a page just left asked for may still arrive, and needs a figure.
        figure=NOTHING,
        # dcc.Graph sets a height of 100 % on the element, so a style sheet cannot.
        style={"height": height},
        className="graph",
        config=config,
    )
    label = f"{component_id}-words"
    return html.Div(
        [drawing, html.Span(words, id=label, className="unseen")],
        className="figure",
        role="figure",
        **{"aria-labelledby": label},
    )


def clicked_cell(click: object) -> tuple[int, int] | None:
    """The (y, x) of the cell that a graph's `clickData` names, or None for no click."""
    match click:
        case {"points": [{"x": int(x), "y": int(y)}, *_]}:
            return y, x
        case _:
            return None
