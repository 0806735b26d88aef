"""Scripts and styles, kept in each process, compressed: they are most of what a first page takes.

Those whose address changes with them a browser keeps, and never asks for again.
"""

from __future__ import annotations

import gzip
import hashlib
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.headers import FOR_A_YEAR, FOR_EVER, is_file, is_known, not_modified

# Smaller ones gain nothing; all of Dash's own together take a quarter of this.
LEAST_BYTES, KEPT_BYTES = 1000, 16 << 20


class Compressed:
    """Keeps files that never change while the server runs, and gzips them, where that is taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[str, Response] = {}
        self._n_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers from what was compressed before; anything but a file is handed on."""
        if not is_file(scope):
            await self._app(scope, receive, send)
            return
        path, headers = scope["path"].removeprefix(scope.get("root_path", "")), Headers(scope=scope)
        send = _lasting(scope["query_string"], send)
        if scope["method"] != "GET" or "gzip" not in headers.get("accept-encoding", ""):
            await self._app(scope, receive, send)
            return
        answer = self._kept.get(path) or await self._made(path, scope, receive)
        tag = answer.headers.get("etag", "")
        if tag and is_known(Request(scope), tag):
            answer = not_modified({"etag": tag})
        await answer(scope, receive, send)

    async def _made(self, path: str, scope: Scope, receive: Receive) -> Response:
        status, headers, body = 500, MutableHeaders(), b""

        async def taken(message: Message) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], MutableHeaders(raw=message["headers"])
            else:
                body += message.get("body", b"")

        whole = {**scope, "headers": [one for one in scope["headers"] if one[0] not in _ASKING]}
        await self._app(whole, receive, taken)
        if status != 200:
            return Response(body, status, headers)
        if len(body) >= LEAST_BYTES:
            body = await run_in_threadpool(gzip.compress, body, 6, mtime=0)
            del headers["content-length"]
            headers["content-encoding"] = "gzip"
            headers["vary"] = "accept-encoding"
            headers["etag"] = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        answer = Response(body, status, headers)
        if self._n_bytes + len(body) <= KEPT_BYTES and path not in self._kept:
            self._kept[path] = answer
            self._n_bytes += len(body)
        return answer


def _lasting(query: bytes, send: Send) -> Send:
    """Has a browser keep what its address names the state of."""

    async def send_lasting(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            headers = MutableHeaders(scope=message)
            # Dash's own says so of a file with version and time in its name.
            named = headers.get("cache-control") == FOR_A_YEAR
            if named or _is_of(query, headers.get("last-modified", "")):
                headers["cache-control"] = FOR_EVER
        await send(message)

    return send_lasting


def _is_of(query: bytes, modified: str) -> bool:
    """Whether an asset is as its address says with `m`, the seconds when it was changed.

    It is not where a page of another version of the dashboard asks.
    """
    try:
        (asked,) = parse_qs(query.decode("latin-1"))["m"]
        return int(float(asked)) == int(parsedate_to_datetime(modified).timestamp())
    except (KeyError, ValueError, OverflowError):
        return False


# Whatever a client holds already, the whole is wanted here.
_ASKING = (b"if-none-match", b"if-modified-since", b"range")
