"""What is selected: a cell of the matrix, a row, a column, or all that is wrong; its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.components.controls import class_select, only_if
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import Thumbnail, thumbnails
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.page import Panel
from dashboard.pages.state import State, around_sample, parse_query, query_for, updated_query
from dashboard.pages.words import names_of, outcome_signs, outcome_words
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import share_text
from fmcore.selection import quoted

# Samples that are shown; Feature maps has all, a page after the other.
MOST_SAMPLES = 60
# Pixels of the longer side of an image.
THUMBNAIL = 96
# Pairs that are listed.
MOST_PAIRS = 50


@dataclass(frozen=True, slots=True)
class Selection:
    """Samples of a label, of a prediction, of both, or of neither.

    Attributes:
        label: their label, or None for any.
        predicted: their prediction, or None for any.
        outcome: `wrong`, `correct`, or `all` where label and prediction say it.
    """

    label: int | None
    predicted: int | None
    outcome: str

    def samples(self, snapshot: Snapshot) -> NDArray[np.int64]:
        """Their indices, the most confident first, <int64>[sample]; equal ones by index."""
        indices = snapshot.matching(self.label, self.outcome, self.predicted)
        keys = -snapshot.confidence[indices].astype(np.float64)
        ordered: NDArray[np.int64] = indices[np.argsort(keys, kind="stable")]
        return ordered


def selection_of(state: State) -> Selection:
    """What is selected: without a label and a prediction, or with one of them, what is wrong."""
    label, predicted = state.class_index, state.predicted
    if label is None or predicted is None:
        return Selection(label, predicted, "wrong")
    return Selection(label, predicted, "correct" if label == predicted else "all")


def term(column: str, index: int, names: Sequence[str]) -> str:
    """The term of an expression of groups that a class is the label or prediction of a sample."""
    name = names[index]
    # Of several classes of one name an expression means the first: then by index, if that is none.
    is_clear = names.index(name) == index or str(index) in names
    return f"{column}={quoted(name) if is_clear else index}"


@dataclass(frozen=True, slots=True)
class ContrastLink:
    """Two groups that one may want to tell apart.

    Attributes:
        group_a: an expression.
        group_b: an expression.
        words: of the link that leads there.
    """

    group_a: str
    group_b: str
    words: str


def contrasts(selected: Selection, names: Sequence[str]) -> list[ContrastLink]:
    """What the selected samples can be set beside: those that went right."""
    label, predicted = selected.label, selected.predicted
    if label is None and predicted is None:
        return [ContrastLink("wrong", "correct", "Contrast with all that are right")]
    if label is None or predicted is None or label == predicted:
        index = predicted if label is None else label
        column = "prediction" if label is None else "label"
        of_it, name = term(column, index or 0, names), names[index or 0]
        words = "wrong" if label == predicted else "right"
        return [
            ContrastLink(
                f"{of_it} wrong", f"{of_it} correct", f"Contrast with {name} predicted {words}"
            )
        ]
    cell = f"{term('label', label, names)} {term('prediction', predicted, names)}"
    return [
        ContrastLink(
            cell,
            f"{term('label', index, names)} correct",
            f"Contrast with {names[index]} predicted right",
        )
        for index in (label, predicted)
    ]


def draw(snapshot: Snapshot, state: State, _: Theme) -> list[Node]:
    """How many samples are selected, which share that is, and where they lead.

    Raises:
        StatisticNotFoundError: if labels or predictions are not known.
    """
    names, selected = snapshot.catalog.class_names, selection_of(state)
    n = len(snapshot.matching(selected.label, selected.outcome, selected.predicted))
    return [
        html.P(html.B(title_of(selected, names, n)), className="errors-selected"),
        *(html.P(words) for words in share_words(snapshot, selected, n)),
        *_links(snapshot, selected, n),
    ]


def title_of(selected: Selection, names: Sequence[str], n: int) -> str:
    """What is selected, and how many samples."""
    count = f"{n:,} sample{'' if n == 1 else 's'}"
    label, predicted = selected.label, selected.predicted
    if label is not None and predicted is not None:
        if label == predicted:
            return f"{names[label]}, predicted right: {count}"
        return f"{names[label]} predicted as {names[predicted]}: {count}"
    if label is not None:
        return f"{names[label]} predicted as something else: {count}"
    if predicted is not None:
        return f"Wrongly predicted as {names[predicted]}: {count}"
    return f"All that are wrong: {count}"


def share_words(snapshot: Snapshot, selected: Selection, n: int) -> list[str]:
    """Which share of label and prediction the selected samples are, a sentence each."""
    confusion, names = snapshot.confusion(), snapshot.catalog.class_names
    if selected.label is None and selected.predicted is None:
        right = confusion.accuracy()
        between = f"{share_text(float(right.low))} to {share_text(float(right.high))}"
        return [f"{share_text(float(right.value))} are right (95% interval {between})."]
    words = []
    if selected.label is not None:
        of = int(confusion.classes.n_label[selected.label])
        words.append(_share(n, of, f"label {names[selected.label]}"))
    if selected.predicted is not None:
        of = int(confusion.classes.n_prediction[selected.predicted])
        words.append(_share(n, of, f"prediction {names[selected.predicted]}"))
    return words


def _share(n: int, of: int, what: str) -> str:
    if not of:
        return f"No sample has the {what}."
    return f"{share_text(n / of)} of the {of:,} with {what}."


def _links(snapshot: Snapshot, selected: Selection, n: int) -> list[Node]:
    """Where the selected samples are contrasted with others, and where all of them are seen."""
    if not n:
        return []
    catalog = snapshot.catalog
    links: list[Node] = []
    for pair in contrasts(selected, catalog.class_names):
        if not (snapshot.group(pair.group_a).any() and snapshot.group(pair.group_b).any()):
            continue
        query = query_for(catalog, group_a=pair.group_a, group_b=pair.group_b)
        links.append(
            dcc.Link(
                f"{pair.words} →",
                href=f"contrast{query}",
                className="errors-link" if links else "errors-contrast",
            )
        )
    query = query_for(
        catalog,
        class_index=selected.label,
        predicted=selected.predicted,
        outcome=selected.outcome,
        picked="sure",
        sample=int(selected.samples(snapshot)[0]),
    )
    links.append(dcc.Link("All in Feature maps →", href=f"maps{query}", className="errors-link"))
    return [html.Div(links, className="errors-links")]


def draw_pairs(snapshot: Snapshot, state: State, _: Theme, *, search: str | None) -> list[Node]:
    """The pairs of classes that are confused most, each a link that selects it.

    Raises:
        StatisticNotFoundError: if labels or predictions are not known.
    """
    confusion, names = snapshot.confusion(), snapshot.catalog.class_names
    pairs = confusion.pairs()
    if not len(pairs):
        return [dmc.Text("Every prediction is right.", size="sm")]
    here, items = (state.class_index, state.predicted), []
    for label, predicted, n in pairs[:MOST_PAIRS].tolist():
        query = updated_query(search, snapshot.catalog, class_index=label, predicted=predicted)
        share = share_text(n / int(confusion.classes.n_label[label]))
        is_here = {"aria-current": "true"} if here == (label, predicted) else {}
        link = dcc.Link(
            f"{names[label]} → {names[predicted]}", href=f"errors{query}", className="errors-pair"
        )
        count = html.Span(f"{n:,} · {share}", className="errors-count")
        items.append(html.Li([link, count], **is_here))
    words = "Label → prediction, samples, share of the label."
    if len(pairs) > MOST_PAIRS:
        words += f" The first {MOST_PAIRS} of {len(pairs):,} pairs."
    listed = html.Ol(items, className="errors-pairs", tabIndex=0, **{"aria-label": "Pairs"})
    return [listed, dmc.Text(words, size="sm", c="dimmed")]


def draw_samples(snapshot: Snapshot, state: State, _: Theme, *, search: str | None) -> list[Node]:
    """The selected samples, the most confident first, each a link to its feature maps.

    Raises:
        StatisticNotFoundError: if labels or predictions are not known.
    """
    snapshot.confusion()  # raises where nothing is right or wrong
    selected, catalog = selection_of(state), snapshot.catalog
    samples = selected.samples(snapshot)
    title = title_of(selected, catalog.class_names, len(samples))
    heading = html.H3(title, className="errors-heading")
    if not len(samples):
        return [heading]
    query = updated_query(
        search,
        catalog,
        class_index=selected.label,
        predicted=selected.predicted,
        outcome=selected.outcome,
        picked="sure",
    )
    before, after = around_sample(parse_query(query, catalog)[0], catalog)
    confidence = snapshot.confidence
    strip = thumbnails(
        [
            _thumbnail(snapshot, index, float(confidence[index]))
            for index in samples[:MOST_SAMPLES].tolist()
        ],
        url=snapshot.image_url_parts(size=THUMBNAIL),
        href=(f"maps{before}", after),
        shape=snapshot.image_shape,
        class_name="errors-thumbs",
    )
    words = "The number is the confidence of the prediction; a click opens the feature maps."
    if len(samples) > MOST_SAMPLES:
        words = f"The first {MOST_SAMPLES} of {len(samples):,}. {words}"
    return [heading, strip, dmc.Text(words, size="sm", c="dimmed")]


def _thumbnail(snapshot: Snapshot, index: int, confidence: float) -> Thumbnail:
    label, predicted = names_of(snapshot, index)
    number = share_text(confidence)
    return Thumbnail(
        index,
        (number, outcome_signs(index, label, predicted)),
        f"Sample {index}: {outcome_words(label, predicted)} with {number}",
    )


def _body(snapshot: Snapshot, state: State) -> list[Node]:
    catalog = snapshot.catalog
    selects = [
        class_select(
            ids.ERRORS_LABEL,
            catalog.class_names,
            state.class_index,
            caption="Label",
            placeholder="Any",
        ),
        class_select(
            ids.ERRORS_PREDICTED,
            catalog.class_names,
            state.predicted,
            caption="Prediction",
            placeholder="Any",
        ),
    ]
    return [
        *(only_if(catalog.has_outcomes, select) for select in selects),
        html.Div(id="errors-selection", role="status"),
    ]


PANEL = Panel(
    "selection",
    draw,
    needs=("class_index", "predicted"),
    title="Selection",
    body=_body,
    is_there=lambda catalog: catalog.has_outcomes,
)
PAIRS = Panel(
    "pairs",
    draw_pairs,
    needs=("class_index", "predicted"),
    title="Most confused pairs",
    also={"search": DashState(ids.URL, "search")},
    is_there=lambda catalog: catalog.has_outcomes,
)
SAMPLES = Panel(
    "samples",
    draw_samples,
    needs=("class_index", "predicted"),
    title="Samples, the most confident first",
    also={"search": DashState(ids.URL, "search")},
    is_there=lambda catalog: catalog.has_outcomes,
)
