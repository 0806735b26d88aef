"""Feature maps: pick a sample, see every filter of a layer, enlarge one beside the input."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from dashboard import ids, state
from dashboard.components.controls import card, facts, number, segments, select
from dashboard.components.graph import graph
from dashboard.figures import box
from dashboard.figures.feature_map import feature_map_figure, image_figure
from dashboard.figures.montage import montage_figure, montage_tiling, shrink_step
from dashboard.figures.probability import probability_figure
from dashboard.figures.theme import theme_for
from dashboard.source import Snapshot, Source
from dashboard.views.record import View


def layout(snapshot: Snapshot, shown: state.State) -> Component:
    """The page: the picker on the left, the montage and the enlarged filter on the right."""
    catalog = snapshot.catalog
    return html.Div(
        [
            dcc.Store(id=ids.MAPS_QUERY),
            html.Div([_picker(catalog, shown), _sample_card()], className="side"),
            html.Div([_montage_card(catalog, shown), _filter_card(catalog, shown)]),
        ],
        className="page",
    )


def _picker(catalog: state.Catalog, shown: state.State) -> Component:
    classes = {str(index): name for index, name in enumerate(catalog.class_names)}
    return card(
        [
            select(
                ids.MAPS_CLASS,
                caption="Class",
                options=classes,
                value=None if shown.class_index is None else str(shown.class_index),
                clearable=True,
                placeholder="All classes",
            ),
            segments(
                ids.MAPS_OUTCOME,
                caption="Prediction",
                options=state.OUTCOMES,
                value=shown.outcome,
            ),
            html.Div(
                [
                    number(
                        ids.MAPS_SAMPLE,
                        caption="Index",
                        value=shown.sample,
                        largest=catalog.n_samples - 1,
                    ),
                    _step(ids.MAPS_PREVIOUS, "‹", "Previous sample (←)"),
                    _step(ids.MAPS_NEXT, "›", "Next sample (→)"),
                ],
                className="stepper",
            ),
            dmc.Text(id=ids.MAPS_POSITION, size="sm", c="dimmed"),
        ],
        title="Sample",
    )


def _step(component_id: str, sign: str, meaning: str) -> Component:
    return dmc.Tooltip(
        dmc.ActionIcon(
            sign, id=component_id, variant="default", size=36, **{"aria-label": meaning}
        ),
        label=meaning,
    )


def _sample_card() -> Component:
    return card(
        [
            html.Div(id=ids.MAPS_VERDICT),
            dmc.Text("Probability of each class", size="sm", fw=500),
            graph(ids.MAPS_PROBABILITY, height="230px", bare=True),
        ],
        title="Prediction",
    )


def _montage_card(catalog: state.Catalog, shown: state.State) -> Component:
    return card(
        [
            html.Div(
                [
                    select(
                        ids.MAPS_LAYER,
                        caption="Layer",
                        options={
                            path: f"{path} · {n} filters" for path, n in catalog.n_filters.items()
                        },
                        value=shown.layer,
                    ),
                    segments(
                        ids.MAPS_RANGE,
                        caption="Colours span",
                        options=state.RANGES,
                        value=shown.color_range,
                    ),
                ],
                className="controls",
            ),
            dmc.Text(id=ids.MAPS_MONTAGE_NOTE, size="sm", c="dimmed"),
            html.Div(graph(ids.MAPS_MONTAGE), className="fluid"),
        ],
        title="All filters",
    )


def _filter_card(catalog: state.Catalog, shown: state.State) -> Component:
    return card(
        [
            html.Div(
                [
                    number(
                        ids.MAPS_FILTER,
                        caption="Filter",
                        value=shown.filter_index,
                        largest=catalog.n_filters[shown.layer] - 1,
                    ),
                    html.Div(id=ids.MAPS_FILTER_NOTE),
                ],
                className="controls",
            ),
            html.Div(
                [
                    html.Div(
                        [
                            dmc.Text("Feature map", size="sm", fw=500),
                            graph(ids.MAPS_ENLARGED),
                        ]
                    ),
                    html.Div(
                        [
                            dmc.Text("Input image", size="sm", fw=500),
                            graph(ids.MAPS_INPUT),
                        ]
                    ),
                ],
                className="pair",
            ),
        ],
        title="One filter, beside the input",
    )


def register(app: Dash, source: Source) -> None:
    """Adds the page's callbacks."""

    def parsed(snapshot: Snapshot, **values: object) -> state.State:
        return state.parse(values, snapshot.catalog)[0]

    @app.callback(
        Output(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_PREVIOUS, "n_clicks"),
        Input(ids.MAPS_NEXT, "n_clicks"),
        Input(ids.MAPS_CLASS, "value"),
        Input(ids.MAPS_OUTCOME, "value"),
        State(ids.MAPS_SAMPLE, "value"),
        prevent_initial_call=True,
    )
    def step(_p: int, _n: int, label: str | None, outcome: str, sample: object) -> Any:
        snapshot = source.snapshot()
        shown = parsed(snapshot, sample=sample, outcome=outcome, **{"class": label})
        matching = snapshot.matching(shown.class_index, shown.outcome)
        direction = {ids.MAPS_PREVIOUS: -1, ids.MAPS_NEXT: 1}.get(str(ctx.triggered_id), 0)
        chosen = neighbour(matching, shown.sample, direction)
        return no_update if chosen is None or chosen == sample else chosen

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
        one = snapshot.sample(parsed(snapshot, sample=sample).sample)
        names = snapshot.catalog.class_names
        bars = probability_figure(one.probability, class_names=names, label=one.label, theme=theme)
        right = one.label == one.prediction
        verdict = dmc.Group(
            [
                _badge(f"label {names[one.label]}", right=True),
                _badge(f"predicted {names[one.prediction]}", right=right),
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
        shown = parsed(snapshot, sample=sample, outcome=outcome, **{"class": label})
        matching = snapshot.matching(shown.class_index, shown.outcome)
        return position_text(matching, shown.sample, snapshot.catalog.n_samples)

    @app.callback(
        Output(ids.MAPS_MONTAGE, "figure"),
        Output(ids.MAPS_MONTAGE, "style"),
        Output(ids.MAPS_MONTAGE_NOTE, "children"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_RANGE, "value"),
        Input(ids.SCHEME, "data"),
    )
    def draw_montage(
        layer: str, sample: object, filter_index: object, color_range: str, scheme: str
    ) -> tuple[go.Figure, dict[str, str], str]:
        snapshot = source.snapshot()
        shown = parsed(snapshot, layer=layer, sample=sample, filter=filter_index, range=color_range)
        maps = snapshot.layer(shown.layer).feature_maps(shown.sample)
        figure = montage_figure(
            maps,
            ranges=color_ranges(snapshot, shown, maps),
            selected=shown.filter_index,
            theme=theme_for(scheme),
            revision=shown.layer,
        )
        style = box.MONTAGE.fluid(montage_tiling(maps.shape).shape)
        return figure, style, montage_note(maps.shape, shown.color_range)

    @app.callback(
        Output(ids.MAPS_ENLARGED, "figure"),
        Output(ids.MAPS_ENLARGED, "style"),
        Output(ids.MAPS_FILTER_NOTE, "children"),
        Input(ids.MAPS_LAYER, "value"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_RANGE, "value"),
        Input(ids.SCHEME, "data"),
    )
    def draw_filter(
        layer: str, sample: object, filter_index: object, color_range: str, scheme: str
    ) -> tuple[go.Figure, dict[str, str], Component]:
        snapshot = source.snapshot()
        shown = parsed(snapshot, layer=layer, sample=sample, filter=filter_index, range=color_range)
        maps = snapshot.layer(shown.layer).feature_maps(shown.sample)
        low, high = color_ranges(snapshot, shown, maps)[:, shown.filter_index]
        values = maps[:, :, shown.filter_index]
        figure = feature_map_figure(
            values, span=(float(low), float(high)), theme=theme_for(scheme), revision=shown.layer
        )
        whole_set = snapshot.filter_range(shown.layer)[:, shown.filter_index]
        style = box.MAP.fixed((values.shape[0], values.shape[1]))
        return figure, style, facts(filter_facts(values, whole_set))

    @app.callback(
        Output(ids.MAPS_FILTER, "value"),
        Output(ids.MAPS_FILTER, "max"),
        Input(ids.MAPS_MONTAGE, "clickData"),
        Input(ids.MAPS_LAYER, "value"),
        State(ids.MAPS_FILTER, "value"),
        prevent_initial_call=True,
    )
    def choose_filter(click: dict[str, Any] | None, layer: str, current: object) -> Any:
        snapshot = source.snapshot()
        if ctx.triggered_id == ids.MAPS_MONTAGE and click:
            point = click["points"][0]
            shape = snapshot.layer(parsed(snapshot, layer=layer).layer).shape
            clicked = montage_tiling(shape).locate(int(point["y"]), int(point["x"]))
            current = current if clicked is None else clicked[0]
        shown = parsed(snapshot, layer=layer, filter=current)
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
        catalog = source.snapshot().catalog
        values = {
            "layer": layer,
            "sample": sample,
            "filter": filter_index,
            "class": label,
            "outcome": outcome,
            "range": color_range,
            "statistic": state.parse_query(search, catalog)[0].statistic,
        }
        return state.parse(values, catalog)[0].query()


def _badge(text: str, *, right: bool) -> Component:
    # tt: a class name is shown as it is, not in capitals.
    color = "green" if right else "red"
    return dmc.Badge(text, color=color, variant="light", size="lg", tt="none")


def neighbour(matching: np.ndarray[Any, Any], sample: int, direction: int) -> int | None:
    """The next sample of a selection in a direction; from outside it, the nearest one onwards.

    Args:
        matching: <int64>[n], the selection, ascending.
        sample: where to start from.
        direction: 1 for the next, -1 for the previous, 0 to stay where that is possible.

    Returns:
        A sample of the selection, round the end where need be; None where it is empty.
    """
    if not len(matching):
        return None
    place = int(np.searchsorted(matching, sample))
    inside = place < len(matching) and matching[place] == sample
    if direction > 0 and inside:
        place += 1
    elif direction < 0:
        place -= 1
    return int(matching[place % len(matching)])


def position_text(matching: np.ndarray[Any, Any], sample: int, n_samples: int) -> str:
    """Where a sample stands in a selection, in words."""
    if not len(matching):
        return f"0 of {n_samples:,} samples match; choose another class or prediction."
    place = int(np.searchsorted(matching, sample))
    if len(matching) == n_samples:
        return f"{n_samples:,} samples; the arrow keys step through them."
    if place < len(matching) and matching[place] == sample:
        return f"{place + 1:,} of {len(matching):,} that match, of {n_samples:,} samples"
    return f"Not among the {len(matching):,} that match, of {n_samples:,} samples"


def color_ranges(
    snapshot: Snapshot, shown: state.State, maps: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """What the colours of each filter span, <float64>[2, filter]."""
    if shown.color_range == "map":
        return np.stack([maps.min(axis=(0, 1)), maps.max(axis=(0, 1))]).astype(np.float64)
    whole_set = snapshot.filter_range(shown.layer)
    if shown.color_range == "filter":
        return whole_set
    low, high = whole_set[0].min(), whole_set[1].max()
    return np.stack([np.full(maps.shape[2], low), np.full(maps.shape[2], high)])


def montage_note(shape: tuple[int, ...], color_range: str) -> str:
    """What is shown, of how much, and what the colours mean."""
    height, width, filters = shape
    step = shrink_step((height, width, filters))
    shown = f"All {filters} of {filters} filters, {height}×{width} each. "
    if step > 1:
        shown += f"Each cell is the largest of {step}×{step} values; one filter is shown exactly. "
    return (
        shown
        + {
            "layer": "Colours span the layer's activations over the whole test set.",
            "filter": "Colours span each filter's activations over the whole test set.",
            "map": "Colours span each map's own values: brightness does not compare between maps.",
        }[color_range]
        + " Drag or scroll to zoom, double-click to go back, click to enlarge."
    )


def filter_facts(values: np.ndarray[Any, Any], whole_set: np.ndarray[Any, Any]) -> dict[str, str]:
    """What is said beside an enlarged map."""
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    here = "all zero" if not values.any() else f"{values.max():.6g} at y {y}, x {x}"
    return {
        "Largest here": here,
        "Mean here": f"{values.mean(dtype=np.float64):.6g}",
        "Exactly zero here": f"{np.count_nonzero(values == 0):,} of {values.size:,}",
        "Whole test set": f"{whole_set[0]:.6g} to {whole_set[1]:.6g}",
    }


VIEW = View(
    name="maps",
    title="Feature maps",
    description="Every filter of a layer for one sample, and one of them beside the input.",
    query_id=ids.MAPS_QUERY,
    layout=layout,
    register=register,
)
