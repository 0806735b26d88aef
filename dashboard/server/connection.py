"""One connection: what it may send before an answer, how long it may rest, and who makes way.

The bounds hold in the parser's callbacks, before a part is kept: an application hears of a request
when all its headers are in memory. `httptools` has no bounds of its own (uvicorn's
`h11_max_incomplete_event_size` is for `h11`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import ssl
import sys
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.utils import get_remote_addr

from dashboard.server.bounds import BOUNDS, Bounds
from dashboard.server.process import open_files

# Errors are the server's own. Warnings are what a client sent, and so as many as a stranger likes.
_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.ERROR)
# A client that still sends reads why it was refused, if the connection ends a little later.
LINGER_SECONDS = 2.0
# Of the connections that might make way, for the first of which nothing came.
LOOKED_AT = 32
_REASONS = {
    400: "this is no HTTP request",
    414: "the address is too long: at most {bounds.url_bytes:,} bytes are taken",
    431: "too many or too large headers: at most {bounds.headers} with {bounds.head_bytes:,} bytes "
    "are taken",
}


class _Refusal(Exception):
    """Ends the parsing of a request."""


class Evictable:
    """A connection that may be ended in favor of a new one.

    Attributes:
        address: the client's; empty for a Unix socket.
        is_of_person: whether its last request was of somebody who is logged in.
    """

    address = ""
    is_of_person = False

    @property
    def is_silent(self) -> bool:
        """Whether nothing came that was not read yet."""
        number = self.fileno()
        if sys.platform == "win32" or number < 0:
            return True
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return not poll.poll(0)

    def fileno(self) -> int:
        """The number of its socket; -1 where that is closed."""
        raise NotImplementedError

    def make_way(self) -> None:
        """Ends it without a word, for which a client might keep it open."""
        raise NotImplementedError


class Connections:
    """The connections of one worker; one that rests makes way for a new one.

    Attributes:
        bounds: of each.
    """

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.bounds = bounds
        self._n = 0
        # Those without a request under way, the longest first: of strangers by address, of people.
        self._strangers: dict[str, dict[Evictable, None]] = {}
        self._people: dict[Evictable, None] = {}

    def __len__(self) -> int:
        return self._n

    @property
    def most(self) -> int:
        """How many there may be: stores and files need open files too."""
        return min(self.bounds.connections, open_files() * 3 // 4)

    def enter(self, connection: Evictable) -> None:
        """Takes a new connection; above the bound, one that rests ends, or the new one.

        It is a stranger's, of the address with most of them: people's rest between two clicks, and
        a stranger that replaces a stranger costs nobody else.
        """
        self._n += 1
        if self._n > self.most:
            crowd = max(self._strangers.values(), key=len, default={}) or self._people
            resting = next(iter(crowd), connection)
            # What was asked meanwhile has been waiting for as long as the loop was busy.
            resting = next((each for each in islice(crowd, LOOKED_AT) if each.is_silent), resting)
            self.work(resting)  # it ends, and can make way no more
            resting.make_way()
            if resting is connection:
                return
        self.rest(connection)

    def leave(self, connection: Evictable) -> None:
        """Forgets a connection that ended."""
        self._n -= 1
        self.work(connection)

    def rest(self, connection: Evictable) -> None:
        """Notes that a connection has no request under way."""
        if connection.is_of_person:
            self._people[connection] = None
        else:
            self._strangers.setdefault(connection.address, {})[connection] = None

    def work(self, connection: Evictable) -> None:
        """Notes that a request is under way."""
        self._people.pop(connection, None)
        neighbors = self._strangers.get(connection.address, {})
        neighbors.pop(connection, None)
        if not neighbors:
            self._strangers.pop(connection.address, None)


class Connection(HttpToolsProtocol, Evictable):
    """What uvicorn has for a connection, with bounds."""

    def __init__(self, *arguments: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = _LOG
        self._connections = connections
        self._bounds = connections.bounds
        self._n_head = 0
        # Bytes since the parser last handed on more than a part of a head. Of a single header that
        # never ends, and of what follows the last chunk of a body, the callbacks hear late or not.
        self._n_quiet = 0
        self._refusal = 400
        self._is_refused = self._is_lost = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._writing_timer: asyncio.TimerHandle | None = None
        self._n_unsent: float = 0

    # What the transport says.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        super().connection_made(transport)
        self.address = _address(transport)
        self._await_head()
        self._connections.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets it."""
        super().connection_lost(exc)
        self._is_lost = True
        self._connections.leave(self)
        for timer in (self._head_timer, self._writing_timer, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._writing_timer = None

    def data_received(self, data: bytes) -> None:
        """Parses what came, unless it is too much."""
        if self._is_refused:
            return
        if self._rests:
            # Whatever it is: line breaks before a request, or a body that nobody waits for.
            self._await_head()
        self._n_quiet += len(data)
        super().data_received(data)
        if self._n_quiet > self._bounds.head_bytes and not self._is_refused:
            self._refuse(431)

    def pause_writing(self) -> None:
        """Begins to watch whether the client takes what is sent."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Notes that the client has taken most of it."""
        super().resume_writing()
        self._n_unsent = float("inf")

    # What the parser says.

    def on_message_begin(self) -> None:
        """Begins a request."""
        if len(self.pipeline) >= self._bounds.queued_requests:
            raise _Refusal
        super().on_message_begin()
        self._n_head = 0

    def on_url(self, url: bytes) -> None:
        """Keeps a part of the address."""
        self._n_head += len(url)
        if self._n_head > self._bounds.url_bytes:
            self._refusal = 414
            raise _Refusal
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header."""
        self._n_head += len(name) + len(value) + 4
        bounds = self._bounds
        if self._n_head > bounds.head_bytes or len(self.headers) >= bounds.headers:
            self._refusal = 431
            raise _Refusal
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Has the request answered."""
        self._n_quiet = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._connections.work(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hands a part of a body on."""
        self._n_quiet = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends a request."""
        self._n_quiet = 0
        super().on_message_complete()

    # What uvicorn says.

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        if self._is_lost:
            return
        if self.transport.is_closing():
            self._watch_writing()
        elif self._rests:
            self.is_of_person = self.scope.get("state", {}).get("person") is not None
            self._connections.rest(self)

    def timeout_keep_alive_handler(self) -> None:
        """Ends a connection that rests too long, even if its client has not read all."""
        self.end()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's signature)
        """Answers what cannot be parsed, or is more than is taken."""
        self._refuse(self._refusal)

    # What follows from it.

    def end(self) -> None:
        """Ends the connection now."""
        self._connections.work(self)  # it can make way no more
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def fileno(self) -> int:
        """The number of its socket; -1 where that is closed."""
        if self.transport.is_closing():
            return -1
        return int(self.transport.get_extra_info("socket").fileno())

    def make_way(self) -> None:
        """Ends the connection without a word."""
        self.transport.abort()

    @property
    def _rests(self) -> bool:
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._bounds.head_seconds, self.end)

    def _watch_writing(self) -> None:
        self._n_unsent = float("inf")
        if self._writing_timer is None:
            self._writing_timer = self.loop.call_later(
                self._bounds.stalled_seconds, self._check_writing
            )

    def _check_writing(self) -> None:
        """Ends the connection if its client has taken nothing since it was last looked at."""
        self._writing_timer = None
        n_unsent = self.transport.get_write_buffer_size()
        if n_unsent >= self._n_unsent:
            self.transport.abort()
        elif n_unsent:
            self._n_unsent = n_unsent
            self._writing_timer = self.loop.call_later(
                self._bounds.stalled_seconds, self._check_writing
            )

    def _refuse(self, status: int) -> None:
        """Answers and ends; what else comes is not looked at."""
        self._is_refused = True
        self._connections.work(self)
        if not self._rests:  # an answer is under way, and must not be mixed with another
            self.transport.close()
            return
        reason = _REASONS[status].format(bounds=self._bounds).encode()
        headers = (
            b"content-type: text/plain; charset=utf-8",
            b"content-length: %d" % len(reason),
            b"cache-control: no-store",
            b"x-content-type-options: nosniff",
            b"connection: close",
        )
        self.transport.write(STATUS_LINE[status] + b"\r\n".join((*headers, b"", reason)))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        else:
            self.transport.close()


class Handshake(asyncio.Protocol, Evictable):
    """A connection before it speaks TLS: counted as all others, and with as much time as a head.

    uvicorn has an event loop listen with TLS, which tells of a connection when its handshake is
    over, and that may be never.
    """

    def __init__(
        self,
        *,
        context: Callable[[], ssl.SSLContext],
        connections: Connections,
        **options: Any,
    ) -> None:
        """Prepares what follows.

        Args:
            context: gives certificate and key.
            connections: all there are.
            options: of the `Connection` that follows.
        """
        self._context = context
        self._connections = connections
        self._following = partial(Connection, connections=connections, **options)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes the socket from a transport without TLS, which has read nothing yet."""
        self.address = _address(transport)
        self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._socket.setblocking(False)
        transport.abort()  # which closes its own number of the socket
        self._is_taken = False
        self._task = asyncio.get_running_loop().create_task(self._shake_hands())
        self._task.add_done_callback(self._end)
        self._connections.enter(self)

    async def _shake_hands(self) -> None:
        context = self._context()
        self._is_taken = True
        # Errors of the network and of TLS are children of OSError, and both are the client's.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                self._following,
                self._socket,
                ssl=context,
                ssl_handshake_timeout=self._connections.bounds.head_seconds,
                ssl_shutdown_timeout=LINGER_SECONDS,
            )

    def _end(self, _: asyncio.Task[None]) -> None:
        self._connections.leave(self)
        if not self._is_taken:
            self._socket.close()

    def fileno(self) -> int:
        """The number of its socket; -1 where that is closed."""
        return self._socket.fileno()

    def make_way(self) -> None:
        """Ends the handshake."""
        self._task.cancel()


def _address(transport: asyncio.Transport) -> str:
    client = get_remote_addr(transport)
    return client[0] if client else ""
