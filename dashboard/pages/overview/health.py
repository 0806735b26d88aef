"""What is wrong with the whole model, in sentences, each with links to where one sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.state import State, query_for
from dashboard.stores.findings import MEANINGS, NO_EFFECT_TEXT, Findings, findings_of
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.numbers import number_text
from fmcore.statistics import HARMLESS, NO_EFFECT, STATISTICS

# Of each finding: layers that are named at once, layers that unfold, filters that have a link.
FEW_LAYERS, MOST_LAYERS, FEW_FILTERS = 3, 200, 4
RANK = "effective_rank_mean"


def draw(snapshot: Snapshot, _: State, __: Theme) -> list[Node]:
    """A paragraph for each finding, one for those there are none of, and the lowest rank."""
    findings = findings_of(snapshot)
    n_filters = sum(layer.n_filters for layer in findings.values())
    counts = {
        name: sum(
            int(layer.flags[name].sum()) for layer in findings.values() if name in layer.flags
        )
        for name in MEANINGS
        if any(name in layer.flags for layer in findings.values())
    }
    parts = [_finding(snapshot, findings, name, counts[name]) for name in counts if counts[name]]
    absent = [MEANINGS[name].words for name in counts if not counts[name]]
    layers = "one layer" if len(findings) == 1 else f"{len(findings):,} layers"
    if absent:
        beside = f" of the {n_filters:,} filters of {layers}" if not parts else ""
        parts.append(html.P(f"No finding: none{beside} is {_either(absent)}."))
    return [*parts, *_lowest_rank(snapshot), *_unknown(snapshot)]


def _finding(snapshot: Snapshot, findings: Mapping[str, Findings], name: str, count: int) -> Node:
    """How many filters of the model have a finding, and in which layers, the worst first."""
    rule = MEANINGS[name]
    having = {
        path: layer
        for path, layer in findings.items()
        if name in layer.flags and layer.flags[name].any()
    }
    worst = sorted(having, key=lambda path: -float(having[path].flags[name].mean()))
    harmless = sum(
        int(layer.flags[name].sum()) for layer in having.values() if HARMLESS in layer.words[name]
    )
    aside = f" ({harmless:,} {HARMLESS})" if harmless else ""
    n_filters = sum(layer.n_filters for layer in findings.values())
    head = html.P(
        [html.B(f"{count:,} of {n_filters:,} filters {rule.words}"), f"{aside}:"],
        title=f"{rule.words}: {rule.definition}",
    )
    first, rest = worst[:FEW_LAYERS], worst[FEW_LAYERS:MOST_LAYERS]
    items = [html.Li(_layer_links(snapshot, path, having[path], name)) for path in first]
    more: list[Node] = []
    if rest:
        n_left = len(worst) - FEW_LAYERS
        left = len(worst) - MOST_LAYERS
        beyond = [html.Li(f"and {left:,} more")] if left > 0 else []
        lines = [html.Li(_layer_link(snapshot, path, having[path], name)) for path in rest]
        words = f"and {n_left:,} more {'layer' if n_left == 1 else 'layers'}"
        more = [html.Details([html.Summary(words), html.Ul([*lines, *beyond])])]
    return html.Div([head, html.Ul(items), *more], className="overview-finding")


def _layer_link(snapshot: Snapshot, path: str, layer: Findings, name: str) -> list[Node | str]:
    """A layer, which opens at the first filter that has a finding, and how many have it."""
    which = np.flatnonzero(layer.flags[name])
    query = query_for(snapshot.catalog, layer=path, filter_index=int(which[0]))
    return [dcc.Link(path, href=f"maps{query}"), f" {len(which):,} of {layer.n_filters:,}"]


def _layer_links(snapshot: Snapshot, path: str, layer: Findings, name: str) -> list[Node | str]:
    """As `_layer_link`, then the first of its filters; the rest in the table of Classes."""
    which = np.flatnonzero(layer.flags[name]).tolist()
    parts = [*_layer_link(snapshot, path, layer, name), ": filter "]
    parts[-1] = f": filter{'' if len(which) == 1 else 's'} "
    for place, index in enumerate(which[:FEW_FILTERS]):
        query = query_for(snapshot.catalog, layer=path, filter_index=index)
        link = dcc.Link(str(index), href=f"maps{query}", title=f"Filter {index} of {path}")
        parts += [", ", link] if place else [link]
    if len(which) > FEW_FILTERS:
        find = NO_EFFECT_TEXT if name == NO_EFFECT.name else MEANINGS[name].words
        query = query_for(snapshot.catalog, layer=path, filter_index=which[0], find=find)
        words = f"{len(which) - FEW_FILTERS:,} more"
        parts += [" and ", dcc.Link(words, href=f"classes{query}", title=f"In the table of {path}")]
    return parts


def _lowest_rank(snapshot: Snapshot) -> list[Node]:
    """The layer whose filters vary in the fewest directions, or why nobody knows it."""
    about = STATISTICS[RANK]
    try:
        ranks = snapshot.store.similarity(RANK)
    except StatisticNotFoundError as error:
        return [html.P(f"Effective ranks of layers are not known: {error}.")]
    if not np.isfinite(ranks).any():
        return [html.P("No layer has an effective rank: no filter has a value for every sample.")]
    paths = list(snapshot.catalog.n_filters)
    path = paths[int(np.nanargmin(np.where(np.isfinite(ranks), ranks, np.nan)))]
    rank = number_text(ranks[paths.index(path)], digits=3)
    link = dcc.Link(path, href=f"maps{query_for(snapshot.catalog, layer=path)}")
    n_filters = snapshot.catalog.n_filters[path]
    words = f": its {n_filters:,} filters vary in about {rank} directions."
    title = f"{about.title}. {about.definition}"
    return [html.P([html.B("Lowest effective rank"), " ", link, words], title=title)]


def _unknown(snapshot: Snapshot) -> list[Node]:
    """What is not known of a store with fewer statistics, or without maps; a line each."""
    lines = []
    scored = [
        any(STATISTICS[name].origin == "pooled" for name in snapshot.statistics(path))
        for path in snapshot.catalog.n_filters
    ]
    if snapshot.catalog.has_classes and not all(scored):
        lines.append(
            "This store was captured without scores, so nobody knows which class a filter tells; "
            f"`fmcore stats {snapshot.file_name} --recompute` computes them."
        )
    n_pooled = sum(not snapshot.layer(path).has_maps for path in snapshot.catalog.n_filters)
    if n_pooled:
        layers = "layer" if n_pooled == 1 else "layers"
        lines.append(
            f"The maps of {n_pooled:,} {layers} are not stored, so there is no wall of them: their "
            "findings are of statistics and pooled tables."
        )
    return [dmc.Text(line, size="sm", c="dimmed") for line in lines]


def _either(words: Sequence[str]) -> str:
    return _listed(words, " or ")


def _listed(words: Iterable[str], last: str) -> str:
    """Words with commas between them, and another word before the last."""
    *first, end = words
    return f"{', '.join(first)}{last}{end}" if first else end


PANEL = Panel("health", draw, needs=(), title="Health")
