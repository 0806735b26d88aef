"""Puts pages where they lie: a store's under `/stores/NAME/`, all perhaps under a proxy's prefix.

Every address in a page is relative, but for those that Dash writes into its index. These begin with
`HERE` there, and with the true path when the index is sent.
"""

from __future__ import annotations

import gzip
from urllib.parse import quote

from flask import Response, has_request_context, request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.server.problem import problem
from dashboard.stores.source import DIGESTS_HERE, STORE_HERE, Source
from dashboard.urls import HERE, STORES

_IN_JSON = HERE.replace("/", r"\u002f")
# Shorter answers gain nothing; more work gains little of those that a page waits for.
LEAST_BYTES, LEVEL = 1000, 5
# The same for all stores, and so fetched once.
_SHARED = ("assets/", "_dash-component-suites/")


class Prefixed:
    """Puts everything under a prefix; a proxy may send it on with or without."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands on with the prefix as the root of all paths."""
        if scope["type"] == "http":
            path = scope["path"]
            if path != self._prefix and not path.startswith(f"{self._prefix}/"):
                path = self._prefix + path
            scope = {**scope, "root_path": self._prefix, "path": path}
        await self._app(scope, receive, send)


class StorePages:
    """Answers `/stores/NAME/…` with what `/…` is for a single store."""

    def __init__(self, app: ASGIApp, source: Source) -> None:
        self._app = app
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands on what is within a store with the store in `STORE_HERE`, and all else as it is."""
        root = scope.get("root_path", "")
        path = scope.get("path", "").removeprefix(root)
        if scope["type"] != "http" or not path.startswith(STORES):
            await self._app(scope, receive, send)
            return
        name, slash, _ = path.removeprefix(STORES).partition("/")
        # A browser gets a page that says so: see `pages.first_page`.
        if not await self._is_store(name) and not (name and _wants_page(scope)):
            await problem(404, f"there is no store {name!r} here")(scope, receive, send)
        elif not slash:
            query = scope["query_string"].decode("latin-1")
            where = f"{quote(root)}{STORES}{quote(name)}/" + (f"?{query}" if query else "")
            await RedirectResponse(where)(scope, receive, send)
        else:
            token = STORE_HERE.set(name)
            try:
                within = {**scope, "root_path": f"{root}{STORES}{name}"}
                await self._app(within, receive, send)
            finally:
                STORE_HERE.reset(token)

    async def _is_store(self, name: str) -> bool:
        if self._source.current(name) is not None:  # touches no folder
            return True
        return name in await run_in_threadpool(lambda: self._source.names)


def _wants_page(scope: Scope) -> bool:
    return scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")


def begin() -> None:
    """Begins to note which stores an answer is of."""
    DIGESTS_HERE.set(set())


def root_address() -> str:
    """The address of what is above all stores: of the catalogue, the account and the API."""
    here = request.script_root if has_request_context() else ""
    return f"{quote(here.removesuffix(f'{STORES}{STORE_HERE.get()}'))}/"


def place(response: Response) -> Response:
    """Writes where this is into the index, and which stores an answer is of into its headers."""
    digests = DIGESTS_HERE.get()
    if digests:
        response.headers["x-store-digest"] = ", ".join(sorted(digests))
    if response.mimetype == "text/html":
        here, name = request.script_root, STORE_HERE.get()
        root = here.removesuffix(f"{STORES}{name}") if name else here
        text = response.get_data(as_text=True)
        for part in _SHARED:
            text = text.replace(HERE + part, f"{quote(root)}/{part}")
        for written in (HERE, _IN_JSON):
            text = text.replace(written, f"{quote(here)}/")
        response.set_data(text)
    if response.mimetype in ("text/html", "application/json"):
        data = response.get_data()
        response.vary.add("accept-encoding")
        if len(data) >= LEAST_BYTES and request.accept_encodings.best_match(["gzip"]):
            response.set_data(gzip.compress(data, LEVEL, mtime=0))
            response.headers["content-encoding"] = "gzip"
    return response
