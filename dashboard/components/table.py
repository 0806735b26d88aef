"""Tables: plain ones, and grids of filters that sort, find and select."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State
from numpy.typing import NDArray

from dashboard.components.nodes import Node, dag, dmc, html

# What stands in a cell of a plain table.
Cell = str | list[Node]
WITHIN = "within chance"
HOW_TO_USE = "Click a heading to sort, a row to select its filter (Space on the keyboard)."
# For a table of filters: one row is selected, by a click or the space bar.
ONE_ROW: Mapping[str, Any] = {
    "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
    "rowHeight": 32,
}


def table(caption: str, head: Sequence[Cell], body: Sequence[Sequence[Cell]]) -> Node:
    """A plain table of a few rows that scrolls sideways where there is no room.

    Args:
        caption: what it is, for screen readers.
        head: of its columns.
        body: a sequence for each row.
    """
    return html.Div(
        dmc.Table(
            [
                dmc.TableThead(dmc.TableTr([dmc.TableTh(cell) for cell in head])),
                dmc.TableTbody(
                    [dmc.TableTr([dmc.TableTd(cell) for cell in cells]) for cells in body]
                ),
            ],
            className="plain-table",
            miw=130 * len(head),
        ),
        className="sideways",
        tabIndex=0,  # keys scroll it too
        role="region",
        **{"aria-label": caption},
    )


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of the table.

    Attributes:
        field: its key in a row.
        header: what a person reads above it, and the CSV's.
        values: one for each filter; numbers, or text.
        tip: what it means.
        verdict: the field that says what of it is within chance; empty for none.
        hidden: whether only the CSV has it.
        has_interval: whether fields with `_low`, `_high` and `_q` behind its own belong to it, as
            the tip of a cell says.
    """

    field: str
    header: str
    values: NDArray[Any] | Sequence[str]
    tip: str = ""
    verdict: str = ""
    hidden: bool = False
    has_interval: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return not isinstance(self.values, np.ndarray)

    @property
    def definition(self) -> dict[str, Any]:
        """As dash-ag-grid takes it; values are shown short and go to a CSV whole."""
        common: dict[str, Any] = {
            "field": self.field,
            "headerName": self.header,
            "headerTooltip": self.tip or self.header,
            "hide": self.hidden,
            "useValueFormatterForExport": False,
        }
        if self.field == "filter":
            common |= {"pinned": "left", "width": 84, "sortingOrder": ["asc", "desc", None]}
        if self.is_text:
            return common | {"cellDataType": "text", "filter": "agTextColumnFilter", "width": 128}
        number = {
            "cellDataType": "number",
            "type": "numericColumn",
            "filter": "agNumberColumnFilter",
            "width": 96,
            "valueFormatter": {"function": _FORMAT},
        }
        if self.has_interval:
            ends = ", ".join(f"params.data.{self.field}_{end}" for end in ("low", "high", "q"))
            number["tooltipValueGetter"] = {"function": f"intervalText(params.value, {ends})"}
        if self.verdict:
            number["cellStyle"] = {
                "styleConditions": [
                    {"condition": f"params.data.{self.verdict} == '{WITHIN}'", "style": _GRAY}
                ]
            }
        return number | common


# In assets/table.js.
_FORMAT = "numberText(params.value)"
_GRAY = {"color": "var(--mantine-color-dimmed)", "fontStyle": "italic"}


def grid(
    component_id: str,
    *,
    height: str | None,
    columns: Sequence[Mapping[str, Any]] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    cells: Mapping[str, Any] | None = None,
    **options: Any,
) -> Node:
    """A grid, in the colors of the page.

    Args:
        component_id: its id.
        height: in CSS; None for as high as its rows are.
        columns: as dash-ag-grid takes them.
        rows: each with its own `id`.
        cells: of every column, beside what all tables have.
        options: of the grid, beside these.
    """
    return dag.AgGrid(
        id=component_id,
        rowData=rows,
        columnDefs=columns,
        getRowId="params.data.id",
        defaultColDef={
            "sortable": True,
            "resizable": True,
            "wrapHeaderText": True,
            "autoHeaderHeight": True,
            "sortingOrder": ["desc", "asc", None],
            "suppressHeaderMenuButton": True,
            **(cells or {}),
        },
        dashGridOptions={
            "animateRows": False,
            "enableCellTextSelection": True,
            "tooltipShowDelay": 400,
            **options,
        },
        eventListeners={
            "sortChanged": ["toFirstRow(params)"],
            "cellKeyDown": ["followLink(params)"],
        },
        className="table-grid",
        style={"height": height, "width": "100%"},
    )


def records(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The rows of a grid, a dict for each filter; None where there is no number."""
    values = [
        [None if value != value else value for value in column.values.tolist()]
        if isinstance(column.values, np.ndarray)
        else column.values
        for column in columns
    ]
    fields = [column.field for column in columns]
    rows = [dict(zip(fields, row, strict=True)) for row in zip(*values, strict=True)]
    return [{"id": str(index), **row} for index, row in enumerate(rows)]


def select_rows(app: Dash, table_id: str, filter_id: str) -> None:
    """Ties the row that is selected in a grid to the number of the filter, and back.

    In the browser, so that a row and the number never overtake each other.
    """
    app.clientside_callback(
        ClientsideFunction("table", "selectedFilter"),
        Output(filter_id, "value", allow_duplicate=True),
        Input(table_id, "selectedRows"),
        State(filter_id, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("table", "marked"),
        [Output(table_id, "selectedRows"), Output(table_id, "scrollTo")],
        Input(filter_id, "value"),
        Input(table_id, "rowData"),
        State(table_id, "selectedRows"),
        prevent_initial_call=True,
    )


def sorted_columns(columns: Sequence[Mapping[str, Any]], sort: object) -> list[dict[str, Any]]:
    """The columns of a grid with the order that it opens in.

    Args:
        columns: from left to right, as dash-ag-grid takes them.
        sort: the one that the grid is sorted by, and how, such as `filter.desc`.
    """
    field, _, how = str(sort).rpartition(".")
    by = {field: {"sort": how}} if how in ("asc", "desc") else {}
    return [{**column, **by.get(column["field"], {})} for column in columns]


def keep_order(app: Dash, table_id: str, order_id: str) -> None:
    """Writes what a grid is sorted by into a store of a page, as `sorted_columns` takes it."""
    app.clientside_callback(
        ClientsideFunction("table", "order"),
        Output(order_id, "data"),
        Input(table_id, "columnState"),
        State(order_id, "data"),
        prevent_initial_call=True,
    )


def find_tools(
    *,
    search: str,
    text: str,
    placeholder: str,
    count: Node,
    download: str,
    reason: str,
    label: str = "Find filters",
) -> list[Node]:
    """What stands above a table of filters: what finds some, how many there are, and a CSV.

    Args:
        search: the id of the text that finds filters.
        text: what it holds.
        placeholder: what it says while it holds nothing.
        count: what says how many match.
        download: the id of the button of the CSV.
        reason: why the person may not have it; empty if so.
        label: what stands above the text.
    """
    tools = [
        dmc.TextInput(id=search, label=label, value=text, placeholder=placeholder, size="sm"),
        count,
        dmc.Button(
            "Download CSV", id=download, variant="default", size="sm", disabled=bool(reason)
        ),
    ]
    why = [dmc.Text(reason, size="sm", c="dimmed")] if reason else []
    return [html.Div(tools, className="controls filter-tools"), *why]


def find_rows(app: Dash, table_id: str, *, search: str, count: str, download: str) -> None:
    """Ties a grid to a text that finds rows, to how many match, and to the button of its CSV.

    Args:
        app: where to.
        table_id: the id of the grid.
        search: that of the text.
        count: that of what says how many match.
        download: that of the button.
    """

    def browser(name: str, output: Output, *inputs: Input | State) -> None:
        function = ClientsideFunction("table", name)
        app.clientside_callback(function, output, *inputs, prevent_initial_call=True)

    browser(
        "searched",
        Output(table_id, "dashGridOptions"),
        Input(search, "value"),
        State(table_id, "dashGridOptions"),
    )
    browser(
        "counted",
        Output(count, "children"),
        Input(table_id, "virtualRowData"),
        Input(table_id, "rowData"),
    )
    browser("saved", Output(table_id, "exportDataAsCsv"), Input(download, "n_clicks"))
