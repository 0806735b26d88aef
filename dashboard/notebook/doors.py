"""The only way to a notebook's server: a path that nobody can guess, one for each frame.

Cookies do not reach a frame of another site, so the address itself is what lets one in.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import replace

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.pages import PAGES
from dashboard.server.bounds import BOUNDS
from dashboard.server.limits import BodyLimit

TOKEN_BYTES = 24
# Where a page says what it shows; see assets/notebook/selection.js.
REPORT = "selection"
# Of a link; those of the pages have a few hundred, and groups may be long lists.
MOST_LINK_BYTES = 16 << 10
_NAMES = {page.name for page in PAGES}


class Doors:
    """Answers below `/TOKEN/`, for the tokens that are open; all else is not there."""

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        """Stands before an application.

        Args:
            app: what is guarded.
            prefix: where a proxy puts it; requests come with or without.
        """
        self._app = app
        self._prefix = prefix
        self._links: dict[str, str] = {}
        self._report = BodyLimit(self._take, bounds=replace(BOUNDS, body_bytes=MOST_LINK_BYTES))

    def __len__(self) -> int:
        """How many are open."""
        return len(self._links)

    def open(self, link: str) -> str:
        """The token of one more door.

        Args:
            link: what is shown first: the name of a page and a query.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._links[token] = link
        return token

    def close(self, token: str) -> None:
        """Lets nobody in by a token any more."""
        self._links.pop(token, None)

    def link(self, token: str) -> str:
        """What is shown behind a door: the name of a page and a query."""
        return self._links[token]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands on with the token as the root of all paths; else answers 404."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        token, _, rest = scope["path"].removeprefix(self._prefix).lstrip("/").partition("/")
        is_open = any(hmac.compare_digest(token.encode(), key.encode()) for key in [*self._links])
        root = f"{self._prefix}/{token}"
        within = {**scope, "root_path": root, "path": f"{root}/{rest}"}
        if not is_open:
            await _refusal(404, "there is nothing here")(scope, receive, send)
        elif scope["method"] == "POST" and rest == REPORT:
            await self._report({**within, "token": token}, receive, send)
        else:
            await self._app(within, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Notes what a page says that it shows."""
        link = (await receive())["body"].decode("utf-8", "replace")
        if link.partition("?")[0] not in _NAMES:
            await _refusal(400, "this is no link of a page")(scope, receive, send)
            return
        if scope["token"] in self._links:  # it may have been closed meanwhile
            self._links[scope["token"]] = link
        await Response(status_code=204)(scope, receive, send)


def _refusal(status: int, reason: str) -> Response:
    headers = {"cache-control": "no-store", "content-security-policy": "default-src 'none'"}
    return PlainTextResponse(reason, status, headers | {"x-content-type-options": "nosniff"})
