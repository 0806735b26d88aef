"""No page is wider than a phone."""

from __future__ import annotations

import pytest
from helpers.browsing import until

from dashboard.pages import PAGES

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_nothing_is_wider_than_a_phone(name, page, url):
    page.set_viewport_size({"width": 390, "height": 844})
    # The maps of this layer are square: none is wider when enlarged.
    page.goto(f"{url}{name}?layer=conv2")
    page.wait_for_selector(f".{name}-page")
    page.wait_for_selector("[data-dash-is-loading]", state="detached")
    if name == "maps":
        page.wait_for_selector("#maps-enlarged .nsewdrag", state="attached")
        box = page.locator("#maps-enlarged .nsewdrag").first.bounding_box()
        assert abs(box["width"] - box["height"]) <= 1
    until(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= 390)
