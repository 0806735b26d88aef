"""The callbacks of the page: parse, fetch, draw."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import plotly.graph_objects as go
from dash import Dash, Input, Output, Patch, State, ctx, no_update
from dash.development.base_component import Component

from dashboard import ids, state
from dashboard.components.controls import facts
from dashboard.components.graph import clicked_cell, redraw
from dashboard.figures import box
from dashboard.figures.feature_map import feature_map_figure, image_figure
from dashboard.figures.montage import montage_figure, montage_tiling
from dashboard.figures.probability import probability_figure
from dashboard.figures.theme import theme_for
from dashboard.source import Source
from dashboard.views.feature_maps.facts import (
    as_count,
    filter_facts,
    montage_note,
    neighbour,
    position_text,
    shown_maps,
)
from fmcore.errors import MapsNotStoredError

# Where a layer was captured without its maps there is nothing to draw.
NO_GRAPH = {"display": "none"}


def register(app: Dash, source: Source) -> None:
    """Adds the page's callbacks."""

    @app.callback(
        Output(ids.MAPS_SAMPLE, "value"),
        Output(ids.MAPS_STEPS, "data"),
        Input(ids.MAPS_PREVIOUS, "n_clicks"),
        Input(ids.MAPS_NEXT, "n_clicks"),
        Input(ids.MAPS_CLASS, "value"),
        Input(ids.MAPS_OUTCOME, "value"),
        State(ids.MAPS_SAMPLE, "value"),
        State(ids.MAPS_STEPS, "data"),
        prevent_initial_call=True,
    )
    def step(
        previous: object,
        following: object,
        label: object,
        outcome: str,
        sample: object,
        done: object,
    ) -> tuple[Any, int]:
        # Dash drops the answers of requests that are overtaken, so each request makes good all
        # steps since the last answer that arrived.
        asked = as_count(following) - as_count(previous)
        snapshot = source.snapshot()
        shown = snapshot.state(sample=sample, outcome=outcome, class_index=label)
        matching = snapshot.matching(shown.class_index, shown.outcome)
        chosen = neighbour(matching, shown.sample, asked - as_count(done))
        return no_update if chosen is None or chosen == sample else chosen, asked

    @app.callback(
        Output(ids.MAPS_VERDICT, "children"),
        Output(ids.MAPS_PROBABILITY, "figure"),
        Output(ids.MAPS_INPUT, "figure"),
        Output(ids.MAPS_INPUT, "style"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.SCHEME, "data"),
    )
    def draw_sample(
        sample: object, scheme: str
    ) -> tuple[Component, go.Figure, go.Figure, dict[str, str]]:
        snapshot, theme = source.snapshot(), theme_for(scheme)
        one = snapshot.sample(snapshot.state(sample=sample).sample)
        names = snapshot.catalog.class_names
        bars = probability_figure(one.probability, class_names=names, label=one.label, theme=theme)
        right = one.label == one.prediction
        verdict = dmc.Group(
            [
                _badge(f"label {names[one.label]}", right=True),
                _badge(
                    f"predicted {names[one.prediction]}{'' if right else ' (wrong)'}", right=right
                ),
            ],
            gap="xs",
        )
        style = box.IMAGE.fixed((one.image.shape[0], one.image.shape[1]))
        return verdict, bars, image_figure(one.image, theme=theme), style

    @app.callback(
        Output(ids.MAPS_POSITION, "children"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_CLASS, "value"),
        Input(ids.MAPS_OUTCOME, "value"),
    )
    def describe_position(sample: object, label: str | None, outcome: str) -> str:
        snapshot = source.snapshot()
        shown = snapshot.state(sample=sample, outcome=outcome, class_index=label)
        matching = snapshot.matching(shown.class_index, shown.outcome)
        return position_text(matching, shown.sample, snapshot.catalog.n_samples)

    @app.callback(
        Output(ids.MAPS_MONTAGE, "figure"),
        Output(ids.MAPS_MONTAGE_DRAWN, "data"),
        Output(ids.MAPS_MONTAGE, "style"),
        Output(ids.MAPS_MONTAGE_NOTE, "children"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_RANGE, "value"),
        Input(ids.SCHEME, "data"),
        State(ids.MAPS_MONTAGE_DRAWN, "data"),
    )
    def draw_montage(
        layer: str,
        sample: object,
        filter_index: object,
        color_range: str,
        scheme: str,
        drawn: object,
    ) -> tuple[go.Figure | Patch, str, dict[str, str], str]:
        snapshot = source.snapshot()
        try:
            shown, maps, ranges = shown_maps(
                snapshot,
                layer=layer,
                sample=sample,
                filter_index=filter_index,
                color_range=color_range,
            )
        except MapsNotStoredError as error:
            return go.Figure(), "", NO_GRAPH, str(error)
        figure = montage_figure(
            maps,
            ranges=ranges,
            selected=shown.filter_index,
            theme=theme_for(scheme),
        )
        style = box.MONTAGE.fluid(montage_tiling(maps.shape).shape)
        return (
            *redraw(figure, axes=f"{shown.layer} {scheme}", drawn=drawn),
            style,
            montage_note(maps.shape, shown.color_range),
        )

    @app.callback(
        Output(ids.MAPS_ENLARGED, "figure"),
        Output(ids.MAPS_ENLARGED_DRAWN, "data"),
        Output(ids.MAPS_ENLARGED, "style"),
        Output(ids.MAPS_FILTER_NOTE, "children"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_RANGE, "value"),
        Input(ids.SCHEME, "data"),
        State(ids.MAPS_ENLARGED_DRAWN, "data"),
    )
    def draw_filter(
        layer: str,
        sample: object,
        filter_index: object,
        color_range: str,
        scheme: str,
        drawn: object,
    ) -> tuple[go.Figure | Patch, str, dict[str, str], Component]:
        snapshot = source.snapshot()
        try:
            shown, maps, ranges = shown_maps(
                snapshot,
                layer=layer,
                sample=sample,
                filter_index=filter_index,
                color_range=color_range,
            )
        except MapsNotStoredError:  # said once, where the montage would be
            return go.Figure(), "", NO_GRAPH, facts({})
        low, high = ranges[:, shown.filter_index]
        values = maps[:, :, shown.filter_index]
        figure = feature_map_figure(values, span=(float(low), float(high)), theme=theme_for(scheme))
        whole_set = snapshot.filter_range(shown.layer)[:, shown.filter_index]
        style = box.MAP.fixed((values.shape[0], values.shape[1]))
        return (
            *redraw(figure, axes=f"{shown.layer} {scheme}", drawn=drawn),
            style,
            facts(filter_facts(values, whole_set)),
        )

    @app.callback(
        Output(ids.MAPS_FILTER, "value"),
        Output(ids.MAPS_FILTER, "max"),
        Input(ids.MAPS_MONTAGE, "clickData"),
        Input(ids.MAPS_LAYER, "value"),
        State(ids.MAPS_FILTER, "value"),
        prevent_initial_call=True,
    )
    def choose_filter(click: object, layer: str, current: object) -> Any:
        snapshot = source.snapshot()
        cell = clicked_cell(click) if ctx.triggered_id == ids.MAPS_MONTAGE else None
        if cell is not None:
            shape = snapshot.layer(snapshot.state(layer=layer).layer).shape
            place = montage_tiling(shape).locate(*cell)
            current = current if place is None else place[0]
        shown = snapshot.state(layer=layer, filter_index=current)
        largest = snapshot.catalog.n_filters[shown.layer] - 1
        return shown.filter_index, largest

    @app.callback(
        Output(ids.MAPS_QUERY, "data"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_CLASS, "value"),
        Input(ids.MAPS_OUTCOME, "value"),
        Input(ids.MAPS_RANGE, "value"),
        State(ids.URL, "search"),
    )
    def remember(
        layer: str,
        sample: object,
        filter_index: object,
        label: str | None,
        outcome: str,
        color_range: str,
        search: str | None,
    ) -> str:
        return state.updated_query(
            search,
            source.snapshot().catalog,
            layer=layer,
            sample=sample,
            filter_index=filter_index,
            class_index=label,
            outcome=outcome,
            color_range=color_range,
        )


def _badge(text: str, *, right: bool) -> Component:
    # tt: a class name is shown as it is, not in capitals.
    color = "green" if right else "red"
    return dmc.Badge(text, color=color, variant="light", size="lg", tt="none")
