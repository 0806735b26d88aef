"""Headers of answers: what a browser may keep (RFC 9110, RFC 8246), and what it must not do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOR_A_YEAR = "max-age=31536000"
# For URLs that change whenever their content does.
FOR_EVER = f"{FOR_A_YEAR}, immutable"
_FILE = re.compile(r"/(assets|_dash-component-suites)/.*\.(js|css|map|json|svg)$")


def is_file(scope: Scope) -> bool:
    """Whether a request is for a script, a style or the like, which no store changes."""
    return scope["type"] == "http" and _FILE.search(scope["path"]) is not None


def etag(*facts: str) -> str:
    """The ETag of an answer: a digest of all that determines its bytes."""
    digest = hashlib.blake2b("\0".join(facts).encode(), digest_size=12)
    return f'"{digest.hexdigest()}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether the client says that it holds this answer (RFC 9110, 13.1.2)."""
    text = request.headers.get("if-none-match")
    if text is None:
        return False
    return text.strip() == "*" or tag in {
        part.strip().removeprefix("W/") for part in text.split(",")
    }


def not_modified(headers: Mapping[str, str]) -> Response:
    """304, with the headers that the whole answer would have had."""
    return Response(status_code=304, headers=dict(headers))


# What no page here needs, and no script that gets into one should have.
_DENIED = (
    *("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer"),
    *("microphone", "midi", "payment", "usb"),
)


# In a policy, of origins.
NOBODY = "'none'"
_OF_FILES = {
    b"x-content-type-options",
    b"cross-origin-resource-policy",
    b"strict-transport-security",
}


class SecurityHeaders:
    """Adds to every response the content security policy, its companions, and how long it is kept.

    An answer that says nothing of that is not kept: it may be somebody's own. One with an ETag or a
    date may be kept by its reader alone, and is asked for again each time.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        script_hashes: Sequence[str],
        tls: bool = False,
        frames: Sequence[str] = (),
    ) -> None:
        """Stands around an application.

        Args:
            app: what answers.
            script_hashes: of scripts in pages.
            tls: whether browsers come through TLS, and shall come by nothing else for a year.
            frames: the origins whose pages may frame these; they know an address that is a secret,
                which no other site is told.
        """
        self._app = app
        headers = {
            "content-security-policy": "; ".join(
                (
                    "default-src 'self'",
                    f"script-src 'self' {' '.join(script_hashes)}",
                    # Plotly and Mantine both set styles on elements; there is no way without it.
                    "style-src 'self' 'unsafe-inline'",
                    "img-src 'self' data: blob:",
                    "object-src 'none'",
                    "base-uri 'self'",
                    f"frame-ancestors {' '.join(frames) or NOBODY}",
                    "form-action 'self'",
                )
            ),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer" if frames else "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": ", ".join(f"{feature}=()" for feature in _DENIED),
        }
        if tls:
            # Of this name alone: what else has a name below it is not for us to say.
            headers["strict-transport-security"] = FOR_A_YEAR
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._names = {name for name, _ in self._headers}
        # A page's policies hold for what it loads: scripts and styles, forty of them, need no own.
        self._of_files = [header for header in self._headers if header[0] in _OF_FILES]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on; only the start of a response is changed."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", ())
                others = [header for header in own if header[0].lower() not in self._names]
                message["headers"] = [*others, *_kept(others), *added]
            await send(message)

        is_loaded = is_file(scope) and scope["path"].endswith((".js", ".css"))
        added = self._of_files if is_loaded else self._headers

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _kept(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """How long an answer is kept, where its headers do not say so."""
    names = {name.lower() for name, _ in headers}
    if b"cache-control" in names:
        return []
    is_checkable = b"etag" in names or b"last-modified" in names
    return [(b"cache-control", b"private, no-cache" if is_checkable else b"no-store")]
