"""Several workers behind one address: they share nothing, die alone, and are replaced unseen."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from helpers.factories import tool
from helpers.servers import running, served
from starlette.responses import PlainTextResponse

from dashboard.server.bounds import BOUNDS
from dashboard.server.listen import Certificate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")
MAPS = "/api/v1/stores/tiny/maps?layer=conv2&sample=0"


def children(process) -> set[int]:
    """The workers of a server that are no zombies."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    alive = set()
    for pid in listed:
        with contextlib.suppress(OSError):
            if " Z " not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]:
                alive.add(int(pid))
    return alive


def until(holds, seconds: float = 30):
    for _ in range(int(seconds * 20)):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s")


@pytest.fixture(scope="module")
def team(store_path):
    with served(store_path.parent, "--workers", 2) as (url, process):
        until(lambda: len(children(process)) == 2)
        yield url.rstrip("/"), process


class Asking:
    """Asks again and again on connections that are kept, as browsers do; what was wrong."""

    def __init__(self, url: str) -> None:
        self.n, self.wrong, self.ended = 0, [], threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(4)]

    def _ask(self, url: str) -> None:
        with httpx.Client(timeout=30) as client:
            while not self.ended.is_set():
                try:
                    answer = client.get(url)
                    if answer.status_code != 200:
                        self.wrong.append(answer.status_code)
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                self.n += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join()


def test_a_worker_has_no_tensorflow_and_little_memory(team):
    url, process = team
    for _ in range(30):
        assert httpx.get(url + MAPS).status_code == 200
    for pid in children(process):
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "tensorflow" not in maps
        status = Path(f"/proc/{pid}/status").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) < 250_000


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200, 431),
    ],
)
def test_workers_have_the_bounds_of_one_process(team, head, status):
    where = httpx.URL(team[0])
    with socket.create_connection((where.host, where.port), timeout=20) as line:
        line.sendall(head)
        assert line.recv(1 << 12).startswith(b"HTTP/1.1 %d " % status)


def test_a_killed_worker_costs_no_more_than_what_it_was_at(team):
    url, process = team
    with Asking(url + MAPS) as asking:
        until(lambda: asking.n > 20)
        before = children(process)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(children(process) - {victim}) == 2)
        seen = asking.n
        until(lambda: asking.n > seen + 20)
    assert len(asking.wrong) <= 4, asking.wrong  # one for each that asked
    assert not any(isinstance(one, int) for one in asking.wrong)


@pytest.mark.slow
def test_new_workers_take_over_without_a_lost_request(team):
    url, process = team
    before = children(process)
    with Asking(url + MAPS) as asking:
        until(lambda: asking.n > 20)
        process.send_signal(signal.SIGHUP)
        until(lambda: len(children(process)) == 2 and not children(process) & before)
        seen = asking.n
        until(lambda: asking.n > seen + 20)
    assert asking.wrong == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = [
        tool("openssl", debian="openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert", folder / "key"


def user(*arguments: object, line: str = "") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "dashboard.cli", "user", *map(str, arguments)]
    return subprocess.run(
        command, input=line, capture_output=True, text=True, check=False, start_new_session=True
    )


@pytest.mark.slow
def test_a_team_logs_in_through_tls_and_any_worker_knows_the_session(
    store_path, tmp_path, certificate
):
    users = tmp_path / "people"
    added = user("add", "vera", "--users", users, "--password-stdin", line="a long password\n")
    assert added.returncode == 0, added.stderr
    cert, key = certificate
    options = ["--users", users, "--tls-cert", cert, "--tls-key", key, "--workers", 2]
    context = ssl.create_default_context(cafile=str(cert))
    with served(store_path.parent, *options) as (url, _):
        assert url.startswith("https://")
        with httpx.Client(base_url=url, verify=context, follow_redirects=True) as client:
            form = {"name": "vera", "password": "a long password"}
            same = {"sec-fetch-site": "same-origin"}
            assert client.post("/login", data=form, headers=same).status_code == 200
            cookie = {"cookie": "; ".join(f"{k}={v}" for k, v in client.cookies.items())}
        for _ in range(12):  # each on a connection of its own
            answer = httpx.get(url + MAPS.lstrip("/"), headers=cookie, verify=context)
            assert answer.status_code == 200
        assert httpx.get(url + MAPS.lstrip("/"), verify=context).status_code == 401
    assert '"event": "login"' in users.with_suffix(".log.jsonl").read_text()


@pytest.mark.slow
def test_a_proxy_alone_reaches_a_socket(store_path, tmp_path):
    users, place = tmp_path / "people", tmp_path / "socket"
    user(
        "add",
        "ed",
        "--role",
        "export",
        "--users",
        users,
        "--password-stdin",
        line="a long password\n",
    )
    options = ["--users", users, "--socket", place, "--proxy-header", "X-User", "--workers", 2]
    with served(store_path.parent, *options) as (url, _):
        assert url == f"unix:{place}"
        assert place.stat().st_mode & 0o007 == 0
        transport = httpx.HTTPTransport(uds=str(place))
        with httpx.Client(transport=transport, base_url="http://localhost") as client:
            assert client.get(MAPS, headers={"x-user": "ed"}).status_code == 200
            assert client.get(MAPS, headers={"x-user": "nobody"}).status_code == 401
            assert client.get(MAPS).status_code == 401


@pytest.mark.slow
def test_what_would_let_strangers_in_is_refused_with_what_to_do(store_path, tmp_path):
    users, empty, short = tmp_path / "people", tmp_path / "empty", tmp_path / "short"
    user("add", "ed", "--users", users, "--password-stdin", line="a long password\n")
    user("add", "ed", "--users", empty, "--password-stdin", line="a long password\n")
    assert user("remove", "ed", "--users", empty).returncode == 0
    short.write_text("abc")
    everywhere = ["--host", "0.0.0.0"]
    for options, said in (
        (everywhere, "there is no login"),
        ([*everywhere, "--users", users], "without TLS"),
        ([*everywhere, "--users", users, "--behind-tls"], "--allow-host"),
        (["--users", tmp_path / "none"], "fmdash user add"),
        (["--users", empty], "nobody could log in"),
        (["--users", users, "--proxy-header", "X-User"], "anybody could send"),
        (["--users", users, "--proxy-header", "X", "--proxy-secret", short], "shorter than 16"),
        (["--proxy-header", "X-User"], "need --users"),
        (["--users", users, "--tls-cert", short], "needs both"),
        (["--prefix", "maps/"], "such as /maps"),
    ):
        command = [sys.executable, "-m", "dashboard.cli", "serve", store_path, *options]
        done = subprocess.run(
            [*map(str, command), "--port", "0"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1, options
        assert said in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_people_are_kept_at_the_command_line(tmp_path):
    users = tmp_path / "people"
    assert user("list", "--users", users).returncode == 1
    added = user("add", "ed", "--users", users, "--password-stdin", line="short\n")
    assert (added.returncode, "expected 10 to" in added.stderr) == (1, True)
    added = user("add", "ed", "--users", users)  # and nobody types
    assert (added.returncode, "--password-stdin" in added.stderr) == (1, True)
    user("add", "ed", "--users", users, "--password-stdin", line="a long password\n")
    token = user("token", "ed", "--label", "lab", "--users", users)
    assert token.stdout.startswith("fmd_")
    assert user("role", "ed", "admin", "--users", users).returncode == 0
    assert user("list", "--users", users).stdout == "ed\tadmin\ttokens: lab\n"
    assert user("revoke", "ed", "--label", "lab", "--users", users).returncode == 0
    assert user("revoke", "ed", "--label", "lab", "--users", users).returncode == 1
    for act in (["password", "bo", "--password-stdin"], ["remove", "bo"], ["role", "bo", "view"]):
        done = user(*act, "--users", users, line="a long password\n")
        assert (done.returncode, "there is no 'bo'" in done.stderr) == (1, True)
    assert user("list").returncode == 1


def test_handshakes_that_never_end_keep_nobody_out(certificate, tmp_path):
    """With so few open files, uvicorn's own TLS takes no connection for a minute."""
    cert, key = certificate
    bounds = replace(BOUNDS, connections=20, head_seconds=30)
    context = ssl.create_default_context(cafile=str(cert))
    with (
        running(PlainTextResponse("answer"), bounds, Certificate(cert, key)) as url,
        contextlib.ExitStack() as lines,
    ):
        where = httpx.URL(url)
        silent = [
            lines.enter_context(socket.create_connection((where.host, where.port), timeout=20))
            for _ in range(60)
        ]
        for _ in range(3):
            answer = httpx.get(url, verify=context)
            assert (answer.status_code, answer.text) == (200, "answer")
        assert silent[0].recv(1) == b""
        silent[-1].sendall(b"GET / HTTP/1.1\r\n\r\n")  # no TLS
        with contextlib.suppress(ConnectionResetError):
            while silent[-1].recv(1 << 10):
                pass
        large = {"x": "y" * 70_000}
        assert httpx.get(url, verify=context, headers=large).status_code == 431
        assert httpx.get(url, verify=context).status_code == 200


@pytest.mark.slow
def test_a_renewed_certificate_holds_after_a_restart_of_the_workers(
    store_path, certificate, tmp_path
):
    cert, key = tmp_path / "cert", tmp_path / "key"
    for source, copy in zip(certificate, (cert, key), strict=True):
        copy.write_bytes(source.read_bytes())

    def serial(url: str) -> str:
        where = httpx.URL(url)
        return ssl.get_server_certificate((where.host, where.port))

    with served(store_path.parent, "--tls-cert", cert, "--tls-key", key, "--workers", 2) as (
        url,
        process,
    ):
        before = serial(url)
        again = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        again += ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert)]
        subprocess.run(again, check=True, capture_output=True)
        old = children(process)
        process.send_signal(signal.SIGHUP)
        until(lambda: len(children(process)) == 2 and not children(process) & old)
        until(lambda: serial(url) != before)


def test_what_is_no_certificate_is_said_at_the_start(store_path, certificate, tmp_path):
    (tmp_path / "cert").write_text("nothing")
    options = ["--tls-cert", tmp_path / "cert", "--tls-key", certificate[1], "--port", "0"]
    command = [sys.executable, "-m", "dashboard.cli", "serve", store_path, *options]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "cannot speak TLS" in done.stderr
    assert done.stderr.count("\n") == 1
