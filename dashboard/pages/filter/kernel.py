"""The weights that make a filter, as a picture."""

from __future__ import annotations

from dashboard.components.graph import Drawn, graph
from dashboard.components.nodes import Node, dmc, html
from dashboard.figures.kernel import NAMED_ROOM, ROOM, kernel_cells, kernel_figure
from dashboard.figures.theme import Theme
from dashboard.pages.page import GRAPH, Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.numbers import number_text

# Pixels of the longer side.
LONGEST = 190


def kernel_drawing(snapshot: Snapshot, state: State, theme: Theme, *, longest: int) -> Drawn:
    """The figure of a filter's kernel, and the style of its graph.

    Raises:
        StatisticNotFoundError: if the store keeps no kernel of the layer.
    """
    kernel = snapshot.kernel(state.layer)
    if kernel is None:
        why = snapshot.layer(state.layer).why_no_kernel
        raise StatisticNotFoundError(f"This store keeps no kernel of the layer: {why}.")
    weights = kernel[..., state.filter_index]
    planes = snapshot.planes(state.layer)
    cells = kernel_cells(weights.shape, planes)
    room = NAMED_ROOM if planes else ROOM
    figure = kernel_figure(weights, theme=theme, planes=planes)
    return figure, room.fixed(cells[:2], longest=longest)


def draw(snapshot: Snapshot, state: State, theme: Theme) -> tuple[object, object, str]:
    """The kernel of the filter, and what its picture shows."""
    figure, style = kernel_drawing(snapshot, state, theme, longest=LONGEST)
    return figure, style, note(snapshot, state)


def note(snapshot: Snapshot, state: State) -> str:
    """Size and input planes of a filter's kernel, and its bias, in words."""
    layer = snapshot.layer(state.layer)
    kernel, bias = snapshot.kernel(state.layer), layer.bias
    height, width, n_inputs = (0, 0, 0) if kernel is None else kernel.shape[:3]
    of_bias = (
        "no bias is stored" if bias is None else f"bias {number_text(bias[state.filter_index])}"
    )
    part = "" if layer.depthwise_kernel is None else "the pointwise part, "
    tiles = "one tile" if n_inputs == 1 else f"all {n_inputs} input planes, a tile each"
    if planes := snapshot.planes(state.layer):
        tiles = f"a tile for each color of the input: {', '.join(planes)}"
    return f"{part}{height}×{width}, {tiles}, one range for all; {of_bias}"


def _body(_: Snapshot, __: State) -> Node:
    return html.Div(
        [
            dmc.Text("Kernel: its weights", size="sm", fw=500),
            graph("filter-kernel", "The kernel: a weight for each cell", bare=True),
            dmc.Text(id="filter-kernel-note", size="sm", c="dimmed"),
        ]
    )


PANEL = Panel("kernel", draw, needs=("layer", "filter_index"), fills=GRAPH, body=_body, themed=True)
