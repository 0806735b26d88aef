"""What a person does at the dashboard, for browser tests."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error

from dashboard.pages.shell import NO_PAGE


def ready(page, graph: str) -> None:
    """Waits for a page with its graph, which is hidden where it has nothing to show."""
    page.wait_for_selector(f"#{graph} .nsewdrag", state="attached")
    settled(page)


def until(page, holds) -> None:
    """Waits in Python: the page's policy forbids the evaluation that Playwright's wait needs."""
    for _ in range(10 * PATIENCE):
        if holds():
            return
        page.wait_for_timeout(100)
    pytest.fail(f"waited {PATIENCE} s")


# Seconds that a test waits for what is to come, on a machine that does ten other things.
PATIENCE = 60
# Whether all is there that a page asked for, and it stays so while every timer of its own ends that
# leads to more: on a slow machine they wait for each other in the page, but not for Python's clock.
SETTLED = """async (rest) => {
  const isQuiet = () => {
    const state = window.store?.getState();
    if (document.getElementById("react-entry-point")) {
      if (state?.appLifecycle !== "HYDRATED") return false;
      const { stored, completed, ...pending } = state.callbacks;
      if (Object.values(pending).some((callbacks) => callbacks.length)) return false;
    }
    const isMoving = document.getAnimations().some((animation) => animation.playState === "running"
      && animation.effect.getComputedTiming().endTime !== Infinity);
    return document.readyState === "complete" && !isMoving
      && !document.querySelector('[aria-busy="true"], [data-dash-is-loading]')
      && [...document.images].every(({ complete, loading }) => complete || loading === "lazy");
  };
  for (const end = performance.now() + rest; performance.now() < end;) {
    if (!isQuiet()) return false;
    await new Promise((go) => { setTimeout(go, 50); });
    await new Promise((go) => { requestAnimationFrame(go); });
  }
  return isQuiet();
}"""
REST = 500  # ms, longer than any timer of a page but of one that waits for an answer


def settled(page) -> None:
    """Waits until a page has answers to all it asked for, has drawn them, and asks no more."""

    def holds() -> bool:
        try:
            return page.evaluate(SETTLED, REST)
        except Error as error:
            if "context was destroyed" in error.message:  # the page went on to another address
                return False
            raise

    until(page, holds)


def pause(page) -> None:
    """Lets the timers of a page end that lead to more, though it may wait for answers."""
    page.evaluate("(rest) => new Promise((go) => { setTimeout(go, rest); })", REST)


def at_rest(page, value: Callable[[], Any]) -> Any:
    """A value of a page that has not changed for half a second."""
    values: list[Any] = []

    def rests() -> bool:
        values.append(value())
        return len(values) > 5 and all(before == values[-1] for before in values[-6:])

    until(page, rests)
    return values[-1]


# Follows a link within the store, as the links of a page do.
FOLLOW = """(link) => {
  history.pushState({}, "", link);
  dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  scrollTo(0, 0);
}"""


def visit(page, address: str) -> None:
    """Opens an address: within the page, where that is of the same store, as a link does it.

    That takes a third of the CPU of a load, which runs all scripts again. Nothing of what the page
    showed is there when this returns: it goes by way of a path that leads to no page.
    """
    if page.url.startswith("http") and page.locator("#nav-maps").count():  # that of a store
        config = page.locator("#_dash-config").text_content()
        base = json.loads(config)["requests_pathname_prefix"]
        here, target = urlsplit(page.url), urlsplit(address)
        is_near = here.netloc == target.netloc and target.path.startswith(base)
        if is_near and "/" not in target.path.removeprefix(base):
            page.evaluate(FOLLOW, f"{base}left")
            page.get_by_role("alert").get_by_text(NO_PAGE).wait_for()
            page.evaluate(FOLLOW, address)
            page.get_by_role("alert").get_by_text(NO_PAGE).wait_for(state="detached")
            return
    page.goto(address)


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


def open_colors(page) -> None:
    """Opens the controls of the wall's colors."""
    page.get_by_role("button", name="Colors", exact=True).click()


def wall_cell(
    page, filter_index: int, y: int, x: int, module: str = "feature_maps/session.js"
) -> tuple[float, float]:
    """Where on the page the middle of a cell of a tile of the wall is drawn.

    Args:
        page: a page with a wall.
        filter_index: the tile.
        y: the row of the cell.
        x: its column.
        module: the script that holds what the page shows.
    """
    return page.evaluate(
        """async ([filter, y, x, module]) => {
          const { session } = await import(`/assets/${module}`);
          const { wall } = session();
          const cell = wall.cellBox(wall.order.indexOf(filter), { y, x });
          const box = wall.canvas.getBoundingClientRect();
          return [box.left + cell.x + cell.width / 2, box.top + cell.y + cell.height / 2];
        }""",
        [int(filter_index), int(y), int(x), module],
    )


def wheel_zoom(page, turn: float, held: str = "Control") -> None:
    """Turns the wheel where the pointer is, with the key held that makes it zoom."""
    page.keyboard.down(held)
    page.mouse.wheel(0, turn)
    page.keyboard.up(held)


def wall_tip(
    page, filter_index: int, y: int, x: int, module: str = "feature_maps/session.js"
) -> list[str]:
    """The lines that the wall says of a cell under the pointer."""
    left, top = wall_cell(page, filter_index, y, x, module)
    page.mouse.move(left - 2, top - 2)
    page.mouse.move(left, top)
    return page.locator(".wall-tip").inner_text().split("\n")


def wall_pixel(
    page, filter_index: int, y: int, x: int, module: str = "feature_maps/session.js"
) -> np.ndarray:
    """The colour that a cell of the wall is drawn in, (red, green, blue)."""
    left, top = wall_cell(page, filter_index, y, x, module)
    canvas = page.locator(".wall canvas").first
    box = canvas.bounding_box()
    data = canvas.evaluate("(one) => one.toDataURL()").partition(",")[2]
    picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    density = picture.width / box["width"]
    at = int((left - box["x"]) * density), int((top - box["y"]) * density)
    return np.array(picture.getpixel(at))
