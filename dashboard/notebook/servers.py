"""The servers of a kernel's process: one for each store and way to reach it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from dashboard.app import create_app
from dashboard.notebook.access import Access, access_to
from dashboard.notebook.doors import Doors
from dashboard.server import listen
from dashboard.stores.source import Source


@dataclass(frozen=True, slots=True)
class Wish:
    """What decides whether two views can share a server.

    Attributes:
        path: of the store, absolute.
        proxy: what leads to ports; see `access_to`.
        origin: one more origin whose pages may frame it.
    """

    path: Path
    proxy: str | bool | None
    origin: str | None


class Server:
    """A server of one store, in a thread; it ends with its last door, or with the process."""

    def __init__(self, wish: Wish, source: Source) -> None:
        """Starts it on a free port of 127.0.0.1.

        Raises:
            ServerError: if it does not start.
            SelectionError: if there is no such way to reach it.
        """
        listening = listen.bind(("127.0.0.1", 0))
        try:
            port = listening.getsockname()[1]
            self.access: Access = access_to(
                port, proxy=wish.proxy, origin=wish.origin, environ=os.environ
            )
            app = create_app(source, allowed_hosts=self.access.hosts, frames=self.access.frames)
            self.source = source
            self.doors = Doors(app, prefix=self.access.prefix)
            self._running = listen.Running(self.doors, listening)
        except BaseException:
            listening.close()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether it answers in this process."""
        return self._running.is_alive

    def stop(self) -> None:
        """Ends it, with all doors."""
        self._running.stop()


class Servers:
    """The servers that run; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[Wish, Server] = {}
        self._latest: tuple[Path, Source] | None = None

    def __len__(self) -> int:
        """How many run."""
        return len(self._servers)

    def source(self, path: Path) -> Source:
        """The arrays of a store: those of a server that runs, or that were asked for last.

        To open a store looks through all of its file, which takes its time.

        Args:
            path: of the store, absolute.
        """
        with self._lock:
            for wish, server in self._servers.items():
                if wish.path == path:
                    return server.source
            if self._latest is None or self._latest[0] != path:
                self._latest = path, Source(path)
            return self._latest[1]

    def open(self, wish: Wish, source: Source, link: str) -> tuple[Server, str]:
        """A server and the token of a new door of it; the server that there is, if one fits.

        Raises:
            ServerError, SelectionError: as `Server`.
        """
        with self._lock:
            server = self._servers.get(wish)
            if server is None or not server.is_alive:  # a fork has no thread of it
                server = self._servers[wish] = Server(wish, source)
            return server, server.doors.open(link)

    def close(self, wish: Wish, token: str) -> None:
        """Closes a door, and stops its server with the last one."""
        with self._lock:
            server = self._servers.get(wish)
            if server is None:
                return
            server.doors.close(token)
            if not len(server.doors):
                del self._servers[wish]
                self._latest = None
                server.stop()


# What a second run of a cell finds again; a kernel has nothing else that lives as long as it does.
SERVERS = Servers()
