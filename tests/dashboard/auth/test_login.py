"""Who gets in: every route is behind the guard, and nothing forged, expired or foreign opens it."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import time
from pathlib import Path

import httpx
import pytest
from helpers.servers import SHOW_PAGE, running
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from dashboard import create_app
from dashboard.api import OPERATIONS
from dashboard.auth import delays
from dashboard.auth import people as people_module
from dashboard.auth.guard import COOKIE, Login, Proxy
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.auth.person import PeopleError
from dashboard.server.roles import Role
from dashboard.stores.source import Source
from fmcore.export import FORMATS

PASSWORD = "correct horse battery"
SECRET = "a secret of the proxy alone"
SAME = {"sec-fetch-site": "same-origin"}
FILE = "/api/v1/stores/tiny/maps?layer=conv2&sample=0:4&format=npy"
FORMATS_OF = {operation.name: operation.formats for operation in OPERATIONS if operation.formats}


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> People:
    found = People(tmp_path_factory.mktemp("auth") / "people", create=True)
    for name, role in (("vera", "view"), ("ed", "export"), ("ada", "admin")):
        found.add(name, role, PASSWORD)
    return found


@pytest.fixture(scope="module")
def app(people, store_path):
    login = Login(
        people,
        Journal(people.path.with_suffix(".jsonl")),
        Proxy(SECRET, "X-Forwarded-User", Role.VIEW),
        secure=False,
    )
    return create_app(Source(store_path.parent), login=login)


@pytest.fixture(scope="module")
def url(app):
    with running(app) as where:
        yield where


@pytest.fixture
def client(url, people):
    forget(people)
    with httpx.Client(base_url=url, timeout=30) as one:
        yield one


def forget(people) -> None:
    with people._changing() as file:
        file.execute("DELETE FROM failure")


def session_of(people, name: str) -> str:
    """A session that begins without the time that a password takes."""
    ((hashed,),) = people._rows("SELECT password FROM person WHERE name = ?", name)
    return people.begin_session(name, hashed, "here")


def logged_in(client, name: str, password: str = PASSWORD, **more) -> httpx.Response:
    form = {"name": name, "password": password, **more}
    return client.post("/login", data=form, headers=SAME)


def bearer(people, name: str, label: str) -> dict[str, str]:
    return {"authorization": f"Bearer {people.make_token(name, label)}"}


def routes_of(app) -> list[tuple[str, str]]:
    """Every method and path of the application's own tables: the API, the mounts, Dash on Flask."""
    while not isinstance(app, Starlette):
        app = app._app
    found, values = [], {"store": "tiny", "sample": "0", "rest": "x", "filename": "x"}

    def filled(path: str) -> str:
        for name in ("store", "sample"):
            path = path.replace(f"{{{name}}}", values[name])
        return path.replace("{rest:path}", "x").replace("{path:path}", "x")

    for route in app.routes:
        match route:
            case Mount(path=""):
                flask = route.app.app
                for rule in flask.url_map.iter_rules():
                    _, path = rule.build(dict.fromkeys(rule.arguments, "x"))
                    found += [(method, path) for method in rule.methods - {"OPTIONS"}]
            case Mount():
                found.append(("GET", f"{route.path}/x"))
            case Route():
                found += [(method, filled(route.path)) for method in route.methods]
    return found


def test_without_login_every_route_is_closed(app, client):
    routes = routes_of(app)
    paths = {path for _, path in routes}
    assert {"/", "/_dash-update-component", "/api/v1/stores", "/account", "/docs"} <= paths
    assert any(path.startswith("/assets/") for path in paths)
    assert any(path.startswith("/_dash-component-suites/") for path in paths)
    closed = 0
    for below in ("", "/stores/tiny"):
        for method, path in routes:
            if path in ("/login", "/healthz", "/readyz") and not below:
                continue
            answer = client.request(method, below + path, headers=SAME)
            assert answer.status_code == 401, (method, below + path, answer.status_code)
            page = client.request(method, below + path, headers=SAME | {"accept": "text/html"})
            to_login = page.status_code == 303 and page.headers["location"].startswith("/login?")
            assert to_login or page.status_code in (401, 403), (method, path)
            closed += 1
    assert closed > 60
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/login").status_code == 200


def test_without_login_every_callback_is_closed(app, client):
    from dashboard.app import _create_dash

    outputs = list(_create_dash(Source(Path("nowhere"), Path())).callback_map)
    assert len(outputs) > 15
    for output in outputs:
        body = {**SHOW_PAGE, "output": output}
        for below in ("", "/stores/tiny"):
            answer = client.post(f"{below}/_dash-update-component", json=body, headers=SAME)
            assert answer.status_code == 401


def test_a_person_logs_in_looks_and_logs_out(client, people):
    answer = client.get("/stores/tiny/maps?layer=conv2", headers={"accept": "text/html"})
    assert answer.status_code == 303
    form = client.get(answer.headers["location"]).text
    assert 'value="/stores/tiny/maps?layer=conv2"' in form
    answer = logged_in(client, "vera", next="/stores/tiny/maps?layer=conv2")
    assert answer.headers["location"] == "/stores/tiny/maps?layer=conv2"
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/", "max-age="))
    assert client.get("/stores/tiny/_dash-layout").status_code == 200
    assert client.post(
        "/stores/tiny/_dash-update-component", json=SHOW_PAGE, headers=SAME
    ).is_success
    kept = client.cookies[COOKIE]
    assert client.post("/logout", headers=SAME).status_code == 303
    replayed = client.get("/api/v1/stores", headers={"cookie": f"{COOKIE}={kept}"})
    assert replayed.status_code == 401


def test_the_cookie_goes_through_tls_alone_where_there_is_tls(people, store_path):
    app = create_app(
        Source(store_path), login=Login(people, Journal(people.path.with_suffix(".2")))
    )
    with running(app) as url, httpx.Client(base_url=url) as client:
        assert "secure" in logged_in(client, "vera").headers["set-cookie"].lower()


@pytest.mark.parametrize("where", ["//evil.org", "https://evil.org", "/\\evil.org", "", "/a\nb"])
def test_a_login_leads_nowhere_else(client, where):
    assert logged_in(client, "vera", next=where).headers["location"] == "/"


def test_forged_and_expired_sessions_are_none(client, people, monkeypatch):
    signed = session_of(people, "ada")
    assert people.in_session(signed).name == "ada"
    secret, _, rest = signed.partition(".")
    other = "B" if secret.startswith("A") else "A"
    forged = ["", "x", secret, f"{secret}.{rest}x", f"{other}{secret[1:]}.{rest}", "é", signed * 2]
    for one in forged:
        cookie = {"cookie": f"{COOKIE}={one}".encode()}
        assert client.get("/api/v1/stores", headers=cookie).status_code == 401, one
    monkeypatch.setattr(people_module, "SESSION_SECONDS", -1)
    old = session_of(people, "ada")
    assert people.in_session(old) is None
    monkeypatch.undo()
    assert people.in_session(old) is None  # also by the row, which has its own end
    people.set_password("ada", PASSWORD)
    assert people.in_session(signed) is None


def test_a_role_lets_do_what_it_says_from_the_next_request_on(client, people):
    needs = {
        "/api/v1/stores": "view",
        "/api/v1/stores/tiny/maps?layer=conv2&sample=3": "view",
        "/api/v1/stores/tiny/statistics": "view",
        "/api/v1/stores/tiny/images/3.png": "view",
        FILE: "export",
        "/api/v1/stores/tiny/maps?layer=conv2": "export",
        "/api/v1/stores/tiny/pooled?layer=conv2&sample=0:9&statistic=max": "export",
        "/api/v1/stores/tiny/statistics?format=csv": "export",
        f"/stores/tiny{FILE}": "export",
        "/api/v1/stores/tiny/maps?" + "&".join(f"a{n}=1" for n in range(99)): "export",
        "/api/v1/log": "admin",
        "/stores/tiny/api/v1/log": "admin",
        "/api/v1/people": "admin",
    }
    # What the pages draw is all that may be looked at; another format needs more by itself.
    for name in {
        "raw",
        "json",
        "tomorrow's",
        *FORMATS,
        *(form.name for form in FORMATS_OF["maps"]),
    }:
        path = f"/api/v1/stores/tiny/maps?layer=conv2&sample=3&format={name}"
        needs[path] = "view" if name in ("raw", "json") else "export"
    for formats in FORMATS_OF.values():
        assert formats[0].name in ("raw", "json"), "sent where a page names no format"
    order = ("view", "export", "admin")
    for name, role in (("vera", "view"), ("ed", "export"), ("ada", "admin")):
        token = bearer(people, name, "roles")
        for path, needed in needs.items():
            status = client.get(path, headers=token).status_code
            allowed = order.index(role) >= order.index(needed)
            assert (status in (200, 422)) if allowed else (status == 403), (name, path, status)
    token = bearer(people, "ed", "moved")
    people.set_role("ed", "view")
    assert client.get(FILE, headers=token).status_code == 403
    people.set_role("ed", "export")
    assert client.get(FILE, headers=token).status_code == 200
    people.revoke("ed", "moved")
    assert client.get(FILE, headers=token).status_code == 401


def test_a_removed_person_has_nothing_left(client, people):
    people.add("gone", "admin", PASSWORD)
    token, signed = bearer(people, "gone", "t"), session_of(people, "gone")
    people.remove("gone")
    assert client.get("/api/v1/stores", headers=token).status_code == 401
    assert people.in_session(signed) is None
    people.add("gone", "view", PASSWORD)  # another one of that name
    assert client.get("/api/v1/stores", headers=token).status_code == 401
    assert people.in_session(signed) is None
    people.remove("gone")


def test_only_the_proxy_may_say_who_asks(client):
    proof = {"x-forwarded-user": "ed", "x-proxy-secret": SECRET}
    assert client.get(FILE, headers=proof).status_code == 200
    unknown = proof | {"x-forwarded-user": "somebody@example.org"}
    assert client.get("/api/v1/stores", headers=unknown).status_code == 200
    assert client.get(FILE, headers=unknown).status_code == 403
    for wrong in ({}, {"x-proxy-secret": ""}, {"x-proxy-secret": SECRET[:-1]}):
        forged = {"x-forwarded-user": "ada"} | wrong
        assert client.get("/api/v1/stores", headers=forged).status_code == 401


def test_another_sites_page_changes_nothing(client, people):
    logged_in(client, "vera")
    own = str(client.base_url).rstrip("/")
    for headers, status in (
        (SAME, 200),
        ({"origin": own}, 200),
        ({"origin": "https://evil.org"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": own, "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({}, 403),
    ):
        answer = client.post("/stores/tiny/_dash-update-component", json=SHOW_PAGE, headers=headers)
        assert answer.status_code == status, headers
    evil = {"origin": "https://evil.org"}
    form = {"name": "vera", "password": PASSWORD}
    assert client.post("/login", data=form, headers=evil).status_code == 403
    assert (
        client.post("/account", data={"label": "x", "days": "9"}, headers=evil).status_code == 403
    )
    assert not people.tokens("vera") or people.tokens("vera")[0].label == "roles"
    token = bearer(people, "vera", "script")  # a script is nobody's page
    body = {"json": SHOW_PAGE, "headers": token}
    assert httpx.post(f"{own}/stores/tiny/_dash-update-component", **body).status_code == 200


def test_wrong_hosts_and_large_bodies_are_refused(client):
    assert client.get("/login", headers={"host": "evil.org"}).status_code == 400
    large = b"x" * (2 << 20)
    assert client.post("/login", content=large, headers=SAME).status_code == 413
    assert client.post("/_dash-update-component", content=large, headers=SAME).status_code == 401


def test_names_that_lead_out_of_the_folder_are_no_stores(client, people):
    token = bearer(people, "ada", "paths")
    names = ("..", "../..", "%2e%2e", "%2fetc%2fpasswd", "..%2ftiny", "tiny%00", "C:%5cx")
    for name in names:
        for path in (f"/stores/{name}/_dash-layout", f"/api/v1/stores/{name}/layers"):
            asking = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
            asking.request("GET", path, headers=token)  # as it is: httpx would resolve the dots
            assert asking.getresponse().status in (400, 404), path


@pytest.mark.slow
def test_failures_cost_waiting_and_say_how_long(client, people):
    for _ in range(4):
        assert logged_in(client, "ada", "wrong").status_code == 401
    answer = logged_in(client, "ada")  # not even with the right one
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    assert logged_in(client, "vera").status_code == 303  # nobody else waits
    time.sleep(float(answer.headers["retry-after"]))
    assert logged_in(client, "ada").status_code == 303
    with people._changing() as file:
        for n in range(21):  # one password for everybody
            assert delays.begin(file, f"name{n}", "there") == 0
    assert people.wait("ada", "there") > 0
    assert people.wait("ada", "elsewhere") == 0


@pytest.mark.slow
def test_of_clients_behind_a_proxy_only_one_waits(client):
    def tries(password, **said):
        headers = SAME | {name.replace("_", "-"): value for name, value in said.items()}
        form = {"name": "ed", "password": password}
        return client.post("/login", data=form, headers=headers).status_code

    there = {"x_proxy_secret": SECRET, "x_forwarded_for": "10.0.0.1, 10.0.0.2"}
    assert [tries("wrong", **there) for _ in range(5)][-1] == 429
    elsewhere = there | {"x_forwarded_for": "10.0.0.2, 10.0.0.3"}
    assert tries(PASSWORD, **elsewhere) == 303
    assert [tries("wrong") for _ in range(4)] == [401] * 4
    assert tries(PASSWORD, x_forwarded_for="10.0.0.9") == 429  # without proof it is nobody's word


@pytest.mark.slow
def test_a_name_that_is_not_there_takes_as_long_as_one_that_is(people):
    def seconds(name):
        began = time.perf_counter()
        assert people.verified(name, "wrong wrong wrong") == ""
        return time.perf_counter() - began

    seconds("nobody")
    both = [(seconds("ada"), seconds("nobody")) for _ in range(5)]
    known, unknown = (sorted(one)[2] for one in zip(*both, strict=True))
    assert 0.4 < known / unknown < 2.5


def test_a_person_makes_and_revokes_tokens_on_a_page(client, people):
    logged_in(client, "ed")
    made = client.post("/account", data={"label": "lab <1>", "days": "3"}, headers=SAME)
    secret = made.text.split("<code>fmd_")[1].split("</code>")[0]
    assert "lab &lt;1&gt;" in made.text
    token = {"authorization": f"Bearer fmd_{secret}"}
    alone = httpx.get(f"{client.base_url}api/v1/stores", headers=token)
    assert alone.status_code == 200
    assert secret not in client.get("/account").text
    client.post("/account", data={"revoke": "lab <1>"}, headers=SAME)
    assert httpx.get(f"{client.base_url}api/v1/stores", headers=token).status_code == 401
    for wrong in (
        {"label": "", "days": "3"},
        {"label": "x", "days": "0"},
        {"label": "x", "days": "y"},
    ):
        assert client.post("/account", data=wrong, headers=SAME).status_code == 400
    assert client.post("/account", data={"revoke": "none"}, headers=SAME).status_code == 400


def test_logins_and_exports_are_written_down(client, people):
    logged_in(client, "ed", "wrong")
    logged_in(client, "ed")
    size = len(client.get(FILE).content)
    token = bearer(people, "ada", "log")
    lines = client.get("/api/v1/log", headers=token).json()
    last = {line["event"]: line for line in lines}
    assert last["login failed"]["who"] == last["login"]["who"] == "ed"
    assert (last["export"]["who"], last["export"]["bytes"]) == ("ed", size)
    assert last["export"]["path"] == FILE.split("?")[0]
    assert last["export"]["status"] == 200
    assert PASSWORD not in json.dumps(lines)
    assert people.path.stat().st_mode & 0o077 == 0


def test_no_secret_lies_in_the_file(people):
    signed, token = session_of(people, "ada"), people.make_token("ada", "hidden")
    data = b"".join(one.read_bytes() for one in people.path.parent.glob("people*"))
    for secret in (PASSWORD, signed.split(".")[0], token):
        assert secret.encode() not in data


def test_many_threads_use_the_file_at_once(people):
    def turn(n):
        signed = session_of(people, "ada")
        assert people.in_session(signed).name == "ada"
        people.end_session(signed)
        return people.in_session(signed)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(turn, range(64))) == {None}


def test_a_form_of_far_too_many_fields_lets_nobody_in(client):
    form = {f"field{n}": "" for n in range(20)} | {"name": "ada", "password": PASSWORD}
    answer = client.post("/login", data=form, headers=SAME)
    assert answer.status_code == 401
    assert COOKIE not in answer.cookies


def test_what_is_wrong_with_people_is_said(people, tmp_path):
    for call, said in (
        (lambda: people.add("ada", "view", PASSWORD), "already"),
        (lambda: people.add("a b", "view", PASSWORD), "is no name"),
        (lambda: people.add("bo", "king", PASSWORD), "view, export, admin"),
        (lambda: people.add("bo", "view", "short"), "expected 10 to"),
        (lambda: people.set_role("bo", "view"), "there is no 'bo'; there are ada, ed, vera"),
        (lambda: people.revoke("ada", "nothing"), "has no token"),
        (lambda: people.make_token("bo", "x"), "there is no 'bo'"),
        (lambda: people.make_token("ada", "x", 0), "3,650 days"),
        (lambda: [people.make_token("ada", "twice") for _ in "ab"], "a token 'twice' already"),
        (lambda: People(tmp_path / "none"), "fmdash user add"),
        (lambda: People(tmp_path), "there is no file of people"),
    ):
        with pytest.raises(PeopleError, match=said):
            call()
    text = tmp_path / "text"
    text.write_text("no database at all, " * 100)
    with pytest.raises(PeopleError, match="as a file of people"):
        People(text)
