"""Who is let to the pages: hosts, origins, strangers; what answers say; sockets and cookies."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import subprocess
import sys
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from helpers.servers import SHOW_PAGE, running

from dashboard import create_app
from dashboard.api import OPERATIONS
from dashboard.auth.guard import COOKIE, Login, cookie_of
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.server import listen
from dashboard.server.bounds import BOUNDS
from dashboard.stores.source import Source
from fmcore import floors

UPDATE = "_dash-update-component"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def url(store_path):
    with running(create_app(Source(store_path))) as where:
        yield where


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    everybody = People(tmp_path_factory.mktemp("door") / "people", create=True)
    everybody.add("ada", "admin", "only for this test")
    return everybody


@pytest.fixture(scope="module")
def team(store_path, people):
    login = Login(people, Journal(people.path.with_suffix(".log")), secure=False)
    with running(create_app(Source(store_path.parent), login=login)) as where:
        yield where


@pytest.fixture(scope="module")
def token(people):
    return {"authorization": f"Bearer {people.make_token('ada', 'door')}"}


def raw(url: str, data: bytes) -> bytes:
    """The beginning of what is answered to some bytes."""
    where = httpx.URL(url)
    with socket.create_connection((where.host, where.port), timeout=20) as line:
        line.sendall(data)
        return line.recv(1 << 16)


# Cookies.


@pytest.mark.parametrize(
    "header",
    [
        f"{COOKIE}=abc",
        f"a=b; {COOKIE}=abc; c=d",
        f'{COOKIE}="abc"',
        f"{COOKIE}=a=b",
        f"x{COOKIE}=abc",
        f"a={COOKIE}=abc",
        f"{COOKIE}=",
        "",
    ],
)
def test_a_cookie_is_read_as_python_reads_it(header):
    expected = SimpleCookie(header)
    assert cookie_of({"cookie": header}) == (expected[COOKIE].value if COOKIE in expected else "")


def test_a_cookie_that_comes_twice_is_none():
    assert cookie_of({"cookie": f"{COOKIE}=a; {COOKIE}=b"}) == ""


@pytest.mark.parametrize("part", ["\\", ";", "=", '"', "a=b;", "\\1", " "])
def test_reading_a_cookie_takes_as_many_steps_as_it_has_characters(part):
    header = f'{COOKIE}="' + part * (BOUNDS.head_bytes // len(part)) + '"'
    n_lines = 0

    def count(_frame, event, _argument):
        nonlocal n_lines
        n_lines += event == "line"
        return count

    sys.settrace(count)
    try:
        cookie_of({"cookie": header})
    finally:
        sys.settrace(None)
    assert n_lines <= 8 * BOUNDS.head_bytes


def test_no_code_reads_cookies_with_the_slow_parser():
    sources = {path: path.read_text("utf-8") for path in (ROOT / "dashboard").rglob("*.py")}
    slow = re.compile(r"^(from|import) http\.cookies|request\.cookies\b(?!`)", re.MULTILINE)
    assert [path.name for path, text in sources.items() if slow.search(text)] == []


@pytest.mark.parametrize(
    ("version", "newer"),
    [((3, 11, 9), "3.11.10"), ((3, 12, 5), "3.12.6"), ((3, 11, 10), ""), ((3, 12, 6), ""),
     ((3, 13, 0), "")],
)  # fmt: skip
def test_a_python_that_lacks_fixes_is_warned_of(version, newer):
    words = floors.warnings(version)
    assert len(words) == bool(newer)
    assert all(f"install Python {newer} " in sentence for sentence in words)


# Hosts and origins.


def test_two_lines_of_a_header_that_decides_are_refused(url):
    host = httpx.URL(url).host
    for line in (f"Host: {host}", "Host: evil.example"):
        head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n{line}\r\n\r\n"
        assert raw(url, head.encode()).startswith(b"HTTP/1.1 400 ")
    for name in ("Origin: a", "Authorization: Bearer a", "Sec-Fetch-Site: none"):
        head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n{name}\r\n{name}\r\n\r\n"
        assert raw(url, head.encode()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "host", ["[", "]", "[::1", "::1", "[::1]:x", "a:b:c", "[x]", "a@b", "a/b", "a\x7fb", "a:999999"]
)
def test_a_host_that_cannot_be_read_is_refused(url, host):
    head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"
    assert raw(url, head.encode("latin-1")).startswith(b"HTTP/1.1 400 ")


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_server_answers_at_the_ipv6_address_that_it_prints(store_path):
    command = [sys.executable, "-m", "dashboard.cli", "serve", store_path, "--no-open", "--check"]
    done = subprocess.run(
        [*map(str, command), "--host", "::1", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "http://[::1]:" in done.stdout


ORIGINS = ("http://[", "http://[::1", "//", "http://", "http://a:b", "null", "x" * 5000, "\x80", "")


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ["", "healthz", UPDATE])
def test_an_origin_that_is_none_of_this_server_is_refused_whatever_it_is(url, origin, path):
    method = "POST" if path == UPDATE else "GET"
    answer = httpx.request(method, url + path, headers={b"origin": origin.encode("latin-1")})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"origin": "http://localhost"}, (200, 403)),
        ({"origin": "https://localhost"}, (403, 200)),
        ({"origin": "http://localhost:8050"}, (403, 403)),
        ({"origin": "http://LOCALHOST"}, (403, 403)),
        ({"origin": "https://localhost", "sec-fetch-site": "same-origin"}, (200, 200)),
        ({}, (200, 200)),
    ],
)
def test_an_origin_counts_with_its_scheme(store_path, headers, expected):
    for tls, status in zip((False, True), expected, strict=True):
        with running(create_app(Source(store_path), tls=tls)) as url:
            every = {"host": "localhost"} | headers
            assert httpx.post(url + UPDATE, json=SHOW_PAGE, headers=every).status_code == status


LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize("path", ["", "healthz", "api/v1/stores", "assets/style.css"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_sites_page_asks_for_is_refused_and_a_link_of_it_opens(url, path, site):
    for headers in (
        {},
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        LINK | {"sec-fetch-dest": "iframe"},
    ):
        answer = httpx.get(url + path, headers={"sec-fetch-site": site} | headers)
        assert answer.status_code == 403, headers
    assert httpx.get(url + path, headers={"sec-fetch-site": site} | LINK).status_code == 200
    answer = httpx.post(url + UPDATE, json=SHOW_PAGE, headers={"sec-fetch-site": site} | LINK)
    assert answer.status_code == 403


def test_a_page_of_its_own_a_typed_address_and_a_program_are_answered(url):
    for headers in ({"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {}):
        assert httpx.get(url, headers=headers).status_code == 200


# What every answer says.

PATHS = [
    *(operation.path.format(store="tiny", sample=0) for operation in OPERATIONS),
    *("/", "/maps", "/nothing", "/login", "/account", "/docs", "/docs/own/none", "/openapi.json"),
    *("/docs/swagger/swagger-ui.css", "/assets/style.css", "/assets/none.css", "/_dash-layout"),
    *("/_dash-dependencies", "/_dash-component-suites/none/none.js", "/api/v1/nothing"),
    *("/api/v1/log", "/api/v1/people", "/stores/tiny", "/stores/tiny/"),
    *("/stores/none/", "/stores/tiny/maps"),
    *("/api/v1/stores/tiny/maps?layer=conv2&sample=0", "/api/v1/stores/tiny/images/0.png"),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_says_how_long_it_is_kept_and_what_a_page_may_not(team, token, path):
    answers = [
        httpx.request(method, team + path.lstrip("/"), headers=headers)
        for method, headers in itertools.product(
            ("GET", "HEAD", "POST"), (token, {}, {"host": "evil"}, {"sec-fetch-site": "cross-site"})
        )
    ]
    tagged = next((answer for answer in answers if "etag" in answer.headers), None)
    if tagged is not None:
        known = token | {"if-none-match": tagged.headers["etag"]}
        again = httpx.get(team + path.lstrip("/"), headers=known)
        assert again.headers["cache-control"] == answers[0].headers["cache-control"]
        answers.append(again)
    for answer in answers:
        assert answer.headers.get_list("cache-control"), (path, answer.status_code)
        # A script or a style is no page that could.
        if not path.endswith((".js", ".css")):
            assert "camera=()" in answer.headers["permissions-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "strict-transport-security" not in answer.headers
        if answer.status_code >= 400:
            assert answer.headers["cache-control"] == "no-store"


def test_browsers_that_came_through_tls_are_to_come_by_nothing_else(store_path):
    with running(create_app(Source(store_path), tls=True)) as url:
        for path in ("", "healthz", "assets/style.css", "api/v1/nothing"):
            headers = httpx.get(url + path).headers
            assert headers["strict-transport-security"] == "max-age=31536000"


# Who is not logged in.


def test_logins_that_stay_open_keep_nobody_out_who_is_in_or_logs_in(team, token):
    head = f"POST /login HTTP/1.1\r\nHost: {httpx.URL(team).host}\r\nContent-Length: 100\r\n\r\nx"
    where = httpx.URL(team)
    with contextlib.ExitStack() as lines:
        for _ in range(300):
            line = socket.create_connection((where.host, where.port), timeout=20)
            lines.enter_context(line).sendall(head.encode())
        for path in ("api/v1/stores", "stores/tiny/_dash-layout", "docs"):
            assert httpx.get(team + path, headers=token).status_code == 200
        form = {"name": "ada", "password": "only for this test"}
        same = {"sec-fetch-site": "same-origin"}
        assert httpx.post(team + "login", data=form, headers=same).status_code == 303
        assert httpx.get(team + "login").status_code == 200


def test_a_stranger_sends_no_large_body(team):
    same = {"sec-fetch-site": "same-origin"}
    for n, status in ((BOUNDS.stranger_body_bytes, 401), (BOUNDS.stranger_body_bytes + 1, 413)):
        answer = httpx.post(team + "login", content=b"x" * n, headers=same)
        assert answer.status_code == status


def test_what_is_always_answered_takes_no_body(team):
    host = httpx.URL(team).host
    head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\nx"
    assert raw(team, head.encode()).startswith(b"HTTP/1.1 200 ")


# Texts.


def test_a_text_in_a_callback_is_bounded_wherever_it_stands(url):
    n = BOUNDS.text_characters
    for text, status in (("x" * n, 200), ("x" * (n + 1), 400)):
        for value in (text, [text], {"a": {"b": text}}, {text: 1}):
            inputs = [part | {"value": value} for part in SHOW_PAGE["inputs"]]
            answer = httpx.post(url + UPDATE, json=SHOW_PAGE | {"inputs": inputs})
            # A list or an object is no address, however short its texts are.
            assert answer.status_code == (status if value is text else 400)
            if status == 400:
                assert answer.json()["error"].startswith("a text of 8,193 characters")


# Sockets.


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets")
def test_the_socket_of_a_living_server_is_left_to_it_and_that_of_a_dead_one_is_taken(tmp_path):
    path = tmp_path / "socket"
    with listen.bind(path):
        inode = path.stat().st_ino
        with pytest.raises(listen.ServerError, match="another server does"):
            listen.bind(path)
        assert path.stat().st_ino == inode
    assert path.is_socket()
    with listen.bind(path), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
    with pytest.raises(listen.ServerError, match="cannot listen on the socket"):
        listen.bind(tmp_path / ("x" * 120))
    (tmp_path / "file").write_text("of somebody")
    with pytest.raises(listen.ServerError, match="in use"):
        listen.bind(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "of somebody"
