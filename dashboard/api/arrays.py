"""The routes that answer with arrays and tables: parse, look up, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.api import answers
from dashboard.api.answers import FORMATS_OF, RAW
from dashboard.api.limits import Limits
from dashboard.api.stored import stored_chunk
from dashboard.server import headers as caching
from dashboard.stores.source import Snapshot, Source
from fmcore.errors import SelectionError
from fmcore.export import (
    ArraySource,
    Format,
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

# Many are sent at the same time.
PACE = Pace(readers=0, block_bytes=512 << 10)
# A number of an array as text, about.
NUMBER_BYTES = 12


def array_routes(source: Source, limits: Limits) -> list[Route]:
    """The routes that answer with arrays and tables; `reference` describes them.

    Plain routes, before all others: the search for a route of FastAPI's and its reading of
    parameters, which are parsed here as on the command line, would take half of the time.
    """

    async def maps(request: Request) -> Response:
        store = request.path_params["store"]
        query, form = _asked(request, "maps")
        snapshot = source.current(store)  # nothing here may wait for a disk: it holds up all
        if snapshot is not None and form is RAW:
            quick = stored_chunk(request, snapshot, query, limits, wait=False)
            if quick is not None:
                return quick
        return await run_in_threadpool(_maps, request, source, store, query, form, limits)

    def pooled(request: Request) -> Response:
        snapshot = source.snapshot(request.path_params["store"])
        query, form = _asked(request, "pooled")
        return _pooled(request, snapshot, query, form, limits)

    def statistics(request: Request) -> Response:
        snapshot = source.snapshot(request.path_params["store"])
        query, form = _asked(request, "statistics")
        chosen = resolve(snapshot.store, query, files=False)
        return _table(
            request, snapshot, query, form, statistics_table(snapshot.store, chosen), limits
        )

    def samples(request: Request) -> Response:
        snapshot = source.snapshot(request.path_params["store"])
        query, form = _asked(request, "samples")
        _refuse_useless(query)
        chosen = resolve(snapshot.store, query, files=False)
        tables = samples_table(list(sample_arrays(snapshot.store, chosen.samples)))
        return _table(request, snapshot, query, form, tables, limits)

    return [
        Route(f"/api/v1/stores/{{store}}/{route.__name__}", route)
        for route in (maps, pooled, statistics, samples)
    ]


def _asked(request: Request, route: str) -> tuple[Query, Format]:
    """The query of a request, and the format of the answer.

    Raises:
        SelectionError: if a parameter is unknown, given twice, or none of its choices.
        MissingLibraryError: if the format needs a library that is not installed.
    """
    values = answers.parameters(request)
    if "what" in values:
        raise SelectionError("what is said by the path", field="what")
    formats = FORMATS_OF[route]
    name = values.pop("format", next(iter(formats)))
    if name not in formats:
        raise SelectionError(
            f"no format {name!r} here; expected one of {', '.join(formats)}"
            f"{near_matches(name, list(formats))}",
            field="format",
        )
    formats[name].needs()
    what = "maps" if route == "samples" else route  # samples are chosen as those of maps
    return parse_query(values | {"what": what}), formats[name]


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
    request: Request, snapshot: Snapshot, query: Query, form: Format, limits: Limits
) -> Response:
    layer = _one_layer(snapshot, query)
    chosen = resolve(snapshot.store, query, files=False)
    if form.table_text is not None:
        tables = pooled_table(snapshot.store, layer, chosen)
        return _table(request, snapshot, query, form, tables, limits)

    def arrays(first: int, stop: int) -> ArraySource:
        some = replace(chosen, samples=chosen.samples[first:stop])
        found = list(pooled_arrays(layer, some, layer.path, pace=PACE))
        if len(found) != 1:
            names = ", ".join(one.name for one in found)
            raise SelectionError(
                f"{form.name} holds one table, and {names} are meant; name one with statistic",
                field="statistic",
            )
        return found[0]

    return _array(request, snapshot, query, form, arrays, len(chosen.samples), limits)


def _maps(
    request: Request, source: Source, store: str, query: Query, form: Format, limits: Limits
) -> Response:
    snapshot = source.snapshot(store)
    if form is RAW:
        quick = stored_chunk(request, snapshot, query, limits, wait=True)
        if quick is not None:
            return quick
    layer = _one_layer(snapshot, query)
    chosen = resolve(snapshot.store, query, files=False)

    def arrays(first: int, stop: int) -> ArraySource:
        some = replace(chosen, samples=chosen.samples[first:stop])
        return maps_array(layer, some, layer.path, pace=PACE)

    n_samples = len(chosen.samples)
    if form.array_text is not None:
        about = {
            "store": snapshot.name,
            "layer": layer.path,
            "sample": [int(one) for one in chosen.samples],
            "filter": [int(one) for one in chosen.filters[layer.path]],
        }
        return _array_text(request, snapshot, query, form, arrays(0, n_samples), about, limits)
    if form.table_text is not None:
        return _table(request, snapshot, query, form, maps_table(layer, chosen), limits)
    return _array(request, snapshot, query, form, arrays, n_samples, limits)


def _array(
    request: Request,
    snapshot: Snapshot,
    query: Query,
    form: Format,
    arrays: Callable[[int, int], ArraySource],
    n_rows: int,
    limits: Limits,
) -> Response:
    whole = arrays(0, n_rows)
    limits.check(whole.nbytes, is_text=False)
    headers = _headers(whole, snapshot, query, form)
    if caching.is_known(request, headers["etag"]):
        return caching.not_modified(headers)
    file = f"{snapshot.name}.{whole.path.replace('/', '.')}{form.ending}"
    return answers.send(
        request,
        answers.body_of(form, whole, arrays),
        headers,
        media_type=form.media_type,
        filename="" if form is RAW else quote(file, safe=""),
    )


def _array_text(
    request: Request,
    snapshot: Snapshot,
    query: Query,
    form: Format,
    array: ArraySource,
    about: Mapping[str, Any],
    limits: Limits,
) -> Response:
    limits.check(array.nbytes // array.dtype.itemsize * NUMBER_BYTES, is_text=True)
    headers = _headers(array, snapshot, query, form)
    if caching.is_known(request, headers["etag"]):
        return caching.not_modified(headers)
    assert form.array_text is not None  # noqa: S101 (such are the formats that come here)
    text = form.array_text(array, about)
    return answers.send_text(request, text, headers, media_type=form.media_type)


def _table(
    request: Request,
    snapshot: Snapshot,
    query: Query,
    form: Format,
    tables: Tables,
    limits: Limits,
) -> Response:
    limits.check(form.table_bytes(tables), is_text=True)
    tag = _tag(snapshot, query, form)
    headers = {"etag": tag, "cache-control": "private, no-cache", "x-store-digest": snapshot.digest}
    if caching.is_known(request, tag):
        return caching.not_modified(headers)
    assert form.table_text is not None  # noqa: S101 (such are the formats that come here)
    text = form.table_text(tables)
    return answers.send_text(request, text, headers, media_type=form.media_type)


def _headers(array: ArraySource, snapshot: Snapshot, query: Query, form: Format) -> dict[str, str]:
    tag = _tag(snapshot, query, form)
    return answers.headers_of(array.shape, array.dtype, array.axes, digest=snapshot.digest, tag=tag)


def _tag(snapshot: Snapshot, query: Query, form: Format) -> str:
    return caching.etag(snapshot.digest, *asdict(query).values(), form.name)
