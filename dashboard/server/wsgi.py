"""Dash's WSGI application among ASGI ones: each request is one visit to a thread.

`a2wsgi` translates a request for WSGI. Its own middleware hands each part of an answer to the event
loop and waits, five times a request; here bodies and answers are whole.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from a2wsgi.wsgi import build_environ
from starlette.types import Receive, Scope, Send

from dashboard.server.bounds import BOUNDS
from dashboard.server.threads import Threads
from dashboard.server.values import Kind

# Status, headers and body.
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class Bridge:
    """Answers in threads, with the context of who asked.

    Attributes:
        app: the WSGI application.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], *, threads: Threads) -> None:
        self.app = app
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        environ: Any = build_environ(scope, io.BytesIO(body))  # type: ignore[arg-type]
        status, headers, answer = await self._threads.run(
            scope, receive, partial(_answered, self.app, environ)
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def _answered(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Answer:
    """What the application answers, as a whole."""
    status, headers = 500, list[tuple[bytes, bytes]]()
    parts: list[bytes] = []

    def start(line: str, names: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
        nonlocal status, headers
        status = int(line.split(" ", 1)[0])
        headers = [(name.lower().encode("latin1"), text.encode("latin1")) for name, text in names]
        return parts.append

    answer = app(environ, start)
    try:
        parts.extend(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    return status, headers, b"".join(parts)


def callback_problem(
    body: Any,
    callbacks: Mapping[str, Any],
    kind_of: Callable[[str, str], Kind],
    *,
    most_characters: int = BOUNDS.text_characters,
) -> str:
    """Why a body is no callback request that the application's own pages send; empty if it is one.

    Dash trusts its renderer, and answers 500 to anything else.

    Args:
        body: parsed JSON.
        callbacks: Dash's, by their output.
        kind_of: what a component's property may hold, by their names.
        most_characters: of any text in it.
    """
    n_characters = _longest_text(body)
    if n_characters > most_characters:
        return f"a text of {n_characters:,} characters; at most {most_characters:,} are taken"
    if not isinstance(body, dict):
        return "expected an object"
    output = body.get("output")
    if not isinstance(output, str) or output not in callbacks:
        return "unknown callback"
    callback = callbacks[output]
    if "callback" not in callback:
        return "this callback runs in the browser"
    for part, expected in (("inputs", callback["inputs"]), ("state", callback["state"])):
        values = body.get(part, [])
        addresses = _addresses(values)
        if addresses is None or addresses != _addresses(expected):
            return f"{part} are not those of the callback"
        for (component, prop), value in zip(addresses, values, strict=True):
            if problem := kind_of(component, prop)(value.get("value")):
                return f"{component}.{prop}: {problem}"
    outputs = body.get("outputs")
    is_list = isinstance(outputs, list)
    parts = _addresses(outputs if is_list else [outputs])
    if parts is None or output != (_joined(parts) if is_list else ".".join(parts[0])):
        return "outputs are not those of the callback"
    changed = body.get("changedPropIds", [])
    inputs = {".".join(address) for address in _addresses(callback["inputs"]) or ()}
    if not isinstance(changed, list) or not all(
        isinstance(part, str) and part in inputs for part in changed
    ):
        return "changedPropIds must name inputs of the callback"
    return ""


def _longest_text(body: Any) -> int:
    """How many characters the longest text has, of keys and values at any depth."""
    parts, longest = [body], 0
    while parts:
        match parts.pop():
            case str(text):
                longest = max(longest, len(text))
            case dict(values):
                parts += [*values, *values.values()]
            case list(values):
                parts += values
    return longest


def _addresses(parts: Any) -> list[tuple[str, str]] | None:
    """(id, property) of each part, or None where one has none."""
    if not isinstance(parts, list):
        return None
    addresses = []
    for part in parts:
        match part:
            case {"id": str(identity), "property": str(name)}:
                addresses.append((identity, name))
            case _:
                return None
    return addresses


def _joined(addresses: list[tuple[str, str]]) -> str:
    """Several outputs as Dash names them together."""
    return f"..{'...'.join('.'.join(address) for address in addresses)}.."
