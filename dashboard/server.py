"""Runs an ASGI application on this machine: the port, the browser, the check that it answers."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Sequence

import uvicorn
from starlette.types import ASGIApp

from fmcore.errors import FmcoreError

START_TIMEOUT_SECONDS = 30.0
LOOPBACK = ("127.0.0.1", "localhost")
CHECKED_PATHS = ("/healthz", "/", "/_dash-layout", "/_dash-dependencies")


class ServerError(FmcoreError, OSError):
    """The server cannot start where it was told to, or does not answer."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; taken before anything slow, so that a taken port is said at once.

    Args:
        host: one of `LOOPBACK`.
        port: 0 for any free one.

    Raises:
        ServerError: if the host is not loopback, or the port is taken.
    """
    if host not in LOOPBACK:
        raise ServerError(
            f"refusing to listen on {host}: anybody in reach could read the store, and there is "
            "no login; use 127.0.0.1 and a tunnel such as ssh -L 8050:127.0.0.1:8050"
        )
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServerError(
            f"cannot listen on {host}:{port}: {reason}; name another port with --port, or 0 for "
            "any free one"
        ) from error


def address(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}/"


def serve(app: ASGIApp, listening: socket.socket, *, open_browser: bool) -> None:
    """Serves until Ctrl-C or SIGTERM."""
    server = configured(app)
    if open_browser:
        threading.Thread(
            target=_when_started,
            args=(server, lambda: webbrowser.open(address(listening))),
            daemon=True,
        ).start()
    server.run(sockets=[listening])


def check(
    app: ASGIApp, listening: socket.socket, *, paths: Sequence[str] = CHECKED_PATHS
) -> dict[str, int]:
    """Starts the server, asks for some paths as a browser would, and stops it.

    Returns:
        The status of each path.

    Raises:
        ServerError: if it does not start in time.
    """
    server = configured(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        if not _when_started(server):
            raise ServerError(f"the server did not start in {START_TIMEOUT_SECONDS:.0f} s")
        return {path: _status(address(listening) + path.lstrip("/")) for path in paths}
    finally:
        server.should_exit = True
        thread.join(START_TIMEOUT_SECONDS)


def has_display() -> bool:
    """Whether a browser can be shown here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def configured(app: ASGIApp) -> uvicorn.Server:
    """The server of an application, not yet running."""
    # Longer than a person looks at a picture: a closed connection would cost the next click.
    return uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", timeout_keep_alive=75, server_header=False, ws="none"
        )
    )


def _when_started(server: uvicorn.Server, then: Callable[[], object] = lambda: None) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    if server.started:
        then()
    return server.started


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=START_TIMEOUT_SECONDS) as answer:  # noqa: S310 (ours)
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
