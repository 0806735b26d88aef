"""Answers: arrays as bytes with ranges and validators, text as it is made."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dashboard.server.background import streamed
from dashboard.server.problem import problem
from fmcore.errors import SelectionError
from fmcore.export import FORMATS, ArraySource, Format

# The values alone; shape and dtype are in the headers of the answer.
RAW = Format("raw", "little-endian bytes", ("maps", "pooled"), exact_bytes=True)
MOST_PARAMETERS = 32
# Answers up to this size are made whole: fewer steps, and a defect is a status, not a torn body.
WHOLE_BYTES = 1 << 20


def _formats(default: Format, is_sent: Callable[[Format], object]) -> dict[str, Format]:
    sent = [form for form in FORMATS.values() if is_sent(form)]
    return {form.name: form for form in (default, *sent)}


# The formats in which each route answers, by name; the first where a request names none. An array
# is sent as bytes, all else as text that is made on the way: what needs a file is not sent.
FORMATS_OF: dict[str, dict[str, Format]] = {
    "maps": _formats(
        RAW,
        lambda form: (
            form.array_header or form.array_text or (form.table_text and "maps" in form.takes)
        ),
    ),
    "pooled": _formats(
        RAW, lambda form: form.array_header or (form.table_text and "pooled" in form.takes)
    ),
    "statistics": _formats(
        FORMATS["json"], lambda form: form.table_text and "statistics" in form.takes
    ),
    "samples": _formats(FORMATS["json"], lambda form: form.table_text),
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def parameters(request: Request) -> dict[str, str]:
    """The parameters of a request, each of which may be given once.

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


def headers_of(
    shape: Sequence[int], dtype: np.dtype[Any], axes: Sequence[str], *, digest: str, tag: str
) -> dict[str, str]:
    """What is told of an array beside its bytes."""
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
        array: the whole.
        rows: the same array, of some of its rows only, from first to last.
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


def body_of(form: Format, array: ArraySource, rows: Callable[[int, int], ArraySource]) -> Body:
    """An array as bytes: the header that the format has, and the values."""
    return Body(form.array_header(array) if form.array_header else b"", array, rows)


def send(
    request: Request, body: Body, headers: Mapping[str, str], *, media_type: str, filename: str
) -> Response:
    """The bytes of an array, or the range of them that was asked for (RFC 9110, 14)."""
    size, told = body.n_bytes, dict(headers)
    told |= {"accept-ranges": "bytes"}
    if filename:
        told["content-disposition"] = f'attachment; filename="{filename}"'
    start, stop, status = 0, size, 200
    if_range = request.headers.get("if-range")
    asked = request.headers.get("range") if request.method == "GET" else None
    if asked and if_range in (None, headers["etag"]):
        found = _range(asked, size)
        if found == (0, 0):
            told |= {"content-range": f"bytes */{size}"}
            return problem(416, f"the answer has {size:,} bytes; found {asked!r}", headers=told)
        if found is not None:
            (start, stop), status = found, 206
            told["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    told["content-length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=told, media_type=media_type)
    parts = body.part(start, stop)
    if stop - start <= WHOLE_BYTES:
        return Response(b"".join(parts), status, told, media_type)
    return StreamingResponse(streamed(_begun(parts)), status, told, media_type)


def _range(asked: str, size: int) -> tuple[int, int] | None:
    """Start and stop; (0, 0) for a range beyond the end, None for what need not be heeded."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        last = int(found[2])
        return (max(0, size - last), size) if last else (0, 0)
    start, stop = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if found[2] and int(found[2]) < int(found[1]):
        return None
    return (start, stop) if start < size else (0, 0)


def send_text(
    request: Request, text: Iterable[str], headers: Mapping[str, str], *, media_type: str
) -> Response:
    """Text, sent as it is made."""
    if request.method == "HEAD":
        return Response(headers=dict(headers), media_type=media_type)
    return StreamingResponse(streamed(_begun(_encoded(text))), 200, dict(headers), media_type)


def _begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same; what is wrong with the first part is a status, and no torn body."""
    return itertools.chain([next(parts, b"")], parts)


def _encoded(text: Iterable[str]) -> Iterator[bytes]:
    """Pieces that are worth a step each."""
    held: list[str] = []
    n_held = 0
    for piece in text:
        held.append(piece)
        n_held += len(piece)
        if n_held >= 1 << 16:
            yield "".join(held).encode()
            held, n_held = [], 0
    yield "".join(held).encode()
