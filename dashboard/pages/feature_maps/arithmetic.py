"""How the selected value comes about: patch, kernel and product of the largest planes, and sums."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from dashboard.components.controls import empty, facts
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.cells import cell_styles, largest_size
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.person import why_no_files
from dashboard.pages.state import State, query_for
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import UnexplainedError
from fmcore.numbers import number_text
from fmcore.units import Arithmetic, Origin, arithmetic_of

# Cells of a picture that are in one panel, and planes; the rest is summed.
MOST_CELLS, MOST_PLANES = 220, 8
# Columns of a kernel up to which numbers have three digits.
WIDE = 4
# Planes that are lines of a table, where the kernel has one cell.
MOST_LINES = 24
# Relative to a page: what a callback sends has no other way to say where the pages lie.
STYLE = "assets/feature_maps/arithmetic.css"
LARGEST = "No value is selected, so this is the largest of the map."
SELECT = "Click a value on the wall or in the enlarged map."


def draw(snapshot: Snapshot, state: State, _: Theme) -> list[Node]:
    """The arithmetic of the selected value, or of the largest of the map; else the reason."""
    y, x = _unit(snapshot, state)
    try:
        arithmetic = arithmetic_of(
            snapshot.store, state.layer, state.sample, state.filter_index, y, x
        )
    except UnexplainedError as error:
        return [empty(f"{error}.", title="Not to be explained from this store")]
    note = SELECT if state.unit else f"{LARGEST} {SELECT}"
    return [
        html.Link(rel="stylesheet", href=STYLE),
        dmc.Text(note, size="sm", c="dimmed"),
        _way(arithmetic),
        *_planes(snapshot, state, arithmetic),
        _sums(arithmetic),
        _verdict(arithmetic),
        _download(snapshot, arithmetic),
    ]


def _unit(snapshot: Snapshot, state: State) -> tuple[int, int]:
    if state.unit:
        y, x = map(int, state.unit.split(","))
        return y, x
    layer = snapshot.layer(state.layer)
    height, width, _ = layer.shape
    picks = (
        range(state.sample, state.sample + 1),
        range(height),
        range(width),
        range(state.filter_index, state.filter_index + 1),
    )
    values = layer.activation.outer(picks)[0, :, :, 0]
    at = int(np.where(np.isfinite(values), values, -np.inf).argmax())
    return at // width, at % width


def _way(arithmetic: Arithmetic) -> Node:
    """What is read, step by step, and which part of it."""
    height, width, _ = arithmetic.patch.shape
    steps = [f"{name or 'the image'}: {words}" for name, words in arithmetic.steps]
    last_y, last_x = (
        start + (size - 1) * apart
        for start, size, apart in zip(
            (arithmetic.top, arithmetic.left), (height, width), arithmetic.spacing, strict=True
        )
    )
    reads = f"rows {arithmetic.top} to {last_y}, columns {arithmetic.left} to {last_x} of that"
    if (height, width) == (1, 1):
        reads = f"all planes of that at y {arithmetic.top}, x {arithmetic.left}"
    spaced = (
        ""
        if arithmetic.spacing == (1, 1)
        else f", {arithmetic.spacing[0]}×{arithmetic.spacing[1]} apart"
    )
    padded = "" if arithmetic.inside.all() else ", with padding of zeros"
    own = f"{arithmetic.layer}: {arithmetic.kind} {height}×{width} reads {reads}{spaced}{padded}"
    return html.Ol([html.Li(words) for words in (*steps, own)], className="arithmetic-way")


def _planes(snapshot: Snapshot, state: State, arithmetic: Arithmetic) -> list[Node]:
    """The planes that add most, as pictures with numbers; of kernels of one cell a table."""
    height, width, n_planes = arithmetic.patch.shape
    sizes = np.abs(np.nan_to_num(arithmetic.contributions))
    order = np.argsort(-sizes, kind="stable")
    is_line = (height, width) == (1, 1)
    most = MOST_LINES if is_line else min(MOST_PLANES, max(1, MOST_CELLS // (height * width)))
    order = order[:most]
    names = [_name(snapshot, state, arithmetic, int(plane)) for plane in order]
    if is_line:
        nodes = [_lines(arithmetic, order, names)]
    else:
        reaches = [
            largest_size(part)
            for part in (arithmetic.patch, arithmetic.weights, arithmetic.products)
        ]
        nodes = [
            _pictures(arithmetic, int(plane), name, reaches)
            for plane, name in zip(order, names, strict=True)
        ]
    heading = "Each plane that is read: patch × kernel = product"
    if most < n_planes:
        heading = f"The {most} of {n_planes:,} planes that add most: patch × kernel = product"
    # What is wider than the page is scrolled, also by keys.
    pictures = html.Div(
        nodes,
        className="sideways",
        tabIndex=0,
        role="group",
        **{"aria-label": "Patch, kernel and product of planes"},
    )
    nodes = [dmc.Text(heading, size="sm", fw=500), pictures]
    if most < n_planes:
        shares = [
            arithmetic.contributions[order].sum(),
            np.delete(arithmetic.contributions, order).sum(),
        ]
        own, rest = (number_text(share, digits=9) for share in shares)
        words = f"These add {own}, the other {n_planes - most:,} planes {rest}."
        nodes.append(dmc.Text(words, size="sm"))
    return nodes


def _name(snapshot: Snapshot, state: State, arithmetic: Arithmetic, plane: int) -> Node:
    """What a plane is; a link where it is a filter."""
    origin: Origin | None = arithmetic.origins[plane] if arithmetic.origins else None
    if origin is None:
        return html.Span(f"plane {plane}")
    if not origin.layer:
        names = snapshot.planes(state.layer)
        return html.Span(f"image, {names[plane] if names else f'plane {origin.plane}'}")
    where = f" at {origin.where}" if origin.where else ""
    query = query_for(
        snapshot.catalog,
        layer=origin.layer,
        filter_index=origin.plane,
        sample=state.sample,
        unit=_unit_text(origin),
    )
    return dcc.Link(f"filter {origin.plane} of {origin.layer}{where}", href=f"maps{query}")


def _unit_text(origin: Origin) -> str:
    return origin.where.replace("y ", "").replace(" x ", "")


def _pictures(arithmetic: Arithmetic, plane: int, name: Node, reaches: Sequence[float]) -> Node:
    parts: list[Node] = []
    signs = ("×", "=", "")
    arrays = (arithmetic.patch, arithmetic.weights, arithmetic.products)
    for values, reach, sign, words in zip(
        arrays, reaches, signs, ("patch", "kernel", "product"), strict=True
    ):
        parts.append(_cells(values[..., plane], reach, words))
        parts.append(html.Span(sign))
    added = number_text(arithmetic.contributions[plane])
    return html.Div(
        [html.Div([name, html.Small(f"adds {added}")]), *parts], className="arithmetic-plane"
    )


def _cells(values: NDArray[np.float64], reach: float, words: str) -> Node:
    """A small picture of values with the numbers in it."""
    styles = iter(cell_styles(values, reach))
    digits = 3 if values.shape[1] <= WIDE else 2
    rows = [
        html.Tr([html.Td(number_text(value, digits=digits), style=next(styles)) for value in row])
        for row in values
    ]
    return html.Table(html.Tbody(rows), className="arithmetic-cells", **{"aria-label": words})


def _lines(arithmetic: Arithmetic, order: NDArray[np.int64], names: list[Node]) -> Node:
    """A line of a table for each plane."""
    columns = [
        part.reshape(-1)[order]
        for part in (arithmetic.patch, arithmetic.weights, arithmetic.products)
    ]
    styles = [cell_styles(column, largest_size(column)) for column in columns]
    rows = [
        html.Tr(
            [
                html.Td(name),
                *(
                    html.Td(number_text(column[at]), style=style[at])
                    for column, style in zip(columns, styles, strict=True)
                ),
            ]
        )
        for at, name in enumerate(names)
    ]
    head = html.Tr([html.Th(words) for words in ("plane", "input", "weight", "product")])
    return html.Table([html.Thead(head), html.Tbody(rows)], className="arithmetic-cells")


def _sums(arithmetic: Arithmetic) -> Node:
    rows = {
        f"Sum of {arithmetic.patch.size:,} products": number_text(
            arithmetic.sum - arithmetic.bias, digits=9
        ),
        "Bias": number_text(arithmetic.bias, digits=9) if arithmetic.has_bias else "none",
        "Sum": number_text(arithmetic.sum, digits=9),
    }
    if arithmetic.function != "linear":
        rows[f"After {arithmetic.function}"] = number_text(arithmetic.value, digits=9)
    rows["Stored value"] = number_text(arithmetic.stored, digits=9)
    return facts(rows)


def _verdict(arithmetic: Arithmetic) -> Node:
    """Whether what was computed is what is stored, with both numbers."""
    both = (
        f"{number_text(arithmetic.value, digits=9)} and {number_text(arithmetic.stored, digits=9)}"
    )
    if arithmetic.is_equal:
        words = f"Computed and stored agree but for rounding: {both}. {arithmetic.note}"
        return dmc.Text(words.strip(), size="sm")
    return dmc.Alert(
        f"Computed and stored do not agree: {both}. The model did something else than what its "
        f"configuration says here, or the store holds other weights. {arithmetic.note}".strip(),
        color="yellow",
        title="This is not how the value came about",
    )


def _download(snapshot: Snapshot, arithmetic: Arithmetic) -> Node:
    words = "All products as a table (.csv)"
    reason = why_no_files()
    if reason:
        return html.Span(f"{words}: {reason}")
    query = urlencode(
        {
            "layer": arithmetic.layer,
            "sample": arithmetic.sample,
            "filter": arithmetic.filter_index,
            "y": arithmetic.y,
            "x": arithmetic.x,
            "format": "csv",
        }
    )
    return html.A(words, href=f"{snapshot.api}/terms?{query}", download="")


def _body(_: Snapshot, __: State) -> Node:
    return html.Details(
        [
            html.Summary("Patch, kernel, bias and sum of the selected value"),
            html.Div(id="maps-arithmetic"),
        ]
    )


PANEL = Panel(
    "arithmetic",
    draw,
    needs=("layer", "sample", "filter_index", "unit"),
    title="How this value comes about",
    body=_body,
    in_sight=True,
)
