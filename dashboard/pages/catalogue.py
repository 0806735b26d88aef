"""The page that lists the stores of a folder, when there may be several."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State

from dashboard import urls
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import grid
from dashboard.pages import ids
from dashboard.stores.source import Source
from dashboard.stores.summary import StoreSummary
from fmcore.statistics import HEALTH_RULES

# Stores come and go while a person looks.
EVERY_MS = 5000
PAGE_ROWS = 50
_COUNT = {"function": "params.value == null ? '–' : d3.format(',')(params.value)"}
# Of several labels or numbers there is no one share, but words.
_SHARE = {
    "function": "params.value != null ? d3.format('.2%')(params.value) "
    ": params.data.accuracy_words || '–'"
}
_SIZE = {"function": "d3.format(',.1f')(params.value) + ' MB'"}
_NUMBER = {"type": "numericColumn"}
_COLUMNS: tuple[dict[str, Any], ...] = (
    {"field": "name", "headerName": "Store", "cellRenderer": "StoreLink", "flex": 3},
    {"field": "model", "headerName": "Model", "flex": 2},
    {"field": "dataset", "headerName": "Data", "flex": 3},
    {"field": "created", "headerName": "Captured, UTC", "width": 165, "sort": "desc"},
    {
        "field": "accuracy",
        "headerName": "Accuracy",
        "minWidth": 112,
        "flex": 3,
        "valueFormatter": _SHARE,
        "tooltipValueGetter": {"function": "params.data.accuracy_words"},
    }
    | _NUMBER,
    {"field": "samples", "headerName": "Samples", "width": 108, "valueFormatter": _COUNT} | _NUMBER,
    {"field": "layers", "headerName": "Layers", "width": 96, "valueFormatter": _COUNT} | _NUMBER,
    {"field": "megabytes", "headerName": "Size", "width": 118, "valueFormatter": _SIZE} | _NUMBER,
    {"field": "health", "headerName": "Health", "flex": 4},
)


def layout(source: Source) -> Node:
    """The whole page."""
    rows = _rows(source)
    return html.Main(
        [
            html.Div(
                [
                    dmc.TextInput(
                        id=ids.STORES_SEARCH,
                        placeholder="Search: a name, a model, a data set, dead, damaged …",
                        size="sm",
                        w=420,
                        **{"aria-label": "Search the stores"},
                    ),
                    dmc.Text(_count(rows), id=ids.STORES_COUNT, size="sm", c="dimmed"),
                ],
                className="controls stores-controls",
            ),
            grid(
                ids.STORES_TABLE,
                height=None,
                columns=_COLUMNS,
                rows=rows,
                cells={
                    "minWidth": 90,
                    "tooltipValueGetter": {"function": "params.value"},
                    "sortingOrder": ["asc", "desc"],
                    "wrapHeaderText": False,
                    "autoHeaderHeight": False,
                },
                domLayout="autoHeight",
                pagination=True,
                paginationAutoPageSize=False,
                paginationPageSize=PAGE_ROWS,
                paginationPageSizeSelector=False,
                suppressPaginationPanel=len(rows) <= PAGE_ROWS,
                quickFilterText="",
                localeText={"noRowsToShow": "No store here, or none that matches"},
                rowHeight=36,
            ),
            dcc.Interval(id=ids.STORES_TICK, interval=EVERY_MS),
        ],
    )


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the page."""

    @app.callback(
        Output(ids.STORES_TABLE, "rowData"),
        Output(ids.STORES_COUNT, "children"),
        Input(ids.STORES_TICK, "n_intervals"),
        prevent_initial_call=True,
    )
    def look_again(_: object) -> tuple[list[dict[str, Any]], str]:
        rows = _rows(source)
        return rows, _count(rows)

    app.clientside_callback(
        ClientsideFunction("table", "searched"),
        Output(ids.STORES_TABLE, "dashGridOptions"),
        Input(ids.STORES_SEARCH, "value"),
        State(ids.STORES_TABLE, "dashGridOptions"),
        prevent_initial_call=True,
    )


def _rows(source: Source) -> list[dict[str, Any]]:
    return [_row(summary) for summary in source.summaries()]


def _row(summary: StoreSummary) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": summary.name,
        "name": summary.name,
        "megabytes": summary.n_bytes / 1e6,
    }
    if summary.problem:
        return row | {"health": summary.problem}
    return row | {
        "href": urls.store_page(summary.name),
        "model": summary.model,
        "dataset": summary.dataset,
        "created": summary.created[:16].replace("T", " "),
        "accuracy": summary.test_accuracy,
        "accuracy_words": summary.accuracy,
        "samples": summary.n_samples,
        "layers": summary.n_layers,
        "health": _health(summary),
    }


def _health(summary: StoreSummary) -> str:
    dead = HEALTH_RULES["dead"].words
    if not summary.n_dead:
        return f"no {dead} filter of {summary.n_filters:,}"
    return f"{summary.n_dead:,} of {summary.n_filters:,} filters {dead}"


def _count(rows: list[dict[str, Any]]) -> str:
    broken = sum("href" not in row for row in rows)
    words = f"{len(rows):,} store{'' if len(rows) == 1 else 's'}"
    return words + (f", {broken:,} of which cannot be opened" if broken else "")
