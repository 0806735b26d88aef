"""The top of the page: which filter it is, what is wrong with it, its strongest sample, links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.components.controls import badge, facts
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages.filter import downloads, kernel
from dashboard.pages.filter.samples import Pictures, Response, responses
from dashboard.pages.page import Panel
from dashboard.pages.person import why_no_files
from dashboard.pages.state import State, groups_in, query_for
from dashboard.pages.words import target_lines
from dashboard.stores.findings import NO_EFFECT_TEXT, no_effect_of
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import number_text, share_text
from fmcore.records import Policy
from fmcore.statistics import HEALTH_RULES, NO_EFFECT, LayerHealth


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a filter, or that nothing is.

    Attributes:
        text: in a few words.
        meaning: the definition.
        grave: whether it is more than worth knowing.
        other: the filter that it is about beside this one, or None.
    """

    text: str
    meaning: str
    grave: bool = True
    other: int | None = None


def findings(
    health: LayerHealth,
    filter_index: int,
    class_names: Sequence[str],
    no_effect: NDArray[np.bool_] | None = None,
) -> list[Finding]:
    """What is wrong with a filter; where nothing is, one that says so."""
    present = []
    for name, flags in health.findings.items():
        if flags[filter_index]:
            rule, detail = HEALTH_RULES[name], health.detail(name, filter_index, class_names)
            present.append(Finding(detail.text, rule.definition, rule.is_grave, detail.other))
    if no_effect is not None and no_effect[filter_index]:
        present.append(Finding(NO_EFFECT_TEXT, NO_EFFECT.definition, grave=False))
    *words, last = (rule.words for rule in HEALTH_RULES.values())
    nothing = f"neither {', '.join(words)}, nor {last}"
    return present or [Finding("nothing found", nothing, grave=False)]


def draw(snapshot: Snapshot, state: State, _: Theme) -> list[Node]:
    """The strongest sample at the left, the filter's name, health and links beside it."""
    layer, filter_index = state.layer, state.filter_index
    pictures = Pictures(snapshot, layer, filter_index)
    strongest = responses(snapshot, layer, filter_index)[0]
    best = strongest[0] if strongest else None
    health = snapshot.health(layer)
    names, no_effect = snapshot.catalog.class_names, no_effect_of(snapshot, layer)
    present = [
        _finding(snapshot, layer, finding)
        for finding in findings(health, filter_index, names, no_effect)
    ]
    about = [
        html.H2(f"{layer} · filter {filter_index}"),
        html.Div(present, className="filter-findings"),
        facts(filter_numbers(snapshot, layer, filter_index)),
        html.Div(_links(snapshot, state, best), className="filter-links"),
    ]
    if best is None:  # no map has a finite value
        return [html.Div(about)]
    return [
        html.Div(
            [
                pictures.large(best),
                dmc.Text(_praise(snapshot, state), size="sm", fw=500),
                *_lines(snapshot, state, pictures, best),
            ],
            className="filter-best",
        ),
        html.Div(about),
    ]


def _finding(snapshot: Snapshot, layer: str, finding: Finding) -> Node:
    """A finding with its definition; one of a duplicate leads to the filter that it repeats."""
    color = "red" if finding.grave else "gray"
    words = badge(finding.text, color)
    if finding.other is not None:
        query = query_for(snapshot.catalog, layer=layer, filter_index=finding.other)
        words = dcc.Link(words, href=f"filter{query}")
    meaning = dmc.Text(finding.meaning, size="sm", c="dimmed", span=True)
    return html.Div([words, meaning], className="filter-finding")


def _praise(snapshot: Snapshot, state: State) -> str:
    values = snapshot.values(state.layer)
    low, high = values.low[state.filter_index], values.high[state.filter_index]
    if low == high:
        which = (
            "finite activation" if values.n_nonfinite[:, state.filter_index].any() else "activation"
        )
        return f"No image excites it: every {which} is {number_text(low)}. This is the first"
    return "The image that excites it most"


def _lines(snapshot: Snapshot, state: State, pictures: Pictures, best: Response) -> list[Node]:
    label, predicted = pictures.names(best)
    targets = target_lines(snapshot, best.sample)
    label_words = f"label {label}" if label is not None else "" if targets else "without label"
    lines = [", ".join(filter(None, (f"Sample {best.sample}", label_words))), *targets]
    if predicted is not None:
        right = "✓ right" if label == predicted else "✗ wrong"
        lines.append(f"Predicted {predicted}{f': {right}' if label is not None else ''}")
    lines.append(f"Activation {number_text(best.value)} at y {best.y}, x {best.x}")
    nodes: list[Node] = [dmc.Text(line, size="sm") for line in lines]
    if snapshot.layer(state.layer).has_maps:
        url = downloads.map_url(snapshot, state.layer, state.filter_index, best.sample)
        words, reason = "Download its feature map (.npy)", why_no_files()
        nodes.append(
            dmc.Text(f"{words}: not here. {reason}", size="sm", c="dimmed")
            if reason
            else html.A(words, href=url, download="")
        )
    return nodes


def filter_numbers(snapshot: Snapshot, layer: str, filter_index: int) -> dict[str, str]:
    """Size of a filter's map, the range of its values, and how many of them are exactly zero."""
    values, stored = snapshot.values(layer), snapshot.layer(layer)
    n_values = values.n_finite[:, filter_index]
    zeros = np.nan_to_num(snapshot.statistic(layer, "zero_fraction")[:, filter_index])
    n, n_zero = int(n_values.sum()), float((zeros * n_values).sum())
    height, width, filters = stored.shape
    numbers = {
        "Feature map": f"{height}×{width}, one of {filters} filters",
        "Whole test set": values.range_words(filter_index),
        "Exactly zero": f"{share_text(n_zero / n)} of {n:,} finite values"
        if n
        else values.why_none(filter_index),
    }
    if stored.policy == Policy.FLOAT32:
        return numbers
    return numbers | {"Stored as": stored.value_words}


def _links(snapshot: Snapshot, state: State, best: Response | None) -> list[Node]:
    of_filter: dict[str, Any] = {"layer": state.layer, "filter_index": state.filter_index}
    of_filter |= groups_in(state)
    links: list[Node] = []
    if best is not None:
        query = query_for(snapshot.catalog, **of_filter, sample=best.sample)
        links.append(dcc.Link("Feature maps of its strongest sample", href=f"maps{query}"))
    query = query_for(snapshot.catalog, **of_filter, class_index=state.class_index)
    links.append(dcc.Link("In Classes, beside all filters", href=f"classes{query}"))
    links.append(html.A("Its raw arrays (.npy)", href="#filter-raw"))
    return links


PANEL = Panel(
    "header",
    draw,
    needs=("layer", "filter_index", "class_index", "group_a", "group_b"),
    beside=(kernel.PANEL,),
    class_name="filter-header",
)
