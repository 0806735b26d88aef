"""The index brings the first page, and it is the page that the server gives to whoever asks."""

from __future__ import annotations

import html
import json
import re

import httpx
import pytest
from helpers.drawing import nodes_in
from helpers.servers import SHOW_PAGE, running
from helpers.sharded import copy_store

from dashboard.app import create_app
from dashboard.pages import PAGES
from dashboard.stores.source import Source


def brought(text: str, name: str):
    block = re.search(rf'<script type="application/json" id="first-{name}">(.*?)</script>', text)
    return json.loads(block[1])


def asked_for(client, path: str, search: str):
    """The components of the page that a callback shows."""
    inputs = [
        part | {"value": value}
        for part, value in zip(SHOW_PAGE["inputs"], (path, search), strict=True)
    ]
    answer = client.post("_dash-update-component", json=SHOW_PAGE | {"inputs": inputs})
    return answer.json()["response"]["page"]["children"]


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_the_index_brings_the_page_that_its_link_shows(name, store_path):
    search = "?layer=conv2&sample=5&filter=2&class=1"
    with running(create_app(Source(store_path))) as url, httpx.Client(base_url=url) as client:
        text = client.get(f"{name}{search}").text
        layout = brought(text, "layout")
        (main,) = [node for node in nodes_in(layout) if node["props"].get("id") == "page"]
        assert main["props"]["children"] == asked_for(client, f"/{name}", search)
        assert brought(text, "dependencies") == client.get("_dash-dependencies").json()
        (address,) = [node for node in nodes_in(layout) if node["type"] == "Location"]
        assert (address["props"]["pathname"], address["props"]["search"]) == (f"/{name}", search)
        active = [node["props"]["id"] for node in nodes_in(layout)
                  if node["props"].get("className") == "active"]  # fmt: skip
        assert active == [f"nav-{name}"]


def test_a_prefix_and_the_store_in_the_path_are_in_the_address(tmp_path, store_path):
    copy_store(store_path, tmp_path / "a b.h5")
    app = create_app(Source(tmp_path), prefix="/proxy")
    with running(app) as url, httpx.Client(base_url=url) as client:
        layout = brought(client.get("proxy/stores/a%20b/filter").text, "layout")
        (address,) = [node for node in nodes_in(layout) if node["type"] == "Location"]
        assert address["props"]["pathname"] == "/proxy/stores/a%20b/filter"
        catalogue = brought(client.get("proxy/").text, "layout")
        assert any(node["props"].get("id") == "stores-table" for node in nodes_in(catalogue))


def test_markup_in_a_link_ends_no_script(store_path):
    attack = "</script><script>alert(1)</script>"
    with running(create_app(Source(store_path))) as url, httpx.Client(base_url=url) as client:
        text = client.get("maps", params={"layer": attack}).text
        assert attack not in text
        assert html.escape(attack) not in text
        assert repr(attack) in str(brought(text, "layout"))


def test_where_the_store_is_gone_the_page_says_so(tmp_path, store_path):
    path = tmp_path / "gone.h5"
    copy_store(store_path, path)
    with running(create_app(Source(path))) as url, httpx.Client(base_url=url) as client:
        path.unlink()
        answer = client.get("maps")
        assert answer.status_code == 404
        layout = json.dumps(brought(answer.text, "layout"))
        assert "This store cannot be opened" in layout
        assert "gone.h5" in layout
        assert str(tmp_path) not in layout
        assert client.get("_dash-layout").status_code == 400


@pytest.mark.parametrize(
    ("path", "status", "words", "link"),
    [
        ("/stores/tinny/maps", 404, "did you mean tiny?", "/stores/tiny/"),
        ("/stores/tiny/nothing", 404, "No page 'nothing'", "/stores/tiny/classes"),
        ("/stores/tiny/a/b", 404, "No page 'a/b'", "/stores/tiny/maps"),
        ("/stores/tiny/classes?layer=conv3", 404, "No layer 'conv3'",
         "/stores/tiny/classes?layer=conv2"),
        ("/nothing", 404, "No page 'nothing'", "/"),
        ("/stores/broken/maps", 409, "broken.h5", "/"),
        ("/stores/tiny/maps?layer=", 200, "", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "/proxy"])
def test_what_is_not_there_has_a_status_a_reason_and_the_way_back(
    path, status, words, link, prefix, tmp_path, store_path
):
    copy_store(store_path, tmp_path / "tiny.h5")
    (tmp_path / "broken.h5").write_bytes(b"none")
    app = create_app(Source(tmp_path), prefix=prefix)
    headers = {"accept": "text/html"}
    with running(app) as url, httpx.Client(base_url=url, headers=headers) as client:
        answer = client.get(f"{prefix}{path}")
        assert answer.status_code == status
        layout = brought(answer.text, "layout")
        assert words in json.dumps(layout)
        links = [node["props"].get("href") for node in nodes_in(layout)]
        assert not link or f"{prefix}{link}" in links
        script = client.get(f"{prefix}/stores/tinny/api/v1/layers", headers={"accept": "*/*"})
        assert (script.status_code, script.json()["status"]) == (404, 404)


def test_the_index_shows_a_frame_before_any_script_is_there(tmp_path, store_path):
    copy_store(store_path, tmp_path / "<b>tiny.h5")
    with running(create_app(Source(tmp_path))) as url, httpx.Client(base_url=url) as client:
        text = client.get("/stores/%3Cb%3Etiny/maps?layer=conv2&sample=3").text
        frame = text.split('id="react-entry-point"')[1].split("<footer>")[0]
        assert "Loading…" in frame
        assert '<a href="classes?layer=conv2&amp;sample=3">Classes</a>' in frame
        assert "&lt;b&gt;tiny" in frame
        assert "<b>" not in frame
        assert "/dash_table/" not in text
