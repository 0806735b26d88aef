"""A sample's map in A, the map of the filter that goes with it in B, and their difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard import urls
from dashboard.components.controls import status_note
from dashboard.components.graph import NONE, Drawn, graph
from dashboard.components.nodes import Node, dmc, html
from dashboard.components.thumbnails import picture
from dashboard.figures.feature_map import small_map
from dashboard.figures.theme import Theme, about_zero, span_of
from dashboard.pages.compare.pair import SIDES, Pair
from dashboard.pages.compare.partners import partner, partner_words
from dashboard.pages.page import Panel
from dashboard.pages.state import State, query_for
from dashboard.pages.words import names_of, not_as_computed, outcome_words, target_lines
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import MapsNotStoredError
from fmcore.numbers import number_text


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One store's share of the panel.

    Attributes:
        letter: A or B.
        snapshot: the store.
        layer: a path of its.
        sample: the sample, or None where the store has not so many.
        filter_index: the filter, or None for none.
        values: <float32>[y, x], its map; None where there is none.
        why: why there is none.
    """

    letter: str
    snapshot: Snapshot
    layer: str
    sample: int | None
    filter_index: int | None
    values: NDArray[np.float32] | None = None
    why: str = ""

    @property
    def title(self) -> str:
        """What the map is of."""
        which = "no filter" if self.filter_index is None else f"filter {self.filter_index}"
        return f"{self.letter}: {which} of {self.layer}"


def sides(pair: Pair) -> tuple[Side, Side]:
    """The map of each store; B's sample is of the same number, where there is one."""
    state, n_second = pair.state, pair.second.catalog.n_samples
    other_sample = state.sample if state.sample < n_second else None
    return (
        _side("A", pair.first, state.layer, state.sample, state.filter_index),
        _side("B", pair.second, state.other, other_sample, partner(pair)),
    )


def _side(
    letter: str, snapshot: Snapshot, layer: str, sample: int | None, filter_index: int | None
) -> Side:
    where = (letter, snapshot, layer, sample, filter_index)
    if sample is None:
        return Side(*where, why=f"{letter} has only {snapshot.catalog.n_samples:,} samples.")
    if filter_index is None:
        return Side(*where)  # the note says why
    try:
        values = snapshot.layer(layer).feature_maps(sample)[..., filter_index]
    except MapsNotStoredError:
        return Side(*where, why=f"{letter} keeps no maps of {layer}: its policy is pooled.")
    return Side(*where, values=np.ascontiguousarray(values))


def difference(pair: Pair, first: Side, second: Side) -> tuple[NDArray[np.float32] | None, str]:
    """B minus A, <float32>[y, x], or why there is none."""
    if not pair.alike.same:
        return None, "No difference: the samples are not the same."
    if first.values is None or second.values is None:
        return None, "No difference: one of both maps is missing."
    shapes = first.values.shape, second.values.shape
    if shapes[0] != shapes[1]:
        sizes = " and ".join("×".join(map(str, shape)) for shape in shapes)
        return None, f"No difference: the maps have {sizes} values."
    with np.errstate(invalid="ignore"):  # of two infinities
        return second.values - first.values, ""


def map_figures(
    first: Side, second: Side, minus: NDArray[np.float32] | None, *, theme: Theme
) -> tuple[Drawn, Drawn, Drawn]:
    """The map of each and the difference; what is not there takes no room."""
    span = span_of((first.values, second.values))
    maps = [
        NONE if side.values is None else small_map(side.values, span=span, theme=theme)
        for side in (first, second)
    ]
    if minus is None:
        return maps[0], maps[1], NONE
    span = about_zero(minus)
    third = small_map(minus, span=span, theme=theme, title="difference", signed=True)
    return maps[0], maps[1], third


def input_panel(side: Side) -> list[Node]:
    """The sample as the model saw it, and what it makes of it."""
    if side.sample is None:
        return [dmc.Text(side.why, size="sm", c="dimmed")]
    outcome = outcome_words(*names_of(side.snapshot, side.sample))
    words = f"Sample {side.sample} of {side.snapshot.name}"
    url = side.snapshot.image_url(side.sample)
    lines = [dmc.Text(f"Sample {side.sample}", size="sm", fw=500)]
    texts = [*filter(None, outcome.split(", ")), *target_lines(side.snapshot, side.sample)]
    lines += [dmc.Text(text, size="sm") for text in texts]
    lines += _link(side)
    stored = not_as_computed(side.snapshot.layer(side.layer))
    if side.values is not None and not np.isfinite(side.values).all():
        n_bad = int(np.count_nonzero(~np.isfinite(side.values)))
        stored = (
            f"{n_bad:,} of {side.values.size:,} values of this map are NaN or infinite. {stored}"
        )
    if stored:
        lines.append(dmc.Text(stored.strip(), size="sm", c="dimmed"))
    if side.why:
        lines.append(dmc.Text(side.why, size="sm", c="dimmed"))
    return [
        html.Div(
            picture(url, words=words, shape=side.snapshot.image_shape), className="compare-picture"
        ),
        html.Div(lines),
    ]


def _link(side: Side) -> list[Node]:
    """Where all that a store says of the filter is; from a page `/stores/A/compare`."""
    if side.filter_index is None:
        return []
    snapshot = side.snapshot
    query = query_for(
        snapshot.catalog, layer=side.layer, filter_index=side.filter_index, sample=side.sample or 0
    )
    folder = "" if side.letter == "A" else urls.other_store_page(snapshot.name)
    return [html.A(f"All of filter {side.filter_index}", href=f"{folder}filter{query}")]


def difference_words(minus: NDArray[np.float32] | None, why: str) -> Node:
    """What the difference comes to, or why there is none."""
    if minus is None:
        return dmc.Text(why, size="sm", c="dimmed")
    sizes = np.abs(minus[np.isfinite(minus)].astype(np.float64))
    lines = [f"Largest {number_text(sizes.max(initial=0), digits=4)}"]
    if not sizes.size:
        first, lines = f"No difference: no value is finite in both maps ({minus.size:,}).", []
    elif sizes.max():
        first = "Red: more in B; blue: more in A."
        lines.append(f"Mean amount {number_text(sizes.mean(), digits=4)}")
    elif sizes.size == minus.size:
        first, lines = "Both maps are the same, value by value.", []
    else:
        first, lines = "Both maps are the same where both are finite.", []
    if 0 < sizes.size < minus.size:
        lines.append(f"{minus.size - sizes.size:,} of {minus.size:,} not finite in one of both")
    rest = [dmc.Text(line, size="sm", c="dimmed") for line in lines]
    return html.Div([dmc.Text(first, size="sm"), *rest])


def maps_note(pair: Pair) -> str:
    """How B's filter was found, and what B's sample is."""
    words = partner_words(pair)
    if pair.alike.same or pair.state.sample >= pair.second.catalog.n_samples:
        return words
    return f"{words} B's sample has the same number, but is another image."


def draw(pair: Pair, _: State, theme: Theme) -> list[object]:
    """The note; of each side its title, and what is above the map; figure and style of each map."""
    first, second = sides(pair)
    minus, why = difference(pair, first, second)
    figures = map_figures(first, second, minus, theme=theme)
    words: list[Node] = [difference_words(minus, why)]
    return [
        maps_note(pair),
        *(first.title, second.title, "B − A"),
        *(input_panel(first), input_panel(second), words),
        *(part for drawing in figures for part in drawing),
    ]


def _body(_: Snapshot, __: State) -> list[Node]:
    """Three columns; row by row, so that what stands beside each other is at one height."""
    rows = [
        [html.H3(id=f"compare-maps-{side}-title") for side in SIDES],
        [html.Div(id=f"compare-maps-{side}-input", className="compare-input") for side in SIDES],
        [graph(f"compare-maps-{side}", f"Feature map: {side.capitalize()}") for side in SIDES],
    ]
    cells = [
        html.Div(cell, className=f"compare-{side}")
        for row in rows
        for side, cell in zip(SIDES, row, strict=True)
    ]
    return [
        status_note("compare-maps-note"),
        html.Div(cells, className="compare-maps"),
    ]


PANEL = Panel(
    "maps",
    draw,
    needs=("filter_index", "other_filter", "pairing", "sample"),
    title="Feature maps",
    fills=(
        ("-note", "children"),
        *((f"-{side}-title", "children") for side in SIDES),
        *((f"-{side}-input", "children") for side in SIDES),
        *((f"-{side}", prop) for side in SIDES for prop in ("figure", "style")),
    ),
    body=_body,
    themed=True,
)
