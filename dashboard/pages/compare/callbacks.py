"""The callbacks of the page: parse, fetch, draw."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, ctx, no_update

from dashboard.components.graph import NONE, Drawn, clicked_cell
from dashboard.components.nodes import Node
from dashboard.components.table import records, select_rows
from dashboard.figures.theme import theme_for
from dashboard.pages import ids, state
from dashboard.pages.compare import classes, layers, maps, table
from dashboard.pages.compare.choosing import register_choice
from dashboard.pages.compare.controls import ALL_CONTROLS, controls, try_pair
from dashboard.pages.compare.layout import SIDES
from dashboard.pages.compare.pair import Pair
from dashboard.stores.source import Source

SCHEME = Input(ids.SCHEME, "data")
HEATMAPS = [ids.COMPARE_CLASSES.format(which=side) for side in SIDES]


def register(app: Dash, source: Source) -> None:
    """Adds the page's callbacks."""
    register_choice(app, source)
    _register_filters(app, source)
    _register_panels(app, source)

    @app.callback(
        Output(ids.COMPARE_QUERY, "data"),
        inputs={"controls": ALL_CONTROLS, "search": State(ids.URL, "search")},
    )
    def remember(controls: dict[str, object], search: str | None) -> str:
        # A layer of the same path is what is chosen anyway, so a step to another layer takes it.
        if controls["other"] == controls["layer"]:
            controls["other"] = ""
        return state.updated_query(search, source.snapshot().catalog, **controls)


def _register_filters(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.COMPARE_TABLE, "columnDefs"),
        Output(ids.COMPARE_TABLE, "rowData"),
        Output(ids.COMPARE_TABLE_NOTE, "children"),
        inputs={"controls": controls("pairing")},
    )
    def fill_table(controls: dict[str, object]) -> tuple[list[Any], list[Any], str]:
        def make(pair: Pair) -> tuple[list[Any], list[Any], str]:
            found = table.columns(pair)
            return [one.definition for one in found], records(found), table.table_note(pair)

        return try_pair(source, controls, make, lambda why: ([], [], why))

    select_rows(app, ids.COMPARE_TABLE, ids.COMPARE_FILTER)

    @app.callback(
        Output(ids.COMPARE_FILTER, "value", allow_duplicate=True),
        *(Input(name, "clickData") for name in HEATMAPS),
        prevent_initial_call=True,
    )
    def choose_filter(*clicks: object) -> Any:
        if ctx.triggered_id not in HEATMAPS:
            return no_update
        cell = clicked_cell(clicks[HEATMAPS.index(ctx.triggered_id)])
        return no_update if cell is None else cell[1]


def _register_panels(app: Dash, source: Source) -> None:
    @app.callback(
        output=[
            Output(ids.COMPARE_MAPS_NOTE, "children"),
            *(Output(ids.COMPARE_TITLE.format(which=side), "children") for side in SIDES),
            *(Output(ids.COMPARE_INPUT.format(which=side), "children") for side in SIDES),
            *(
                Output(ids.COMPARE_MAP.format(which=side), prop)
                for side in SIDES
                for prop in ("figure", "style")
            ),
        ],
        inputs={
            "controls": controls("filter_index", "other_filter", "pairing", "sample"),
            "scheme": SCHEME,
        },
    )
    def draw_maps(controls: dict[str, object], scheme: str) -> list[Any]:
        def make(pair: Pair) -> list[Any]:
            first, second = maps.sides(pair)
            minus, why = maps.difference(pair, first, second)
            drawn = maps.map_figures(first, second, minus, theme=theme_for(scheme))
            words: list[Node] = [maps.difference_words(minus, why)]
            return [
                maps.maps_note(pair),
                *(first.title, second.title, "B − A"),
                *(maps.input_panel(first), maps.input_panel(second), words),
                *(prop for one in drawn for prop in one),
            ]

        def nothing(why: str) -> list[Any]:
            return [why, "", "", "", [], [], [], *(NONE * 3)]

        return try_pair(source, controls, make, nothing)

    @app.callback(
        output=[
            Output(ids.COMPARE_CLASSES_NOTE, "children"),
            *(
                Output(name.format(which=side), prop)
                for side in SIDES
                for name, prop in (
                    (ids.COMPARE_CLASSES_TITLE, "children"),
                    (ids.COMPARE_CLASSES, "figure"),
                    (ids.COMPARE_CLASSES, "style"),
                )
            ),
        ],
        inputs={"controls": controls("filter_index", "pairing", "statistic"), "scheme": SCHEME},
    )
    def draw_classes(controls: dict[str, object], scheme: str) -> list[Any]:
        def make(pair: Pair) -> list[Any]:
            drawn, note = classes.class_figures(pair, theme=theme_for(scheme))
            return [note, *_titled(classes.titles(pair, drawn), drawn)]

        return try_pair(
            source, controls, make, lambda why: [why, *_titled(("", "", ""), (NONE,) * 3)]
        )

    @app.callback(
        Output(ids.COMPARE_CKA, "figure"),
        Output(ids.COMPARE_CKA, "style"),
        Output(ids.COMPARE_CKA_NOTE, "children"),
        inputs={"controls": controls(), "scheme": SCHEME},
    )
    def draw_layers(controls: dict[str, object], scheme: str) -> tuple[Any, Any, str]:
        def make(pair: Pair) -> tuple[Any, Any, str]:
            drawn, note = layers.cka_figure(pair, theme=theme_for(scheme))
            return *drawn, note

        return try_pair(source, controls, make, lambda why: (*NONE, why))


def _titled(titles: tuple[str, ...], drawn: tuple[Drawn, ...]) -> list[Any]:
    return [part for title, one in zip(titles, drawn, strict=True) for part in (title, *one)]
