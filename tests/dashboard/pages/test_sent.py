"""What the door lets through to callbacks: what components send, and nothing that fails there."""

from __future__ import annotations

import json
import random
import re

import pytest
from helpers.factories import make_store
from soak.oddities import UPDATE, callback_body, components_in, page_bodies

from dashboard.app import _create_dash
from dashboard.pages import PAGES
from dashboard.pages.sent import kind_of
from dashboard.server.values import LARGEST_WHOLE, LONGEST_TEXT, event, listed, scalar, whole
from dashboard.stores.source import STORE_HERE, Source

PER_SEED = 50


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sent")
    for name in ("a", "b"):
        make_store(folder / f"{name}.h5")
    return _create_dash(Source(folder))


@pytest.fixture
def client(app):
    token = STORE_HERE.set("a")
    yield app.server.test_client()
    STORE_HERE.reset(token)


@pytest.fixture
def bodies(client):
    """What the pages send, of every callback that the server answers."""
    components = {}
    for page in PAGES:
        index = client.get(f"/{page.name}").get_data(as_text=True)
        layout = re.search(r'id="first-layout">(.*?)</script>', index, re.DOTALL)[1]
        components |= components_in(json.loads(layout))
    return page_bodies(client.get("/_dash-dependencies").get_json(), components)


def test_every_value_that_a_callback_takes_has_a_kind(app):
    for callback in app.callback_map.values():
        if "callback" in callback:
            for part in (*callback["inputs"], *callback["state"]):
                assert kind_of(part["id"], part["property"])(None) == ""


def test_what_pages_send_is_let_through(client, bodies):
    assert len(bodies) > 25
    for body in bodies:
        answer = client.post(UPDATE, json=body)
        assert answer.status_code in (200, 204), (body["output"], answer.get_data(as_text=True))


@pytest.mark.parametrize("first", range(0, 500, PER_SEED))
def test_no_body_of_a_callback_makes_the_server_fail(client, bodies, first):
    for seed in range(first, first + PER_SEED):
        data = callback_body(random.Random(seed), bodies)
        answer = client.post(UPDATE, data=data, content_type="application/json")
        assert answer.status_code < 500, (seed, data[:500])


@pytest.mark.parametrize(
    ("output", "changes"),
    [
        # Found when bodies were changed at random; each was an internal error.
        ("maps-thumbnails.children", {"maps-page": {"samples": [True], "by": "index"}}),
        ("..filter-raw.children..", {"url": ["http://x"]}),
        ("..filter-raw.children..", {"url": 5}),
    ],
)
def test_a_value_of_another_kind_is_refused(client, bodies, output, changes):
    body = next(body for body in bodies if body["output"] == output)
    for part in (*body["inputs"], *body["state"]):
        part["value"] = changes.get(part["id"], part["value"])
    assert client.post(UPDATE, json=body).status_code == 400


def test_an_output_is_named_as_the_callback_has_it(client, bodies):
    body = next(body for body in bodies if body["output"] == "maps-picks.data")
    assert client.post(UPDATE, json=body | {"outputs": [body["outputs"]]}).status_code == 400


def test_what_changed_is_an_input(client, bodies):
    for body in bodies:
        answer = client.post(UPDATE, json=body | {"changedPropIds": ['{"a":1}.x', "nosuch.y"]})
        assert answer.status_code == 400, body["output"]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (scalar, (None, True, 0, -1.5, "", LARGEST_WHOLE, "x" * LONGEST_TEXT), ([], {})),
        (scalar, (), (LARGEST_WHOLE + 1, float("nan"), float("inf"), "\ud800")),
        (scalar, (), ("x" * (LONGEST_TEXT + 1), -(10**400))),
        (whole, (None, 0, -5), (True, 1.0, "1")),
        (listed(whole, most=2), (None, [], [1, 2]), ([1, 2, 3], [True], "12", {})),
        (event, (None, {"points": [{"x": 1, "y": [0.5]}]}), ([[[[[[[[[[1]]]]]]]]]], [0] * 5000)),
    ],
)
def test_kinds_take_what_a_browser_can_send(kind, good, bad):
    assert [kind(value) for value in good] == [""] * len(good)
    assert all(kind(value) for value in bad)
