"""Scripts and styles, kept in each process, compressed: they are most of what a first page takes.

A browser keeps those whose address changes with them, and never asks for them again. Plotly's
script is the one with the plots of two axes alone, a third of the whole, which took a second:
`plotly-cartesian.min.js` of the npm package `plotly.js-cartesian-dist-min`, in the version that the
installed `plotly` draws with; a test says where they part. `regenerator-runtime.min.js` is the npm
package of that name (0.13.11, MIT), minified. `dagre.esm.js` is that of the npm package
`@dagrejs/dagre` (3.1.3, MIT) without the line that names its map; the network of Overview is laid
out with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import parse_qs

from deflate import gzip_compress
from plotly.offline import get_plotlyjs_version
from starlette.datastructures import Headers, MutableHeaders
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
# Where Dash asks for all that browsers lacked years ago, 35 kB: its own scripts miss this alone.
REGENERATOR = PLOTLY.with_name("regenerator-runtime.min.js")
POLYFILL_PATH = "/_dash-component-suites/dash/deps/polyfill@{version}.js"
# Where the script that draws the network imports it from.
DAGRE = PLOTLY.with_name("dagre.esm.js")
DAGRE_PATH = "/assets/vendor/dagre.js"
# Smaller files gain nothing; all of Dash's own together take a quarter of what may be kept.
LEAST_BYTES, KEPT_BYTES = 300, 16 << 20
LEVEL = (
    10  # of libdeflate: 3% below zlib's best; its own best, 12, takes twice as long for the same
)
# Comments on lines of their own, in scripts and styles that are the dashboard's: a fifth of what
# they take compressed.
OWN = re.compile(r"/assets/(?!vendor/).*\.(?:js|css)")
COMMENT = re.compile(rb"^[ \t]*//[^\n]*\n|^[ \t]*/\*.*?\*/[ \t]*\n", re.MULTILINE | re.DOTALL)
# Whatever a client holds already, the whole file is wanted here.
_CONDITIONS = (b"if-none-match", b"if-modified-since", b"range")


def plotly_fits() -> bool:
    """Whether the vendored script is of the version that the installed `plotly` draws with."""
    with PLOTLY.open(encoding="utf-8") as file:
        head = re.search(r"plotly\.js \(cartesian - minified\) v(\S+)", file.read(200))
    return head is not None and head[1] == get_plotlyjs_version()


def vendored_routes() -> list[GuardedRoute]:
    """Answers with vendored scripts in place of what Dash asks for."""
    names = {POLYFILL_PATH: REGENERATOR.name, DAGRE_PATH: DAGRE.name}
    if plotly_fits():
        names[PLOTLY_PATH] = PLOTLY.name
    files = StaticFiles(directory=PLOTLY.parent)

    async def script(request: Request) -> Response:
        name = names[request.scope["route"].path]
        answer = await files.get_response(name, request.scope)
        if "version" in request.path_params:
            answer.headers["cache-control"] = FOR_A_YEAR
        return answer

    return [GuardedRoute(path, script, role=Role.VIEW) for path in names]


# Of a script or a style nobody asks for a part, or saves it; the date the server writes itself.
_UNNEEDED = ("accept-ranges", "content-disposition", "date")


class KeptFiles:
    """Keeps files that never change while the server runs, gzipped for those who take that."""

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
        await self._app({**scope, "headers": whole}, receive, collect)
        # A client that leaves ends the answer under way: what came of it is nobody else's.
        is_whole = headers.get("content-length", str(len(body))) == str(len(body))
        for name in _UNNEEDED:
            del headers[name]
        if status == 200 and len(body) >= LEAST_BYTES:
            if OWN.fullmatch(path):
                body = COMMENT.sub(b"", body)
            body = bytes(await asyncio.to_thread(gzip_compress, body, LEVEL))
            headers["content-encoding"] = "gzip"
            headers.add_vary_header("accept-encoding")
            headers["content-length"] = str(len(body))
            headers["etag"] = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        answer = Response(body, status, headers)
        has_room = self._n_bytes + len(body) <= KEPT_BYTES
        if status == 200 and is_whole and has_room and path not in self._kept:
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
