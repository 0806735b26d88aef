"""The components that the callbacks fill the page with."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import PixelBox, Thumbnail, picture, thumbnails
from dashboard.pages import state
from dashboard.pages.filter.facts import Finding, Response, band_titles, responses
from dashboard.pages.state import state_for
from dashboard.pages.words import judged, names_of, not_exact, verdict, why_no_classes
from dashboard.stores.source import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import BANDS

# Pixels of the longer side of an image that is fetched for a thumbnail, and for the largest one.
THUMBNAIL, LARGE = 160, 448
# Samples in a row of one class; the page of the class shows all that are kept.
IN_A_ROW = 9


class Pictures:
    """Makes pictures of samples for one layer and filter; looks up once what all of them need.

    Attributes:
        note: why there are no boxes, or that they are no more than bounds; empty where they are
            exact.
    """

    def __init__(self, snapshot: Snapshot, layer: str, filter_index: int) -> None:
        self._snapshot = snapshot
        one = snapshot.layer(layer)
        self._fields = snapshot.receptive_fields(layer)
        self._shape = snapshot.image_shape
        shown = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
        before, after = state.around_sample(shown, snapshot.catalog)
        self._href = (f"maps{before}", after)
        self.note = not_exact(one)

    def row(self, found: Sequence[Response]) -> Node:
        """Pictures side by side, to be scrolled."""
        return self._thumbnails(found, "filter-strip")

    def rows(self, found: Sequence[Response]) -> Node:
        """Pictures in as many rows as they need."""
        return self._thumbnails(found, "filter-thumbs")

    def _thumbnails(self, found: Sequence[Response], class_name: str) -> Node:
        """A thumbnail for each sample, with its activation and whether its prediction is right."""
        return thumbnails(
            [
                Thumbnail(
                    one.sample,
                    (f"{one.value:.4g}", verdict(one.sample, *self.names(one))),
                    self._words(one, *self.names(one)),
                    self.box(one),
                )
                for one in found
            ],
            url=self._snapshot.image_url_parts(size=THUMBNAIL),
            href=self._href,
            shape=self._shape,
            class_name=class_name,
        )

    def large(self, one: Response) -> Node:
        """One sample, as large as its place."""
        label, predicted = self.names(one)
        return dcc.Link(
            picture(
                self._snapshot.image_url(one.sample, size=LARGE),
                words=self._words(one, label, predicted),
                shape=self._shape,
                box=self.box(one),
            ),
            href=str(one.sample).join(self._href),
            className="filter-large",
        )

    def names(self, one: Response) -> tuple[str | None, str | None]:
        """The names of a sample's label and prediction; None for what nobody knows."""
        return names_of(self._snapshot, one.sample)

    def box(self, one: Response) -> PixelBox | None:
        """What the strongest unit sees; None where it is unknown, or only padding."""
        if self._fields is None:
            return None
        first_y, first_x, last_y, last_x = self._fields[one.y, one.x].tolist()
        return None if first_y < 0 else (first_y, first_x, last_y, last_x)

    def _words(self, one: Response, label: str | None, predicted: str | None) -> str:
        known = judged(label, predicted)
        blind = self._fields is not None and self.box(one) is None
        return (
            f"Sample {one.sample}: activation {one.value:.6g} at y {one.y}, x {one.x}"
            f"{', which sees only padding' if blind else ''}"
            f"{f'; {known}' if known else ''}"
        )


def link(snapshot: Snapshot, page: str, text: str, **values: object) -> Node:
    """A link to a page of the dashboard that shows these."""
    query = state.query_for(snapshot.catalog, **values)
    return dcc.Link(text, href=f"{page}{query}")


def section(title: str, note: str, children: Node) -> Node:
    """A heading, how much of how much is there, and a row or several of pictures."""
    return html.Section(
        [html.H3(title), html.Small(note), children],
        className="filter-samples",
    )


def no_top(snapshot: Snapshot) -> Node:
    """Why there are no samples of classes or bands, and what to do."""
    return none(
        f"{snapshot.file_name} keeps no strongest samples of classes and percentiles: it was "
        "captured with --statistics basic. Capture it again with all statistics, the default of "
        "`fmcore capture`."
    )


def none(reason: StatisticNotFoundError | str, *, title: str = "Not in this store") -> Node:
    """Why a panel is empty, and what to do."""
    return dmc.Alert(str(reason), color="gray", variant="light", title=title)


def no_class_scores(snapshot: Snapshot) -> Node:
    """Why no score says how well a filter tells classes."""
    words = f"Scores say how well a filter tells classes. {why_no_classes(snapshot)}"
    return none(words, title="No classes")


def badge(snapshot: Snapshot, layer: str, one: Finding) -> Node:
    """A finding with its definition; one of a duplicate leads to the filter that it repeats."""
    color = "red" if one.grave else "gray"
    # tt: a class name is shown as it is, not in capitals.
    shown = dmc.Badge(one.text, color=color, variant="light", size="lg", tt="none")
    if one.other is not None:
        query = state.query_for(snapshot.catalog, layer=layer, filter_index=one.other)
        shown = dcc.Link(shown, href=f"filter{query}")
    return html.Div(
        [shown, dmc.Text(one.meaning, size="sm", c="dimmed", span=True)], className="filter-finding"
    )


def strongest_panel(snapshot: Snapshot, shown: state.State, pictures: Pictures) -> list[Node]:
    """The strongest of all samples, and of the selected class; why there are none, where so."""
    layer, filter_index, index = shown.layer, shown.filter_index, shown.class_index
    found = responses(snapshot, layer, filter_index)[0]
    parts: list[Node] = [dmc.Text(pictures.note, size="sm")] if pictures.note else []
    if index is not None:
        name, size = snapshot.catalog.class_names[index], int(snapshot.class_sizes[index])
        try:
            row = range(index, index + 1)
            best = responses(snapshot, layer, filter_index, "class", row)[0] if size else []
            note = _of(len(best), size, f"samples of class {name}")
            shown_ = pictures.rows(best) if best else _empty(size)
        except StatisticNotFoundError:
            note, shown_ = "", no_top(snapshot)
        parts.append(section(f"Strongest of class {name}", note, shown_))
    note = _of(len(found), snapshot.catalog.n_samples, "samples") + (
        ", by the largest activation of the map; the box is what that unit sees"
        if not pictures.note
        else ", by the largest activation of the map"
    )
    if len(found) > 1 and found[0].value == found[-1].value:
        note += ". All of these are equal: they are the first by index"
    many = pictures.rows(found) if found else _empty(snapshot.catalog.n_samples)
    return [*parts, section("Strongest over all samples", note, many)]


def bands_panel(snapshot: Snapshot, shown: state.State, pictures: Pictures) -> list[Node]:
    """Samples about each percentile, a row each."""
    bands = range(len(BANDS))
    try:
        found = responses(snapshot, shown.layer, shown.filter_index, "band", bands)
    except StatisticNotFoundError:
        return [no_top(snapshot)]
    said = (
        "The strongest samples are not the usual ones: these lie further down, by the same order."
    )
    return [
        dmc.Text(said, size="sm", c="dimmed"),
        *(
            section(
                title,
                _of(len(band), snapshot.catalog.n_samples, "samples"),
                pictures.row(band) if band else _empty(1),
            )
            for title, band in zip(band_titles(), found, strict=True)
        ),
    ]


def classes_panel(
    snapshot: Snapshot, shown: state.State, pictures: Pictures, classes: range
) -> list[Node]:
    """The strongest samples of some classes, a row each; the class's name selects it."""
    names, sizes = snapshot.catalog.class_names, snapshot.class_sizes
    try:
        found = responses(snapshot, shown.layer, shown.filter_index, "class", classes)
    except StatisticNotFoundError:
        return [no_top(snapshot)]
    parts: list[Node] = []
    for index, all_of_it in zip(classes, found, strict=True):
        best = all_of_it[:IN_A_ROW]
        link_to = link(
            snapshot,
            "filter",
            names[index],
            layer=shown.layer,
            filter_index=shown.filter_index,
            class_index=index,
        )
        size = int(sizes[index])
        parts.append(
            html.Div(
                [
                    html.Div([link_to, html.Small(f"{len(best)} of {size:,}")]),
                    pictures.row(best) if best else _empty(size),
                ],
                className="filter-class-row selected"
                if index == shown.class_index
                else "filter-class-row",
            )
        )
    said = (
        f"Classes {classes.start + 1:,} to {classes.stop:,} of {len(names):,}, "
        f"the {IN_A_ROW} strongest samples of each; a class's name opens more of them."
    )
    return [dmc.Text(said, size="sm", c="dimmed"), *parts]


def score_panel(
    undefined: Sequence[str],
    of_class: Node,
    of_filter: Node,
    *,
    n_rows: int,
    n_classes: int,
) -> list[Node]:
    """Both tables of scores, and before them why there are none."""
    alerts = [dmc.Alert(reason, color="yellow", variant="light") for reason in undefined]
    said = (
        f"{n_rows} of {n_classes:,} classes: the selected one, and those that the filter tells "
        "best. Below each value lies the band in which chance would put 95% of filters that know "
        "nothing of the class. What is within it is gray, and says nothing; below it, the filter "
        "responds less to the class than to others."
    )
    return [*alerts, dmc.Text(said, size="sm", c="dimmed"), of_class, of_filter]


def _of(n: int, size: int, what: str) -> str:
    return f"{n:,} of {size:,} {what}"


def _empty(size: int) -> Node:
    text = "No map has a finite value." if size else "This class has no samples in the test set."
    return dmc.Text(text, size="sm", c="dimmed")
