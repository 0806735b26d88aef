"""What a class and a filter come to: numbers beside chance, the strongest samples, where to go."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import State as DashState

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import Thumbnail, thumbnails
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.chance import band_words, verdict
from dashboard.pages.classes import distribution, mean_maps
from dashboard.pages.classes.distribution import compared
from dashboard.pages.page import Panel
from dashboard.pages.state import State, around_sample, parse_query, updated_query
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import STATISTICS

# Samples that are shown; the Filter page has all.
MOST_SAMPLES = 8
# Pixels of the longer side of an image.
THUMBNAIL = 64
NO_TOP = (
    "This store keeps no strongest samples: it was captured with `--statistics basic`. "
    "Capture it again to have them."
)


def top_samples(snapshot: Snapshot, state: State, *, most: int) -> list[tuple[int, float]]:
    """The samples of the class (or of all) that excite the filter most, and by how much.

    Raises:
        StatisticNotFoundError: if the store has none.
    """
    if state.class_index is None:
        top = snapshot.top(state.layer, state.filter_index)
    else:
        rows = range(state.class_index, state.class_index + 1)
        top = snapshot.top(state.layer, state.filter_index, "class", rows)
    samples, values = top["sample"][0], top["value"][0]
    places = np.flatnonzero(samples >= 0)[:most]
    return list(zip(samples[places].tolist(), values[places].tolist(), strict=True))


def numbers(snapshot: Snapshot, state: State) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table: every statistic of class and filter, and its chance level."""
    names, against = snapshot.catalog.class_names, compared(state)
    if not snapshot.catalog.has_classes:
        values = {
            name: snapshot.statistic(state.layer, name)[0, state.filter_index]
            for name in snapshot.catalog.statistics
        }
        rows = [[STATISTICS[name].title, number_text(value)] for name, value in values.items()]
        return ["Statistic", "All samples"], rows
    head = ["Statistic"]
    if state.class_index is not None:
        head += [f"Class {names[state.class_index]}", "By chance (95%)", "Verdict"]
    if against is not None:
        head.append(f"Class {names[against]}")
    head += ["Smallest class", "Largest class"]
    rows = [_row(snapshot, state, against, name) for name in snapshot.catalog.statistics]
    return head, rows


def _row(snapshot: Snapshot, state: State, against: int | None, name: str) -> list[str]:
    across = snapshot.statistic(state.layer, name)[:, state.filter_index]
    row = [STATISTICS[name].title]
    if state.class_index is not None:
        value = across[state.class_index]
        row += [number_text(value), *(_beside_chance(snapshot, state, name) or ("", ""))]
    if against is not None:
        row.append(number_text(across[against]))
    return [*row, number_text(np.fmin.reduce(across)), number_text(np.fmax.reduce(across))]


def _beside_chance(snapshot: Snapshot, state: State, name: str) -> tuple[str, str] | None:
    """The chance level of the cell's statistic, and the value beside it; None without a level."""
    band = snapshot.chance(state.layer, name)
    if band is None or state.class_index is None:
        return None
    value = snapshot.statistic(state.layer, name)[state.class_index, state.filter_index]
    ends = band[:, state.class_index, state.filter_index]
    two_sided = STATISTICS[name].two_sided
    return band_words(*ends, two_sided=two_sided), verdict(value, *ends, two_sided=two_sided)


def number_text(value: Any) -> str:
    """A number of a statistic; a dash where there is none."""
    if value.dtype.kind == "f" and not np.isfinite(value):
        return "–"
    return f"{int(value):,}" if value.dtype.kind in "iu" else f"{float(value):.6g}"


def value_words(snapshot: Snapshot, state: State) -> str:
    """The page's statistic of the cell, and of the class it is compared with, beside chance."""
    title = STATISTICS[state.statistic].title
    values = snapshot.statistic(state.layer, state.statistic)[:, state.filter_index]
    if not snapshot.catalog.has_classes:
        return f"{title}: {number_text(values[0])}."
    if state.class_index is None:
        low, high = number_text(np.fmin.reduce(values)), number_text(np.fmax.reduce(values))
        return f"{title}: {low} to {high} over classes."
    words, against = f"{title}: {number_text(values[state.class_index])}", compared(state)
    band, beside = _beside_chance(snapshot, state, state.statistic) or ("", "")
    if beside:
        words += f", {beside} ({band})"
    if against is not None:
        name = snapshot.catalog.class_names[against]
        words += f"; of class {name}: {number_text(values[against])}"
    return f"{words}."


def sizes_words(snapshot: Snapshot, state: State) -> str:
    """What is looked at, and of how many samples."""
    names, sizes = snapshot.catalog.class_names, snapshot.class_sizes

    def words(index: int) -> str:
        return f"class {names[index]} ({sizes[index]:,} samples)"

    what, against = f"Filter {state.filter_index} of {state.layer}", compared(state)
    if not snapshot.catalog.has_classes:
        return f"{what}, all {sizes.sum():,} samples"
    if state.class_index is None:
        return f"{what}, all classes ({sizes.sum():,} samples)"
    beside = "" if against is None else f" against {words(against)}"
    return f"{what}, {words(state.class_index)}{beside}"


def header(snapshot: Snapshot, state: State, query: str) -> list[Node]:
    """What is open, and where it leads."""
    links = [dcc.Link(f"Everything about filter {state.filter_index}", href=f"filter{query}")]
    try:
        top = top_samples(snapshot, state, most=1)
    except StatisticNotFoundError:
        top = []
    if top:
        href = f"maps{updated_query(query, snapshot.catalog, sample=top[0][0])}"
        links.append(dcc.Link(f"Feature maps of its strongest sample, {top[0][0]}", href=href))
    return [
        dmc.Text(sizes_words(snapshot, state), fw=600),
        dmc.Text(value_words(snapshot, state), size="sm"),
        html.Div(links, className="classes-links"),
    ]


def top_strip(snapshot: Snapshot, state: State, query: str) -> list[Node]:
    """The samples that excite the filter most, each a link to its feature maps."""
    try:
        top = top_samples(snapshot, state, most=MOST_SAMPLES)
    except StatisticNotFoundError:
        return [dmc.Text(NO_TOP, size="sm", c="dimmed")]
    if not top:
        return [dmc.Text("This class has no samples.", size="sm", c="dimmed")]
    names, labels = snapshot.catalog.class_names, snapshot.labels

    def class_words(sample: int) -> str:
        of_all = state.class_index is None and snapshot.catalog.has_classes
        return f", class {names[labels[sample]]}" if of_all else ""

    before, after = around_sample(parse_query(query, snapshot.catalog)[0], snapshot.catalog)
    strip = thumbnails(
        [
            Thumbnail(
                sample,
                (f"{value:.3g}", f"#{sample}"),
                f"Sample {sample}{class_words(sample)}: largest activation {value:.6g}",
            )
            for sample, value in top
        ],
        url=snapshot.image_url_parts(size=THUMBNAIL),
        href=(f"maps{before}", after),
        shape=snapshot.image_shape,
        class_name="classes-top",
    )
    words = f"The {len(top)} with the largest activation; a click opens the feature maps."
    return [strip, dmc.Text(words, size="sm", c="dimmed")]


def draw(
    snapshot: Snapshot, state: State, _: Theme, *, search: str | None
) -> tuple[list[Node], list[Node]]:
    """The words and links, and the strongest samples."""
    fields = {name: getattr(state, name) for name in PANEL.needs}
    query = updated_query(search, snapshot.catalog, **fields)
    return header(snapshot, state, query), top_strip(snapshot, state, query)


def draw_numbers(snapshot: Snapshot, state: State, _: Theme) -> Node:
    """All numbers; folded up, they are not even read."""
    head, body = numbers(snapshot, state)
    return dmc.Table(data={"head": head, "body": body})


def _body(snapshot: Snapshot, _: State) -> list[Node]:
    """The words, the distribution beside the strongest samples, mean maps, and all numbers."""
    what = "class and filter" if snapshot.catalog.has_classes else "filter"
    accordion = dmc.Accordion(
        dmc.AccordionItem(
            [
                dmc.AccordionControl(f"All numbers of this {what}"),
                dmc.AccordionPanel(html.Div(id="classes-numbers", className="classes-numbers")),
            ],
            value="numbers",
        ),
        className="classes-open",
    )
    strongest = [_heading("Strongest samples"), html.Div(id="classes-cell-top")]
    return [
        html.Div(id="classes-cell", role="status"),
        html.Div(
            [
                html.Div([_heading("Distribution of activations"), *distribution.body()]),
                html.Div(strongest),
            ],
            className="classes-pair",
        ),
        _heading("Mean maps"),
        *mean_maps.body(),
        accordion,
    ]


def _heading(words: str) -> Node:
    return dmc.Title(words, order=3, className="classes-heading")


NUMBERS = Panel(
    "numbers",
    draw_numbers,
    needs=("layer", "filter_index", "class_index", "against"),
    in_sight=True,
)
PANEL = Panel(
    "cell",
    draw,
    needs=("layer", "filter_index", "class_index", "against", "statistic", "arrangement"),
    title=lambda catalog: "One class and filter" if catalog.has_classes else "One filter",
    fills=(("", "children"), ("-top", "children")),
    body=_body,
    within=(distribution.PANEL, mean_maps.PANEL, NUMBERS),
    also={"search": DashState(ids.URL, "search")},
)
