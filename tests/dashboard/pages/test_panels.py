"""Laws of every panel of every page, on every kind of store."""

from __future__ import annotations

import json

import httpx
import pytest
from helpers.factories import make_encoded_store, make_store, make_target_store
from helpers.servers import running
from plotly.io.json import to_json_plotly

from dashboard.app import create_app
from dashboard.figures.theme import DARK, LIGHT
from dashboard.pages import PAGES
from dashboard.pages.page import REPLACED, Page
from dashboard.pages.state import FIELDS, parse_query
from dashboard.stores.source import STORE_HERE, Source
from fmcore.errors import MapsNotStoredError, StatisticNotFoundError
from fmcore.records import Target

STORES = {
    "full": make_store,
    "basic": lambda path: make_store(path, statistics="basic"),
    "pooled": lambda path: make_store(path, policy="*=pooled"),
    "float16": lambda path: make_store(path, policy="*=float16"),
    "encoded": make_encoded_store,
    "encoded without labels": lambda path: make_encoded_store(path, labelled=False),
    "labels": lambda path: make_target_store(path, Target.LABELS),
    "number": lambda path: make_target_store(path, Target.NUMBER),
}
PANELS = [
    pytest.param(page, panel, id=f"{page.name}-{panel.name}")
    for page in PAGES
    if isinstance(page, Page)
    for panel in page.panels
]
QUERIES = ("", "?sample=3&filter=1&class=1&against=2", "?filter=2&class=3&arrange=value&order=mean")


@pytest.fixture(scope="module", params=STORES)
def source(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("panels")
    for name in ("a", "b"):  # a page may set one beside another
        STORES[request.param](folder / f"{name}.h5")
    return Source(folder)


@pytest.fixture
def snapshot(source):
    """A store, as a request whose address names it has it."""
    token = STORE_HERE.set("a")
    yield source.snapshot()
    STORE_HERE.reset(token)


class Needed:
    """A state of which a panel sees only what it says it needs."""

    def __init__(self, state, names):
        self._state, self._names = state, names

    def __getattr__(self, name):
        assert name not in FIELDS or name in self._names, f"reads {name}, and does not need it"
        return getattr(self._state, name)


@pytest.mark.parametrize(("page", "panel"), PANELS)
@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_fills_what_it_says_from_what_it_needs_or_says_what_is_not_stored(
    page, panel, query, source, snapshot
):
    state = parse_query(query, snapshot.catalog)[0]
    also = dict.fromkeys(panel.also)
    try:
        subject, state = page.subject(source, snapshot, state)
        if subject is snapshot:
            state = Needed(state, (*page.always, *panel.needs))
        for theme in (LIGHT, DARK):
            content = panel.draw(subject, state, theme, **also)
            if len(panel.fills) > 1:
                assert len(content) == len(panel.fills)
            json.loads(to_json_plotly(content))
    except (StatisticNotFoundError, MapsNotStoredError):
        return  # what is said of it, other tests hold


@pytest.mark.parametrize("digest", ["another", None])
def test_a_panel_of_a_store_that_was_replaced_says_so_once(digest, store_path):
    with running(create_app(Source(store_path))) as url, httpx.Client(base_url=url) as client:
        callbacks = client.get("_dash-dependencies").json()
        drawing = [
            callback
            for callback in callbacks
            if any(_is_digest(part) for part in callback["state"])
        ]
        assert len(drawing) == len(PANELS)
        for callback in drawing:
            parts = {
                name: [
                    part | ({"value": digest} if _is_digest(part) else {})
                    for part in callback[name]
                ]
                for name in ("inputs", "state")
            }
            names = [
                address.rsplit(".", 1) for address in callback["output"].strip(".").split("...")
            ]
            outputs = [{"id": name, "property": prop} for name, prop in names]
            body = {"output": callback["output"], "outputs": outputs, **parts}
            answer = client.post("_dash-update-component", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.text.count(REPLACED) == (digest is not None)


def _is_digest(part) -> bool:
    return part["id"] == "page-digest"


@pytest.mark.parametrize(("page", "panel"), PANELS)
def test_a_panel_needs_nothing_that_its_page_does_not_choose(page, panel):
    assert {*page.always, *panel.needs} <= page.controls.keys() <= FIELDS.keys()
