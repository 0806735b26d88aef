"""`dashboard.show` without a browser: who gets in, what may frame it, what is left behind."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from helpers.servers import running

import dashboard
from dashboard.notebook.servers import SERVERS
from dashboard.notebook.view import ViewStoppedError
from dashboard.stores.source import Source
from fmcore import FmcoreError, open_store
from fmcore.errors import InputFileError, SelectionError

LAYER = "block/conv 1"


@pytest.fixture(scope="module")
def view(store_path):
    with dashboard.show(store_path, "filter", layer=LAYER, filter=3, sample=2) as view:
        yield view


def root_of(view) -> str:
    return view.url.partition("filter?")[0]


def token_of(view) -> str:
    return urlsplit(view.url).path.split("/")[1]


def policy(answer: httpx.Response) -> dict[str, str]:
    parts = (
        part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";")
    )
    return {name: words for name, _, words in parts}


def test_until_a_browser_tells_more_the_selection_is_what_was_wanted(view):
    selection = view.selection
    assert (selection.page, selection.layer, selection.filter, selection.sample) == (
        "filter", LAYER, 3, 2,
    )  # fmt: skip
    assert (selection.class_, selection.group, selection.a, selection.b) == (None, "", "", "")
    assert httpx.get(view.url).status_code == 200


def test_what_a_page_tells_is_the_selection(store_path):
    with dashboard.show(store_path) as other:
        address = other.url.partition("maps?")[0] + "selection"
        link = "contrast?layer=conv2&sample=5&filter=1&class=2&group=wrong&a=label%3D0&b=label%3D1"
        assert httpx.post(address, content=link).status_code == 204
        selection = other.selection
        assert (selection.page, selection.layer, selection.filter, selection.class_) == (
            "contrast", "conv2", 1, 2,
        )  # fmt: skip
        assert (selection.group, selection.a, selection.b) == ("wrong", "label=0", "label=1")
        # Of what there is not, the nearest, as the page has it.
        httpx.post(address, content="maps?layer=conv2&filter=99")
        assert other.selection.filter == 2
        assert httpx.post(address, content="nowhere?filter=1").status_code == 400
        assert httpx.post(address, content="maps?group=" + "x" * (16 << 10)).status_code == 413
        assert httpx.post(address, content=b"\xff\xfe").status_code == 400
        assert other.selection.filter == 2


@pytest.mark.parametrize(
    "path",
    ["", "healthz", "maps", "selection", "assets/stale.js", "api/v1/stores", "metrics", "docs"],
)
def test_without_the_token_there_is_nothing(view, path):
    token, origin = token_of(view), view.url[: view.url.index("/", 7) + 1]
    guesses = ("", "x/", f"{token[:-1]}/", f"{token.swapcase()}/", f"x/{token}/", "%FF/")
    with httpx.Client(base_url=origin) as client:
        for guess in guesses:
            for method in ("GET", "POST"):
                answer = client.request(method, guess + path, content=b"maps?filter=1")
                assert (answer.status_code, answer.text) == (404, "there is nothing here")
        assert client.get(f"{token}/healthz").status_code == 200


def test_names_that_are_not_this_machines_are_refused_even_with_the_token(view):
    for path in ("", "healthz", "api/v1/stores"):
        answer = httpx.get(root_of(view) + path, headers={"host": "rebound.example"})
        assert answer.status_code == 400


def test_the_server_listens_on_loopback_alone(view):
    port = urlsplit(view.url).port
    with socket.socket() as stranger:
        stranger.settimeout(2)
        with pytest.raises(OSError):
            stranger.connect(("127.0.0.2", port))


def test_a_view_may_be_framed_by_notebooks_and_a_server_for_a_team_by_nobody(view, store_path):
    answer = httpx.get(view.url)
    frames = policy(answer)["frame-ancestors"].split()
    assert "http://127.0.0.1:*" in frames
    assert "*" not in frames
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "notebook/selection.js" in answer.text
    with running(dashboard.create_app(Source(store_path))) as url:
        team = httpx.get(url)
        assert policy(team)["frame-ancestors"] == "'none'"
        assert "notebook/selection.js" not in team.text
        assert httpx.post(f"{url}selection", content="maps").status_code in (404, 405)


def test_a_proxy_may_keep_or_cut_its_path_and_has_any_name(store_path):
    with dashboard.show(store_path, proxy="/user/ann/proxy/{port}/") as view:
        path = urlsplit(view.url).path
        port = path.split("/")[4]
        own = f"http://127.0.0.1:{port}"
        inner = path.removeprefix(f"/user/ann/proxy/{port}")
        pages = [
            httpx.get(own + part, headers={"host": "hub.example.org"}) for part in (path, inner)
        ]
        assert [page.status_code for page in pages] == [200, 200]
        prefix = path.rpartition("/")[0]
        assert all(f'src="{prefix}/assets/' in page.text for page in pages)
        assert all(f'src="{inner.rpartition("/")[0]}/' not in page.text for page in pages)


def n_threads() -> dict[str, int]:
    names = [thread.name for thread in threading.enumerate()]
    return {name: names.count(name) for name in ("fmdash", "ledger")}


def test_views_of_a_store_share_a_server_which_ends_with_the_last_one(store_path):
    before, threads = len(SERVERS), n_threads()
    with open_store(store_path) as store:
        first = dashboard.show(store, origin="https://nb.example.org")
    second = dashboard.show(store_path, "overview", origin="https://nb.example.org")
    assert len(SERVERS) == before + 1
    assert urlsplit(first.url).netloc == urlsplit(second.url).netloc
    assert token_of(first) != token_of(second)
    first.stop()
    first.stop()
    assert httpx.get(first.url).status_code == 404
    assert httpx.get(second.url).status_code == 200
    with pytest.raises(ViewStoppedError, match="call show"):
        first.selection  # noqa: B018
    assert "stopped" in first._repr_html_()
    second.stop()
    assert len(SERVERS) == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(second.url)
    assert n_threads() == threads


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"page": "filters"}, "there is no page 'filters'.*did you mean filter"),
        ({"layer": "conv9"}, "no layer 'conv9' here; expected one of block/conv 1, conv2"),
        ({"layer": "conv2", "filter": 3}, r"no filter 3 here \(0 to 2\)$"),
        ({"sample": -1}, "no sample -1 here"),
        ({"sample": "seven"}, "'seven' is no number"),
        ({"class_": 9}, r"no class 9 here \(0 to 3\)$"),
        ({"statistic": "median"}, "no statistic 'median' here; expected one of"),
        ({"group": "label=9"}, "9"),
        ({"b": "wrog"}, "did you mean wrong"),
        ({"colours": "gray"}, "no field 'colours'.*did you mean colors"),
        ({"height": 0}, "height=0"),
        ({"origin": "nowhere"}, "origin='nowhere'"),
    ],
)
def test_what_there_is_not_is_said_in_one_line_before_a_server_starts(store_path, wish, words):
    before = len(SERVERS)
    with pytest.raises(SelectionError, match=words) as raised:
        dashboard.show(store_path, **wish)
    assert "\n" not in str(raised.value)
    assert len(SERVERS) == before


def test_a_path_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(InputFileError, match="is a folder"):
        dashboard.show(tmp_path)
    with pytest.raises(InputFileError, match="no such file"):
        dashboard.show(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no store")
    with pytest.raises(FmcoreError, match="not a store"):
        dashboard.show(Path(tmp_path / "text.h5"))


def test_a_name_in_the_output_ends_no_element(store_path, tmp_path):
    odd = tmp_path / 'a<b>&"c.h5'
    odd.write_bytes(store_path.read_bytes())
    with dashboard.show(odd, width='1"><script>') as view:
        html = view._repr_html_()
    assert "<b>" not in html
    assert "<script>" not in html
