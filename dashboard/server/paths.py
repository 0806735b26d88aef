"""Puts pages where they lie: a store's under `/stores/NAME/`, all perhaps under a proxy's prefix.

Every address in a page is relative, but for those that Dash writes into its index. These begin with
`HERE` there, and with the true path when the index is sent.
"""

from __future__ import annotations

from urllib.parse import quote

from flask import Response, request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.stores.source import DIGESTS_HERE, STORE_HERE, Source
from dashboard.urls import HERE, STORES

_IN_JSON = HERE.replace("/", r"\u002f")
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
        if not await self._is_store(name):
            answer = PlainTextResponse(f"there is no store {name!r} here", 404)
            await answer(scope, receive, send)
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


def begin() -> None:
    """Begins to note which stores an answer is of."""
    DIGESTS_HERE.set(set())


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
    return response
