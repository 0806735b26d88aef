"""The components of the page: the picker, the prediction, the montage, one filter."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard import ids, state
from dashboard.components.controls import card, number, segments, select
from dashboard.components.graph import graph
from dashboard.source import Snapshot


def layout(snapshot: Snapshot, shown: state.State) -> Component:
    """The page: the picker on the left, the montage and the enlarged filter on the right."""
    catalog = snapshot.catalog
    return html.Div(
        [
            *(
                dcc.Store(id=one)
                for one in (
                    ids.MAPS_QUERY,
                    ids.MAPS_STEPS,
                    ids.MAPS_MONTAGE_DRAWN,
                    ids.MAPS_ENLARGED_DRAWN,
                )
            ),
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
            html.Div(dmc.Text(id=ids.MAPS_POSITION, size="sm", c="dimmed"), role="status"),
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
            html.Div(id=ids.MAPS_VERDICT, role="status"),
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
