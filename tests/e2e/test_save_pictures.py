"""What pages show saves as PNG at a chosen scale and as SVG, by one dialog."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from helpers.browsing import settled, visit
from helpers.factories import sampled
from PIL import Image

pytestmark = pytest.mark.browser

# For each page: what must be there before, and the button that saves what stands there.
GRAPHS = {
    "overview": "overview-cka",
    "classes?layer=conv2": "classes-heatmap",
    "filter?layer=conv2&filter=1": "filter-kernel",
    "errors": "errors-matrix",
}
WALLS = {
    "overview": "overview-network",
    "kernels?layer=conv2": "kernels-wall",
    "layers?sample=3": "layers-rows",
    "samples": "samples-map",
}


def saved(page, form: str, scale: int) -> tuple[str, bytes]:
    dialog = page.get_by_role("dialog", name="Save picture")
    dialog.get_by_label(form, exact=True).check()
    if form == "PNG":
        dialog.get_by_label(f"{scale}×").check()
    with page.expect_download() as caught:
        dialog.get_by_role("button", name="Save picture").click()
    dialog.wait_for(state="detached")
    return caught.value.suggested_filename, caught.value.path().read_bytes()


def size_of(form: str, data: bytes) -> tuple[int, int]:
    if form == "PNG":
        return Image.open(io.BytesIO(data)).size
    root = ElementTree.fromstring(data)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return round(float(root.get("width"))), round(float(root.get("height")))


def all_forms(page, open_dialog) -> None:
    sizes = {}
    for form, scale in (("PNG", 3), ("SVG", 1)):
        open_dialog()
        name, data = saved(page, form, scale)
        assert name.startswith("tiny-")
        assert name.endswith(form.lower())
        sizes[form, scale] = size_of(form, data)
        if form == "PNG":
            colors = Image.open(io.BytesIO(data)).convert("RGB").getcolors(1 << 24)
            assert len(colors) > 5  # it is not empty
    width, height = sizes["SVG", 1]
    assert sizes["PNG", 3] == (3 * width, 3 * height)


@pytest.mark.parametrize("address", sampled(2, GRAPHS))
def test_a_graph_saves_as_png_at_a_scale_and_as_svg(address, kept_page, url):
    page = kept_page
    visit(page, url + address)
    graph = page.locator(f"#{GRAPHS[address]}")
    graph.locator(".nsewdrag").first.wait_for(state="attached")

    def open_dialog():
        graph.hover()
        graph.locator('.modebar-btn[data-title^="Download plot"]').click()

    all_forms(page, open_dialog)


@pytest.mark.parametrize("address", sampled(2, WALLS))
def test_a_wall_saves_as_png_at_a_scale_and_as_svg(address, kept_page, url):
    page = kept_page
    visit(page, url + address)
    page.locator(f"#{WALLS[address]} canvas").first.wait_for()
    settled(page)
    all_forms(page, page.get_by_role("button", name="Save picture …").click)
