"""What one connection may send, how long it may rest, and who makes way when there are many."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.servers import running
from starlette.responses import PlainTextResponse

from dashboard.server import process
from dashboard.server.bounds import BOUNDS
from dashboard.server.connection import Connections

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"
WHOLE = HEAD + b"\r\n"


class Answering:
    """An application that answers what it hears of, and counts it."""

    def __init__(self) -> None:
        self.n = 0
        self.release = threading.Event()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        self.n += 1
        if b"name" in dict(scope["headers"]):
            scope["state"]["person"] = "ada"
        if scope["path"] == "/slow":
            while not self.release.is_set():
                await asyncio.sleep(0.01)
        body = b"x" * (64 << 20) if scope["path"] == "/large" else b"answer"
        await PlainTextResponse(body)(scope, receive, send)


@contextlib.contextmanager
def serving(**bounds):
    """An application that is served, and what opens a connection to it."""
    app = Answering()
    with running(app, replace(BOUNDS, **bounds)) as url, contextlib.ExitStack() as lines:
        host, port = re.fullmatch(r"http://(.*):(\d+)/", url).groups()

        def connect(data: bytes = b"") -> socket.socket:
            line = lines.enter_context(socket.create_connection((host, int(port)), timeout=20))
            line.sendall(data)
            return line

        yield app, connect
        app.release.set()


def status(line: socket.socket) -> int:
    """The status of the next answer; 0 where the connection ended without."""
    head = b""
    while b"\r\n\r\n" not in head:
        try:
            part = line.recv(1 << 16)
        except ConnectionResetError:
            return 0
        if not part:
            return 0
        head += part
    return int(head.split()[1])


def has_ended(line: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        while line.recv(1 << 16):
            pass
    return True


def large(n: int) -> bytes:
    return b"x: " + b"y" * n + b"\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (WHOLE, 200),
        (HEAD + large(60_000) + b"\r\n", 200),
        (HEAD + large(66_000) + b"\r\n", 431),
        (HEAD + large(1 << 20), 431),  # and never ends
        (HEAD + b"a: b\r\n" * 99 + b"\r\n", 200),
        (HEAD + b"a: b\r\n" * 100 + b"\r\n", 431),
        (HEAD + b"a: b\r\n" * 5000, 431),
        (HEAD.replace(b"/", b"/" + b"x" * 8000, 1) + b"\r\n", 200),
        (HEAD.replace(b"/", b"/" + b"x" * 8192, 1) + b"\r\n", 414),
        (b"GET /" + b"x" * (1 << 20), 414),
        (b"G" * 1000, 400),
        (b"\r\n" * 50_000, 431),
        (b"\0", 400),
    ],
    ids=range(13),
)
def test_an_address_or_headers_beyond_the_bounds_are_refused_and_no_application_hears_of_them(
    data, expected
):
    with serving() as (app, connect):
        line = connect()
        with contextlib.suppress(OSError):  # refused while it sends
            line.sendall(data)
        assert status(line) == expected
        assert app.n == (expected == 200)
        assert status(connect(WHOLE)) == 200


def test_no_stranger_fills_the_log_of_the_server(capsys):
    with serving() as (_, connect):
        for data in (b"\0", b"G" * 1000, HEAD + large(1 << 20)):
            assert status(connect(data)) in (400, 431)
    assert capsys.readouterr().err == ""


def test_what_is_kept_of_headers_that_never_end_is_bounded():
    def memory() -> int:
        text = Path("/proc/self/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024

    block = b"".join(b"h%d: x\r\n" % n for n in range(3000))
    with serving() as (_, connect):
        assert status(connect(WHOLE)) == 200
        before = memory()
        lines = [connect(HEAD) for _ in range(40)]
        for line in lines:
            with contextlib.suppress(OSError):
                for _ in range(40):
                    line.sendall(block)
        assert {status(line) for line in lines} <= {431, 0}
        # 40 MB were sent, and took ten times as much before there was a bound.
        assert memory() - before < 100 << 20


def test_what_follows_the_last_part_of_a_body_is_bounded_too():
    chunked = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    with serving() as (_, connect):
        line = connect(chunked)
        with contextlib.suppress(OSError):
            line.sendall(large(1 << 20))
            line.sendall(large(1 << 20))
        assert has_ended(line)


def test_requests_that_are_sent_at_once_are_answered_up_to_a_bound():
    with serving() as (app, connect):
        line = connect(WHOLE * 10)
        text = b""
        while text.count(b"answer") < 10:
            text += line.recv(1 << 16)
        assert app.n == 10
        assert has_ended(connect(WHOLE * 2000))
        assert app.n < 10 + 2000
        assert status(connect(WHOLE)) == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GE",
        HEAD,
        b"\r\n",
        # The answer does not wait for the body, which nobody reads.
        WHOLE + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx",
    ],
)
def test_a_connection_without_a_whole_request_ends(data):
    with serving(head_seconds=0.2, idle_seconds=1) as (_, connect):
        assert has_ended(connect(data))


def test_a_client_that_sends_a_byte_now_and_then_gets_no_more_time():
    with serving(head_seconds=0.5, idle_seconds=1) as (_, connect):
        for begin in (b"", b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n"):
            line, n = connect(begin), 0
            line.settimeout(0.05)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while n < 400:
                    line.sendall(b"x")
                    n += 1
                    with contextlib.suppress(TimeoutError):
                        if not line.recv(1 << 16):
                            break
            assert n < 400


def test_a_client_that_takes_nothing_of_its_answer_ends_and_a_slow_reader_does_not():
    with serving(stalled_seconds=0.4) as (_, connect):
        stalled, slow = (connect(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n") for _ in range(2))
        n_bytes = 0
        for _ in range(40):
            n_bytes += len(slow.recv(1 << 20))
            threading.Event().wait(0.05)
        while n_bytes < 64 << 20:
            part = slow.recv(1 << 20)
            assert part, n_bytes
            n_bytes += len(part)
        n_bytes = 0
        with contextlib.suppress(ConnectionResetError):
            while part := stalled.recv(1 << 20):
                n_bytes += len(part)
        assert n_bytes < 64 << 20


def test_the_connection_that_rests_longest_makes_way_and_those_of_people_last():
    named = HEAD + b"Name: ada\r\n\r\n"
    with serving(connections=10) as (app, connect):
        ada = connect(named)
        assert status(ada) == 200
        working = connect(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n")
        idle = [connect() for _ in range(30)]
        assert status(connect(WHOLE)) == 200
        assert all(has_ended(line) for line in idle[:20])
        ada.sendall(named)
        assert status(ada) == 200
        app.release.set()
        assert status(working) == 200


def test_the_address_with_most_connections_makes_way_before_all_others():
    class Line:
        is_of_person, is_silent = False, True

        def __init__(self, address: str) -> None:
            self.address, self.is_there, self.has_ended = address, True, False

        def make_way(self) -> None:
            self.has_ended = True

    connections = Connections(replace(BOUNDS, connections=10))
    early, crowd = Line("a"), [Line("b") for _ in range(30)]
    asking = crowd[3]
    asking.is_silent = False
    for line in (early, *crowd):
        connections.enter(line)
        for other in crowd:
            if other.has_ended and other.is_there:
                other.is_there = False
                connections.leave(other)
    assert not early.has_ended
    assert not asking.has_ended  # its request is there, and was only not read yet
    assert [line for line in crowd if not line.has_ended] == [asking, *crowd[-8:]]
    assert len(connections) == 10


def test_a_new_connection_ends_where_all_others_are_at_work():
    with serving(connections=3) as (app, connect):
        working = [connect(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n") for _ in range(3)]
        while app.n < 3:
            threading.Event().wait(0.01)
        assert has_ended(connect())
        app.release.set()
        assert [status(line) for line in working] == [200] * 3


@pytest.mark.skipif(process.sys.platform == "win32", reason="Windows counts no open files")
def test_as_many_open_files_are_taken_as_the_system_allows_and_few_are_said(monkeypatch):
    limits = {"now": (256, 1024)}
    monkeypatch.setattr(process.resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(process.resource, "setrlimit", lambda _, wanted: limits.update(now=wanted))
    assert "1,024 open files" in process.raise_open_files()
    assert limits["now"] == (1024, 1024)
    limits["now"] = (1024, process.resource.RLIM_INFINITY)
    assert process.raise_open_files() == ""
    assert process.open_files() == process.MOST_OPEN_FILES
