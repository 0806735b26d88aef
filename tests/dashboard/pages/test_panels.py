"""Laws of every panel of every page, on every kind of store."""

from __future__ import annotations

import itertools
import json

import httpx
import pytest
from helpers.ablations import make_ablation
from helpers.factories import count, make_encoded_store, make_store, make_target_store
from helpers.servers import running
from plotly.io.json import to_json_plotly

from dashboard.app import create_app
from dashboard.figures.theme import DARK, LIGHT
from dashboard.pages import PAGES
from dashboard.pages.page import NOT_STORED, Page
from dashboard.pages.state import FIELDS, parse_query
from dashboard.stores.source import STORE_HERE, Source
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
    "ablated": lambda path: make_ablation(make_store(path)),
}
PANELS = [
    pytest.param(page, panel, id=f"{page.name}-{panel.name}")
    for page in PAGES
    if isinstance(page, Page)
    for panel in page.panels
]
QUERIES = ("", "?sample=3&filter=1&class=1&against=2", "?filter=2&class=3&arrange=value&order=mean")
# Two groups: of any samples, of whole classes, of one sample, and one without any.
GROUPS = ("a=0:20&b=15:", "a=label%3D1&b=label%3D0|2", "a=3&b=label!%3D1", "a=not all&b=0:9")

THEMES = (LIGHT, DARK)
CASES = [
    pytest.param(panel_at, *param.values, queries, id=f"{param.id}-{name}")
    for panel_at, param in enumerate(PANELS)
    for name, queries in (
        ("samples", QUERIES),
        ("groups", tuple(f"?filter=1&{groups}" for groups in GROUPS)),
    )
    if name == "samples" or "group_a" in param.values[1].needs
]


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


@pytest.mark.share
@pytest.mark.parametrize(("panel_at", "page", "panel", "queries"), CASES)
def test_a_panel_fills_what_it_says_from_what_it_needs_or_says_what_is_not_stored(
    panel_at, page, panel, queries, source, snapshot, request
):
    """With a query in a theme, from store to store another one, so that a panel meets them all."""
    combined = list(itertools.product(queries, THEMES))
    first = (request.node.callspec.indices["source"] + panel_at) % len(combined)
    also = dict.fromkeys(panel.also)
    for query, theme in (combined[first:] + combined[:first])[: count(1, len(combined))]:
        state = parse_query(query, snapshot.catalog)[0]
        try:
            subject, state = page.subject(source, snapshot, state)
            if subject is snapshot:
                state = Needed(state, (*page.always, *panel.needs))
            content = panel.draw(subject, state, theme, **also)
        except NOT_STORED:
            continue  # what is said of it, other tests hold
        if len(panel.fills) > 1:
            assert len(content) == len(panel.fills), query
        json.loads(to_json_plotly(content))


def test_every_answer_of_a_callback_says_of_which_store_it_is(store_path, store):
    """By this assets/stale.js notices that a store was replaced."""
    with running(create_app(Source(store_path))) as url, httpx.Client(base_url=url) as client:
        callbacks = client.get("_dash-dependencies").json()
        asked = 0
        for callback in callbacks:
            if callback["clientside_function"] or "stores-table" in callback["output"]:
                continue
            names = [
                address.rsplit(".", 1) for address in callback["output"].strip(".").split("...")
            ]
            outputs = [{"id": name, "property": prop} for name, prop in names]
            body = {
                "output": callback["output"],
                "outputs": outputs if callback["output"].startswith("..") else outputs[0],
                "inputs": callback["inputs"],
                "state": callback["state"],
            }
            answer = client.post("_dash-update-component", json=body)
            if "goto" in callback["output"]:
                continue  # where to go, nobody has said
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-store-digest"] == store.digest, callback["output"]
            asked += 1
        assert asked >= len(PANELS)


@pytest.mark.parametrize(("page", "panel"), PANELS)
def test_a_panel_needs_nothing_that_its_page_does_not_choose(page, panel):
    assert {*page.always, *panel.needs} <= page.controls.keys() <= FIELDS.keys()
