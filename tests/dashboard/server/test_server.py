"""The real server on a free port: statuses, headers, hosts, bodies, and a slow callback."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import re
import socket
import subprocess
import sys
import threading
from contextvars import ContextVar
from dataclasses import replace
from importlib.util import find_spec

import httpx
import pytest
from helpers.servers import SHOW_PAGE, running
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs_version
from starlette.testclient import TestClient

from dashboard import create_app
from dashboard.pages import PAGES
from dashboard.server import listen as server
from dashboard.server.bounds import BOUNDS
from dashboard.server.static_files import PLOTLY, PLOTLY_PATH, plotly_fits
from dashboard.server.threads import Threads
from dashboard.server.wsgi import Bridge
from dashboard.stores.source import Source

UPDATE = "_dash-update-component"


@pytest.fixture(scope="module")
def url(store_path):
    with running(create_app(Source(store_path))) as where:
        yield where


def test_pages_health_and_unknown_routes_answer(url):
    for path in ("", "maps", "classes", "healthz", "_dash-layout", "_dash-dependencies"):
        assert httpx.get(url + path).status_code == 200, path
    assert '<html lang="en">' in httpx.get(url).text
    assert httpx.get(url + "healthz").json() == {"status": "ok"}
    assert httpx.get(url + "api/v1/nothing").status_code == 404
    assert httpx.get(url + "assets/..%2f..%2fapp.py").status_code == 404
    assert "/healthz" in httpx.get(url + "openapi.json").json()["paths"]


def test_graphs_get_the_script_of_two_axes_in_the_version_that_draws_them(url):
    assert plotly_fits(), (
        f"{PLOTLY.name} is not of plotly.js {get_plotlyjs_version()}: the whole script is "
        "served until it is that version of npm's plotly.js-cartesian-dist-min"
    )
    answer = httpx.get(url + PLOTLY_PATH.lstrip("/"))
    assert answer.content == PLOTLY.read_bytes()
    assert answer.headers["content-type"].startswith("text/javascript")
    again = httpx.get(
        url + PLOTLY_PATH.lstrip("/"), headers={"if-none-match": answer.headers["etag"]}
    )
    assert again.status_code == 304


def test_the_modules_of_the_wall_are_there_before_they_are_imported(url):
    links = re.findall(r'<link rel="modulepreload" href="/([^"]+)"', httpx.get(url).text)
    assert "assets/feature_maps/session.js" in links
    assert {httpx.get(url + link).status_code for link in links} == {200}


def test_every_answer_carries_the_security_headers(url):
    for path in ("", "healthz", "docs", "api/nothing"):
        headers = httpx.get(url + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe-eval" not in policy
        assert "script-src 'self' 'sha256-" in policy
        assert "unsafe-inline" not in policy.split("style-src")[0]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_scripts_and_styles_carry_the_headers_that_hold_for_them_alone(url):
    for path in ("assets/style.css", "assets/retry.js"):
        headers = httpx.get(url + path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "content-security-policy" not in headers  # of no use but in a page


def test_a_foreign_host_name_is_refused_and_how_to_allow_it_is_said(url):
    answer = httpx.get(url, headers={"host": "maps.example:8050"})
    assert answer.status_code == 400
    assert "fmdash serve … --allow-host maps.example`" in answer.text
    assert "default-src" in answer.headers["content-security-policy"]
    for header in ("<script>", "a b", "x" * 300, ""):
        answer = httpx.get(url, headers={"host": header})
        assert answer.status_code == 400
        assert "script" not in answer.text


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ("maps.example", "maps.example:8050", 200),
        ("maps.example", "MAPS.example", 200),
        ("maps.example", "other.example", 400),
        ("*.example", "maps.example", 200),
        ("www.maps.example", "maps.example", 307),
    ],
)
def test_a_host_that_is_allowed_is_answered(allowed, host, status, store_path):
    app = create_app(Source(store_path), allowed_hosts=["localhost", allowed])
    client = TestClient(app, base_url=f"http://{host}", follow_redirects=False)
    assert client.get("/healthz").status_code == status


def test_a_page_is_built(url):
    answer = httpx.post(url + UPDATE, json=SHOW_PAGE)
    assert answer.status_code == 200
    assert f"{PAGES[0].name}-link" in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[1]", 400),
        ("null", 400),
        ("{}", 400),
        (json.dumps(SHOW_PAGE | {"output": "nothing.value"}), 400),
        (json.dumps(SHOW_PAGE | {"inputs": []}), 400),
        (json.dumps(SHOW_PAGE | {"inputs": [1, 2]}), 400),
        (json.dumps({k: v for k, v in SHOW_PAGE.items() if k != "inputs"}), 400),
        (json.dumps({k: v for k, v in SHOW_PAGE.items() if k != "outputs"}), 400),
        (json.dumps(SHOW_PAGE | {"output": []}), 400),
        (json.dumps(SHOW_PAGE | {"outputs": [{"id": "x"}]}), 400),
        (json.dumps(SHOW_PAGE | {"outputs": {}}), 400),
        (json.dumps(SHOW_PAGE | {"inputs": [{}, {}]}), 400),
        (json.dumps(SHOW_PAGE | {"state": [{"id": "x", "property": "y", "value": 1}]}), 400),
        (json.dumps(SHOW_PAGE | {"changedPropIds": 3}), 400),
        ("[" * 100_000, 400),
        ("x" * (2 << 20), 413),
    ],
)
def test_a_malformed_callback_is_refused_and_the_server_lives_on(url, body, status):
    answer = httpx.post(url + UPDATE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert httpx.get(url + "healthz").status_code == 200


def test_a_body_that_never_ends_is_refused_in_time_and_no_thread_waits_for_it(store_path):
    bounds = replace(BOUNDS, body_seconds=0.2)
    with running(create_app(Source(store_path), bounds=bounds)) as url:
        where = httpx.URL(url)
        with socket.create_connection((where.host, where.port), timeout=20) as line:
            head = f"POST /{UPDATE} HTTP/1.1\r\nHost: {where.host}\r\nContent-Length: 100\r\n\r\n"
            line.sendall(head.encode() + b"{")
            answer = line.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert httpx.get(url + "healthz").status_code == 200


@pytest.mark.parametrize("value", [None, "", "x" * 1000, "?layer=nosuch&sample=-1"])
def test_a_text_that_means_nothing_is_answered_with_what_there_is(url, value):
    inputs = [part | {"value": value} for part in SHOW_PAGE["inputs"]]
    assert httpx.post(url + UPDATE, json=SHOW_PAGE | {"inputs": inputs}).status_code == 200


@pytest.mark.parametrize("value", [1, True, [], {"a": 1}, "?layer=\ud800"])
def test_a_value_that_no_component_sends_is_refused_by_name(url, value):
    inputs = [one | {"value": value} for one in SHOW_PAGE["inputs"]]
    body = json.dumps(SHOW_PAGE | {"inputs": inputs})  # httpx would refuse a lone surrogate
    headers = {"content-type": "application/json"}
    answer = httpx.post(url + UPDATE, content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("url.pathname: ")


DESCRIBE = {
    "output": "maps-facts.data",
    "outputs": {"id": "maps-facts", "property": "data"},
    "inputs": [{"id": "maps-layer", "property": "value", "value": "block/conv 1"}],
    "changedPropIds": ["maps-layer.value"],
}


def test_what_the_scripts_know_of_another_layer_is_of_that_layer(url):
    answer = httpx.post(url + UPDATE, json=DESCRIBE).json()["response"]
    assert answer["maps-facts"]["data"]["layer"] == "block/conv 1"


def test_numbers_that_json_does_not_know_arrive_as_null():
    assert find_spec("orjson") is not None, "Dash writes JSON with it"
    sent = to_json_plotly({"x": [1.5, float("nan"), float("inf")], "y": "<a>"})
    assert json.loads(sent) == {"x": [1.5, None, None], "y": "<a>"}


@pytest.mark.parametrize(
    ("output", "given"),
    [
        ("..filter-raw.children..", {"url.href": "http://x/\ud800/filter"}),
        ("..filter-classes.children..", {"filter-classes-page.value": 10**30}),
    ],
)
def test_what_json_cannot_say_is_refused(url, output, given):
    all_of_them = httpx.get(url + "_dash-dependencies").json()
    about = next(one for one in all_of_them if one["output"] == output)
    parts = {
        name: [one | {"value": given.get(f"{one['id']}.{one['property']}")} for one in about[name]]
        for name in ("inputs", "state")
    }
    names = [one.rsplit(".", 1) for one in output.strip(".").split("...")]
    outputs = [{"id": one, "property": name} for one, name in names]
    body = {"output": output, "outputs": outputs, **parts}
    headers = {"content-type": "application/json"}
    answer = httpx.post(url + UPDATE, content=json.dumps(body), headers=headers)
    assert answer.status_code == 400, answer.text


def test_files_that_are_not_there_are_not_found(url):
    for path in ("os/x", "dash/nosuch.js", "numpy/__init__.py"):
        assert httpx.get(f"{url}_dash-component-suites/{path}").status_code == 404


def test_a_body_that_never_ends_holds_no_thread(url):
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    stalled = [socket.create_connection((host, int(port))) for _ in range(20)]
    try:
        for one in stalled:
            one.sendall(
                f"POST /{UPDATE} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99\r\n"
                "Content-Type: application/json\r\n\r\n{".encode()
            )
        assert httpx.get(url + "_dash-layout").status_code == 200
    finally:
        for one in stalled:
            one.close()


def test_a_page_is_answered_whole_in_a_thread_with_the_context_of_who_asked():
    class Parts(list):
        closed = False

        def close(self):
            self.closed = True

    asked, parts = ContextVar("asked", default=""), Parts([b"one ", b"two"])

    def app(environ, start):
        said = environ["wsgi.input"].read().decode()
        start(
            "201 Created", [("X-Said", f"{said} {asked.get()} {threading.current_thread().name}")]
        )
        return parts

    async def ask():
        asked.set("me")
        transport = httpx.ASGITransport(
            app=Bridge(app, threads=Threads(1, of_person=1, name="page"))
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/", content=b"body")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.text, parts.closed) == (201, "one two", True)
    assert answer.headers["x-said"] == "body me page_0"


def test_while_a_callback_waits_others_are_answered(store_path):
    source, entered, release = Source(store_path), threading.Event(), threading.Event()
    app = create_app(source)
    opened = source.snapshot

    def waiting():
        entered.set()
        assert release.wait(30)
        return opened()

    with running(app) as where, concurrent.futures.ThreadPoolExecutor() as pool:
        source.snapshot = waiting
        slow = pool.submit(httpx.post, where + UPDATE, json=SHOW_PAGE, timeout=60)
        assert entered.wait(30)
        for path in ("healthz", "_dash-dependencies", "assets/style.css"):
            assert httpx.get(where + path).status_code == 200
        assert not slow.done()
        release.set()
        assert slow.result().status_code == 200


def test_a_broken_store_says_so_in_one_line(tmp_path, store_path):
    copy = tmp_path / "s.h5"
    copy.write_bytes(store_path.read_bytes())
    with running(create_app(Source(copy))) as where:
        copy.unlink()
        answer = httpx.post(where + UPDATE, json=SHOW_PAGE)
        assert answer.status_code == 400
        assert "there is no such file" in answer.json()["error"]


# A process of its own for each start, because the race is in the first requests of a process.
COLD = """
import concurrent.futures, sys, threading, urllib.request
from pathlib import Path
from dashboard import create_app
from dashboard.server import listen as server
from dashboard.stores.source import Source

listening = server.bind(("127.0.0.1", 0))
where = server.address(listening)
runner = server.configured(create_app(Source(Path(sys.argv[1]))))
threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True).start()
def status(path):
    try:
        return urllib.request.urlopen(where + path).status
    except urllib.error.HTTPError as error:
        return error.code
paths = ["", "_dash-layout", "_dash-dependencies", sys.argv[2]] * 3
with concurrent.futures.ThreadPoolExecutor(12) as pool:
    print(*pool.map(status, paths))
runner.should_exit = True
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", range(3))
def test_twelve_first_requests_at_once_are_all_answered(store_path, url, start):
    page = httpx.get(url).text
    suite = re.search('_dash-component-suites/[^"]*', page).group()
    done = subprocess.run(
        [sys.executable, "-c", COLD, str(store_path), suite],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["200"] * 12


def test_a_taken_port_and_a_public_host_are_refused():
    with server.bind(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(server.ServerError, match=f"cannot listen on 127.0.0.1:{port}"):
            server.bind(("127.0.0.1", port))
    with pytest.raises(server.ServerError, match="there is no login"):
        server.bind(("0.0.0.0", 0))
    for port in (-1, 99999):
        with pytest.raises(server.ServerError, match="name another port"):
            server.bind(("127.0.0.1", port))


def test_what_a_page_names_the_state_of_is_never_asked_for_again(url):
    page = httpx.get(url).text
    named = re.findall(r'(?:src|href)="/([^"]+(?:\?m=|\.v\d)[^"]+)"', page)
    assert any(one.startswith("assets/style.css?m=") for one in named)
    assert any("dash_renderer" in one for one in named)
    for one in named:
        for taken in ("gzip", "identity"):
            answer = httpx.get(url + one, headers={"accept-encoding": taken})
            assert answer.headers["cache-control"] == "max-age=31536000, immutable", one
    for other in ("assets/style.css", "assets/style.css?m=12.5", "assets/style.css?m=x"):
        assert "immutable" not in httpx.get(url + other).headers["cache-control"]
    assert '<link rel="icon" href="data:image/svg+xml,' in page
    assert "favicon" not in page


@pytest.mark.slow
def without_comments(script: str) -> str:
    """A script without the comments that have lines of their own."""
    kept, in_comment = [], False
    for line in script.splitlines(keepends=True):
        in_comment = in_comment or line.lstrip().startswith("/*")
        if not in_comment and not line.lstrip().startswith("//"):
            kept.append(line)
        in_comment = in_comment and not line.rstrip().endswith("*/")
    return "".join(kept)


def test_scripts_are_compressed_once_and_the_same_but_for_comments_as_without(url):
    page = httpx.get(url).text
    paths = re.findall(r'(?:src|href)="/([^"]+\.(?:js|css)[^"]*)"', page)
    assert len(paths) > 15
    saved = 0
    for path in paths:
        plain = httpx.get(url + path, headers={"accept-encoding": "identity"})
        packed = httpx.get(url + path, headers={"accept-encoding": "gzip"})
        is_own = path.startswith("assets/") and "/vendor/" not in path
        assert packed.text == (without_comments(plain.text) if is_own else plain.text), path
        assert "content-encoding" not in plain.headers
        if packed.headers.get("content-encoding") == "gzip":
            told = {"accept-encoding": "gzip", "if-none-match": packed.headers["etag"]}
            again = httpx.get(url + path, headers=told)
            assert (again.status_code, again.content) == (304, b"")
            saved += int(plain.headers["content-length"]) - int(packed.headers["content-length"])
    assert saved > 2_000_000
    assert httpx.get(url + "assets/none.js").status_code == 404
