"""Scripts and styles, kept in each process, compressed: they are most of what a first page takes.

A browser keeps those whose address changes with them, and never asks for them again. Plotly's
script is the one with the plots of two axes alone, a third of the whole, which took a second:
`plotly-cartesian.min.js` of the npm package `plotly.js-cartesian-dist-min`, in the version that the
installed `plotly` draws with; a test says where they part.
"""

from __future__ import annotations

import hashlib
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import parse_qs

from plotly.offline import get_plotlyjs_version
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.headers import FOR_A_YEAR, FOR_EVER, is_file, is_known, not_modified
from dashboard.server.roles import Role
from dashboard.server.routes import GuardedRoute

PLOTLY = Path(__file__).parents[1] / "vendor" / "plotly-cartesian.min.js"
# Where Dash's graphs ask for the whole script.
PLOTLY_PATH = "/_dash-component-suites/plotly/package_data/plotly.min.js"
# Smaller files gain nothing; all of Dash's own together take a quarter of what may be kept.
LEAST_BYTES, KEPT_BYTES = 1000, 16 << 20
# Whatever a client holds already, the whole file is wanted here.
_CONDITIONS = (b"if-none-match", b"if-modified-since", b"range")


def plotly_fits() -> bool:
    """Whether the vendored script is of the version that the installed `plotly` draws with."""
    with PLOTLY.open(encoding="utf-8") as file:
        head = re.search(r"plotly\.js \(cartesian - minified\) v(\S+)", file.read(200))
    return head is not None and head[1] == get_plotlyjs_version()


def plotly_route() -> GuardedRoute:
    """Answers Dash's graphs with the vendored script in place of the whole one."""
    files = StaticFiles(directory=PLOTLY.parent)

    async def script(request: Request) -> Response:
        return await files.get_response(PLOTLY.name, request.scope)

    return GuardedRoute(PLOTLY_PATH, script, role=Role.VIEW)


class KeptFiles:
    """Keeps files that never change while the server runs, gzipped for those who take that."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._gzipped = GZipMiddleware(app, LEAST_BYTES, compresslevel=6)
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
        answer = self._kept.get(path) or await self._compressed(path, scope, receive)
        tag = answer.headers.get("etag", "")
        if tag and is_known(Request(scope), tag):
            # With all that says how long it is kept: a browser takes that over (RFC 9111, 4.3.4).
            kept = ("etag", "cache-control", "last-modified")
            held = {name: answer.headers[name] for name in kept if name in answer.headers}
            answer = not_modified(held)
        await answer(scope, receive, send)

    async def _compressed(self, path: str, scope: Scope, receive: Receive) -> Response:
        status, headers, body = 500, MutableHeaders(), b""

        async def collect(message: Message) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], MutableHeaders(raw=message["headers"])
            else:
                body += message.get("body", b"")

        whole = [header for header in scope["headers"] if header[0] not in _CONDITIONS]
        await self._gzipped({**scope, "headers": whole}, receive, collect)
        if "content-encoding" in headers:
            headers["content-length"] = str(len(body))
            headers["etag"] = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        answer = Response(body, status, headers)
        has_room = self._n_bytes + len(body) <= KEPT_BYTES
        if status == 200 and has_room and path not in self._kept:
            self._kept[path] = answer
            self._n_bytes += len(body)
        return answer


def _lasting(query: bytes, send: Send) -> Send:
    """Has a browser keep a file whose version its address names."""

    async def send_lasting(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in (200, 304):
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
        (seconds,) = parse_qs(query.decode("latin-1"))["m"]
        return int(float(seconds)) == int(parsedate_to_datetime(modified).timestamp())
    except (KeyError, ValueError, OverflowError):
        return False
