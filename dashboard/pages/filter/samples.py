"""The samples that a filter responds to: the strongest of all, of each class, and usual ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.components.controls import as_count, empty
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import PixelBox, Thumbnail, picture, thumbnails
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.page import Panel
from dashboard.pages.state import State, around_sample, query_for, state_for
from dashboard.pages.words import names_of, not_exact, outcome_signs, outcome_words
from dashboard.stores.snapshot import TOP_COLUMNS, Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.numbers import number_text
from fmcore.statistics import BANDS, TOP

# Pixels of the longer side of an image that is fetched for a thumbnail, and for the largest one.
THUMBNAIL, LARGE = 160, 448
# Samples in a row of one class; the page of the class shows all that are kept.
IN_A_ROW = 9
# Classes on one page of "Strongest of each class".
CLASSES_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Response:
    """A sample that a filter responds to.

    Attributes:
        sample: its index.
        value: the largest activation of its map.
        y: the row of that.
        x: the column.
    """

    sample: int
    value: float
    y: int
    x: int


def responses(
    snapshot: Snapshot, layer: str, filter_index: int, of: str = "", rows: range = range(1)
) -> list[list[Response]]:
    """The strongest samples of a filter, a list for each row; see `Snapshot.top`.

    Those of all samples come from the pooled table where the store keeps no top samples.

    Raises:
        StatisticNotFoundError: if the store keeps none of classes or bands.
    """
    try:
        top = snapshot.top(layer, filter_index, of, rows)
    except StatisticNotFoundError:
        if of:
            raise
        top = _top_of_pooled(snapshot, layer, filter_index)
    columns = [top[name].tolist() for name in TOP_COLUMNS]
    return [
        [Response(*values) for values in zip(*row, strict=True) if values[0] >= 0]
        for row in zip(*columns, strict=True)
    ]


def _top_of_pooled(
    snapshot: Snapshot, layer: str, filter_index: int
) -> dict[str, NDArray[np.generic]]:
    pooled = snapshot.layer(layer).pooled
    value = pooled("max")[:, filter_index]
    order = np.argsort(-np.where(np.isfinite(value), value, -np.inf), kind="stable")[:TOP]
    order = order[np.isfinite(value[order])]
    places = {axis: pooled(f"max_{axis}")[order, filter_index] for axis in ("y", "x")}
    columns: dict[str, NDArray[np.generic]] = {"sample": order, "value": value[order], **places}
    return {name: array[np.newaxis] for name, array in columns.items()}


class Pictures:
    """Makes pictures of samples for one layer and filter; looks up once what all of them need.

    Attributes:
        note: why there are no boxes, or that they are no more than bounds; empty where they are
            exact.
    """

    def __init__(self, snapshot: Snapshot, layer: str, filter_index: int) -> None:
        self._snapshot = snapshot
        self._fields = snapshot.receptive_fields(layer)
        self._shape = snapshot.image_shape
        state = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
        before, after = around_sample(state, snapshot.catalog)
        self._href = (f"maps{before}", after)
        self.note = not_exact(snapshot.layer(layer))

    def row(self, samples: Sequence[Response]) -> Node:
        """Pictures side by side, to be scrolled."""
        return self._thumbnails(samples, "filter-strip")

    def rows(self, samples: Sequence[Response]) -> Node:
        """Pictures in as many rows as they need."""
        return self._thumbnails(samples, "filter-thumbs")

    def _thumbnails(self, samples: Sequence[Response], class_name: str) -> Node:
        """A thumbnail for each sample, with its activation and whether its prediction is right."""
        return thumbnails(
            [
                Thumbnail(
                    response.sample,
                    (
                        number_text(response.value, digits=4),
                        outcome_signs(response.sample, *self.names(response)),
                    ),
                    self._words(response, *self.names(response)),
                    self.box(response),
                )
                for response in samples
            ],
            url=self._snapshot.image_url_parts(size=THUMBNAIL),
            href=self._href,
            shape=self._shape,
            class_name=class_name,
        )

    def large(self, response: Response) -> Node:
        """One sample, as large as its place."""
        label, predicted = self.names(response)
        return dcc.Link(
            picture(
                self._snapshot.image_url(response.sample, size=LARGE),
                words=self._words(response, label, predicted),
                shape=self._shape,
                box=self.box(response),
            ),
            href=str(response.sample).join(self._href),
            className="filter-large",
        )

    def names(self, response: Response) -> tuple[str | None, str | None]:
        """The names of a sample's label and prediction; None for what nobody knows."""
        return names_of(self._snapshot, response.sample)

    def box(self, response: Response) -> PixelBox | None:
        """What the strongest unit sees; None where it is unknown, or only padding."""
        if self._fields is None:
            return None
        first_y, first_x, last_y, last_x = self._fields[response.y, response.x].tolist()
        return None if first_y < 0 else (first_y, first_x, last_y, last_x)

    def _words(self, response: Response, label: str | None, predicted: str | None) -> str:
        outcome = outcome_words(label, predicted)
        blind = self._fields is not None and self.box(response) is None
        return (
            f"Sample {response.sample}: activation {number_text(response.value)} "
            f"at y {response.y}, x {response.x}{', which sees only padding' if blind else ''}"
            f"{f'; {outcome}' if outcome else ''}"
        )


def draw_strongest(snapshot: Snapshot, state: State, _: Theme) -> list[Node]:
    """The strongest of all samples, and of the selected class; why there are none, where so."""
    layer, filter_index, index = state.layer, state.filter_index, state.class_index
    pictures = Pictures(snapshot, layer, filter_index)
    strongest = responses(snapshot, layer, filter_index)[0]
    parts: list[Node] = [dmc.Text(pictures.note, size="sm")] if pictures.note else []
    if index is not None:
        name, size = snapshot.catalog.class_names[index], int(snapshot.class_sizes[index])
        try:
            row = range(index, index + 1)
            best = responses(snapshot, layer, filter_index, "class", row)[0] if size else []
            note = _share(len(best), size, f"samples of class {name}")
            content = pictures.rows(best) if best else _none_finite(size)
        except StatisticNotFoundError:
            note, content = "", _not_kept(snapshot)
        parts.append(_section(f"Strongest of class {name}", note, content))
    note = _share(len(strongest), snapshot.catalog.n_samples, "samples")
    note += ", by the largest activation of the map"
    note += "" if pictures.note else "; the box is what that unit sees"
    if len(strongest) > 1 and strongest[0].value == strongest[-1].value:
        note += ". All of these are equal: they are the first by index"
    content = pictures.rows(strongest) if strongest else _none_finite(1)
    return [*parts, _section("Strongest over all samples", note, content)]


def draw_bands(snapshot: Snapshot, state: State, _: Theme) -> list[Node]:
    """Samples about each percentile, a row each."""
    pictures = Pictures(snapshot, state.layer, state.filter_index)
    try:
        rows = responses(snapshot, state.layer, state.filter_index, "band", range(len(BANDS)))
    except StatisticNotFoundError:
        return [_not_kept(snapshot)]
    words = (
        "The strongest samples are not the usual ones: these lie further down, by the same order."
    )
    n_samples = snapshot.catalog.n_samples
    sections = [
        _section(
            f"About the {band}th percentile: stronger than {band}% of the samples",
            _share(len(row), n_samples, "samples"),
            pictures.row(row) if row else _none_finite(1),
        )
        for band, row in zip(BANDS, rows, strict=True)
    ]
    return [dmc.Text(words, size="sm", c="dimmed"), *sections]


def draw_classes(snapshot: Snapshot, state: State, _: Theme, *, page: object) -> list[Node]:
    """The strongest samples of some classes, a row each; the class's name selects it."""
    names, sizes = snapshot.catalog.class_names, snapshot.class_sizes
    first = CLASSES_AT_ONCE * (max(1, as_count(page)) - 1) % len(names)
    classes = range(first, min(first + CLASSES_AT_ONCE, len(names)))
    pictures = Pictures(snapshot, state.layer, state.filter_index)
    try:
        rows = responses(snapshot, state.layer, state.filter_index, "class", classes)
    except StatisticNotFoundError:
        return [_not_kept(snapshot)]
    parts: list[Node] = []
    for index, row in zip(classes, rows, strict=True):
        query = query_for(
            snapshot.catalog,
            layer=state.layer,
            filter_index=state.filter_index,
            class_index=index,
        )
        best, size = row[:IN_A_ROW], int(sizes[index])
        link = dcc.Link(names[index], href=f"filter{query}")
        parts.append(
            html.Div(
                [
                    html.Div([link, html.Small(f"{len(best)} of {size:,}")]),
                    pictures.row(best) if best else _none_finite(size),
                ],
                className="filter-class-row" + " selected" * (index == state.class_index),
            )
        )
    words = (
        f"Classes {classes.start + 1:,} to {classes.stop:,} of {len(names):,}, "
        f"the {IN_A_ROW} strongest samples of each; a class's name opens more of them."
    )
    return [dmc.Text(words, size="sm", c="dimmed"), *parts]


def _section(title: str, note: str, content: Node) -> Node:
    """A heading, how much of how much is there, and a row or several of pictures."""
    return html.Section(
        [html.H3(title), html.Small(note), content],
        className="filter-samples",
    )


def _not_kept(snapshot: Snapshot) -> Node:
    """Why there are no samples of classes or bands, and what to do."""
    return empty(
        f"{snapshot.file_name} keeps no strongest samples of classes and percentiles: it was "
        "captured with --statistics basic. Capture it again with all statistics, the default of "
        "`fmcore capture`."
    )


def _share(n: int, size: int, what: str) -> str:
    return f"{n:,} of {size:,} {what}"


def _none_finite(size: int) -> Node:
    text = "No map has a finite value." if size else "This class has no samples in the test set."
    return dmc.Text(text, size="sm", c="dimmed")


def _classes_body(snapshot: Snapshot, state: State) -> list[Node]:
    first = state.class_index if state.first_class is None else state.first_class
    return [
        dcc.Store(id=ids.FILTER_CLASSES_AT_ONCE, data=CLASSES_AT_ONCE),
        dcc.Store(id=ids.FILTER_FIRST_CLASS, data=state.first_class),
        html.Div(id="filter-classes", className="filled"),
        dmc.Pagination(
            id=ids.FILTER_CLASSES_PAGE,
            total=-(-len(snapshot.catalog.class_names) // CLASSES_AT_ONCE),
            value=(first or 0) // CLASSES_AT_ONCE + 1,
            size="sm",
            hideWithOnePage=True,
        ),
    ]


def register(app: Dash) -> None:
    """Has the link name the classes of the page, unless they are those about the class."""
    app.clientside_callback(
        ClientsideFunction("panels", "firstClass"),
        Output(ids.FILTER_FIRST_CLASS, "data"),
        Input(ids.FILTER_CLASSES_PAGE, "value"),
        Input(ids.FILTER_CLASS, "value"),
        DashState(ids.FILTER_CLASSES_AT_ONCE, "data"),
        DashState(ids.FILTER_FIRST_CLASS, "data"),
        prevent_initial_call=True,
    )


STRONGEST = Panel(
    "strongest",
    draw_strongest,
    needs=("layer", "filter_index", "class_index"),
    title="Strongest samples",
)
USUAL = Panel(
    "bands", draw_bands, needs=("layer", "filter_index"), title="Usual samples: bands by percentile"
)
OF_CLASSES = Panel(
    "classes",
    draw_classes,
    needs=("layer", "filter_index", "class_index"),
    title="Strongest of each class",
    body=_classes_body,
    also={"page": Input(ids.FILTER_CLASSES_PAGE, "value")},
    is_there=lambda catalog: catalog.has_classes,
)
