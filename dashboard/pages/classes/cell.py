"""What a class and a filter come to: numbers beside chance, the strongest samples, where to go."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import State as DashState

from dashboard.chance import band_words, verdict
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import Thumbnail, thumbnails
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.classes import distribution, mean_maps
from dashboard.pages.classes.distribution import compared
from dashboard.pages.page import Panel
from dashboard.pages.state import State, around_sample, parse_query, updated_query
from dashboard.pages.words import cost_text
from dashboard.stores.measures import COST, MEASURES
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.numbers import number_text

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
    has_costs = not snapshot.why_no_costs(state.layer)
    measures = snapshot.catalog.measures if has_costs else snapshot.catalog.statistics
    if not snapshot.catalog.has_classes:
        rows = [[MEASURES[name].title, cell_text(snapshot, state, name, 0)] for name in measures]
        return ["Statistic", "All samples"], rows
    head = ["Statistic"]
    if state.class_index is not None:
        head += [f"Class {names[state.class_index]}", "By chance (95%)", "Verdict"]
    if against is not None:
        head.append(f"Class {names[against]}")
    head += ["Smallest class", "Largest class"]
    rows = [_row(snapshot, state, against, name) for name in measures]
    return head, rows


def _row(snapshot: Snapshot, state: State, against: int | None, name: str) -> list[str]:
    row = [MEASURES[name].title]
    if state.class_index is not None:
        text = cell_text(snapshot, state, name, state.class_index)
        row += [text, *(_beside_chance(snapshot, state, name) or ("", ""))]
    if against is not None:
        row.append(cell_text(snapshot, state, name, against))
    return [*row, *_ends(snapshot, state, name)]


def _beside_chance(snapshot: Snapshot, state: State, name: str) -> tuple[str, str] | None:
    """The chance level of the cell's statistic, and the value beside it; None without a level."""
    band = snapshot.chance(state.layer, name)
    if band is None or state.class_index is None:
        return None
    value = snapshot.statistic(state.layer, name)[state.class_index, state.filter_index]
    ends = band[:, state.class_index, state.filter_index]
    two_sided = MEASURES[name].two_sided
    return band_words(*ends, two_sided=two_sided), verdict(value, *ends, two_sided=two_sided)


def value_text(value: Any) -> str:
    """A number of a statistic; a dash where there is none."""
    if value.dtype.kind == "f" and np.isnan(value):
        return "–"
    return f"{int(value):,}" if value.dtype.kind in "iu" else number_text(value)


def cell_text(snapshot: Snapshot, state: State, name: str, class_index: int) -> str:
    """A number of the page's filter and a class; a dash with the reason where there is none."""
    text = value_text(snapshot.statistic(state.layer, name)[class_index, state.filter_index])
    why = snapshot.why_none(state.layer, name, class_index, state.filter_index)
    return f"{text} ({_brief(why)})" if why else text


def _ends(snapshot: Snapshot, state: State, name: str) -> tuple[str, str]:
    """The smallest and largest number of a class; where no class has one, why."""
    values = snapshot.statistic(state.layer, name)[:, state.filter_index]
    texts = value_text(np.fmin.reduce(values)), value_text(np.fmax.reduce(values))
    if texts[0] != "–":
        return texts
    why = snapshot.why_missing(state.layer, name)
    reasons = {_brief(why.at(row, state.filter_index)): None for row in range(len(values))}
    return (f"– ({', '.join(reasons)})",) * 2


def _brief(reason: str) -> str:
    """A reason without what it means."""
    return reason.partition(":")[0]


def value_words(snapshot: Snapshot, state: State) -> str:
    """The page's statistic of the cell, and of the class it is compared with, beside chance."""
    title = MEASURES[state.statistic].title
    if not snapshot.catalog.has_classes:
        return f"{title}: {cell_text(snapshot, state, state.statistic, 0)}."
    if state.class_index is None:
        low, high = _ends(snapshot, state, state.statistic)
        return f"{title}: {low} to {high} over classes." if low != high else f"{title}: {low}."
    against = compared(state)
    words = f"{title}: {cell_text(snapshot, state, state.statistic, state.class_index)}"
    if state.statistic == COST:
        measured = snapshot.class_costs(state.layer).row(state.class_index)
        q = number_text(measured.q[state.filter_index], digits=2)
        words = (
            f"{MEASURES[COST].caption}: {cost_text(measured.accuracy, state.filter_index)}, q {q}"
        )
    band, beside = _beside_chance(snapshot, state, state.statistic) or ("", "")
    if beside:
        words += f", {beside} ({band})"
    if against is not None:
        name = snapshot.catalog.class_names[against]
        text = cell_text(snapshot, state, state.statistic, against)
        words += f"; of class {name}: {text}"
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
        why = snapshot.values(state.layer).why_none(state.filter_index, state.class_index)
        return [dmc.Text(f"No strongest sample: {why}.", size="sm", c="dimmed")]
    names, labels = snapshot.catalog.class_names, snapshot.labels

    def class_words(sample: int) -> str:
        of_all = state.class_index is None and snapshot.catalog.has_classes
        return f", class {names[labels[sample]]}" if of_all else ""

    before, after = around_sample(parse_query(query, snapshot.catalog)[0], snapshot.catalog)
    strip = thumbnails(
        [
            Thumbnail(
                sample,
                (number_text(value, digits=3), f"#{sample}"),
                f"Sample {sample}{class_words(sample)}: largest activation {number_text(value)}",
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
