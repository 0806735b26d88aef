"""A client of HTTP/1.1 that costs next to nothing, for many people on the server's own machine.

`httpx` takes more of a core for a request than the server does for its answer.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after which time since it was asked on a free connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class LostError(Exception):
    """A connection ended before its answer, and a new one did too."""


@dataclass(slots=True)
class Browser:
    """At most six connections to one server, kept between requests, with what it says always.

    Attributes:
        host: of the server.
        port: of the server.
        headers: of every request.
        n_again: how often a request is asked again that was lost on a new connection.
    """

    host: str
    port: int
    headers: dict[str, str]
    n_again: int = 0
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(6))

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """One answer, whole; a kept connection that was closed meanwhile is replaced once."""
        length = {"content-length": str(len(body))} if body else {}
        data = self._head(method, path, (headers or {}) | length) + body
        n_lost = 0
        async with self._free:
            while True:
                kept = bool(self._idle)
                reader, writer = self._idle.pop() if kept else await self._connected()
                try:
                    return await self._answered(reader, writer, data)
                except (OSError, asyncio.IncompleteReadError) as error:
                    writer.close()
                    n_lost += not kept
                    if n_lost > self.n_again:
                        raise LostError(repr(error)) from error

    async def download(self, path: str) -> tuple[int, int]:
        """The status and the number of bytes of a long answer, of which nothing is kept."""
        reader, writer = await self._connected()
        writer.write(self._head("GET", path, {"connection": "close"}))
        head, n_bytes = await reader.readuntil(b"\r\n\r\n"), 0
        while data := await reader.read(1 << 18):
            n_bytes += len(data)
        writer.close()
        return int(head.split()[1]), n_bytes

    def _head(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        every = {"host": f"{self.host}:{self.port}"} | self.headers | headers
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {one}" for name, one in every.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            raise LostError(repr(error)) from error

    async def _answered(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
    ) -> Answer:
        began = time.perf_counter()
        writer.write(data)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return Answer(int(first.split()[1]), headers, body, time.perf_counter() - began)

    def close(self) -> None:
        """Ends all connections."""
        for _, writer in self._idle:
            writer.close()
