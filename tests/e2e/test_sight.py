"""What is in sight: the input beside the wall, wide screens, and maps of every shape."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.browsing import (
    asked,
    at_rest,
    cell_position,
    drawn,
    ready,
    settled,
    until,
    visit,
    wall_cell,
    wall_tip,
)
from helpers.factories import CLASS_NAMES, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.pages import PAGES
from dashboard.stores.source import Source
from fmcore import open_store
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo

pytestmark = pytest.mark.browser

SIZES = [(1280, 720), (1920, 1080), (3840, 2160)]
SHAPES = {
    "signal": (1, 120, 12),
    "dense": (1, 1, 30),
    "wide": (4, 200, 10),
    "tall": (200, 4, 6),
    "many": (8, 8, 1100),
}
WALL = "(await import('/assets/feature_maps/session.js')).session().wall"

# Of the wall's own canvas a browser warns that it is read.
COPY = """const copyOf = (canvas) => {
            const pen = new OffscreenCanvas(canvas.width, canvas.height)
              .getContext("2d", { willReadFrequently: true });
            pen.drawImage(canvas, 0, 0);
            return pen;
          };"""


class ShapesProbe:
    """A layer of each shape, of small values on both sides of zero; the input is a signal."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._mixes = {
            name: rng.normal(size=(120, int(np.prod(shape)))).astype(np.float32) * np.float32(1e-5)
            for name, shape in SHAPES.items()
        }
        x = np.arange(120)
        field = np.stack([x * 0, np.maximum(x - 2, 0), x * 0, np.minimum(x + 2, 119)], axis=-1)
        self.layers = tuple(
            LayerSpec(
                name,
                shape,
                receptive_field=field[None].astype(np.int32) if name == "signal" else None,
                field_words="exact" if name == "signal" else "unknown",
            )
            for name, shape in SHAPES.items()
        )

    def __call__(self, images, others=None) -> Captured:
        rows = images.reshape(len(images), -1)
        maps = tuple(
            (rows @ self._mixes[name]).reshape(-1, *shape) for name, shape in SHAPES.items()
        )
        scores = np.exp(rows[:, : len(CLASS_NAMES)])
        return Captured(maps, scores / scores.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    for name in ("shapes", "again"):
        rng = np.random.default_rng(0)
        images = LabelledImages(
            rng.integers(0, 256, (20, 1, 120, 1), np.uint8), rng.integers(0, 4, 20)
        )
        plan = plan_capture(
            ShapesProbe(),
            images,
            CaptureOptions(),
            class_names=CLASS_NAMES,
            model=ModelInfo("shapes", digest="0" * 64, architecture="{}"),
            dataset_name="random",
            dataset_source="random signals",
            preprocessing=Preprocessing(scale=255.0),
        )
        path = capture(ShapesProbe(), images, folder / f"{name}.h5", plan)
    with running(create_app(Source(folder))) as url, open_store(path) as store:
        yield f"{url}stores/again/", store


def in_window(page, selector: str) -> bool:
    box, size = page.locator(selector).first.bounding_box(), page.viewport_size
    return (
        box is not None
        and min(box["x"], box["y"]) >= 0
        and box["x"] + box["width"] <= size["width"]
        and box["y"] + box["height"] <= size["height"]
    )


@pytest.mark.parametrize(("width", "height"), sampled(1, SIZES))
def test_input_and_verdict_are_in_sight_wherever_the_wall_is_hovered(
    kept_page_of, shapes, width, height
):
    url, store = shapes
    page = kept_page_of(url.partition("stores")[0], viewport={"width": width, "height": height})
    visit(page, f"{url}maps?layer=signal")
    drawn(page, "signal 0 0")
    settled(page)
    page.get_by_text("predicted", exact=False).first.wait_for()
    ready(page, "maps-enlarged")
    before = at_rest(page, lambda: page.evaluate("document.documentElement.scrollHeight"))
    places = page.locator("#maps-probability-verdict, #maps-filter-note, #maps-wall")
    tops = [place.bounding_box()["y"] for place in places.all()]
    wall_tip(page, 3, 0, 50)
    for each in ("#maps-input", "#maps-input .field-box", "#maps-probability-verdict"):
        assert in_window(page, each), each
    lines = page.locator("#maps-hovered").inner_text().split("\n")
    assert lines[:2] == ["filter 3", "y 0, x 50"]
    assert np.float32(lines[2]) == store.layers["signal"].feature_maps(0)[0, 50, 3]
    assert [place.bounding_box()["y"] for place in places.all()] == tops, "nothing moves"
    assert page.evaluate("document.documentElement.scrollHeight") == before
    # Of many filters the last row is far below.
    visit(page, f"{url}maps?layer=many")
    drawn(page, "many 0 0")
    settled(page)
    page.evaluate(
        f"async () => {{ const {{ canvas }} = {WALL}; "
        "scrollTo(0, canvas.getBoundingClientRect().bottom + scrollY - innerHeight + 20); }"
    )
    settled(page)
    assert page.evaluate("scrollY") > 0 or height > 1000
    lines = wall_tip(page, 1099, 5, 5)
    assert np.float32(lines[2]) == store.layers["many"].feature_maps(0)[5, 5, 1099]
    for each in ("#maps-input", "#maps-probability-verdict", "#maps-hovered"):
        assert in_window(page, each), each


@pytest.mark.parametrize("name", sampled(4, [page.name for page in PAGES]))
def test_header_and_content_have_one_edge_and_use_the_width(kept_page, url, name):
    page = kept_page
    visit(page, f"{url}{name}")
    page.wait_for_selector(f".{name}-page")
    for width in (390, 901, 1280, 1920, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        header, content = (
            page.evaluate(
                """([name, inner]) => {
                  const boxes = [...document.querySelectorAll(inner)]
                    .map((node) => node.getBoundingClientRect()).filter(({ width }) => width);
                  return [Math.min(...boxes.map(({ left }) => left)),
                    Math.max(...boxes.map(({ right }) => right))];
                }""",
                [name, inner],
            )
            for inner in ("header.frame", f".{name}-page > div")
        )
        style = page.evaluate(
            "() => { const { paddingLeft, paddingRight } = getComputedStyle("
            "document.querySelector('header.frame')); "
            "return [parseFloat(paddingLeft), parseFloat(paddingRight)]; }"
        )
        assert content[0] == pytest.approx(header[0] + style[0], abs=1), width
        assert content[1] == pytest.approx(header[1] - style[1], abs=1), width
        assert content[1] - content[0] >= 0.9 * width
    words = page.locator(".page .mantine-Text-root").all()
    assert max((text.bounding_box() or {"width": 0})["width"] for text in words) < 1100


def test_a_signal_is_a_row_for_each_filter_with_an_axis(kept_page_of, shapes):
    url, store = shapes
    page = kept_page_of(url.partition("stores")[0], viewport={"width": 1280, "height": 720})
    visit(page, f"{url}maps?layer=signal&sample=2")
    drawn(page, "signal 2 0")
    settled(page)
    tiling = page.evaluate(f"async () => {WALL}.tiling")
    assert (tiling["form"], tiling["columns"], tiling["rows"]) == ("row", 1, 12)
    assert tiling["tileHeight"] >= 20
    assert tiling["tileWidth"] >= 400
    maps = store.layers["signal"].feature_maps(2)
    for f, x in ((0, 0), (5, 61), (11, 119)):
        assert np.float32(wall_tip(page, f, 0, x)[2]) == maps[0, x, f]
    # Names and axis stand in ink beside and below the rows, not on them.
    ink = page.evaluate(
        f"""async () => {{
          {COPY}
          const {{ canvas, density, tiling }} = {WALL};
          const pen = copyOf(canvas);
          const any = (x, y, width, height) => pen.getImageData(
            x * density, y * density, width * density, height * density)
            .data.some((value, at) => at % 4 === 3 && value > 100);
          const below = tiling.height - tiling.foot;
          return [any(0, 0, tiling.left - 2, below), any(tiling.left, below + 1, 400, 20)];
        }}"""
    )
    assert ink == [True, True]
    page.mouse.click(*wall_cell(page, 5, 0, 61))
    page.wait_for_url("**filter=5*")
    ready(page, "maps-enlarged")
    page.locator("#maps-enlarged").scroll_into_view_if_needed()
    page.mouse.move(*cell_position(page, "maps-enlarged", maps[0, 61, 5], 61))
    label = page.locator("#maps-enlarged .hovertext tspan.line")
    until(page, lambda: label.count() and label.first.text_content() == "x 61")
    assert np.float32(label.nth(1).text_content().replace("−", "-")) == maps[0, 61, 5]
    box, outer = (page.locator(one).bounding_box() for one in (".field-box", "#maps-input"))
    assert (box["x"] - outer["x"]) / outer["width"] == pytest.approx(59 / 120, abs=0.01)
    assert outer["height"] >= 40
    assert page.locator(".signal polyline").get_attribute("points").count(",") == 120
    # Zoomed in time alone, to what a box is drawn about.
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(*wall_cell(page, 2, 0, 20))
    page.mouse.down()
    page.mouse.move(*wall_cell(page, 2, 0, 40), steps=5)
    page.mouse.up()
    page.wait_for_url("**window=*")
    top, left, bottom, right = map(float, asked(page)["window"].split(","))
    assert (top, bottom) == (0, 1)
    assert (left, right) == pytest.approx((20.5, 40.5), abs=0.6)
    assert np.float32(wall_tip(page, 7, 0, 33)[2]) == maps[0, 33, 7]
    page.keyboard.press("ArrowDown")
    drawn(page, "signal 2 6")


def test_a_dense_layer_is_a_bar_for_each_unit_in_the_order_that_is_asked_for(kept_page_of, shapes):
    url, store = shapes
    page = kept_page_of(url.partition("stores")[0], viewport={"width": 1280, "height": 720})
    visit(page, f"{url}maps?layer=dense&sample=3&order=mean")
    drawn(page, "dense 3 0")
    settled(page)
    values = store.layers["dense"].feature_maps(3)[0, 0]
    assert page.evaluate(f"async () => {WALL}.order") == np.argsort(-values).tolist()
    for f in (0, 7, int(values.argmax()), int(values.argmin())):
        assert np.float32(wall_tip(page, f, 0, 0)[2]) == values[f]
    page.mouse.move(2, 2)
    heights = page.evaluate(
        f"""async () => {{
          {COPY}
          const wall = {WALL};
          const {{ canvas, density, order }} = wall;
          const pen = copyOf(canvas);
          return order.map((_, place) => {{
            const {{ x, y, width, height }} = wall.boxOf(place);
            const {{ data }} = pen.getImageData(
              (x + width / 2) * density, y * density, 1, height * density);
            return data.filter((value, at) => at % 4 === 3 && value > 0).length / height / density;
          }});
        }}"""
    )
    span = store.layers["dense"].filter_range()
    low, high = min(0, span[0].min()), max(0, span[1].max())
    ordered = np.sort(values)[::-1]
    assert heights == pytest.approx((np.abs(ordered) / (high - low)).tolist(), abs=0.02)
    page.mouse.click(*wall_cell(page, 7, 0, 0))
    page.wait_for_url("**filter=7*")
    ready(page, "maps-enlarged")
    until(page, lambda: "7 of dense" in page.inner_text("#maps-filter-note"))
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Picture …").click()
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save picture").click()
    assert caught.value.path().stat().st_size > 1000


@pytest.mark.parametrize("name", sampled(1, ["wide", "tall"]))
def test_long_maps_use_the_room_and_hover_is_exact(kept_page_of, shapes, name):
    url, store = shapes
    page = kept_page_of(url.partition("stores")[0], viewport={"width": 1280, "height": 720})
    visit(page, f"{url}maps?layer={name}&sample=1")
    drawn(page, f"{name} 1 0")
    settled(page)
    maps = store.layers[name].feature_maps(1)
    tiling = page.evaluate(f"async () => {WALL}.tiling")
    assert min(tiling["tileWidth"], tiling["tileHeight"]) >= 35
    assert max(tiling["tileWidth"], tiling["tileHeight"]) >= 280
    for f, y, x in ((0, 0, 0), (5, maps.shape[0] - 1, maps.shape[1] - 1), (3, 2, 3)):
        assert np.float32(wall_tip(page, f, y, x)[2]) == maps[y, x, f]
    ready(page, "maps-enlarged")
    box = page.locator("#maps-enlarged .nsewdrag").first.bounding_box()
    assert min(box["width"], box["height"]) >= 60


@pytest.mark.parametrize("query", sampled(1, ["", "&zoom=free", "&zoom=free&window=0,0,300,300"]))
def test_no_name_covers_a_value_of_a_small_tile(kept_page_of, shapes, query):
    url, _ = shapes
    page = kept_page_of(url.partition("stores")[0], viewport={"width": 1280, "height": 720})
    visit(page, f"{url}maps?layer=many&filter=3{query}")
    drawn(page, "many 0 3")
    settled(page)
    # Each cell of the tiles in sight has, in all of its picture, one color: nothing lies over it.
    spoiled = page.evaluate(
        f"""async () => {{
          {COPY}
          const wall = {WALL};
          const {{ canvas, tiling }} = wall;
          const pen = copyOf(canvas);
          const inner = (cell) => cell.x > 0 && cell.y > tiling.name
            && cell.x + cell.width < tiling.width && cell.y + cell.height < tiling.height;
          let [checked, spoiled] = [0, 0];
          for (let place = 0; place < Math.min(wall.order.length, 60); place += 1) {{
            for (let x = 0; x < 8; x += 1) {{
              for (const y of [0, 7]) {{
                const cell = wall.cellBox(place, {{ y, x }});
                if (!inner(cell)) continue;
                const {{ data }} = pen.getImageData(
                  cell.x + 1, cell.y + 1,
                  Math.max(1, cell.width - 2), Math.max(1, cell.height - 2));
                const pixels = new Set(new Uint32Array(data.buffer));
                checked += 1;
                if (pixels.size > 1) spoiled += 1;
              }}
            }}
          }}
          return [checked, spoiled];
        }}"""
    )
    assert spoiled[0] > 100
    assert spoiled[1] == 0
    assert page.locator(".wall canvas").count() == 2


COLLISIONS = """() => {
  const collisions = [];
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    const frame = plot.getBoundingClientRect();
    const boxes = (selector) => [...plot.querySelectorAll(selector)]
      .map((node) => [node.textContent.trim(), node.getBoundingClientRect()])
      .filter(([text, { width }]) => text && width);
    const titles = boxes('.infolayer [class*="title"] text');
    const ticks = boxes(".xtick text, .ytick text, .x2tick text, .y2tick text, .cbaxis text");
    for (const [title, a] of titles) {
      if (a.left < frame.left - 1 || a.right > frame.right + 1) collisions.push([title, "is cut"]);
      for (const [tick, b] of ticks) {
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1
          && b.top < a.bottom - 1) collisions.push([title, tick]);
      }
    }
  }
  return collisions;
}"""


# Layers and Kernels draw all that they show themselves.
HAVE_GRAPHS = [page.name for page in PAGES if page.name not in ("layers", "kernels")]


@pytest.mark.parametrize(("name", "layer"), sampled(3, HAVE_GRAPHS, ["signal", "dense", "wide"]))
def test_no_title_covers_a_tick_or_is_cut_on_any_page(kept_page_of, shapes, name, layer):
    url, _ = shapes
    page = kept_page_of(url.partition("stores")[0], viewport={"width": 1280, "height": 2400})
    visit(page, f"{url}{name}?layer={layer}&filter=2&class=1&against=2&sample=1")
    page.wait_for_selector(f".{name}-page")
    page.wait_for_selector(".js-plotly-plot .nsewdrag", state="attached")
    settled(page)
    assert page.evaluate(COLLISIONS) == []


def test_the_title_of_the_walls_color_bar_keeps_clear_of_its_ticks(kept_page_of, shapes):
    url, _ = shapes
    page = kept_page_of(url.partition("stores")[0], viewport={"width": 1280, "height": 720})
    visit(page, f"{url}maps?layer=wide")
    drawn(page, "wide 0 0")
    settled(page)
    # Columns of pixels without ink lie between what is written along the bar and across it.
    gap = page.evaluate(
        f"""async () => {{
          {COPY}
          const {{ canvas, density, tiling, size }} = {WALL};
          const from = (tiling.width + 26) * density;
          const width = canvas.width - from;
          const {{ data }} = copyOf(canvas).getImageData(from, 0, width, canvas.height);
          const inked = Array.from({{ length: width }}, () => false);
          data.forEach((value, at) => {{
            if (at % 4 === 3 && value > 60) inked[((at - 3) / 4) % width] = true;
          }});
          const last = inked.lastIndexOf(true);
          const text = inked.slice(0, last + 1);
          const empty = text.lastIndexOf(false);
          return [last + from < size.width * density, last - empty, text.indexOf(true)];
        }}"""
    )
    assert gap[0], "it ends within the wall"
    assert 6 <= gap[1] <= 16, "the title has a column of its own"


@pytest.mark.parametrize("width", sampled(1, [320, 390]))
def test_on_a_phone_the_input_takes_nothing_from_the_wall(kept_page_of, shapes, width):
    url, _ = shapes
    page = kept_page_of(url.partition("stores")[0], viewport={"width": width, "height": 844})
    visit(page, f"{url}maps?layer=signal")
    drawn(page, "signal 0 0")
    settled(page)
    page.locator("#maps-wall").scroll_into_view_if_needed()
    strip = page.locator(".strip").bounding_box()
    assert strip["height"] <= 90
    assert in_window(page, "#maps-input")
    assert in_window(page, "#maps-probability-verdict")
    assert strip["x"] + strip["width"] <= width
