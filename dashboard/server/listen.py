"""Runs an ASGI application on this machine: the port, the browser, the check that it answers."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from dashboard.server.bounds import BOUNDS, Bounds
from dashboard.server.connection import Connection, Connections, Handshake
from fmcore.errors import FmcoreError

START_TIMEOUT_SECONDS = 30.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 (refused without login)
# Host and port, or the file of a Unix socket.
Address = tuple[str, int] | Path
# Connections that wait while a worker is started anew.
BACKLOG = 2048
# A server that does not take a connection in that time is there all the same.
SOCKET_SECONDS = 2.0
CHECKED_PATHS = ("/healthz", "/", "/_dash-layout", "/_dash-dependencies")


class ServerError(FmcoreError, OSError):
    """The server cannot start where it was told to, or does not answer."""


def bind(where: Address, *, guarded: bool = False) -> socket.socket:
    """A listening socket; taken before anything slow, so that a taken port is said at once.

    Args:
        where: a host of `LOOPBACK`, or any if guarded, and a port, 0 for any free one; or a file
            for a Unix socket that its owner and group may use.
        guarded: whether there is a login.

    Raises:
        ServerError: if strangers could read the store, or the port is taken.
    """
    if isinstance(where, Path):
        return _bind_file(where)
    host, port = where
    if host not in LOOPBACK and not guarded:
        raise ServerError(
            f"refusing to listen on {host}: anybody in reach could read the store, and there is "
            "no login; set one with `fmdash user add NAME --users FILE` and --users FILE, or use "
            "127.0.0.1 and a tunnel such as ssh -L 8050:127.0.0.1:8050"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServerError(
            f"cannot listen on {host}:{port}: {reason}; name another port with --port, or 0 for "
            "any free one"
        ) from error


def _bind_file(path: Path) -> socket.socket:
    if path.is_socket():
        if _answers(path):
            raise ServerError(
                f"cannot listen on the socket {path}: another server does; stop that one, or name "
                "another file with --socket"
            )
        path.unlink()  # that of a server that was killed
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(path))
        path.chmod(0o660)
    except OSError as error:
        listening.close()
        # Python itself refuses a path of more than 107 bytes, and gives no strerror.
        raise ServerError(
            f"cannot listen on the socket {path}: {error.strerror or error}"
        ) from error
    listening.listen(BACKLOG)
    return listening


def _answers(path: Path) -> bool:
    """Whether somebody listens on a socket; whoever cannot tell leaves it alone."""
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(SOCKET_SECONDS)
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # its backlog is full, or it is another person's
            return True
    return True


def address(listening: socket.socket, *, tls: bool = False) -> str:
    """The URL of a listening socket."""
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"http{'s' * tls}://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(app: ASGIApp, listening: socket.socket, *, opens: bool) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Args:
        app: what is served.
        listening: the socket.
        opens: whether a browser is opened when it answers.
    """
    server = configured(app)
    if opens:
        threading.Thread(
            target=_when_started,
            args=(server, lambda: open_browser(address(listening))),
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
    running = Running(app, listening)
    try:
        return {path: _status(address(listening) + path.lstrip("/")) for path in paths}
    finally:
        running.stop()


class Running:
    """A server in a thread of this process, with which it ends."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        """Starts it.

        Args:
            app: what answers.
            listening: the socket, which is closed with the server.

        Raises:
            ServerError: if it does not start in time.
        """
        self._listening = listening
        self._server = configured(app)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, daemon=True, name="fmdash"
        )
        self._thread.start()
        if not _when_started(self._server):
            self.stop()
            raise ServerError(f"the server did not start in {START_TIMEOUT_SECONDS:.0f} s")

    @property
    def is_alive(self) -> bool:
        """Whether it runs; not in a process that was forked off."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends it, with all connections."""
        self._server.should_exit = True
        self._thread.join(START_TIMEOUT_SECONDS)
        self._listening.close()


def why_no_browser() -> str:
    """Why none is opened here unless somebody asks for it, in words; empty where one is.

    `$BROWSER` says how to open one where there is no display: editors set it in containers and on
    other machines.
    """
    if os.environ.get("CI"):
        return "this is a CI run"
    if os.environ.get("BROWSER"):
        return ""
    if os.environ.get("SSH_CONNECTION"):
        return "you are here by SSH"
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform in ("darwin", "win32") or any(map(os.environ.get, displays)):
        return ""
    return "there is no display"


def open_browser(where: str) -> None:
    """Opens an address in a browser; where that fails, says so, and the server goes on."""
    try:
        is_open = webbrowser.open(where)
    except (webbrowser.Error, OSError, ValueError):  # the last of quotes in $BROWSER that never end
        is_open = False
    if not is_open:
        print(f"No browser could be opened: open {where} in yours.", flush=True)


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key; the files are read anew by each process that serves.

    Attributes:
        certificate: the file of the certificate, with all of its chain.
        key: the file of the key.
    """

    certificate: Path
    key: Path

    def read(self) -> ssl.SSLContext:
        """What TLS is spoken with.

        Raises:
            ServerError: if the files are no certificate and its key.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise ServerError(
                f"cannot speak TLS with {self.certificate} and {self.key}: {error}; expected a "
                "certificate and its key, in PEM"
            ) from error
        return context


def settings(bounds: Bounds = BOUNDS, certificate: Certificate | None = None) -> dict[str, Any]:
    """The options of uvicorn, in one process as in several.

    Args:
        bounds: of connections.
        certificate: speak TLS with it.
    """
    connections = Connections(bounds)
    return {
        "http": partial(Connection, connections=connections)
        if certificate is None
        else partial(Handshake, connections=connections, context=cache(certificate.read)),
        "timeout_keep_alive": bounds.idle_seconds,
        "server_header": False,
        "proxy_headers": False,  # who asks is not for a header to say
        "ws": "none",
    }


def configured(
    app: ASGIApp, bounds: Bounds = BOUNDS, certificate: Certificate | None = None
) -> uvicorn.Server:
    """The server of an application, not yet running."""
    options = settings(bounds, certificate)
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", **options))


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
