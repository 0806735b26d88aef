"""The samples of both groups that the selected filter answers most and least to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashboard.components.nodes import Node, dcc, html
from dashboard.components.thumbnails import Thumbnail, thumbnails
from dashboard.figures.theme import Theme
from dashboard.pages.contrast.distribution import AXES, values_of
from dashboard.pages.contrast.presets import rest_of
from dashboard.pages.contrast.subject import Groups, query
from dashboard.pages.page import Panel
from dashboard.pages.state import State, around_sample, state_for
from dashboard.pages.words import names_of, outcome_signs, outcome_words
from fmcore.numbers import number_text

# Pictures in a row; a group of no more than two rows is shown once, whole.
IN_A_ROW = 8
THUMBNAIL = 160


def draw(groups: Groups, state: State, _: Theme) -> list[Node]:
    """For each group, its strongest and its weakest samples."""
    if groups.contrast is None:
        return []
    return [
        _section(groups, state, at, part.values) for at, part in enumerate(values_of(groups, state))
    ]


def ordered(values: NDArray[np.floating]) -> NDArray[np.intp]:
    """The places of finite values from the largest to the smallest, equal ones in their order."""
    finite = np.flatnonzero(np.isfinite(values))
    places: NDArray[np.intp] = finite[np.argsort(-values[finite].astype(np.float64), kind="stable")]
    return places


def _section(groups: Groups, state: State, at: int, values: NDArray[np.floating]) -> Node:
    order, letter = ordered(values), groups.sides[at].letter
    samples, numbers = groups.samples[at][order], values[order]
    text = group_text(groups, at)
    every = f"maps{query(groups, state, state.layer, state.filter_index, group=text)}"
    link = dcc.Link(f"All {len(groups.samples[at]):,} in Feature maps", href=every)
    parts: list[Node] = [html.H3([f"Samples of {letter} ", link])]
    if not len(order):
        parts.append(html.P("None has a finite value."))
    elif len(order) <= 2 * IN_A_ROW:
        parts += _row(groups, state, text, "The strongest first", samples, numbers)
    else:
        ends = slice(IN_A_ROW), slice(-IN_A_ROW, None)
        for words, part in zip(("Strongest", "Weakest"), ends, strict=True):
            parts += _row(groups, state, text, words, samples[part], numbers[part])
    return html.Section(parts, className="contrast-samples")


def group_text(groups: Groups, at: int) -> str:
    """The expression of the samples of a group that are compared: without those of the other."""
    own, other = groups.sides[at], groups.sides[1 - at]
    if not own.text:
        return rest_of(other.text)
    if len(groups.samples[at]) == own.n:
        return own.text
    return f"({own.text}) and {rest_of(other.text)}"


def _row(
    groups: Groups,
    state: State,
    text: str,
    words: str,
    samples: NDArray[np.int64],
    numbers: NDArray[np.floating],
) -> list[Node]:
    snapshot = groups.snapshot
    of_link = state_for(
        snapshot.catalog,
        layer=state.layer,
        filter_index=state.filter_index,
        group=text,
        group_a=groups.sides[0].text,
        group_b=groups.sides[1].text,
        pooled=state.pooled,
    )
    before, after = around_sample(of_link, snapshot.catalog)
    items = []
    for sample, number in zip(samples.tolist(), numbers.tolist(), strict=True):
        names = names_of(snapshot, sample)
        about = f"Sample {sample}: {AXES[state.pooled]} {number_text(number)}"
        outcome = outcome_words(*names)
        items.append(
            Thumbnail(
                sample,
                (number_text(number, digits=4), outcome_signs(sample, *names)),
                f"{about}; {outcome}" if outcome else about,
            )
        )
    pictures = thumbnails(
        items,
        url=snapshot.image_url_parts(size=THUMBNAIL),
        href=(f"maps{before}", after),
        shape=snapshot.image_shape,
        class_name="contrast-strip",
    )
    return [html.Small(words), pictures]


PANEL = Panel(
    "samples",
    draw,
    needs=("focus", "layer", "filter_index"),
    title="Samples",
    in_sight=True,
)
