"""The page that lists the stores of a folder, when there may be several."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State
from flask import has_request_context, request

from dashboard import urls
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import grid, sorted_columns
from dashboard.pages import ids
from dashboard.pages.state import LONGEST_NAME
from dashboard.stores.source import Source
from dashboard.stores.summary import StoreSummary
from fmcore.numbers import share_text

# Stores come and go while a person looks.
EVERY_MS = 5000
PAGE_ROWS = 50
# What a link that names no order means: the newest first.
ORDER = "created.desc"
_COUNT = {"function": "params.value == null ? '–' : d3.format(',')(params.value)"}
# Of several labels or numbers there is no one share, but words.
_SHARE = {"function": "params.data.accuracy_share || params.data.accuracy_words || '–'"}
_SIZE = {"function": "d3.format(',.1f')(params.value) + ' MB'"}
_WRAPPED = {
    "wrapText": True,
    "autoHeight": True,
    "cellStyle": {"lineHeight": "20px", "paddingBlock": "7px"},
}
_NUMBER = {"type": "numericColumn"}
_COLUMNS: tuple[dict[str, Any], ...] = (
    {"field": "name", "headerName": "Store", "cellRenderer": "StoreLink", "flex": 3},
    {"field": "model", "headerName": "Model", "flex": 2},
    {"field": "dataset", "headerName": "Data", "flex": 3},
    {"field": "created", "headerName": "Captured, UTC", "width": 165},
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
    {"field": "health", "headerName": "Health", "flex": 4} | _WRAPPED,
)


def layout(source: Source) -> Node:
    """The whole page, as its link asks for it."""
    rows = _rows(source)
    link = request.args if has_request_context() else {}
    text = link.get("find", "")[:LONGEST_NAME]
    columns = sorted_columns(_COLUMNS, link.get("sort", ORDER))
    return html.Main(
        [
            dcc.Store(id=ids.STORES_ORDER, data=ORDER),
            html.Div(
                [
                    dmc.TextInput(
                        id=ids.STORES_SEARCH,
                        value=text,
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
                columns=columns,
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
                quickFilterText=text,
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
        ClientsideFunction("table", "stores"),
        Output(ids.STORES_TABLE, "dashGridOptions"),
        Input(ids.STORES_SEARCH, "value"),
        Input(ids.STORES_TABLE, "columnState"),
        State(ids.STORES_TABLE, "dashGridOptions"),
        State(ids.STORES_ORDER, "data"),
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
    accuracy = summary.test_accuracy
    return row | {
        "href": urls.store_page(summary.name),
        "model": summary.model,
        "dataset": summary.dataset,
        "created": summary.created[:16].replace("T", " "),
        "accuracy": accuracy,
        "accuracy_share": "" if accuracy is None else share_text(accuracy),
        "accuracy_words": summary.accuracy,
        "samples": summary.n_samples,
        "layers": summary.n_layers,
        "health": "; ".join(filter(None, (summary.health, summary.policies))),
    }


def _count(rows: list[dict[str, Any]]) -> str:
    broken = sum("href" not in row for row in rows)
    words = f"{len(rows):,} store{'' if len(rows) == 1 else 's'}"
    return words + (f", {broken:,} of which cannot be opened" if broken else "")
