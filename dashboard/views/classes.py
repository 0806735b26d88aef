"""Classes: a statistic for each class and filter; a cell opens the class's mean map."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, Patch, State, ctx, dcc, html
from dash.development.base_component import Component

from dashboard import ids, state
from dashboard.components.controls import card, number, select
from dashboard.components.graph import clicked_cell, graph, redraw
from dashboard.figures import box
from dashboard.figures.class_statistic import class_statistic_figure
from dashboard.figures.feature_map import empty_figure, feature_map_figure
from dashboard.figures.theme import theme_for
from dashboard.source import Snapshot, Source
from dashboard.views.record import View
from fmcore.statistics import STATISTICS, Statistic


def layout(snapshot: Snapshot, shown: state.State) -> Component:
    """The page: the heatmap, and below it one class and filter."""
    catalog = snapshot.catalog
    layers = {path: f"{path} · {n} filters" for path, n in catalog.n_filters.items()}
    statistics = {name: STATISTICS[name].title for name in catalog.statistics}
    classes = {str(index): name for index, name in enumerate(catalog.class_names)}
    return html.Div(
        [
            dcc.Store(id=ids.CLASSES_QUERY),
            dcc.Store(id=ids.CLASSES_DRAWN),
            card(
                [
                    html.Div(
                        [
                            select(
                                ids.CLASSES_LAYER,
                                caption="Layer",
                                options=layers,
                                value=shown.layer,
                            ),
                            select(
                                ids.CLASSES_STATISTIC,
                                caption="Statistic",
                                options=statistics,
                                value=shown.statistic,
                            ),
                        ],
                        className="controls",
                    ),
                    dmc.Text(id=ids.CLASSES_MEANING, size="sm", c="dimmed"),
                    graph(ids.CLASSES_HEATMAP, height="400px"),
                ],
                title="Every class and filter",
            ),
            card(
                [
                    html.Div(
                        [
                            select(
                                ids.CLASSES_CLASS,
                                caption="Class",
                                options=classes,
                                value=_option(shown.class_index),
                                placeholder=catalog.class_names[0],
                            ),
                            number(
                                ids.CLASSES_FILTER,
                                caption="Filter",
                                value=shown.filter_index,
                                largest=catalog.n_filters[shown.layer] - 1,
                            ),
                        ],
                        className="controls",
                    ),
                    html.Div(
                        [
                            html.Div(
                                [
                                    dmc.Text("Mean map of the class", size="sm", fw=500),
                                    graph(ids.CLASSES_MEAN_MAP),
                                ]
                            ),
                            html.Div(id=ids.CLASSES_NUMBERS),
                        ],
                        className="pair",
                    ),
                ],
                title="One class and filter",
            ),
        ],
        className="stack",
    )


def register(app: Dash, source: Source) -> None:
    """Adds the page's callbacks."""

    @app.callback(
        Output(ids.CLASSES_HEATMAP, "figure"),
        Output(ids.CLASSES_DRAWN, "data"),
        Output(ids.CLASSES_MEANING, "children"),
        Input(ids.CLASSES_LAYER, "value"),
        Input(ids.CLASSES_STATISTIC, "value"),
        Input(ids.CLASSES_CLASS, "value"),
        Input(ids.CLASSES_FILTER, "value"),
        Input(ids.SCHEME, "data"),
        State(ids.CLASSES_DRAWN, "data"),
    )
    def draw_heatmap(
        layer: str,
        statistic: str,
        class_index: object,
        filter_index: object,
        scheme: str,
        drawn: object,
    ) -> tuple[go.Figure | Patch, str, str]:
        snapshot = source.snapshot()
        shown = snapshot.state(
            layer=layer, statistic=statistic, filter_index=filter_index, class_index=class_index
        )
        about, one = STATISTICS[shown.statistic], snapshot.layer(shown.layer)
        figure = class_statistic_figure(
            snapshot.statistic(shown.layer, shown.statistic),
            chance=one.chance(shown.statistic),
            title=about.title,
            neutral=about.neutral,
            class_names=snapshot.catalog.class_names,
            selected=(shown.class_index or 0, shown.filter_index),
            theme=theme_for(scheme),
        )
        return (
            *redraw(figure, axes=f"{shown.layer} {scheme}", drawn=drawn),
            caption(about, n_samples=int(snapshot.class_sizes.sum())),
        )

    @app.callback(
        Output(ids.CLASSES_MEAN_MAP, "figure"),
        Output(ids.CLASSES_MEAN_MAP, "style"),
        Output(ids.CLASSES_NUMBERS, "children"),
        Input(ids.CLASSES_LAYER, "value"),
        Input(ids.CLASSES_CLASS, "value"),
        Input(ids.CLASSES_FILTER, "value"),
        Input(ids.SCHEME, "data"),
    )
    def draw_cell(
        layer: str, class_index: object, filter_index: object, scheme: str
    ) -> tuple[go.Figure, dict[str, str], Component]:
        snapshot, theme = source.snapshot(), theme_for(scheme)
        shown = snapshot.state(layer=layer, filter_index=filter_index, class_index=class_index)
        row, column = shown.class_index or 0, shown.filter_index
        one = snapshot.layer(shown.layer)
        mean_map = one.mean_map(row, column)
        if mean_map is None:
            reason = str(one.attributes["class_maps"])
            figure = empty_figure(f"This store keeps no mean maps<br>({reason})", theme=theme)
        elif not snapshot.class_sizes[row]:
            figure = empty_figure("This class has no samples", theme=theme)
        else:
            span = (float(mean_map.min()), float(mean_map.max()))
            figure = feature_map_figure(mean_map, span=span, theme=theme, title="mean activation")
        style = box.MAP.fixed((one.shape[0], one.shape[1]))
        return figure, style, numbers_table(snapshot, shown.layer, row, column)

    @app.callback(
        Output(ids.CLASSES_CLASS, "value"),
        Output(ids.CLASSES_FILTER, "value"),
        Output(ids.CLASSES_FILTER, "max"),
        Input(ids.CLASSES_HEATMAP, "clickData"),
        Input(ids.CLASSES_LAYER, "value"),
        State(ids.CLASSES_CLASS, "value"),
        State(ids.CLASSES_FILTER, "value"),
        prevent_initial_call=True,
    )
    def choose_cell(
        click: object, layer: str, class_index: object, filter_index: object
    ) -> tuple[str | None, int, int]:
        snapshot = source.snapshot()
        cell = clicked_cell(click) if ctx.triggered_id == ids.CLASSES_HEATMAP else None
        if cell is not None:
            class_index, filter_index = cell
        shown = snapshot.state(layer=layer, filter_index=filter_index, class_index=class_index)
        largest = snapshot.catalog.n_filters[shown.layer] - 1
        return _option(shown.class_index), shown.filter_index, largest

    @app.callback(
        Output(ids.CLASSES_QUERY, "data"),
        Input(ids.CLASSES_LAYER, "value"),
        Input(ids.CLASSES_STATISTIC, "value"),
        Input(ids.CLASSES_CLASS, "value"),
        Input(ids.CLASSES_FILTER, "value"),
        State(ids.URL, "search"),
    )
    def remember(
        layer: str, statistic: str, class_index: object, filter_index: object, search: str | None
    ) -> str:
        return state.updated_query(
            search,
            source.snapshot().catalog,
            layer=layer,
            filter_index=filter_index,
            class_index=class_index,
            statistic=statistic,
        )


def caption(about: Statistic, *, n_samples: int) -> str:
    """What a statistic is, in words, with its source and its chance level."""
    chance = f" Chance level: {about.chance}; hover shows it." if about.chance else ""
    return (
        f"{about.definition}{chance} Source: {about.source}. {n_samples:,} samples. "
        "Click a cell to open it."
    )


def numbers_table(snapshot: Snapshot, layer: str, row: int, column: int) -> Component:
    """Every statistic of a class and filter, beside the same over the other classes."""
    one = snapshot.layer(layer)
    lines = []
    for name in snapshot.catalog.statistics:
        across, band = snapshot.statistic(layer, name)[:, column], one.chance(name)
        chance = "" if band is None else _between(*band[:, row, column])
        values = (across[row], np.fmin.reduce(across), np.fmax.reduce(across))
        numbers = [_number(value) for value in values]
        lines.append([STATISTICS[name].title, numbers[0], chance, *numbers[1:]])
    name = snapshot.catalog.class_names[row]
    title = f"Class {name}, filter {column} of {layer}, {snapshot.class_sizes[row]:,} samples"
    head = ["", "This class", "By chance (95%)", "Smallest over classes", "Largest over classes"]
    return dmc.Stack(
        [dmc.Text(title, size="sm", fw=500), dmc.Table(data={"head": head, "body": lines})]
    )


def _option(class_index: int | None) -> str | None:
    return None if class_index is None else str(class_index)


def _between(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}" if np.isfinite(low) else "–"


def _number(value: Any) -> str:
    if value.dtype.kind == "f" and not np.isfinite(value):
        return "–"
    return f"{int(value):,}" if value.dtype.kind in "iu" else f"{float(value):.6g}"


VIEW = View(
    name="classes",
    title="Classes",
    description="A statistic for each class and filter, and the mean map behind a cell.",
    query_id=ids.CLASSES_QUERY,
    layout=layout,
    register=register,
)
