"""The callbacks of the page: parse, fetch, draw. What a step of the sample needs is in wall.js."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, Patch, State, ctx, no_update

from dashboard.components.controls import facts
from dashboard.components.graph import NO_GRAPH, NOTHING, redraw
from dashboard.components.nodes import Node, dcc, dmc
from dashboard.figures import box
from dashboard.figures.feature_map import feature_map_figure
from dashboard.figures.kernel import ROOM, kernel_cells, kernel_figure
from dashboard.figures.probability import probability_figure
from dashboard.figures.theme import Figure, theme_for
from dashboard.pages import ids, state
from dashboard.pages.feature_maps.facts import RANGE_WORDS, color_range, filter_facts
from dashboard.pages.feature_maps.picks import page_of, picks, position_text, thumbnails
from dashboard.pages.feature_maps.scripts import register_scripts
from dashboard.pages.feature_maps.wall import described, order_scores
from dashboard.pages.state import state_for
from dashboard.pages.words import sample_targets
from dashboard.stores.source import Source
from fmcore.errors import MapsNotStoredError, StatisticNotFoundError


def register(app: Dash, source: Source) -> None:
    """Adds the page's callbacks."""
    register_scripts(app)
    _register_wall(app, source)
    _register_samples(app, source)
    _register_filter(app, source)

    @app.callback(
        Output(ids.MAPS_QUERY, "data"),
        Output(ids.MAPS_FILTER_LINK, "children"),
        {
            "layer": Input(ids.MAPS_LAYER, "value"),
            "sample": Input(ids.MAPS_SETTLED, "data"),
            "filter_index": Input(ids.MAPS_FILTER, "value"),
            "class_index": Input(ids.MAPS_CLASS, "value"),
            "outcome": Input(ids.MAPS_OUTCOME, "value"),
            "picked": Input(ids.MAPS_PICKED, "value"),
            "color_range": Input(ids.MAPS_RANGE, "value"),
            "filter_order": Input(ids.MAPS_ORDER, "value"),
            "dead": Input(ids.MAPS_DEAD, "checked"),
            "zeros": Input(ids.MAPS_ZEROS, "checked"),
            "zoom": Input(ids.MAPS_ZOOM, "value"),
            "window": Input(ids.MAPS_WINDOW, "data"),
            "search": State(ids.URL, "search"),
        },
    )
    def remember(search: str | None, dead: bool, zeros: bool, **values: object) -> tuple[str, Node]:
        catalog = source.snapshot().catalog
        query = state.updated_query(
            search,
            catalog,
            dead="hide" if dead else "show",
            zeros="mark" if zeros else "plain",
            **values,
        )
        shown = state.parse_query(query, catalog)[0]
        words = (
            f"Filter {shown.filter_index} of {shown.layer}: what excites it most, its scores, its "
            "arrays →"
        )
        return query, dcc.Link(words, href=f"filter{query}")


def _register_wall(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.MAPS_FACTS, "data"),
        Output(ids.MAPS_FILTER, "value"),
        Output(ids.MAPS_FILTER, "max"),
        Input(ids.MAPS_LAYER, "value"),
        State(ids.MAPS_FILTER, "value"),
    )
    def describe_layer(layer: str, filter_index: object) -> tuple[dict[str, Any], int, int]:
        snapshot = source.snapshot()
        shown = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
        largest = snapshot.catalog.n_filters[shown.layer] - 1
        return described(snapshot, shown.layer), shown.filter_index, largest

    @app.callback(
        Output(ids.MAPS_SCORES, "data"),
        Output(ids.MAPS_ORDER_NOTE, "children"),
        Input(ids.MAPS_ORDER, "value"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_CLASS, "value"),
        Input(ids.MAPS_SETTLED, "data"),
        Input(ids.MAPS_RANGE, "value"),
        State(ids.MAPS_SCORES, "data"),
    )
    def order_filters(
        order: str,
        layer: str,
        filter_index: object,
        label: object,
        sample: object,
        color_range: str,
        known: object,
    ) -> tuple[Any, str]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog,
            filter_order=order,
            layer=layer,
            filter_index=filter_index,
            class_index=label,
            sample=sample,
            color_range=color_range,
        )
        try:
            scores, words = order_scores(snapshot, shown)
        except StatisticNotFoundError as error:
            scores, words = None, f"In order of index: {error}."
        # The same again would have the wall drawn once more.
        return no_update if scores == known else scores, (
            f"{RANGE_WORDS[shown.color_range]} {words}"
        )


def _register_samples(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.MAPS_PICKS, "data"),
        Input(ids.MAPS_CLASS, "value"),
        Input(ids.MAPS_OUTCOME, "value"),
        Input(ids.MAPS_PICKED, "value"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_FILTER, "value"),
    )
    def choose_samples(
        label: object, outcome: str, picked: str, layer: str, filter_index: object
    ) -> dict[str, Any]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog,
            class_index=label,
            outcome=outcome,
            picked=picked,
            layer=layer,
            filter_index=filter_index,
        )
        # A link may show a sample beside a selection that it is not in.
        made = ctx.triggered_id in (ids.MAPS_CLASS, ids.MAPS_OUTCOME, ids.MAPS_PICKED)
        return picks(snapshot, shown) | {"made": made}

    @app.callback(
        Output(ids.MAPS_THUMBNAILS, "children"),
        Input(ids.MAPS_PICKS, "data"),
        Input(ids.MAPS_PAGE, "data"),
    )
    def show_thumbnails(chosen: dict[str, Any], page: int) -> list[Node]:
        samples = page_of(chosen, page or 0)
        return thumbnails(source.snapshot(), chosen, samples)

    @app.callback(
        Output(ids.MAPS_POSITION, "children"),
        Input(ids.MAPS_PICKS, "data"),
        Input(ids.MAPS_SETTLED, "data"),
    )
    def describe_position(chosen: dict[str, Any], sample: int) -> str:
        return position_text(chosen, sample)

    @app.callback(
        Output(ids.MAPS_VERDICT, "children"),
        Output(ids.MAPS_PROBABILITY, "figure"),
        Input(ids.MAPS_SETTLED, "data"),
        Input(ids.SCHEME, "data"),
    )
    def draw_sample(sample: object, scheme: str) -> tuple[Node, Any]:
        snapshot, theme = source.snapshot(), theme_for(scheme)
        one = snapshot.sample(state_for(snapshot.catalog, sample=sample).sample)
        names, badges = snapshot.catalog.class_names, []
        bars: Any = no_update
        if snapshot.store.has_labels:
            badges.append(_badge(f"label {names[one.label]}", right=True))
        if one.prediction is not None and one.probability is not None:
            right = one.label == one.prediction
            wrong = "" if right else " (wrong)"
            badges.append(_badge(f"predicted {names[one.prediction]}{wrong}", right=right))
            bars = probability_figure(
                one.probability, class_names=names, label=one.label, theme=theme
            )
        head, rows, note = sample_targets(snapshot, one.index)
        said: list[Node] = [dmc.Group(badges, gap="xs")] if badges else []
        if rows:
            said.append(dmc.Table(data={"head": head, "body": rows}, className="sample-targets"))
        if note:
            said.append(dmc.Text(note, size="sm", c="dimmed"))
        return dmc.Stack(said, gap="xs"), bars


def _register_filter(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.MAPS_ENLARGED, "figure"),
        Output(ids.MAPS_ENLARGED_DRAWN, "data"),
        Output(ids.MAPS_ENLARGED, "style"),
        Output(ids.MAPS_FILTER_NOTE, "children"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_SETTLED, "data"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_RANGE, "value"),
        Input(ids.SCHEME, "data"),
        State(ids.MAPS_ENLARGED_DRAWN, "data"),
    )
    def draw_filter(
        layer: str,
        sample: object,
        filter_index: object,
        kind: str,
        scheme: str,
        drawn: object,
    ) -> tuple[Figure | Patch, str, dict[str, str], Node]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog,
            layer=layer,
            sample=sample,
            filter_index=filter_index,
            color_range=kind,
        )
        one, index = snapshot.layer(shown.layer), shown.filter_index
        try:
            values = one.feature_maps(shown.sample)[:, :, index]
        except MapsNotStoredError:  # said once, where the wall would be
            return NOTHING, "", NO_GRAPH, facts({})
        about = described(snapshot, shown.layer)
        span = color_range(values, kind=shown.color_range, facts=about, filter_index=index)
        figure = feature_map_figure(
            values, span=span, theme=theme_for(scheme), signed=about["signed"]
        )
        return (
            *redraw(figure, axes=f"{shown.layer} {scheme}", drawn=drawn),
            box.MAP.fixed(values.shape, longest=270),
            facts(filter_facts(values, (about["low"][index], about["high"][index]))),
        )

    @app.callback(
        Output(ids.MAPS_KERNEL, "figure"),
        Output(ids.MAPS_KERNEL, "style"),
        Output(ids.MAPS_KERNEL_NOTE, "children"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.SCHEME, "data"),
    )
    def draw_kernel(
        layer: str, filter_index: object, scheme: str
    ) -> tuple[Figure, dict[str, str], str]:
        snapshot = source.snapshot()
        shown = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
        index = shown.filter_index
        kernel = snapshot.kernel(shown.layer)
        if kernel is None:
            return NOTHING, NO_GRAPH, "This store keeps no kernel of the layer."
        figure = kernel_figure(kernel[..., index], theme=theme_for(scheme))
        cells = kernel_cells(kernel.shape[:3])[:2]
        return figure, ROOM.fixed(cells, longest=150), ""


def _badge(text: str, *, right: bool) -> Node:
    # tt: a class name is shown as it is, not in capitals.
    color = "green" if right else "red"
    return dmc.Badge(text, color=color, variant="light", size="lg", tt="none")
