"""The routes that answer with arrays and tables: parse, look up, answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import caching
from dashboard.api import answers
from dashboard.api.answers import ARRAY_FORMATS, TABLE_FORMATS
from dashboard.api.limits import Limits
from dashboard.api.stored import stored_chunk
from dashboard.source import Snapshot, Source
from fmcore.errors import SelectionError
from fmcore.export import (
    TEXT_FORMATS,
    ArraySource,
    Pace,
    Tables,
    maps_array,
    maps_table,
    pooled_arrays,
    pooled_table,
    resolve,
    sample_arrays,
    samples_table,
    statistics_table,
)
from fmcore.selection import Query, match_names, near_matches, parse_query, parse_samples
from fmcore.storage import Layer

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
# Many are sent at the same time.
PACE = Pace(readers=0, block_bytes=512 << 10)
# A value as text, with what stands around it in an object of JSON.
TEXT_VALUE_BYTES = {"csv": 12, "json": 40}


def array_routes(source: Source, limits: Limits) -> list[Route]:
    """The routes that answer with arrays and tables; `reference` describes them.

    Plain routes, before all others: the search for a route of FastAPI's and its reading of
    parameters, which are parsed here as on the command line, would take half of the time.
    """

    async def maps(request: Request) -> Response:
        store = request.path_params["store"]
        query, form = _asked(request, "maps", ARRAY_FORMATS)
        snapshot = source.current(store)  # nothing here may wait for a disk: it holds up all
        if snapshot is not None and form == "raw":
            quick = stored_chunk(request, snapshot, query, limits, wait=False)
            if quick is not None:
                return quick
        return await run_in_threadpool(_maps, request, source, store, query, form, limits)

    def pooled(request: Request) -> Response:
        snapshot = source.snapshot(request.path_params["store"])
        query, form = _asked(request, "pooled", ARRAY_FORMATS)
        return _pooled(request, snapshot, query, form, limits)

    def statistics(request: Request) -> Response:
        snapshot = source.snapshot(request.path_params["store"])
        query, form = _asked(request, "statistics", TABLE_FORMATS)
        chosen = resolve(snapshot.store, query, files=False)
        return _table(
            request, snapshot, query, form, statistics_table(snapshot.store, chosen), limits
        )

    def samples(request: Request) -> Response:
        snapshot = source.snapshot(request.path_params["store"])
        query, form = _asked(request, "maps", TABLE_FORMATS)
        _refuse_useless(query)
        chosen = resolve(snapshot.store, query, files=False)
        tables = samples_table(list(sample_arrays(snapshot.store, chosen.samples)))
        return _table(request, snapshot, query, form, tables, limits)

    return [
        Route(f"/api/v1/stores/{{store}}/{route.__name__}", route)
        for route in (maps, pooled, statistics, samples)
    ]


def _asked(request: Request, what: str, formats: tuple[str, ...]) -> tuple[Query, str]:
    """The query of a request, and the format of the answer.

    Raises:
        SelectionError: if a parameter is unknown, given twice, or none of its choices.
    """
    values = answers.parameters(request)
    if "what" in values:
        raise SelectionError("what is said by the path", field="what")
    form = values.pop("format", formats[0])
    if form not in formats:
        raise SelectionError(
            f"no format {form!r} here; expected one of {', '.join(formats)}"
            f"{near_matches(form, formats)}",
            field="format",
        )
    return parse_query(values | {"what": what}), form


def _refuse_useless(query: Query) -> None:
    """Refuses parameters that choose no samples; layer and filter do, for `top`."""
    useless = {"statistic", "dtype"}
    if parse_samples(query.sample, files=False).top is None:
        useless |= {"layer", "filter"}
    for name in query.as_dict():
        if name in useless:
            raise SelectionError(f"{name} chooses no samples", field=name)


def _one_layer(snapshot: Snapshot, query: Query) -> Layer:
    """The layer of a query that must mean one.

    Raises:
        SelectionError: if it means none or several.
    """
    what = f"layer of {snapshot.file_name}"
    layers = match_names(list(snapshot.catalog.n_filters), query.layer, what=what)
    if len(layers) > 1:
        raise SelectionError(
            f"layer {query.layer!r} means {', '.join(layers)}; an array is of one: name it",
            field="layer",
        )
    return snapshot.layer(layers[0])


def _pooled(
    request: Request, snapshot: Snapshot, query: Query, form: str, limits: Limits
) -> Response:
    layer = _one_layer(snapshot, query)
    chosen = resolve(snapshot.store, query, files=False)
    if form in TEXT_FORMATS:
        tables = pooled_table(snapshot.store, layer, chosen)
        return _table(request, snapshot, query, form, tables, limits)

    def arrays(first: int, stop: int) -> ArraySource:
        some = replace(chosen, samples=chosen.samples[first:stop])
        found = list(pooled_arrays(layer, some, layer.path, pace=PACE))
        if len(found) != 1:
            names = ", ".join(one.name for one in found)
            raise SelectionError(
                f"{form} holds one table, and {names} are meant; name one with statistic",
                field="statistic",
            )
        return found[0]

    return _array(request, snapshot, query, form, arrays, len(chosen.samples), limits)


def _maps(
    request: Request, source: Source, store: str, query: Query, form: str, limits: Limits
) -> Response:
    snapshot = source.snapshot(store)
    if form == "raw":
        quick = stored_chunk(request, snapshot, query, limits, wait=True)
        if quick is not None:
            return quick
    layer = _one_layer(snapshot, query)
    chosen = resolve(snapshot.store, query, files=False)
    if form == "csv":
        return _table(request, snapshot, query, form, maps_table(layer, chosen), limits)

    def arrays(first: int, stop: int) -> ArraySource:
        some = replace(chosen, samples=chosen.samples[first:stop])
        return maps_array(layer, some, layer.path, pace=PACE)

    n_samples = len(chosen.samples)
    if form == "json":
        about = {
            "store": snapshot.name,
            "layer": layer.path,
            "sample": [int(one) for one in chosen.samples],
            "filter": [int(one) for one in chosen.filters[layer.path]],
        }
        return _json_array(request, snapshot, query, arrays(0, n_samples), about, limits)
    return _array(request, snapshot, query, form, arrays, n_samples, limits)


def _array(
    request: Request,
    snapshot: Snapshot,
    query: Query,
    form: str,
    arrays: Callable[[int, int], ArraySource],
    n_rows: int,
    limits: Limits,
) -> Response:
    whole = arrays(0, n_rows)
    limits.check(whole.nbytes, is_text=False)
    headers = _headers(whole, snapshot, query, form)
    if caching.is_known(request, headers["etag"]):
        return caching.not_modified(headers)
    name = quote(f"{snapshot.name}.{whole.path.replace('/', '.')}.npy", safe="")
    body = answers.body_of(form, whole, arrays)
    return answers.send(request, body, headers, filename=name if form == "npy" else "")


def _json_array(
    request: Request,
    snapshot: Snapshot,
    query: Query,
    array: ArraySource,
    about: Mapping[str, Any],
    limits: Limits,
) -> Response:
    limits.check(array.nbytes // array.dtype.itemsize * TEXT_VALUE_BYTES["csv"], is_text=True)
    headers = _headers(array, snapshot, query, "json")
    if caching.is_known(request, headers["etag"]):
        return caching.not_modified(headers)
    facts = {**about, "axes": array.axes, "shape": array.shape, "dtype": array.dtype.name}

    def text() -> Iterator[str]:
        yield json.dumps(facts, ensure_ascii=False)[:-1] + ', "values": ['
        separator = "\n"
        for block in array.blocks():
            for row in answers.as_json_values(block):
                yield separator + json.dumps(row)
                separator = ",\n"
        yield "]}\n"

    return answers.send_text(request, text(), headers, media_type=MEDIA_TYPES["json"])


def _table(
    request: Request,
    snapshot: Snapshot,
    query: Query,
    form: str,
    tables: Tables,
    limits: Limits,
) -> Response:
    limits.check(tables.n_rows * len(tables.kinds) * TEXT_VALUE_BYTES[form], is_text=True)
    tag = _tag(snapshot, query, form)
    headers = {"etag": tag, "cache-control": "private, no-cache", "x-store-digest": snapshot.digest}
    if caching.is_known(request, tag):
        return caching.not_modified(headers)
    text = TEXT_FORMATS[form](tables)
    return answers.send_text(request, text, headers, media_type=MEDIA_TYPES[form])


def _headers(array: ArraySource, snapshot: Snapshot, query: Query, form: str) -> dict[str, str]:
    tag = _tag(snapshot, query, form)
    return answers.headers_of(array.shape, array.dtype, array.axes, digest=snapshot.digest, tag=tag)


def _tag(snapshot: Snapshot, query: Query, form: str) -> str:
    return caching.etag(snapshot.digest, *asdict(query).values(), form)
