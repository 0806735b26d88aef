"""The top of the page: which filter it is, what is wrong with it, its strongest sample, links."""

from __future__ import annotations

import numpy as np

from dashboard.components.controls import facts
from dashboard.components.nodes import Node, dmc, html
from dashboard.pages import state
from dashboard.pages.filter.facts import Response, findings
from dashboard.pages.filter.panels import Pictures, badge, link
from dashboard.pages.filter.raw import map_url
from dashboard.pages.words import target_lines
from dashboard.stores.source import Snapshot


def header(
    snapshot: Snapshot, shown: state.State, pictures: Pictures, best: Response | None
) -> list[Node]:
    """The strongest sample at the left, the filter's name, health and links beside it.

    Args:
        snapshot: the store.
        shown: which filter, and which class.
        pictures: of this filter.
        best: the strongest sample of all; None where no map has a finite value.
    """
    layer, filter_index = shown.layer, shown.filter_index
    health = snapshot.health(layer)
    badges = [
        badge(snapshot, layer, one)
        for one in findings(health, filter_index, snapshot.catalog.class_names)
    ]
    about = [
        html.H2(f"{layer} · filter {filter_index}"),
        html.Div(badges, className="filter-findings"),
        facts(_numbers(snapshot, layer, filter_index)),
        html.Div(_links(snapshot, shown, best), className="filter-links"),
    ]
    if best is None:
        return [html.Div(about)]
    return [
        html.Div(
            [
                pictures.large(best),
                dmc.Text(_praise(snapshot, shown), size="sm", fw=500),
                *_said(snapshot, shown, pictures, best),
            ],
            className="filter-best",
        ),
        html.Div(about),
    ]


def _praise(snapshot: Snapshot, shown: state.State) -> str:
    low, high = snapshot.filter_range(shown.layer)[:, shown.filter_index]
    if low == high:
        return f"No image excites it: every activation is {low:.6g}. This is the first"
    return "The image that excites it most"


def _said(snapshot: Snapshot, shown: state.State, pictures: Pictures, best: Response) -> list[Node]:
    label, predicted = pictures.names(best)
    targets = target_lines(snapshot, best.sample)
    known = f"label {label}" if label is not None else "" if targets else "without label"
    lines = [", ".join(filter(None, (f"Sample {best.sample}", known))), *targets]
    if predicted is not None:
        right = "✓ right" if label == predicted else "✗ wrong"
        lines.append(f"Predicted {predicted}{f': {right}' if label is not None else ''}")
    lines.append(f"Activation {best.value:.6g} at y {best.y}, x {best.x}")
    said: list[Node] = [dmc.Text(line, size="sm") for line in lines]
    if snapshot.layer(shown.layer).has_maps:
        url = map_url(snapshot, shown.layer, shown.filter_index, best.sample)
        said.append(html.A("Download its feature map (.npy)", href=url, download=""))
    return said


def _numbers(snapshot: Snapshot, layer: str, filter_index: int) -> dict[str, str]:
    one = snapshot.layer(layer)
    low, high = snapshot.filter_range(layer)[:, filter_index]
    n_values = snapshot.statistic(layer, "n_values")[:, filter_index]
    zeros = np.nan_to_num(snapshot.statistic(layer, "zero_fraction")[:, filter_index])
    n, n_zero = int(n_values.sum()), float((zeros * n_values).sum())
    height, width, filters = one.shape
    found = {
        "Feature map": f"{height}×{width}, one of {filters} filters",
        "Whole test set": f"{low:.6g} to {high:.6g}" if np.isfinite(low) else "no finite value",
        "Exactly zero": f"{n_zero / n:.1%} of {n:,} values" if n else "–",
    }
    bad = int(snapshot.statistic(layer, "n_nonfinite")[:, filter_index].sum())
    return found | ({"Not finite": f"{bad:,} values"} if bad else {})


def _links(snapshot: Snapshot, shown: state.State, best: Response | None) -> list[Node]:
    this = {"layer": shown.layer, "filter_index": shown.filter_index}
    links: list[Node] = []
    if best is not None:
        text = "Feature maps of its strongest sample"
        links.append(link(snapshot, "maps", text, **this, sample=best.sample))
    with_class = this | {"class_index": shown.class_index}
    links.append(link(snapshot, "classes", "In Classes, beside all filters", **with_class))
    links.append(html.A("Its raw arrays (.npy)", href="#filter-raw"))
    return links
