"""The operations that a map of samples is drawn of: where they lie, and what they are colored by.

All bytes are as `columns.LAYOUT` says, so that a browser reads 100,000 points without parsing them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from dashboard.api import columns as typed
from dashboard.api.answers import RAW, Call
from dashboard.api.windows import whole_number
from dashboard.server import headers as caching
from dashboard.stores import sample_map
from dashboard.stores.sample_map import SampleColumn
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import SelectionError
from fmcore.statistics import POOLINGS, project
from fmcore.storage import SampleTable, read_umap, sample_table, umap_key

# What the bytes mean; a browser that kept an answer of another server must not read it as this.
VERSION = "1"
POINTS_LAYOUT = (
    f"{typed.LAYOUT}The object has `n`, the number of samples, and `columns`, a list with `name`, "
    "`header` and `dtype` of each array: `x` and `y`, `<f4`, NaN for a sample without a place (a "
    "value of it is not finite). It says of what they were made and how: `table` in words, `of`, "
    "`layer`, `by` and `scale` as they were asked for or by default, `method`, `n_columns` that "
    "count, `n_placed` samples with a place. Of `pca` it has `shares` of the variance that x and y "
    "show, and `n_fitted`, the number of samples that the components were computed from: fewer "
    "than all only of many samples with many columns. Of `umap` it has `umap`: "
    "`n_neighbors`, `min_dist`, `seed` and `library` with which it was made. `words` says all of "
    "it in a sentence."
)
COLUMNS_LAYOUT = (
    f"{typed.LAYOUT}The object has `n`, the number of samples, and `columns`, a list with `name`, "
    "`header` and `dtype` of each array, and `texts` where whole numbers are places in a list of "
    "texts. Without a filter: `label` and `prediction`, `<i4` with texts, `right`, `|u1`, 1 where "
    "these are the same, and `confidence`, `<f4`; of several labels or numbers `true_NAME` and "
    "`predicted_NAME`. What nobody knows is left out. With `layer` and `filter` only `filter`, "
    "`<f4`: the pooled activation of that filter."
)


class Method(StrEnum):
    """How samples get their places."""

    PCA = "pca"
    UMAP = "umap"


def taken_table(call: Call, snapshot: Snapshot) -> SampleTable:
    """The table that a request is about, by its parameters `of`, `layer`, `by` and `scale`.

    Raises:
        LayerNotFoundError, SelectionError: if there is no such table.
    """
    names = ("of", "layer", "by", "scale")
    return sample_table(snapshot.store, **{name: call.take(name) for name in names})


def points(call: Call) -> Response:
    """Where each sample lies on a map; made once, and kept as it is sent."""
    snapshot = call.snapshot()
    table, method = taken_table(call, snapshot), Method(call.take("method", Method.PCA))
    call.refuse_rest()
    call.limits.check(8 * snapshot.catalog.n_samples, is_text=False)
    # The file of a map by UMAP may be replaced while the store stays.
    file = umap_key(snapshot.store, table) if method == Method.UMAP else ""
    headers = call.headers(snapshot, "points", file, VERSION)
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    make = _umap_bytes if method == Method.UMAP else _components_bytes
    body = snapshot.derived_once(
        ("points", VERSION, method, file, *table.key), lambda: make(snapshot, table)
    )
    return Response(body, 200, headers, RAW.media_type)


def sample_columns(call: Call) -> Response:
    """What points are colored by."""
    snapshot = call.snapshot()
    layer, index, by = call.take("layer"), call.take("filter"), call.take("by")
    is_of_filter = not {"layer", "filter", "by"}.isdisjoint(call.request.query_params)
    for name, value in (("layer", layer), ("filter", index)):
        if not value and is_of_filter:
            raise SelectionError(
                f"{name} is missing: a color by activation needs layer and filter", field=name
            )
    call.refuse_rest()
    call.limits.check(16 * snapshot.catalog.n_samples, is_text=False)
    key, make = _columns_maker(snapshot, layer, index, by or POOLINGS[0])
    headers = call.headers(snapshot, "samplecolumns", VERSION)
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    return Response(snapshot.derived(key, make), 200, headers, RAW.media_type)


def _columns_maker(
    snapshot: Snapshot, layer: str, index: str, by: str
) -> tuple[tuple[str, ...], Callable[[], bytes]]:
    """What an answer is kept by, and what makes it; raises for a filter that there is not."""
    n = snapshot.catalog.n_samples
    if not layer:
        return ("sample columns", VERSION), lambda: _columns_bytes(sample_map.columns(snapshot), n)
    stored, number = snapshot.layer(layer), whole_number(index, "filter")
    stored.check_filter(number)
    key = ("sample column", VERSION, stored.path, str(number), by)
    return key, lambda: _columns_bytes([sample_map.filter_column(stored, number, by)], n)


def _components_bytes(snapshot: Snapshot, table: SampleTable) -> bytes:
    space = sample_map.space_of(snapshot, table)
    projection, center = project(space), space.center
    n_columns = space.table.n_filters
    headers = [
        f"component {at} ({share:.1%} of the variance)"
        for at, share in enumerate(projection.shares.tolist(), 1)
    ]
    words = f"principal components of the {table.words}"
    if projection.n_fitted < center.n_placed:
        words += f", computed from {projection.n_fitted:,} samples that are evenly spaced"
    sentences = [f"{words[0].upper()}{words[1:]}."]
    if center.n_columns < n_columns:
        left_out = n_columns - center.n_columns
        sentences.append(
            f"{left_out:,} of {n_columns:,} columns are left out: they do not vary, or most of "
            "their values are not finite."
        )
    about = {
        "n_columns": center.n_columns,
        "n_placed": center.n_placed,
        "shares": projection.shares.tolist(),
        "n_fitted": projection.n_fitted,
    }
    return _placed_bytes(table, Method.PCA, projection.positions, headers, sentences, about)


def _umap_bytes(snapshot: Snapshot, table: SampleTable) -> bytes:
    umap = read_umap(snapshot.store, table)
    options = umap.options
    sentences = [
        f"UMAP of the {table.words}, by {umap.library} with n_neighbors {options.n_neighbors}, "
        f"min_dist {options.min_dist:g} and seed {options.seed}: what is near stays near; other "
        "distances and the axes say little."
    ]
    about = {
        "n_columns": umap.n_columns,
        "n_placed": umap.n_placed,
        "umap": {**asdict(options), "library": umap.library},
    }
    headers = ["UMAP 1", "UMAP 2"]
    return _placed_bytes(table, Method.UMAP, umap.positions, headers, sentences, about)


def _placed_bytes(
    table: SampleTable,
    method: Method,
    positions: NDArray[np.float32],
    headers: Sequence[str],
    sentences: Sequence[str],
    about: Mapping[str, Any],
) -> bytes:
    """The answer with the places of samples, <float32>[sample, axis], and what is said of them."""
    n, n_placed = len(positions), about["n_placed"]
    if n_placed < n:
        lacking = f"{n - n_placed:,} of {n:,} samples have no place: a value is not finite."
        sentences = [*sentences, lacking]
    columns = [
        SampleColumn(name, header, values)
        for name, header, values in zip("xy", headers, positions.T, strict=True)
    ]
    head = {
        "n": n,
        "columns": list(map(_about, columns)),
        "method": method,
        "table": table.words,
        "of": table.of,
        "layer": table.layer,
        "by": table.by,
        "scale": table.scale,
        **about,
        "words": " ".join(sentences),
    }
    return typed.columns_bytes(head, [column.values for column in columns])


def _columns_bytes(columns: Sequence[SampleColumn], n: int) -> bytes:
    head = {"n": n, "columns": list(map(_about, columns))}
    return typed.columns_bytes(head, [column.values for column in columns])


def _about(column: SampleColumn) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": column.name,
        "header": column.header,
        "dtype": typed.dtype_text(column.values),
    }
    if column.texts:
        about["texts"] = column.texts
    return about
