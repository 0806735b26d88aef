"""What of a layer and a filter is drawn for two groups of samples, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dashboard.chance import band_words, verdict, within_chance
from dashboard.components.graph import NONE, Drawn
from dashboard.components.nodes import Node, dmc, html
from dashboard.components.thumbnails import Thumbnail, thumbnails
from dashboard.figures import box
from dashboard.figures.feature_map import LONGEST, empty_figure, small_map
from dashboard.figures.heatmap import heatmap_figure, heatmap_height
from dashboard.figures.histogram import Spread, distribution_figure, key
from dashboard.figures.theme import Figure, Theme, about_zero, plain, span_of
from dashboard.names import shortened
from dashboard.pages.state import State, around_sample, groups_in, state_for
from dashboard.pages.words import names_of, outcome_signs, outcome_words
from dashboard.stores.groups import (
    Apart,
    Group,
    GroupSpread,
    Source,
    TwoGroups,
    apart_in,
    group_maps,
    group_spread,
    groups_of,
)
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import FmcoreError, SelectionError, StatisticNotFoundError
from fmcore.numbers import number_text

# Strongest samples of each group, and pixels of the longer side of their images.
MOST_SAMPLES, THUMBNAIL = 8, 64
# Characters of an expression in a sentence.
LONGEST_TEXT = 48
HEIGHT, LOW = "270px", "110px"


def sentence(error: FmcoreError) -> str:
    """An error as a sentence."""
    words = str(error)
    return f"{words[:1].upper()}{words[1:]}."


def group_title(group: Group) -> str:
    """A group in a few words: letter, expression, and how many samples it has."""
    many = "" if group.n == 1 else "s"
    return f"{group.letter}: {shortened(group.text, LONGEST_TEXT)} ({group.n:,} sample{many})"


def apart_of(snapshot: Snapshot, state: State) -> Apart | None:
    """How each filter of the page's layer tells A from B; None where that cannot be asked.

    That is: where one of the groups is not set, has no samples, or is not of this store.
    """
    try:
        two = groups_of(snapshot, state.group_a, state.group_b)
        return None if two is None or two.empty else apart_in(snapshot, state.layer, two)
    except (SelectionError, StatisticNotFoundError):
        return None


def filter_words(snapshot: Snapshot, state: State, two: TwoGroups) -> str:
    """What tells the groups apart in the selected filter, in a sentence or two."""
    what = f"Filter {state.filter_index} of {state.layer}"
    try:
        apart = apart_in(snapshot, state.layer, two)
    except StatisticNotFoundError as error:
        return sentence(error)
    at = state.filter_index
    if apart.why_none[at]:
        return " ".join((f"{what}: {apart.why_none[at]}.", *apart.notes))
    low, high = apart.chance[:, at].tolist()
    beside = verdict(apart.auc[at], low, high, two_sided=True)
    means = (number_text(value, digits=3) for value in apart.means[:, at].tolist())
    words = (
        f"{what}: ROC-AUC of the pooled mean {number_text(apart.auc[at], digits=3)}, {beside} "
        f"({band_words(low, high, two_sided=True, digits=3)}), q "
        f"{number_text(apart.q[at], digits=2)} among {apart.n_tests:,} filters of the model; mean "
        f"{' over A, '.join(means)} over B."
    )
    return " ".join((words, *apart.notes))


def all_filters(snapshot: Snapshot, state: State, two: TwoGroups, theme: Theme) -> Drawn:
    """The AUC of every filter of the layer between the groups."""
    try:
        apart = apart_in(snapshot, state.layer, two)
    except StatisticNotFoundError:
        return NONE
    values, chance = apart.auc[np.newaxis], apart.chance[:, np.newaxis]
    figure = heatmap_figure(
        values,
        rows=["A over B"],
        columns=[str(index) for index in range(values.shape[1])],
        axes=("", "filter"),
        span=span_of([values]),
        neutral=0.5,
        title="AUC",
        hover="filter %{x}: AUC of A over B<br><b>%{z:.6~g}</b>",
        chance=chance,
        within=within_chance(values, chance, two_sided=True),
        framed=(None, state.filter_index),
        theme=theme,
    )
    return figure, {"height": heatmap_height(1, row=34, smallest=170)}


def draw_spread(
    snapshot: Snapshot, state: State, two: TwoGroups, step: int, theme: Theme
) -> tuple[Drawn, list[Node] | str, list[Node], dict[str, int]]:
    """The distributions, what they are made of, what each line is, and how much is read."""
    spread = group_spread(snapshot, state.layer, state.filter_index, two, step=step)
    lines = spread_lines(spread, two)
    missing = _nothing(snapshot, state, spread, lines)
    n_read, n_maps = spread.n_read
    progress = {"read": n_read, "of": n_maps, "step": step}
    note: list[Node] = [dmc.Text(source_words(spread, two), size="sm", c="dimmed")]
    if n_read < n_maps:
        bar = html.Progress(
            value=str(n_read),
            max=str(n_maps),
            className="groups-progress",
            **{"aria-label": "Maps that were read"},
        )
        note.append(bar)
    if missing:
        reason = empty_figure(missing, theme=theme), {"height": LOW}
        return reason, note, [], progress
    figure = distribution_figure(lines, spread.bounds, span=spread.span, theme=theme)
    entries = [
        html.Span(name, style={"--line": border})
        for name, border in key(lines, spread.bounds, theme)
    ]
    return (figure, {"height": HEIGHT}), note, entries, progress


def spread_lines(spread: GroupSpread, two: TwoGroups) -> list[Spread]:
    """The lines of the distribution: A, B, and all samples; those with a finite value."""
    roles = ("selected", "against")
    lines = [
        Spread(f"{group.letter}: {shortened(group.text, LONGEST_TEXT)}", part.counts, role)
        for group, part, role in zip((two.a, two.b), spread.groups, roles, strict=True)
    ]
    if spread.total is not None:
        lines.append(Spread("all samples", spread.total.counts, "others"))
    return [line for line in lines if line.counts.any()]


def _nothing(snapshot: Snapshot, state: State, spread: GroupSpread, lines: list[Spread]) -> str:
    """Why there is no distribution to draw; empty where there is one."""
    if not lines or not np.isfinite(spread.span).all():
        why = snapshot.values(state.layer).why_none(state.filter_index)
        return f"No distribution: {why or 'no finite value in these groups'}"
    return "Every finite activation is exactly zero" if spread.span == (0.0, 0.0) else ""


def source_words(spread: GroupSpread, two: TwoGroups) -> str:
    """What the distributions are made of, and of how many maps."""
    if spread.source == Source.POOLED:
        return (
            "Means of the maps, one for each sample: this store keeps neither the maps of the "
            "layer nor histograms of these groups."
        )
    if spread.source == Source.CLASSES:
        return (
            "All values, pixel by pixel: both groups are whole classes, whose histograms are kept."
        )
    parts = []
    for group, part in zip((two.a, two.b), spread.groups, strict=True):
        count = f"{part.n_maps:,} of {part.n:,}" if part.n_maps < part.n else f"all {part.n:,}"
        parts.append(f"{count} maps of {group.letter}")
    partial_words = ", picked at random" if spread.n_read[0] < spread.n_read[1] else ""
    return f"All values, pixel by pixel, of {' and '.join(parts)}{partial_words}."


def draw_maps(
    snapshot: Snapshot, state: State, two: TwoGroups, step: int, theme: Theme
) -> tuple[Drawn, Drawn, Drawn]:
    """The mean maps of A and of B in the same colors, and A minus B."""
    first, second = group_maps(snapshot, state.layer, state.filter_index, two, step=step)
    if first is None or second is None:
        return NONE, NONE, NONE
    maps = [values.astype(np.float32) for values in (first, second)]
    span = span_of(maps)

    def map_figure(values: Any, title: str, bar: str, ends: tuple[float, float]) -> Drawn:
        if not np.isfinite(values).any():
            figure: Figure = empty_figure("No finite value", theme=theme)
            return _titled(figure, title), box.MAP.fixed((1, 2), longest=LONGEST)
        figure, style = small_map(values, span=ends, theme=theme, title=bar)
        return _titled(figure, title), style

    difference = maps[0] - maps[1]
    return (
        map_figure(maps[0], "A", "mean activation", span),
        map_figure(maps[1], "B", "mean activation", span),
        map_figure(difference, "A minus B", "difference", about_zero(difference)),
    )


def _titled(figure: Figure, words: str) -> Figure:
    title = {"text": plain(words), "font": {"size": 13}, "x": 0.02, "y": 0.98}
    return figure | {"layout": figure["layout"] | {"title": title}}


def strongest_strip(snapshot: Snapshot, state: State, group: Group) -> Node:
    """The samples of a group that excite the filter most, each a link to its feature maps."""
    layer = snapshot.layer(state.layer)
    top = layer.strongest(state.filter_index, most=MOST_SAMPLES, mask=group.mask)
    fields = {"layer": state.layer, "filter_index": state.filter_index, **groups_in(state)}
    before, after = around_sample(state_for(snapshot.catalog, **fields), snapshot.catalog)
    samples = top["sample"].tolist()
    items = [
        Thumbnail(
            sample,
            (number_text(value, digits=3), outcome_signs(sample, *names_of(snapshot, sample))),
            f"Sample {sample}: largest activation {number_text(value)}"
            + "".join(
                f"; {words}" for words in [outcome_words(*names_of(snapshot, sample))] if words
            ),
        )
        for sample, value in zip(samples, top["value"].tolist(), strict=True)
    ]
    content: Node = dmc.Text("No map has a finite value.", size="sm", c="dimmed")
    if items:
        content = thumbnails(
            items,
            url=snapshot.image_url_parts(size=THUMBNAIL),
            href=(f"maps{before}", after),
            shape=snapshot.image_shape,
            class_name="groups-top",
        )
    title = f"Strongest of {group.letter}"
    words = f"{len(items)} of {group.n:,}, by the largest activation of the map"
    return html.Section([html.H3(title), html.Small(words), content])
