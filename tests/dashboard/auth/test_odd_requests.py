"""Requests that nobody thought of, to everything that lets people in: none is answered by 5xx."""

from __future__ import annotations

import collections
import contextlib
import http.client
import random
from urllib.parse import quote_from_bytes

import pytest
from argon2.exceptions import InvalidHashError
from helpers.servers import running

from dashboard import create_app
from dashboard.auth.guard import COOKIE, Login, Proxy
from dashboard.auth.journal import Journal
from dashboard.auth.people import TOKENS_OF_PERSON, People
from dashboard.server.roles import Role
from dashboard.stores.source import Source

PASSWORD, SECRET = "correct horse battery", "a secret of the proxy alone"
# Of a fixed seed, so that what fails does so again.
SEED, REQUESTS = 20, 1500

ATOMS = (
    b"", b"%", b"%zz", b"%00", b"%ff%fe", b"%ed%a0%80", b"%f0%9f%98%80", b"%0d%0aX-Odd: 1", b"\xff",
    b"\xed\xa0\x80", b"\xe2\x80\xae", b"9" * 5000, b"-1", b"1e9", b"0", b"3650", b"3651", b"NaN",
    "\u0663".encode(), b"/", b"//evil.example", b"/\\evil.example", b"/%2f%2fevil.example", b"/a b",
    b"javascript:alert(1)", b"x" * 70, b"x" * 20_000, b"{{7*7}}", b"<b>", b"' OR 1=1 --", b"ada",
    b"vera", b"label", PASSWORD.encode(), b"a+b", b"a&b=c", b"=", b"&" * 40, b";", b"+", b"\x7f",
)  # fmt: skip
FIELDS = (b"name", b"password", b"next", b"label", b"days", b"revoke", b"", b"%ff", b"other")
PATHS = (
    "/login",
    "/account",
    "/logout",
    "/api/v1/log",
    "/api/v1/people",
    "/",
    "/stores/tiny/login",
)
METHODS = ("GET", "GET", "POST", "POST", "POST", "POST", "HEAD", "PUT", "OPTIONS", "DELETE")


class Quick:
    """Takes no time, so that the requests are what is tested."""

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def verify(self, hashed: str, password: str) -> bool:
        if hashed != self.hash(password):
            raise InvalidHashError
        return True


@pytest.fixture
def people(tmp_path) -> People:
    created = People(tmp_path / "people", create=True)
    created._hasher = Quick()
    for name, role in (("vera", "view"), ("ada", "admin")):
        created.add(name, role, PASSWORD)
    return created


def odd(rng: random.Random) -> bytes:
    """A few atoms, put together and perhaps encoded."""
    text = b"".join(rng.choices(ATOMS, k=rng.choice((1, 1, 1, 2, 3))))
    return quote_from_bytes(text).encode() if rng.random() < 0.3 else text


def form(rng: random.Random) -> bytes:
    """Fields as a browser would send them, and as none would."""
    pairs = [
        rng.choice(FIELDS) + rng.choice((b"=", b"=", b"")) + odd(rng)
        for _ in range(rng.randrange(6))
    ]
    return b"&".join(pairs)


def in_header(text: bytes) -> bytes:
    """What of it can stand in a line of headers, or in a line of a request."""
    return bytes(byte for byte in text if 32 < byte != 127)[:6000]


def test_no_odd_request_to_the_doors_is_a_failure_of_the_server(people, store_path, tmp_path):
    journal = Journal(tmp_path / "log")
    login = Login(people, journal, Proxy(SECRET, "X-Forwarded-User", Role.VIEW), secure=False)
    token = people.make_token("ada", "of the test")
    rng = random.Random(SEED)
    statuses: collections.Counter[int] = collections.Counter()
    failed = []
    with running(create_app(Source(store_path.parent), login=login)) as url:
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        for n in range(REQUESTS):
            if n % 8 == 0:  # nobody waits: the doors are what is tested
                with people._changing() as file:
                    file.execute("DELETE FROM failure")
            session = people.begin_session("ada", Quick().hash(PASSWORD), "here")
            method, path = rng.choice(METHODS), rng.choice(PATHS)
            query = in_header(form(rng)).decode("latin-1") if rng.random() < 0.5 else ""
            body = form(rng) if method in ("POST", "PUT") else b""
            headers = {
                "sec-fetch-site": rng.choice(
                    ("same-origin", "same-origin", "none", "cross-site", "odd")
                ),
                "content-type": "application/x-www-form-urlencoded",
                "accept": rng.choice(("text/html", "*/*")),
            }
            who = rng.choice((
                {},
                *[{"cookie": f"{COOKIE}={session}"}] * 3,
                {"cookie": in_header(f"{COOKIE}={session}".encode() + odd(rng))[:300]},
                {"authorization": f"Bearer {token}"},
                {"authorization": b"Bearer " + in_header(odd(rng))},
                {"authorization": in_header(odd(rng))},
                {"x-forwarded-user": in_header(odd(rng)), "x-proxy-secret": SECRET},
                {"x-forwarded-user": in_header(odd(rng)), "x-proxy-secret": in_header(odd(rng))},
                {"x-forwarded-for": in_header(odd(rng)), "x-proxy-secret": SECRET},
            ))  # fmt: skip
            if rng.random() < 0.1:
                with journal.path.open("ab") as file:
                    file.write(odd(rng))
            asking = http.client.HTTPConnection(host, int(port), timeout=30)
            target = path + (f"?{query}" if query else "")
            with contextlib.closing(asking):
                asking.putrequest(method, quote_odd(target))
                for name, value in (headers | who).items():
                    asking.putheader(name, value)
                asking.putheader("content-length", str(len(body)))
                asking.endheaders(body)
                answer = asking.getresponse()
                answer.read()
            statuses[answer.status] += 1
            if answer.status >= 500:
                failed.append((n, answer.status, method, target[:200], body[:200], headers | who))
            if answer.status == 303:
                where = answer.headers["location"]
                assert where.startswith("/"), where
                assert not where.startswith("//"), where
        assert not failed
    # The odd ones reached what they were meant for, and not one refusal at the door alone.
    assert {200, 303, 400, 401, 403, 405} <= set(statuses)
    assert {person.name for person in people} == {"ada", "vera"}
    assert len(people.tokens("ada")) <= TOKENS_OF_PERSON
    assert all(len(kept.label) <= 64 for kept in people.tokens("ada"))


def quote_odd(target: str) -> str:
    """What is not ASCII, percent-encoded, for Python's client sends nothing else."""
    return quote_from_bytes(target.encode("latin-1"), safe="/%?&=+;:'<>(){}*-\\")
