"""The kernel that is selected: its bias and norms, and what its planes are."""

from __future__ import annotations

from dash import Input

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.kernels.facts import (
    KernelFacts,
    kernel_facts,
    norm_text,
    plane_filter,
)
from dashboard.pages.page import Panel
from dashboard.pages.state import State, query_for
from dashboard.stores.snapshot import Snapshot
from fmcore.architecture import PlaneSource
from fmcore.errors import StatisticNotFoundError
from fmcore.numbers import number_text


def draw(
    snapshot: Snapshot,
    state: State,
    _: Theme,
    *,
    read: object = None,  # noqa: ARG001
) -> list[Node]:
    """What is known of the selected kernel, and of the plane that is shown of it.

    Args:
        snapshot: the store.
        state: what is selected.
        read: has the panel wait until the weights are read, so that they are not read twice.

    Raises:
        StatisticNotFoundError: if there is no kernel to show, with the reason.
    """
    facts = kernel_facts(snapshot, state.layer, state.kernel_part)
    if facts.message:
        raise StatisticNotFoundError(facts.message)
    lines = [dmc.Text(_kernel_words(snapshot, state, facts), size="sm")]
    return [*lines, dmc.Text(_planes(snapshot, state, facts), size="sm")]


def _kernel_words(snapshot: Snapshot, state: State, facts: KernelFacts) -> str:
    height, width, n_planes, _ = facts.shape
    size = f"{height}×{width}"
    if facts.is_depthwise:
        index = min(state.plane, facts.shape[3] - 1)
        return f"Depthwise kernel {index}: {size}; {_norms(facts, index)}; shared by all filters."
    index = state.filter_index
    bias = snapshot.layer(state.layer).bias
    of_bias = "no bias is stored" if bias is None else f"bias {number_text(bias[index])}"
    planes = f"{n_planes} input plane{'' if n_planes == 1 else 's'}"
    return f"Filter {index}: {size} over {planes}; {of_bias}; {_norms(facts, index)}."


def _norms(facts: KernelFacts, index: int) -> str:
    return ", ".join(
        f"{name.upper()} norm {norm_text(facts.norms[name][index])}" for name in ("l1", "l2")
    )


def _planes(snapshot: Snapshot, state: State, facts: KernelFacts) -> list[Node | str]:
    """What the planes are; of the one that is shown, a link to the filter that it is."""
    if facts.names:
        return [f"Its input planes are the colors {', '.join(facts.names)} of the image."]
    source = facts.source
    if not source:
        return [_unlinked(snapshot.plane_source(state.layer))]
    if facts.is_depthwise:
        plane = min(state.plane, facts.shape[3] - 1) // facts.filters_per_group
        index = plane if plane < snapshot.catalog.n_filters[source] else None
    elif facts.shape[2] > 1 and state.kernel_view == "all":
        return [
            f"Its input planes are filters of {source}; show one plane, or one filter, for links."
        ]
    else:
        plane = min(state.plane, facts.shape[2] - 1)
        index = plane_filter(snapshot, state.layer, state.filter_index, plane)
    if index is None:
        return [f"Input plane {plane} is of {source}, which has fewer filters than that."]
    query = query_for(snapshot.catalog, layer=source, filter_index=index)
    link = dcc.Link(f"filter {index} of {source} →", href=f"filter{query}")
    return [f"Input plane {plane} is ", link]


def _unlinked(source: PlaneSource | None) -> str:
    """Where planes come from that are no filters of a captured layer."""
    if source is None:
        return "Which layer its input planes come from, the model does not say."
    if source.kind == "InputLayer":
        what = "the image" if source.is_only_input else f"the model's input {source.path}"
        return f"Its input planes are those of {what}."
    return (
        f"Its input planes come from {source.path} ({source.kind}), which this store does not hold."
    )


def _body(_: Snapshot, __: State) -> list[Node]:
    return [
        html.Div(id="kernels-selected"),
        html.Div(
            [
                dcc.Link("Its feature maps →", id=ids.KERNELS_MAPS_LINK, href="maps"),
                dcc.Link("All of this filter →", id=ids.KERNELS_FILTER_LINK, href="filter"),
            ],
            className="kernel-links",
        ),
    ]


PANEL = Panel(
    "selected",
    draw,
    needs=("layer", "filter_index", "plane", "kernel_view", "kernel_part"),
    title="Selected kernel",
    body=_body,
    also={"read": Input(ids.KERNELS_READ, "data")},
)
