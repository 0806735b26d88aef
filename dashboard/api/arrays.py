"""The operations that answer with arrays and tables: parse, look up, answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.responses import Response

from dashboard.api import answers
from dashboard.api.answers import MAP_AXES, RAW, Call
from dashboard.api.terms import terms_table
from dashboard.api.windows import whole_number
from dashboard.file_names import file_name, numbered
from dashboard.server import headers as caching
from dashboard.stores.source import Snapshot
from fmcore.errors import SelectionError
from fmcore.export import (
    FORMATS,
    ArraySource,
    Pace,
    ResolvedQuery,
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
from fmcore.selection import (
    PARAMETERS,
    Indices,
    Query,
    match_names,
    parse_numbers,
    parse_query,
    parse_samples,
)
from fmcore.storage import Layer, deflate
from fmcore.units import arithmetic_of

# Many are sent at the same time.
PACE = Pace(readers=0, block_bytes=512 << 10)
# A number of an array as text, about.
NUMBER_BYTES = 12
# Plain values are deflated on their way where no more than this is left of them.
WORTH_SENDING = 0.95
# All that `stored_chunk` looks at: a request with anything else is not its own.
_CHUNK_PARAMETERS = frozenset({"layer", "filter", "sample", "dtype", "format"})


@dataclass(frozen=True, slots=True, eq=False)
class _Selection:
    """A part of a store, as a request chooses it."""

    call: Call
    snapshot: Snapshot
    query: Query

    def resolved(self) -> ResolvedQuery:
        """The layers, filters, samples and classes that the query means in this store."""
        return resolve(self.snapshot.store, self.query, files=False)

    def layer(self) -> Layer:
        """The layer of a query that must mean one; raises `SelectionError` else."""
        what, layers = f"layer of {self.snapshot.file_name}", list(self.snapshot.catalog.n_filters)
        paths = match_names(layers, self.query.layer, what=what, regular=False)
        if len(paths) > 1:
            raise SelectionError(
                f"layer {self.query.layer!r} means {', '.join(paths)}; an array is of one: name it",
                field="layer",
            )
        return self.snapshot.layer(paths[0])

    @property
    def file_name(self) -> str:
        """The name of the answer as a file: what was asked for."""
        query = self.query
        of = {"sample": query.sample, "filter": query.filter, "class": query.class_}
        parts = (numbered(noun, text) for noun, text in of.items())
        what = self.call.request.url.path.rpartition("/")[2]
        ending = self.call.form.ending
        return file_name(
            self.snapshot.name, query.layer, what, query.statistic, *parts, ending=ending
        )

    def headers(self, array: ArraySource | None = None) -> dict[str, str]:
        """The headers of the answer, which describe an array if it is one."""
        if array is None:
            return self.call.headers(self.snapshot, self.query.what)
        digest = self.snapshot.digest
        tag = self.call.tag(digest, self.query.what)
        return answers.headers_of(array.shape, array.dtype, array.axes, digest=digest, tag=tag)


async def maps(call: Call) -> Response:
    """Feature maps of one layer: a stored chunk as it lies in the file, if it is just one."""
    query = _query(call, "maps")
    snapshot = call.current()  # nothing here may wait for a disk: it holds up all
    if snapshot is not None:
        quick = stored_chunk(call, snapshot, query, wait=False)
        if quick is not None:
            return quick
    return await call.in_thread(partial(_maps, call, query))


def pooled(call: Call) -> Response:
    """Pooled tables of one layer."""
    selection = _Selection(call, call.snapshot(), _query(call, "pooled"))
    layer, resolved, form = selection.layer(), selection.resolved(), call.form
    if form.table_text is not None:
        return _table(selection, pooled_table(selection.snapshot.store, layer, resolved))

    def rows(first: int, stop: int) -> ArraySource:
        part = replace(resolved, samples=resolved.samples[first:stop])
        arrays = list(pooled_arrays(layer, part, layer.path, pace=PACE))
        if len(arrays) != 1:
            names = ", ".join(array.name for array in arrays)
            raise SelectionError(
                f"{form.name} holds one table, and {names} are meant; name one with statistic",
                field="statistic",
            )
        return arrays[0]

    return _array(selection, rows, len(resolved.samples))


def statistics(call: Call) -> Response:
    """Statistics of filters and layers."""
    selection = _Selection(call, call.snapshot(), _query(call, "statistics"))
    return _table(selection, statistics_table(selection.snapshot.store, selection.resolved()))


def samples(call: Call) -> Response:
    """Index, label and prediction of samples, which are chosen as those of maps are."""
    selection = _Selection(call, call.snapshot(), _query(call, "maps"))
    if parse_samples(selection.query.sample, files=False).top is None:
        for name in selection.query.as_dict().keys() & {"layer", "filter"}:
            raise SelectionError(f"{name} chooses no samples without top:N", field=name)
    columns = sample_arrays(selection.snapshot.store, selection.resolved().samples)
    return _table(selection, samples_table(list(columns)))


def terms(call: Call) -> Response:
    """The products that one value of a map is the sum of."""
    snapshot = call.snapshot()
    layer = snapshot.layer(call.take("layer"))
    numbers = {name: whole_number(call.take(name), name) for name in ("sample", "filter", "y", "x")}
    call.refuse_rest()
    query = parse_query(
        {
            "what": "maps",
            "layer": layer.path,
            "sample": str(numbers["sample"]),
            "filter": str(numbers["filter"]),
        }
    )
    arithmetic = arithmetic_of(
        snapshot.store, layer.path, numbers["sample"], numbers["filter"], numbers["y"], numbers["x"]
    )
    return _table(_Selection(call, snapshot, query), terms_table(arithmetic))


def _query(call: Call, what: str) -> Query:
    """The query of a request, parsed as on the command line; takes its parameters."""
    names = [parameter.name for parameter in PARAMETERS if parameter.name in call.untaken]
    query = parse_query({name: call.take(name) for name in names} | {"what": what})
    call.refuse_rest()
    return query


def _maps(call: Call, query: Query) -> Response:
    selection = _Selection(call, call.snapshot(), query)
    quick = stored_chunk(call, selection.snapshot, query, wait=True)
    if quick is not None:
        return quick
    layer, resolved = selection.layer(), selection.resolved()

    def rows(first: int, stop: int) -> ArraySource:
        part = replace(resolved, samples=resolved.samples[first:stop])
        return maps_array(layer, part, layer.path, pace=PACE)

    if call.form.array_text is not None:
        return _array_text(selection, rows(0, len(resolved.samples)), resolved)
    if call.form.table_text is not None:
        return _table(selection, maps_table(layer, resolved))
    return _array(selection, rows, len(resolved.samples))


def _array(selection: _Selection, rows: Callable[[int, int], ArraySource], n_rows: int) -> Response:
    call, form, whole = selection.call, selection.call.form, rows(0, n_rows)
    call.limits.check(whole.nbytes, is_text=False)
    headers = selection.headers(whole)
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    head = form.array_header(whole) if form.array_header else b""
    return answers.send(
        call.request,
        answers.Body(head, whole, rows),
        headers,
        media_type=form.media_type,
        filename="" if form is RAW else selection.file_name,
    )


def _array_text(selection: _Selection, array: ArraySource, resolved: ResolvedQuery) -> Response:
    form = selection.call.form
    assert form.array_text is not None  # noqa: S101 (such are the formats that come here)
    n_bytes = array.nbytes // array.dtype.itemsize * NUMBER_BYTES
    (path,) = resolved.layers
    about = {
        "store": selection.snapshot.name,
        "layer": path,
        "sample": [int(index) for index in resolved.samples],
        "filter": [int(index) for index in resolved.filters[path]],
    }
    headers = selection.headers(array)
    return _text(selection, form.array_text(array, about), n_bytes, headers)


def _table(selection: _Selection, tables: Tables) -> Response:
    form = selection.call.form
    assert form.table_text is not None  # noqa: S101 (such are the formats that come here)
    headers = selection.headers()
    return _text(selection, form.table_text(tables), form.table_bytes(tables), headers)


def _text(
    selection: _Selection, text: Iterable[str], n_bytes: int, headers: Mapping[str, str]
) -> Response:
    """Text that is made while it is sent, of about so many bytes."""
    call = selection.call
    call.limits.check(n_bytes, is_text=True)
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    # A browser shows JSON, which has its name where somebody saves it.
    kind = "inline" if call.form is FORMATS["json"] else "attachment"
    named = {"content-disposition": answers.disposition(selection.file_name, kind=kind)}
    return answers.send_text(
        call.request, text, {**headers, **named}, media_type=call.form.media_type
    )


def stored_chunk(call: Call, snapshot: Snapshot, query: Query, *, wait: bool) -> Response | None:
    """The quickest answer: a chunk as it lies in the file is the body, and nothing inflates it.

    A chunk of plain values is deflated for clients that take this, if it pays.

    Returns:
        None where the query is not exactly for one chunk, or the request has a parameter that is
        not looked at here, or wants another form; and, unless `wait`, where the disk would have to
        be waited for, or values deflated.
    """
    headers = call.request.headers
    is_exact = call.query.keys() <= _CHUNK_PARAMETERS
    if not is_exact or call.form is not RAW or "range" in headers:
        return None
    if query.layer not in snapshot.catalog.n_filters:
        return None
    layer, samples = snapshot.layer(query.layer), parse_samples(query.sample, files=False)
    if not isinstance(samples.group, Indices) or samples.top or not layer.has_maps:
        return None
    values = layer.activation
    if not (wait or values.is_indexed) or values.stored_dtype != query.dtype:
        return None
    takes_deflate = _takes_deflate(headers.get("accept-encoding", ""))
    if values.is_deflated and not takes_deflate:
        return None
    is_plain = takes_deflate and not values.is_deflated
    n_samples = snapshot.catalog.n_samples
    rows = parse_numbers(samples.group.text, n_samples, what="sample", field="sample")
    filters: Any = range(layer.n_filters)
    if query.filter:
        what = f"filter of {layer.path}"
        filters = parse_numbers(query.filter, layer.n_filters, what=what, field="filter")
    position = values.only_chunk((rows, *map(range, layer.shape[:2]), filters))
    if position is None:
        return None
    shape, dtype = (len(rows), *layer.shape[:2], len(filters)), values.stored_dtype
    call.limits.check(math.prod(shape) * dtype.itemsize, is_text=False)
    # The same bytes have one tag: plain values differ from what is sent to those who take deflate.
    form = "deflate if it pays" if is_plain else "stored"
    tag = caching.etag(snapshot.digest, "maps", layer.path, str(position), form)
    about = answers.headers_of(shape, dtype, MAP_AXES, digest=snapshot.digest, tag=tag)
    if values.is_deflated:
        about["content-encoding"] = "deflate"
    if caching.is_known(call.request, tag):
        return caching.not_modified(about)
    if is_plain and not wait:
        return None
    data = values.raw_chunk_now(position)
    if data is None:
        if not wait:
            return None
        data = values.raw_chunk(position).data
    if is_plain and len(smaller := deflate(data)) < WORTH_SENDING * len(data):
        data, about["content-encoding"] = smaller, "deflate"
    return Response(data, 200, about, RAW.media_type)


def _takes_deflate(accepted: str) -> bool:
    """Whether a client names deflate, and not with a weight of 0 (RFC 9110, 12.5.3)."""
    for part in accepted.split(","):
        name, _, weight = part.lower().replace(" ", "").partition(";")
        if name == "deflate":
            return weight.partition(";")[0].rstrip("0.") != "q="
    return False
