"""The callbacks of the page: parse, fetch, draw."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, no_update

from dashboard.components.controls import as_count
from dashboard.components.graph import NO_GRAPH, NOTHING
from dashboard.components.nodes import Node
from dashboard.figures.histogram import histogram_figure
from dashboard.figures.kernel import ROOM, kernel_cells, kernel_figure
from dashboard.figures.theme import Figure, theme_for
from dashboard.pages import ids, state
from dashboard.pages.filter import facts, panels, raw, scores, tables
from dashboard.pages.filter.header import header
from dashboard.pages.filter.layout import CLASSES_AT_ONCE, HISTOGRAM_HEIGHT
from dashboard.pages.state import state_for
from dashboard.stores.source import Source
from fmcore.errors import StatisticNotFoundError
from fmcore.files import size_text

CHOICE = (
    Input(ids.FILTER_LAYER, "value"),
    Input(ids.FILTER_FILTER, "value"),
    Input(ids.FILTER_CLASS, "value"),
)


def register(app: Dash, source: Source) -> None:
    """Adds the page's callbacks."""
    _register_selection(app, source)
    _register_samples(app, source)
    _register_figures(app, source)

    @app.callback(Output(ids.FILTER_SCORES, "children"), *CHOICE)
    def draw_scores(layer: str, filter_index: object, class_index: object) -> list[Node]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog, layer=layer, filter_index=filter_index, class_index=class_index
        )
        where = (snapshot, shown.layer, shown.filter_index)
        n_samples = snapshot.catalog.n_samples
        try:
            if not snapshot.catalog.has_classes:
                numbers = tables.filter_numbers(scores.not_pooled(*where), n_samples)
                return [panels.no_class_scores(snapshot), numbers]
            rows = scores.of_class(*where, shown.class_index)  # says best why there are none
            undefined = scores.undefined_reasons(*where)
            found = scores.of_filter(*where)
        except StatisticNotFoundError as error:
            return [panels.none(error)]
        return panels.score_panel(
            undefined,
            tables.class_scores(snapshot, shown, rows),
            tables.filter_scores(found, n_samples),
            n_rows=len(rows),
            n_classes=len(snapshot.catalog.class_names),
        )

    @app.callback(Output(ids.FILTER_RAW, "children"), *CHOICE, State(ids.URL, "href"))
    def draw_raw(
        layer: str, filter_index: object, class_index: object, page: str | None
    ) -> list[Node]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog, layer=layer, filter_index=filter_index, class_index=class_index
        )
        one = snapshot.layer(shown.layer)
        address = (page or "").encode("utf-8", "replace").decode()  # JSON has no lone surrogates
        parts = raw.parts(
            snapshot, shown.layer, shown.filter_index, shown.class_index, page=address
        )
        why, name = "", snapshot.file_name
        if not one.has_maps:
            why = f"{name} keeps no maps of {one.path}: it was captured with the policy pooled."
        stored = f"{size_text(one.stored_bytes)} in the file"
        return tables.raw_arrays(parts, why_no_maps=why, stored=stored)


def _register_selection(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.FILTER_FILTER, "value"),
        Output(ids.FILTER_FILTER, "max"),
        Output(ids.FILTER_STEPS, "data"),
        Input(ids.FILTER_PREVIOUS, "n_clicks"),
        Input(ids.FILTER_NEXT, "n_clicks"),
        Input(ids.FILTER_LAYER, "value"),
        State(ids.FILTER_FILTER, "value"),
        State(ids.FILTER_STEPS, "data"),
        prevent_initial_call=True,
    )
    def step(
        previous: object, following: object, layer: str, filter_index: object, done: object
    ) -> tuple[Any, int, int]:
        # Dash drops the answers of requests that are overtaken, so each request makes good all
        # steps since the last answer that arrived.
        asked = as_count(following) - as_count(previous)
        snapshot = source.snapshot()
        shown = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
        n_filters = snapshot.catalog.n_filters[shown.layer]
        chosen = (shown.filter_index + asked - as_count(done)) % n_filters
        return no_update if chosen == filter_index else chosen, n_filters - 1, asked

    @app.callback(
        Output(ids.FILTER_QUERY, "data"),
        *CHOICE,
        State(ids.URL, "search"),
    )
    def remember(layer: str, filter_index: object, class_index: object, search: str | None) -> str:
        return state.updated_query(
            search,
            source.snapshot().catalog,
            layer=layer,
            filter_index=filter_index,
            class_index=class_index,
        )

    @app.callback(Output(ids.FILTER_SIMILAR, "children"), *CHOICE)
    def draw_similar(layer: str, filter_index: object, class_index: object) -> Node:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog, layer=layer, filter_index=filter_index, class_index=class_index
        )
        try:
            found = snapshot.layer(shown.layer).similar(shown.filter_index)
        except StatisticNotFoundError as error:
            return panels.none(error)
        few = [index for index, _ in found[: tables.MOST_SIMILAR]]
        strongest = facts.strongest_of(snapshot, shown.layer, few)
        return tables.similar_filters(snapshot, shown, found, strongest)


def _register_samples(app: Dash, source: Source) -> None:
    @app.callback(Output(ids.FILTER_HEADER, "children"), *CHOICE)
    def draw_header(layer: str, filter_index: object, class_index: object) -> list[Node]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog, layer=layer, filter_index=filter_index, class_index=class_index
        )
        pictures = panels.Pictures(snapshot, shown.layer, shown.filter_index)
        found = facts.responses(snapshot, shown.layer, shown.filter_index)[0]
        return header(snapshot, shown, pictures, found[0] if found else None)

    @app.callback(Output(ids.FILTER_STRONGEST, "children"), *CHOICE)
    def draw_strongest(layer: str, filter_index: object, class_index: object) -> list[Node]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog, layer=layer, filter_index=filter_index, class_index=class_index
        )
        pictures = panels.Pictures(snapshot, shown.layer, shown.filter_index)
        return panels.strongest_panel(snapshot, shown, pictures)

    @app.callback(
        Output(ids.FILTER_BANDS, "children"),
        Input(ids.FILTER_LAYER, "value"),
        Input(ids.FILTER_FILTER, "value"),
    )
    def draw_bands(layer: str, filter_index: object) -> list[Node]:
        snapshot = source.snapshot()
        shown = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
        pictures = panels.Pictures(snapshot, shown.layer, shown.filter_index)
        return panels.bands_panel(snapshot, shown, pictures)

    @app.callback(
        Output(ids.FILTER_CLASSES, "children"),
        *CHOICE,
        Input(ids.FILTER_CLASSES_PAGE, "value"),
    )
    def draw_classes(
        layer: str, filter_index: object, class_index: object, page: object
    ) -> list[Node]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog, layer=layer, filter_index=filter_index, class_index=class_index
        )
        pictures = panels.Pictures(snapshot, shown.layer, shown.filter_index)
        n_classes = len(snapshot.catalog.class_names)
        first = CLASSES_AT_ONCE * (max(1, as_count(page)) - 1) % n_classes
        classes = range(first, min(first + CLASSES_AT_ONCE, n_classes))
        return panels.classes_panel(snapshot, shown, pictures, classes)


def _register_figures(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.FILTER_KERNEL, "figure"),
        Output(ids.FILTER_KERNEL, "style"),
        Output(ids.FILTER_KERNEL_NOTE, "children"),
        Input(ids.FILTER_LAYER, "value"),
        Input(ids.FILTER_FILTER, "value"),
        Input(ids.SCHEME, "data"),
    )
    def draw_kernel(
        layer: str, filter_index: object, scheme: str
    ) -> tuple[Figure, dict[str, str], str]:
        snapshot = source.snapshot()
        shown = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
        kernel, bias = snapshot.kernel(shown.layer), snapshot.layer(shown.layer).bias
        if kernel is None:
            return NOTHING, NO_GRAPH, "This store keeps no kernel of the layer."
        weights = kernel[..., shown.filter_index]
        cells = kernel_cells(weights.shape)
        figure = kernel_figure(weights, theme=theme_for(scheme))
        style = ROOM.fixed(cells[:2], longest=190)
        return figure, style, facts.kernel_note(weights.shape, bias, shown.filter_index)

    @app.callback(
        Output(ids.FILTER_HISTOGRAM, "figure"),
        Output(ids.FILTER_HISTOGRAM, "style"),
        Output(ids.FILTER_HISTOGRAM_NOTE, "children"),
        *CHOICE,
        Input(ids.FILTER_SCALE, "value"),
        Input(ids.SCHEME, "data"),
    )
    def draw_histogram(
        layer: str, filter_index: object, class_index: object, scale: str, scheme: str
    ) -> tuple[Figure, dict[str, str], str]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog, layer=layer, filter_index=filter_index, class_index=class_index
        )
        where = (snapshot, shown.layer, shown.filter_index)
        try:
            found = facts.distribution(*where, shown.class_index)
        except StatisticNotFoundError as error:
            return NOTHING, NO_GRAPH, str(error)
        if found is None:
            text = "Every finite activation of this filter is exactly zero, in the whole test set."
            return NOTHING, NO_GRAPH, text
        figure = histogram_figure(
            found.shares,
            names=found.names,
            front=found.front,
            is_log=scale == "log",
            theme=theme_for(scheme),
        )
        return figure, {"height": HISTOGRAM_HEIGHT}, found.note
