"""A WSGI application among ASGI ones: each request is one visit to a thread.

What a request says is put in WSGI's words by `a2wsgi`. Its own middleware hands each part of an
answer to the event loop and waits, five times a request; here bodies and answers are whole.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from a2wsgi.wsgi import build_environ
from starlette.types import Receive, Scope, Send

# Status, headers and body.
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class Bridge:
    """Answers in threads, with the context of who asked.

    Attributes:
        app: the WSGI application.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], *, threads: int) -> None:
        self.app = app
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="page")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        environ: Any = build_environ(scope, io.BytesIO(body))  # type: ignore[arg-type]
        run, loop = contextvars.copy_context().run, asyncio.get_running_loop()
        status, headers, found = await loop.run_in_executor(
            self._pool, run, _answered, self.app, environ
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": found})


def _answered(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Answer:
    """What the application answers, as a whole."""
    status, headers = 500, list[tuple[bytes, bytes]]()
    parts: list[bytes] = []

    def start(said: str, given: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
        nonlocal status, headers
        status = int(said.split(" ", 1)[0])
        headers = [(name.lower().encode("latin1"), one.encode("latin1")) for name, one in given]
        return parts.append

    found = app(environ, start)
    try:
        parts.extend(found)
    finally:
        close = getattr(found, "close", None)
        if close is not None:
            close()
    return status, headers, b"".join(parts)
