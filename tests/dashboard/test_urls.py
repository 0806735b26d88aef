"""Addresses lead where the server answers, whatever a store is called."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import unquote, urljoin

import pytest
from starlette.routing import compile_path

from dashboard import urls
from dashboard.api import OPERATIONS

NAMES = ["tiny", "a:one", "b c:zwei ü", "50%", "a?b#c", "x&y=z", "..."]


@pytest.mark.parametrize("name", NAMES)
def test_every_address_of_a_store_is_that_of_an_operation(name):
    store = SimpleNamespace(name=name, digest="d1 g/est")
    patterns = {operation.name: compile_path(operation.path)[0] for operation in OPERATIONS}
    page = "http://x/"
    path = unquote(urljoin(page, urls.store_api(store)).removeprefix("http://x"))
    assert patterns["store"].match(path)["store"] == name
    address = urljoin(page, urls.image(store, 7, size=64))
    path, query = address.removeprefix("http://x").split("?")
    match = patterns["image"].match(unquote(path))
    assert (match["store"], match["sample"]) == (name, "7")
    assert query == "v=d1+g%2Fest&size=64"
    assert "7".join(urls.image_parts(store, size=64)) == urls.image(store, 7, size=64)


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_below_a_store_is_what_lies_without_it(name):
    catalogue, elsewhere = "http://x/", "http://x/stores/A/compare"
    for page in (urljoin(catalogue, urls.store_page(name)), None):
        page = page or urljoin(elsewhere, urls.other_store_page(name))
        assert unquote(page) == f"http://x/stores/{name}/"
        path = unquote(page.removeprefix("http://x"))
        assert urls.below_store(f"{path}api/v1/stores") == "/api/v1/stores"
    for path in ("/stores/tiny", "/api/v1/stores/tiny/maps", "/", "/stores//x"):
        assert urls.below_store(path) == path
