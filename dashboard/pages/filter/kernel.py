"""The weights that make a filter, as a picture."""

from __future__ import annotations

from dashboard.components.graph import Drawn, graph
from dashboard.components.nodes import Node, dmc, html
from dashboard.figures.kernel import ROOM, kernel_cells, kernel_figure
from dashboard.figures.theme import Theme
from dashboard.pages.page import GRAPH, Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import StatisticNotFoundError

# Pixels of the longer side.
LONGEST = 190


def kernel_drawing(snapshot: Snapshot, state: State, theme: Theme, *, longest: int) -> Drawn:
    """The figure of a filter's kernel, and the style of its graph.

    Raises:
        StatisticNotFoundError: if the store keeps no kernel of the layer.
    """
    kernel = snapshot.kernel(state.layer)
    if kernel is None:
        raise StatisticNotFoundError("This store keeps no kernel of the layer.")
    weights = kernel[..., state.filter_index]
    cells = kernel_cells(weights.shape)
    return kernel_figure(weights, theme=theme), ROOM.fixed(cells[:2], longest=longest)


def draw(snapshot: Snapshot, state: State, theme: Theme) -> tuple[object, object, str]:
    """The kernel of the filter, and what its picture shows."""
    figure, style = kernel_drawing(snapshot, state, theme, longest=LONGEST)
    return figure, style, note(snapshot, state)


def note(snapshot: Snapshot, state: State) -> str:
    """Size and input planes of a filter's kernel, and its bias, in words."""
    kernel, bias = snapshot.kernel(state.layer), snapshot.layer(state.layer).bias
    height, width, n_inputs = (0, 0, 0) if kernel is None else kernel.shape[:3]
    of_bias = "no bias is stored" if bias is None else f"bias {bias[state.filter_index]:.6g}"
    tiles = "one tile" if n_inputs == 1 else f"all {n_inputs} input planes, a tile each"
    return f"{height}×{width}, {tiles}, one range for all; {of_bias}"


def _body(_: Snapshot, __: State) -> Node:
    return html.Div(
        [
            dmc.Text("Kernel: its weights", size="sm", fw=500),
            graph("filter-kernel", bare=True),
            dmc.Text(id="filter-kernel-note", size="sm", c="dimmed"),
        ]
    )


PANEL = Panel("kernel", draw, needs=("layer", "filter_index"), fills=GRAPH, body=_body, themed=True)
