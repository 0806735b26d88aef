"""Several processes that answer at one address: gunicorn keeps them, uvicorn runs in each.

The application is made once and shared by forking; nothing is open then, so that each worker opens
stores and the file of people for itself. A worker that dies is forked anew at once.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from typing import Any

import uvicorn
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from starlette.types import ASGIApp
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]

from dashboard.server.listen import Certificate, address, open_browser, settings
from dashboard.server.metrics import Metrics

# A worker that ends waits as long for answers under way, and before for connections to come back.
GRACE_SECONDS, DRAIN_SECONDS = 60, 5


class _Server(uvicorn.Server):
    """Ends without cutting off who is about to ask: they are told to connect anew, elsewhere."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more connections, and ends each with its next answer, or after a while."""
        for server in self.servers:
            server.close()
        # Put into every answer, and heeded by uvicorn itself.
        self.server_state.default_headers.append((b"connection", b"close"))
        until = time.monotonic() + DRAIN_SECONDS
        while self.server_state.connections and time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)


class Worker(UvicornWorker):  # type: ignore[misc]
    """A worker that ends as `_Server` does."""

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = _Server(config=self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


def _worker(certificate: Certificate | None) -> type[Worker]:
    """A class of workers; gunicorn makes each with the same arguments."""

    class Speaking(Worker):
        CONFIG_KWARGS = settings(certificate=certificate) | {"lifespan": "off"}

    return Speaking


class _Gunicorn(BaseApplication):
    def __init__(self, app: ASGIApp, settings: dict[str, Any]) -> None:
        self._app = app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> ASGIApp:
        return self._app


def serve_with(
    app: ASGIApp,
    listening: socket.socket,
    *,
    workers: int,
    certificate: Certificate | None,
    opens: bool,
    metrics: Metrics,
) -> None:
    """Serves until Ctrl-C or SIGTERM; SIGHUP starts all workers anew, and no request is lost.

    Args:
        app: with nothing open yet.
        listening: the socket that all share.
        workers: how many processes.
        certificate: speak TLS with it.
        opens: whether a browser is opened when it answers.
        metrics: where workers are counted.
    """
    if opens:
        where = address(listening, tls=certificate is not None)
        timer = threading.Timer(1.0, open_browser, [where])
        timer.daemon = True  # nobody who stops the server waits for a browser
        timer.start()
    options: dict[str, Any] = {
        "bind": f"fd://{listening.detach()}",  # which closes it at the end
        "workers": workers,
        "worker_class": _worker(certificate),
        "preload_app": True,
        "graceful_timeout": GRACE_SECONDS,
        "loglevel": "warning",
        "post_fork": lambda _, __: metrics.begin(),
        "child_exit": lambda _, worker: metrics.end(worker.pid),
    }
    _Gunicorn(app, options).run()
