"""The callbacks of the page: parse, fetch, draw."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, Patch, State, ctx

from dashboard.components.controls import option
from dashboard.components.graph import clicked_cell, redraw
from dashboard.components.nodes import Node, dmc
from dashboard.components.table import records, select_rows
from dashboard.figures.class_statistic import class_statistic_figure
from dashboard.figures.distribution import distribution_figure, key
from dashboard.figures.feature_map import empty_figure
from dashboard.figures.theme import Figure, theme_for
from dashboard.pages import ids, state
from dashboard.pages.chance import within_chance
from dashboard.pages.classes import cell, maps, parts, table
from dashboard.pages.classes.arrange import chance_words
from dashboard.pages.classes.layout import SPREAD_HEIGHT
from dashboard.pages.state import state_for
from dashboard.stores.source import Source
from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import STATISTICS

CONTROLS = {
    "layer": (ids.CLASSES_LAYER, "value"),
    "class_index": (ids.CLASSES_CLASS, "value"),
    "filter_index": (ids.CLASSES_FILTER, "value"),
    "against": (ids.CLASSES_AGAINST, "value"),
    "statistic": (ids.CLASSES_STATISTIC, "value"),
    "arrangement": (ids.CLASSES_ARRANGEMENT, "value"),
}
ALL_CONTROLS = {name: Input(*one) for name, one in CONTROLS.items()}
# What every panel of one cell is drawn from.
OF_A_CELL = {
    name: ALL_CONTROLS[name] for name in ("layer", "class_index", "filter_index", "against")
}
EMPTY = {"height": "110px"}  # of a graph that only says why there is none
SCHEME = Input(ids.SCHEME, "data")


def register(app: Dash, source: Source) -> None:
    """Adds the page's callbacks."""
    _register_heatmap(app, source)
    _register_cell(app, source)
    _register_table(app, source)

    @app.callback(
        Output(ids.CLASSES_QUERY, "data"),
        inputs={"controls": ALL_CONTROLS, "search": State(ids.URL, "search")},
    )
    def remember(controls: dict[str, object], search: str | None) -> str:
        return state.updated_query(search, source.snapshot().catalog, **controls)


def _register_heatmap(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.CLASSES_HEATMAP, "figure"),
        Output(ids.CLASSES_DRAWN, "data"),
        Output(ids.CLASSES_ORDER, "children"),
        Output(ids.CLASSES_LEGEND, "children"),
        Output(ids.CLASSES_MEANING, "children"),
        inputs={
            "controls": ALL_CONTROLS,
            "scheme": SCHEME,
            "drawn": State(ids.CLASSES_DRAWN, "data"),
        },
    )
    def draw_heatmap(
        controls: dict[str, object], scheme: str, drawn: object
    ) -> tuple[Figure | Patch, str, str, list[Node | str], Node]:
        snapshot = source.snapshot()
        shown = state_for(snapshot.catalog, **controls)
        about, order = STATISTICS[shown.statistic], parts.order_of(snapshot, shown)
        values = snapshot.statistic(shown.layer, shown.statistic)
        chance = snapshot.chance(shown.layer, shown.statistic)
        within = within_chance(values, chance, two_sided=about.two_sided)
        figure = class_statistic_figure(
            values,
            classes=order.classes,
            filters=order.filters,
            within=within,
            chance=chance,
            title=about.title,
            neutral=about.neutral,
            class_names=snapshot.catalog.row_names,
            of_classes=snapshot.catalog.has_classes,
            selected=(shown.class_index, shown.filter_index),
            against=cell.compared(shown),
            theme=theme_for(scheme),
        )
        # What was zoomed into is somewhere else in another order.
        axes = f"{shown.layer} {scheme} {parts.order_key(shown)}"
        legend = parts.legend(chance_words(values, within, about.chance), gray=bool(within.any()))
        meaning = parts.meaning(
            about,
            bins=snapshot.layer(shown.layer).bin_words,
            n_samples=int(snapshot.class_sizes.sum()),
            has_classes=snapshot.catalog.has_classes,
        )
        return *redraw(figure, axes=axes, drawn=drawn), order.words, legend, meaning

    @app.callback(
        Output(ids.CLASSES_CLASS, "value"),
        Output(ids.CLASSES_FILTER, "value"),
        Output(ids.CLASSES_FILTER, "max"),
        inputs={
            "click": Input(ids.CLASSES_HEATMAP, "clickData"),
            "layer": Input(ids.CLASSES_LAYER, "value"),
            "strongest": Input(ids.CLASSES_STRONGEST, "n_clicks"),
            "others": {name: State(*one) for name, one in CONTROLS.items() if name != "layer"},
        },
        prevent_initial_call=True,
    )
    def choose(
        click: object, layer: object, strongest: object, others: dict[str, object]
    ) -> tuple[str | None, int, int]:
        del strongest  # only that it was pressed counts
        snapshot = source.snapshot()
        shown = state_for(snapshot.catalog, layer=layer, **others)
        row, column = shown.class_index, shown.filter_index
        if ctx.triggered_id == ids.CLASSES_HEATMAP:
            clicked = parts.order_of(snapshot, shown).cell(clicked_cell(click))
            row, column = clicked or (row, column)
            row = row if snapshot.catalog.has_classes else None
        elif ctx.triggered_id == ids.CLASSES_STRONGEST:
            best = table.strongest(snapshot, shown)
            column = column if best is None else best[1]
        return option(row), column, snapshot.catalog.n_filters[shown.layer] - 1


def _register_cell(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.CLASSES_SPREAD, "figure"),
        Output(ids.CLASSES_SPREAD, "style"),
        Output(ids.CLASSES_SPREAD_NOTE, "children"),
        inputs={"controls": OF_A_CELL, "scheme": SCHEME},
    )
    def draw_spread(
        controls: dict[str, object], scheme: str
    ) -> tuple[Figure, dict[str, str], list[Node] | str]:
        snapshot, theme = source.snapshot(), theme_for(scheme)
        try:
            found = cell.spreads(snapshot, state_for(snapshot.catalog, **controls))
        except StatisticNotFoundError as error:
            return empty_figure("This store has no histograms", theme=theme), EMPTY, str(error)
        missing = cell.missing_spread(found)
        if missing:
            return empty_figure(missing, theme=theme), EMPTY, ""
        figure = distribution_figure(found.of, found.bounds, span=found.span, theme=theme)
        said = parts.spread_words(key(found.of, found.bounds, theme))
        return figure, {"height": SPREAD_HEIGHT}, said

    @app.callback(
        output=[
            *(
                Output(graph, prop)
                for graph in (ids.CLASSES_MEAN_MAP, ids.CLASSES_OTHER_MAP, ids.CLASSES_DIFFERENCE)
                for prop in ("figure", "style")
            ),
            Output(ids.CLASSES_MAPS_NOTE, "children"),
        ],
        inputs={"controls": OF_A_CELL, "scheme": SCHEME},
    )
    def draw_maps(controls: dict[str, object], scheme: str) -> list[Any]:
        snapshot = source.snapshot()
        shown = state_for(snapshot.catalog, **controls)
        found = maps.mean_maps(snapshot, shown)
        drawn = maps.map_figures(snapshot, shown, found, theme=theme_for(scheme))
        return [*(prop for one in drawn for prop in one), maps.maps_note(snapshot, shown, found)]

    @app.callback(
        Output(ids.CLASSES_CELL, "children"),
        Output(ids.CLASSES_TOP, "children"),
        inputs={"controls": ALL_CONTROLS, "search": State(ids.URL, "search")},
    )
    def tell_cell(controls: dict[str, object], search: str | None) -> tuple[list[Node], list[Node]]:
        snapshot = source.snapshot()
        query = state.updated_query(search, snapshot.catalog, **controls)
        shown = state_for(snapshot.catalog, **controls)
        header = parts.cell_header(snapshot, shown, query)
        return header, parts.top_strip(snapshot, shown, query)

    @app.callback(
        Output(ids.CLASSES_NUMBERS, "children"),
        inputs={"controls": OF_A_CELL, "opened": Input(ids.CLASSES_OPEN, "value")},
    )
    def tell_numbers(controls: dict[str, object], opened: object) -> Node | None:
        if not opened:
            return None
        snapshot = source.snapshot()
        head, body = cell.numbers(snapshot, state_for(snapshot.catalog, **controls))
        return dmc.Table(data={"head": head, "body": body})


def _register_table(app: Dash, source: Source) -> None:
    @app.callback(
        Output(ids.CLASSES_TABLE, "columnDefs"),
        Output(ids.CLASSES_TABLE, "rowData"),
        Output(ids.CLASSES_TABLE, "csvExportParams"),
        Output(ids.CLASSES_HEALTH, "children"),
        Output(ids.CLASSES_STRONGEST, "children"),
        Output(ids.CLASSES_STRONGEST, "style"),
        Input(ids.CLASSES_LAYER, "value"),
        Input(ids.CLASSES_CLASS, "value"),
        Input(ids.CLASSES_STATISTIC, "value"),
    )
    def fill_table(layer: str, class_index: object, statistic: str) -> tuple[Any, ...]:
        snapshot = source.snapshot()
        shown = state_for(
            snapshot.catalog, layer=layer, class_index=class_index, statistic=statistic
        )
        columns = table.columns(snapshot, shown)
        best = table.strongest_words(snapshot, shown)
        health = table.health_summary(snapshot.health(shown.layer))
        return (
            [one.definition for one in columns],
            records(columns),
            {"fileName": table.downloads_as(snapshot, shown), "allColumns": True},
            f"{health} {table.scores_missing(snapshot, shown)}".strip(),
            best,
            {} if best else {"display": "none"},
        )

    select_rows(app, ids.CLASSES_TABLE, ids.CLASSES_FILTER)

    def browser(name: str, outputs: Any, *others: Any) -> None:
        function = ClientsideFunction("table", name)
        app.clientside_callback(function, outputs, *others, prevent_initial_call=True)

    browser(
        "searched",
        Output(ids.CLASSES_TABLE, "dashGridOptions"),
        Input(ids.CLASSES_SEARCH, "value"),
        State(ids.CLASSES_TABLE, "dashGridOptions"),
    )
    browser(
        "counted",
        Output(ids.CLASSES_COUNT, "children"),
        Input(ids.CLASSES_TABLE, "virtualRowData"),
        Input(ids.CLASSES_TABLE, "rowData"),
    )
    browser(
        "saved",
        Output(ids.CLASSES_TABLE, "exportDataAsCsv"),
        Input(ids.CLASSES_DOWNLOAD, "n_clicks"),
    )
