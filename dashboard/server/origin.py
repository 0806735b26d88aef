"""Refuses what a page of another site asks for, as its browser says."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.server.problem import problem

# Methods that change nothing (RFC 9110, 9.2.1).
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OURS = ("same-origin", "none")


class OwnPages:
    """Lets this site's pages ask, and programs that are no browser; no other site's page.

    Changes follow Go's `http.CrossOriginProtection` (https://words.filippo.io/csrf/). What only
    reads is refused too, since without login any page that somebody opens could have this machine's
    server work, and measure how long it takes. A link that is followed from another site opens in a
    window of its own, which the other site cannot read: that is let through.
    """

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        """Stands before an application.

        Args:
            app: what is guarded.
            tls: whether browsers reach the server through TLS, of which a proxy may take care.
        """
        self._app = app
        self._scheme = "https" if tls else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403 itself, or hands on."""
        if scope["type"] == "http" and self._is_foreign(scope, Headers(scope=scope)):
            await problem(403, "asked from another site's page")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, scope: Scope, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in _OURS and not _is_link(scope, headers)
        origin = headers.get("origin")
        scheme = self._scheme or scope["scheme"]
        # As browsers write it (RFC 6454, 6.2), and not parsed: another form is none of theirs.
        return origin is not None and origin != f"{scheme}://{headers.get('host', '').lower()}"


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link in a page, or opened it from one."""
    return (
        scope["method"] in SAFE_METHODS
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
