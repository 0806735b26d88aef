"""The tables of the page: scores beside chance, similar filters, raw arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import picture
from dashboard.pages import state
from dashboard.pages.chance import band_words
from dashboard.pages.filter import scores
from dashboard.pages.filter.facts import Response
from dashboard.pages.filter.panels import Pictures
from dashboard.pages.filter.raw import Download, Part
from dashboard.pages.filter.scores import ClassScores, Score
from dashboard.stores.source import Snapshot
from fmcore.statistics import POOLINGS

MOST_SIMILAR = 8
_NOT_POOLED = "of all values, not pooled"
# What stands in one cell of a table.
Cell = str | list[Node]


def class_scores(snapshot: Snapshot, shown: state.State, found: Sequence[ClassScores]) -> Node:
    """How well each of some classes, a column each, is told from all others; a name selects it."""
    head: list[Cell] = [[html.Span("Class"), html.Small("against all others")]]
    for one in found:
        query = state.query_for(
            snapshot.catalog,
            layer=shown.layer,
            filter_index=shown.filter_index,
            class_index=one.class_index,
        )
        name = dcc.Link(snapshot.catalog.class_names[one.class_index], href=f"filter{query}")
        head.append([name, html.Small(f"n = {one.n:,}"), html.Small(one.why)])
    body: list[list[Cell]] = [
        [
            [scores_name(family), html.Small(f"pooled {pooling}")],
            *(score_cell(one.scores[f"{family}_{pooling}"]) for one in found),
        ]
        for family in scores.OF_CLASS
        for pooling in POOLINGS
    ]
    return table(head, body)


def scores_name(family: str) -> Node:
    """A statistic's title, with its definition as a tool tip."""
    return html.Span(scores.title(family), title=scores.meaning(family))


def filter_scores(found: dict[str, Score], n_samples: int) -> Node:
    """The scores over all classes, a row each."""
    body: list[list[Cell]] = [
        [
            [scores_name(family)],
            *(score_cell(found[f"{family}_{pooling}"]) for pooling in POOLINGS),
            f"{n_samples:,}",
        ]
        for family in scores.OF_FILTER
    ]
    body += [[name, value, "", f"{n_samples:,}"] for name, value in _not_pooled(found)]
    return table(["Over all classes", *(f"Pooled {one}" for one in POOLINGS), "n"], body)


def filter_numbers(found: dict[str, Score], n_samples: int) -> Node:
    """What is known of the filter where there are no classes, a row each."""
    body: list[list[Cell]] = [[name, value, f"{n_samples:,}"] for name, value in _not_pooled(found)]
    return table(["Over all samples", "Value", "n"], body)


def _not_pooled(found: dict[str, Score]) -> list[tuple[list[Node], list[Node]]]:
    """Name and value of each number that is made of all values."""
    return [
        ([scores_name(name)], [html.Span(f"{found[name].value:.4g}"), html.Small(_NOT_POOLED)])
        for name in scores.NOT_POOLED
    ]


def score_cell(one: Score) -> list[Node]:
    """The value; below it what chance would give, and in words whether it is beyond."""
    said = verdict = one.verdict
    if not math.isfinite(one.value):
        return [html.B("–"), html.Small(said)]
    if one.has_band:
        words = band_words(one.low, one.high, two_sided=one.two_sided, digits=3)
        said = f"{verdict}: {words}"
    beyond = verdict in ("above chance", "below chance")
    value = f"{one.value:.4g}"
    return [html.B(value) if beyond else html.Span(value, className="dim"), html.Small(said)]


def table(head: Sequence[Cell], body: Sequence[Sequence[Cell]]) -> Node:
    """A table that scrolls sideways where there is no room."""
    return dmc.TableScrollContainer(
        dmc.Table(
            [
                dmc.TableThead(dmc.TableTr([dmc.TableTh(cell) for cell in head])),
                dmc.TableTbody(
                    [dmc.TableTr([dmc.TableTd(cell) for cell in cells]) for cells in body]
                ),
            ],
            className="filter-numbers",
        ),
        minWidth=130 * len(head),
    )


def similar_filters(
    snapshot: Snapshot,
    shown: state.State,
    found: Sequence[tuple[int, float]],
    strongest: dict[int, Response],
) -> Node:
    """Links to the filters that go most together with one, each with its strongest sample.

    Args:
        snapshot: the store.
        shown: which filter.
        found: filters and their correlation.
        strongest: the strongest sample of those filters that have one.
    """
    if not found:
        return dmc.Text(
            "None: the filter, or all others of the layer, have the same pooled mean for every "
            "sample.",
            size="sm",
            c="dimmed",
        )
    shape = snapshot.image_shape
    field = Pictures(snapshot, shown.layer, shown.filter_index).box  # the same for all filters
    rows = []
    for index, correlation in found[:MOST_SIMILAR]:
        query = state.query_for(
            snapshot.catalog,
            layer=shown.layer,
            filter_index=index,
            class_index=shown.class_index,
        )
        seen: list[Node] = []
        if index in strongest:
            best = strongest[index]
            url = snapshot.image_url(best.sample, size=160)
            seen = [
                picture(
                    url, words=f"Its strongest: sample {best.sample}", shape=shape, box=field(best)
                )
            ]
        way = "together" if correlation > 0 else "opposite"
        text = [html.B(f"filter {index}"), html.Small(f"r = {correlation:+.3f}, {way}")]
        rows.append(dcc.Link([html.Div(seen), html.Div(text)], href=f"filter{query}"))
    return html.Div(
        [
            dmc.Text(
                f"{len(rows)} of the {snapshot.catalog.n_filters[shown.layer] - 1:,} others by the "
                "size of r, the correlation of pooled means over all samples.",
                size="sm",
                c="dimmed",
            ),
            html.Div(rows, className="filter-similar"),
        ]
    )


def raw_arrays(parts: Sequence[Part], *, why_no_maps: str, stored: str) -> list[Node]:
    """What is to be had, with sizes; and below each choice the commands that give the same.

    Args:
        parts: the choices of samples.
        why_no_maps: where the store keeps none.
        stored: what the layer takes in the file, in words; all of it is read for all samples.
    """
    body: list[list[Cell]] = []
    for one in parts:
        rows = html.A("which samples (.csv)", href=one.samples, download="")
        maps: Cell = _file(one.maps) if one.maps else "–"
        body.append(
            [[html.Span(one.words), html.Small(rows)], maps, *map(_file, one.pooled.values())]
        )
    head: list[Cell] = ["Samples", "Feature maps", *(f"Pooled {name}" for name in parts[0].pooled)]
    note = (
        "float32, [sample, y, x, filter] or [sample, filter], in the order of the samples' "
        "indices; what is pooled is one number a sample. "
    )
    note += why_no_maps or f"Maps of all samples are taken out of all of the layer, {stored}."
    return [
        table(head, body),
        dmc.Text(note, size="sm", c="dimmed"),
        html.Div([_commands(one) for one in parts], className="filter-commands"),
    ]


def _file(one: Download) -> list[Node]:
    name = f".npy, {one.size}"
    return [html.A(name, href=one.url, download=""), html.Small(one.shape)]


def _commands(one: Part) -> Node:
    lines = [
        html.Div(
            [
                dmc.Text(where, size="sm", fw=500),
                dcc.Clipboard(content=text, title="Copy", className="filter-copy"),
                html.Pre(text),
            ],
            className="filter-command",
        )
        for where, text in one.commands.items()
    ]
    return html.Details([html.Summary(f"{one.words}, by command line, curl or Python"), *lines])
