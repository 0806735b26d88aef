"""Snapshots in a browser without a network: what they show is what the store holds."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import re
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.browsing import until, wheel_zoom
from helpers.factories import NumpyProbe, absent, make_samples

from dashboard.snapshot import PAGES, write_folder, write_snapshot
from fmcore import open_store
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import Preprocessing
from fmcore.records import ModelInfo

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"

FIRST, SECOND = "block/conv 1", "conv2"
# What would run, or be seen as markup, if a name of a store were taken for more than a text.
HOSTILE = (
    "</script><script>document.title = 'ran'</script>",
    "<img src=x onerror=\"document.title = 'ran'\">",
    "</style><b>bold</b>&amp;",
    "${document.title = 'ran'}",
)


@pytest.fixture(scope="module")
def snapshot_path(store_path, tmp_path_factory):
    path = tmp_path_factory.mktemp("snapshot") / "page.html"
    with open_store(store_path) as store:
        return write_snapshot(store, path, sample="2:9")


@pytest.fixture
def offline(page_of):
    """Opens a file with the network cut, on a page that fails its test on any complaint."""

    def opened(path, hash="", **options):
        page = page_of(path.as_uri(), **options)
        page.context.set_offline(True)
        page.goto(f"{path.as_uri()}{hash}")
        return page

    return opened


def drawn(page, words):
    page.wait_for_selector(f'#maps-wall[data-drawn="{words}"]')


def stored_maps(path, layer):
    """All maps of a layer, <float32>[sample, y, x, filter], as h5py reads them."""
    with h5py.File(path, locking=False) as file:
        groups = file["layers"].values()
        is_layer = [group.attrs["layer_path"] == layer.encode() for group in groups]
        return [*groups][is_layer.index(True)]["activation"][...]


def swept(page):
    """What is said at many points of the wall: (filter, y, x) and the number."""
    box = page.locator("#maps-wall canvas").first.bounding_box()
    cells = {}
    for down in np.linspace(0.04, 0.96, 9):
        for across in np.linspace(0.02, 0.88, 11):
            page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
            tip = page.locator("#maps-hovered").text_content()
            if match := re.fullmatch(r"filter (\d+)\ny (\d+), x (\d+)\n(\S+)", tip):
                cells[tuple(map(int, match.groups()[:3]))] = np.float32(match[4].replace("−", "-"))
    return cells


def test_the_wall_says_the_stored_numbers_and_zooms(offline, snapshot_path, store_path):
    page = offline(snapshot_path, f"#layer={FIRST.replace(' ', '+')}")
    maps = stored_maps(store_path, FIRST)
    for sample in (2, 3):
        drawn(page, f"{FIRST} {sample} 0")
        cells = swept(page)
        assert len({cell[0] for cell in cells}) >= 10
        for (filter_index, y, x), value in cells.items():
            assert value == maps[sample, y, x, filter_index]
        page.keyboard.press("ArrowRight")
    drawn(page, f"{FIRST} 4 0")
    assert "sample=4" in page.url

    box = page.locator("#maps-wall canvas").first.bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 40)
    wheel_zoom(page, -600)
    until(page, lambda: "window=" in page.url)
    nearer = swept(page)
    assert len({cell[1:] for cell in nearer}) < len({cell[1:] for cell in cells})
    for (filter_index, y, x), value in nearer.items():
        assert value == maps[4, y, x, filter_index]
    page.get_by_label("All of the wall").click()
    until(page, lambda: "window=" not in page.url)


def test_every_page_is_there_and_its_figures_say_the_stored_numbers(
    offline, snapshot_path, store_path
):
    page = offline(snapshot_path, "#page=classes&layer=conv2&filter=2&class=1")
    page.wait_for_selector('#classes-title[data-drawn="conv2 0 2"]')
    with open_store(store_path) as store:
        layer = store.layers[SECOND]
        mean = layer.statistic("mean")
        maps = layer.activation[...].astype(np.float64)
        expected = maps[store.labels == 1].mean(axis=(0, 1, 2))
        kernel = layer.kernel
    np.testing.assert_allclose(mean[1], expected, rtol=1e-6)
    values = page.evaluate(
        "[...document.getElementById('classes-heatmap')._fullData[0].z].map((row) => [...row])"
    )
    np.testing.assert_array_equal(np.array(values, np.float64), mean)
    assert page.locator("#classes-title").text_content().endswith("conv2, class one")

    page.get_by_role("link", name="Filter").click()
    page.wait_for_selector('#filter-title[data-drawn="conv2 2"]')
    values = page.evaluate(
        "[...document.getElementById('filter-kernel')._fullData[0].z].map((row) => [...row])"
    )
    np.testing.assert_array_equal(np.array(values, np.float32), kernel[:, :, 0, 2])
    assert page.locator("#filter-table tbody tr").count() > 10
    page.locator("#filter-top button", has_text="#").first.click()
    page.wait_for_selector("#maps-wall[data-drawn]")


def test_the_scheme_is_the_systems_and_all_can_be_read_on_a_phone(offline, snapshot_path):
    if not AXE.exists():
        absent("axe-core is not installed: `make scripts` does it")
    options = {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}
    page = offline(snapshot_path, bypass_csp=True, **options)  # for axe
    for at, name in enumerate(PAGES):
        page.get_by_role("navigation").get_by_role("link").nth(at).click()
        page.wait_for_selector(f"#{name} [data-drawn]")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.evaluate(AXE.read_text())
        report = page.evaluate("axe.run(document)")["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in report] == []
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.emulate_media(color_scheme="light")
    until(
        page,
        lambda: page.evaluate("document.documentElement.dataset.mantineColorScheme") == "light",
    )


def test_a_link_to_what_is_not_there_says_so(offline, snapshot_path):
    page = offline(snapshot_path, "#sample=30&filter=1")
    drawn(page, f"{FIRST} 2 1")
    problem = page.get_by_role("alert").text_content()
    assert problem == ("The link asks for sample 30, which is not in this snapshot: it shows 2.")


def test_names_of_a_store_are_texts(offline, tmp_path):
    class Named(NumpyProbe):
        def __init__(self):
            super().__init__()
            first, second = self.layers
            self.layers = (dataclasses.replace(first, path=HOSTILE[0]), second)

    samples = make_samples(37)
    plan = plan_capture(
        Named(),
        samples,
        CaptureOptions(),
        class_names=HOSTILE,
        model=ModelInfo(HOSTILE[1], digest="0" * 64, architecture="{}"),
        dataset_name=HOSTILE[2],
        dataset_source=HOSTILE[3],
        preprocessing=Preprocessing(scale=255.0),
    )
    store_path = capture(Named(), samples, tmp_path / "named.h5", plan)
    with open_store(store_path) as store:
        path = write_snapshot(store, tmp_path / "page.html", sample="0:2", filter="0:2")
    page = offline(path)
    for at, name in enumerate(PAGES):
        page.get_by_role("navigation").get_by_role("link").nth(at).click()
        page.wait_for_selector(f"#{name} [data-drawn]")
        assert HOSTILE[0] in page.locator(f"#{name}-layer").text_content()
    page.locator("#classes-class").select_option("1")
    until(page, lambda: HOSTILE[1] in page.locator("#classes-title").text_content())
    assert page.title().startswith("named.h5")
    assert page.locator("img[src='x'], b:text-is('bold')").count() == 0


@pytest.fixture
def site(store_path, tmp_path):
    """A folder of snapshots on a plain host."""
    with open_store(store_path) as store:
        folder = write_folder(store, tmp_path / "site", filter="0:3", sample="1:4")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_folder_of_pages_is_served_by_any_host(site, page_of):
    page = page_of(site)
    page.goto(f"{site}index.html")
    assert "A snapshot" in page.locator("#snapshot-words").text_content()
    page.get_by_role("link", name="Feature maps").click()
    page.locator("#maps-layer").select_option(SECOND)
    drawn(page, f"{SECOND} 1 0")
    page.locator("#maps-filter").select_option("2")
    drawn(page, f"{SECOND} 1 2")
    page.get_by_role("link", name="Filter").click()
    page.wait_for_selector('#filter-title[data-drawn="conv2 2"]')
    page.get_by_role("link", name="Feature maps").click()
    drawn(page, f"{SECOND} 1 2")
