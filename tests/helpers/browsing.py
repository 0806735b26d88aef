"""What a person does at the dashboard, for browser tests."""

from __future__ import annotations

import base64
import io
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image


def ready(page, graph: str) -> None:
    """Waits for a page with its graph, which is hidden where it has nothing to show."""
    page.wait_for_selector(f"#{graph} .nsewdrag", state="attached")
    page.wait_for_selector("[data-dash-is-loading]", state="detached")


def until(page, holds) -> None:
    """Waits in Python: the page's policy forbids the evaluation that Playwright's wait needs."""
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(100)
    pytest.fail("waited 10 s")


def asked(page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def cell_position(page, graph: str, y: float, x: float) -> tuple[float, float]:
    """Where on the page the middle of a cell of a graph is drawn."""
    return page.evaluate(
        """([id, y, x]) => {
          const drawn = document.querySelector(`#${id} .js-plotly-plot`);
          const { xaxis, yaxis } = drawn._fullLayout;
          const box = drawn.getBoundingClientRect();
          return [box.left + xaxis._offset + xaxis.c2p(x), box.top + yaxis._offset + yaxis.c2p(y)];
        }""",
        [graph, float(y), float(x)],
    )


def hover(page, graph: str, y: float, x: float) -> str:
    left, top = cell_position(page, graph, y, x)
    page.mouse.move(left - 3, top - 3)
    page.mouse.move(left, top)
    label = page.locator(f"#{graph} .hoverlayer .hovertext text").first
    label.wait_for()
    return " | ".join(label.locator("tspan.line").all_text_contents())


def drawn(page, shown: str) -> None:
    """Waits until the wall has drawn "layer sample filter"."""
    page.wait_for_selector(f'#maps-wall[data-drawn="{shown}"]')


def wall_cell(page, filter_index: int, y: int, x: int) -> tuple[float, float]:
    """Where on the page the middle of a cell of a tile of the wall is drawn."""
    return page.evaluate(
        """async ([filter, y, x]) => {
          const { session } = await import("/assets/feature_maps/session.js");
          const { wall } = session();
          const cell = wall.cellBox(wall.order.indexOf(filter), { y, x });
          const box = wall.canvas.getBoundingClientRect();
          return [box.left + cell.x + cell.width / 2, box.top + cell.y + cell.height / 2];
        }""",
        [int(filter_index), int(y), int(x)],
    )


def wall_tip(page, filter_index: int, y: int, x: int) -> list[str]:
    """The lines that the wall says of a cell under the pointer."""
    left, top = wall_cell(page, filter_index, y, x)
    page.mouse.move(left - 2, top - 2)
    page.mouse.move(left, top)
    return page.locator(".wall-tip").inner_text().split("\n")


def wall_pixel(page, filter_index: int, y: int, x: int) -> np.ndarray:
    """The colour that a cell of the wall is drawn in, (red, green, blue)."""
    left, top = wall_cell(page, filter_index, y, x)
    canvas = page.locator("#maps-wall canvas").first
    box = canvas.bounding_box()
    data = canvas.evaluate("(one) => one.toDataURL()").partition(",")[2]
    picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    density = picture.width / box["width"]
    at = int((left - box["x"]) * density), int((top - box["y"]) * density)
    return np.array(picture.getpixel(at))
