"""A group in a link: it survives a reload and another server, and says where it is wrong."""

from __future__ import annotations

import pytest
from helpers.browsing import until
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser

GROUP = "wrong and not 0:5"


def said(page, name, text):
    until(page, lambda: text in page.inner_text(f"#maps-{name}"))


def test_a_group_that_is_typed_is_in_the_link_of_the_page(page_of, url, store_path):
    with open_store(store_path) as store:
        n = int(store.group(GROUP).sum())
    page = page_of(url)
    page.goto(f"{url}maps")
    page.wait_for_selector("#maps-group")
    page.fill("#maps-group", GROUP)
    said(page, "group-words", f"{n} of 37 samples")
    said(page, "position", f"1 of {n} that match")
    until(page, lambda: "sample=0" not in page.url)  # the link follows the first picture of it
    page.reload()
    said(page, "position", f"1 of {n} that match")
    link = page.url.removeprefix(url)
    with running(create_app(Source(store_path))) as other:  # which has heard of none of this
        page = page_of(other)
        page.goto(f"{other}{link}")
        said(page, "position", f"1 of {n} that match")
        assert page.input_value("#maps-group") == GROUP
        page.goto(f"{other}{link.replace('maps', 'layers')}")
        until(page, lambda: f"1 of {n} that match" in page.inner_text("#layers-position"))
        page.fill("#layers-group", "wrong andd")
        until(page, lambda: "at character 7 exp" in page.inner_text("#layers-group-words"))
        until(page, lambda: page.inner_text("#layers-position").startswith("0 of 37 samples match"))
        assert page.get_attribute("#layers-group", "aria-invalid") == "true"
