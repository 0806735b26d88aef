"""Tables that sort, find and select: the grid, a column of it, and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.components.nodes import Node, dag

WITHIN = "within chance"
# For a table of filters: one row is selected, by a click or the space bar.
ONE_ROW: Mapping[str, Any] = {
    "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
    "rowHeight": 32,
}


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
    """

    field: str
    header: str
    values: NDArray[Any] | Sequence[str]
    tip: str = ""
    verdict: str = ""
    hidden: bool = False

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
        if self.verdict:
            number["cellStyle"] = {
                "styleConditions": [
                    {"condition": f"params.data.{self.verdict} == '{WITHIN}'", "style": _GRAY}
                ]
            }
        return number | common


_FORMAT = "params.value == null ? '–' : d3.format(',.4~g')(params.value)"
_GRAY = {"color": "var(--mantine-color-dimmed)", "fontStyle": "italic"}


def table(
    component_id: str,
    *,
    height: str | None,
    columns: Sequence[Mapping[str, Any]] = (),
    rows: Sequence[Mapping[str, Any]] = (),
    cells: Mapping[str, Any] | None = None,
    **options: Any,
) -> Node:
    """A grid, in the colours of the page.

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
        eventListeners={"sortChanged": ["toFirstRow(params)"]},
        className="table-grid",
        style={"height": height, "width": "100%"},
    )


def records(of: Sequence[Column]) -> list[dict[str, Any]]:
    """One dict a filter; None where there is no number."""
    values = [
        [None if one != one else one for one in column.values.tolist()]
        if isinstance(column.values, np.ndarray)
        else column.values
        for column in of
    ]
    fields = [column.field for column in of]
    rows = [dict(zip(fields, row, strict=True)) for row in zip(*values, strict=True)]
    return [{"id": str(index), **row} for index, row in enumerate(rows)]
