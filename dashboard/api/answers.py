"""What operations get and give: a request that is read, arrays as bytes, text as it is made."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dashboard.api.errors import Limits
from dashboard.server.headers import etag
from dashboard.server.problem import problem
from dashboard.server.threads import Threads
from dashboard.stores.source import Snapshot, Source
from fmcore.errors import SelectionError
from fmcore.export import ArraySource, Format

# The values alone; shape and dtype are in the headers of the answer.
RAW = Format("raw", "little-endian bytes", ("maps", "pooled"), exact_bytes=True)
MAP_AXES = ("sample", "y", "x", "filter")
MOST_PARAMETERS = 32
# Answers up to this size are made whole: fewer steps, and a defect is a status, not a torn body.
WHOLE_BYTES = 1 << 20
# Threads for downloads, which stand back behind those of pages; 19 is the kernel's least.
THREADS, NICE = 2, 19
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One request to an operation.

    Attributes:
        request: the request as it came.
        source: where the stores are.
        limits: how much the answer may hold.
        threads: where what takes long is done.
        query: all parameters of the query, by name; what an answer is kept by must hold them all.
        untaken: those that nobody has taken yet; `format` is taken at once.
        form: the format of the answer; `RAW` where an operation has no choice.
    """

    request: Request
    source: Source
    limits: Limits
    threads: Threads
    query: Mapping[str, str]
    untaken: dict[str, str]
    form: Format = RAW

    @property
    def store(self) -> str:
        """The name of the store that the address says."""
        return str(self.request.path_params["store"])

    def snapshot(self) -> Snapshot:
        """The store as it is now; opens it if need be, so never on the event loop.

        Raises:
            StoreNotFoundError: if there is no store of that name.
            InputFileError, StoreError: if the file is gone or is no store.
        """
        return self.source.snapshot(self.store)

    def current(self) -> Snapshot | None:
        """The store, if it is open and its file is still the same; does not wait."""
        return self.source.current(self.store)

    async def in_thread(self, function: Callable[[], Response]) -> Response:
        """What a function answers that may wait for a disk, called in a thread."""
        return await self.threads.run(self.request.scope, self.request.receive, function)

    def tag(self, *facts: str) -> str:
        """The ETag of an answer that is made of some facts and of all parameters."""
        return etag(*facts, *(f"{name}={text}" for name, text in sorted(self.query.items())))

    def headers(self, snapshot: Snapshot, *what: str) -> dict[str, str]:
        """The headers of an answer about a store, which is kept, and asked for again.

        Args:
            snapshot: the store, which may be replaced.
            what: what the answer says of it.
        """
        return {
            "etag": self.tag(snapshot.digest, *what),
            "cache-control": "private, no-cache",
            "x-store-digest": snapshot.digest,
        }

    def take(self, name: str, default: str = "") -> str:
        """The text of a parameter, which thereby is heeded; a default where it is not given."""
        return self.untaken.pop(name, default)

    def refuse_rest(self) -> None:
        """Raises `SelectionError` for a parameter that nobody took: it must not be ignored."""
        for name in self.untaken:
            raise SelectionError(f"{name} has no effect here; leave it out", field=name)


def parameters_of(request: Request) -> dict[str, str]:
    """The parameters of a request's query, each of which may be given once.

    Raises:
        SelectionError: if one is given twice, or there are too many.
    """
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise SelectionError(f"the query cannot be read: {error}", field="query") from error
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise SelectionError(f"{name} is given twice", field=name)
        values[name] = value
    return values


def json_answer(value: object, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON; dataclasses are objects."""
    return Response(orjson.dumps(value), headers=headers, media_type="application/json")


def headers_of(
    shape: Sequence[int], dtype: np.dtype[Any], axes: Sequence[str], *, digest: str, tag: str
) -> dict[str, str]:
    """The headers that describe an array beside its bytes."""
    return {
        "etag": tag,
        "cache-control": "private, no-cache",  # kept, and asked for again: stores are replaced
        "vary": "accept-encoding",
        "x-shape": ",".join(map(str, shape)),
        "x-dtype": dtype.str,
        "x-axes": ",".join(axes),
        "x-store-digest": digest,
    }


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """The bytes of an array on the wire: perhaps a header, then the values.

    Attributes:
        head: what stands before the values.
        array: the whole array.
        rows: gives the array's rows from a first to before a last.
    """

    head: bytes
    array: ArraySource
    rows: Callable[[int, int], ArraySource]

    @property
    def n_bytes(self) -> int:
        """Bytes in all."""
        return len(self.head) + self.array.nbytes

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`; only the rows they lie in are read."""
        if start < len(self.head):
            yield self.head[start:stop]
        first, last = (max(0, place - len(self.head)) for place in (start, stop))
        if last <= first:
            return
        row_bytes = self.array.nbytes // self.array.shape[0]
        begin, end = first // row_bytes, -(-last // row_bytes)
        place = begin * row_bytes
        for block in self.rows(begin, end).blocks():
            data = memoryview(np.ascontiguousarray(block)).cast("B")  # type: ignore[arg-type]
            yield bytes(data[max(0, first - place) : max(0, last - place)])
            place += len(data)


def send(
    request: Request, body: Body, headers: Mapping[str, str], *, media_type: str, filename: str
) -> Response:
    """The bytes of an array, or the range of them that was asked for (RFC 9110, 14)."""
    size, headers = body.n_bytes, dict(headers) | {"accept-ranges": "bytes"}
    if filename:
        headers["content-disposition"] = disposition(filename)
    start, stop, status = 0, size, 200
    if_range = request.headers.get("if-range")
    text = request.headers.get("range") if request.method == "GET" else None
    if text and if_range in (None, headers["etag"]):
        part = _range(text, size)
        if part == (0, 0):
            headers["content-range"] = f"bytes */{size}"
            return problem(416, f"the answer has {size:,} bytes; found {text!r}", headers=headers)
        if part is not None:
            (start, stop), status = part, 206
            headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["content-length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    parts = body.part(start, stop)
    if stop - start <= WHOLE_BYTES:
        return Response(b"".join(parts), status, headers, media_type)
    return StreamingResponse(_in_background(_begun(parts)), status, headers, media_type)


def disposition(name: str, *, kind: str = "attachment") -> str:
    """The header that gives an answer its file name, in ASCII and in full (RFC 6266, appendix D).

    Args:
        name: of the file; without quotes.
        kind: `attachment`, or `inline` for what a browser shows.
    """
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    full = "" if name.isascii() else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{full}'


def _range(text: str, size: int) -> tuple[int, int] | None:
    """Start and stop; (0, 0) for a range beyond the end, None for what need not be heeded."""
    ends = _RANGE.fullmatch(text.strip())
    if ends is None or not (ends[1] or ends[2]):
        return None
    if not ends[1]:
        last = int(ends[2])
        return (max(0, size - last), size) if last else (0, 0)
    start, stop = int(ends[1]), min(int(ends[2]) + 1 if ends[2] else size, size)
    if ends[2] and int(ends[2]) < int(ends[1]):
        return None
    return (start, stop) if start < size else (0, 0)


def send_text(
    request: Request, text: Iterable[str], headers: Mapping[str, str], *, media_type: str
) -> Response:
    """Text, sent as it is made."""
    if request.method == "HEAD":
        return Response(headers=dict(headers), media_type=media_type)
    parts = _in_background(_begun(_encoded(text)))
    return StreamingResponse(parts, 200, dict(headers), media_type)


def _begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """All parts; what is wrong with the first is raised now: a status, and no torn body."""
    return itertools.chain([next(parts, b"")], parts)


def _encoded(text: Iterable[str]) -> Iterator[bytes]:
    """Pieces of a text, put together until they are worth a step each."""
    pieces: list[str] = []
    n_characters = 0
    for piece in text:
        pieces.append(piece)
        n_characters += len(piece)
        if n_characters >= 1 << 16:
            yield "".join(pieces).encode()
            pieces, n_characters = [], 0
    yield "".join(pieces).encode()


def _stand_back() -> None:
    """Gives a thread the least priority, on Linux; elsewhere it would be the whole process'."""
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


# Low-priority threads for large downloads, so that page views stay fast. They begin with the first
# download, and so after a worker is forked.
_POOL = ThreadPoolExecutor(THREADS, "background", initializer=_stand_back)


async def _in_background(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """All parts, each made in the background when the one before is sent."""
    loop = asyncio.get_running_loop()
    while (part := await loop.run_in_executor(_POOL, next, parts, None)) is not None:
        yield part
