"""No page is wider than a phone, and the wall is on its first screen."""

from __future__ import annotations

import pytest
from helpers.browsing import drawn, settled, until, visit, wall_cell
from helpers.factories import make_store, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.pages import PAGES
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser

LAYERS = ("block/conv 1", "conv2")
SIZES = {390: 844, 320: 568}


def fits(page, width: int) -> None:
    """Waits until the page is no wider than the window, with all that comes late."""
    settled(page)
    until(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= width)


def is_square(box) -> bool:
    return abs(box["width"] - box["height"]) <= 1


@pytest.mark.parametrize(("name", "width"), sampled(4, [page.name for page in PAGES], SIZES))
def test_nothing_is_wider_than_a_phone(name, kept_page, url, width):
    page = kept_page
    page.set_viewport_size({"width": width, "height": SIZES[width]})
    for layer in LAYERS:
        visit(page, f"{url}{name}?layer={layer}")
        page.wait_for_selector(f".{name}-page")
        if name == "maps":
            page.wait_for_selector("#maps-enlarged .nsewdrag", state="attached")
        fits(page, width)
    if name == "maps":  # the maps of the last layer are square: none is wider when enlarged
        plot = page.locator("#maps-enlarged .nsewdrag").first
        until(page, lambda: is_square(plot.bounding_box()))


@pytest.mark.parametrize("width", sampled(1, SIZES))
def test_the_catalogue_and_pages_that_lead_back_to_it_are_no_wider(page_of, tmp_path, width):
    name = "a-store-whose-name-is-longer-than-a-phone-is-wide"
    for end in ("1", "2"):
        make_store(tmp_path / f"{name}-{end}.h5", 9)
    with running(create_app(Source(tmp_path))) as url:
        page = page_of(url, viewport={"width": width, "height": SIZES[width]})
        page.goto(url)
        page.get_by_role("link", name=f"{name}-1").wait_for()
        fits(page, width)
        page.goto(f"{url}stores/{name}-1/compare?b={name}-2")
        page.wait_for_selector("#compare-maps-a .nsewdrag", state="attached")
        fits(page, width)


@pytest.mark.parametrize(("layer", "width"), sampled(2, LAYERS, SIZES))
def test_the_first_tiles_are_on_the_first_screen_of_a_phone(kept_page_of, url, layer, width):
    page = kept_page_of(url, viewport={"width": width, "height": SIZES[width]}, is_mobile=True)
    visit(page, f"{url}maps?layer={layer}")
    drawn(page, f"{layer} 0 0")
    settled(page)
    page.locator("#maps-thumbnails [data-sample]").first.wait_for()
    settled(page)
    _, top = wall_cell(page, 0, 0, 0)
    _, below = wall_cell(page, 0, 3, 0)
    assert 0 < top < below < SIZES[width] - 100
