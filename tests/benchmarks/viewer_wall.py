"""The wall in Chromium as a person uses it: steps from sample to sample, zoom, a fast drag."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

PROBE = Path(__file__).parent / "viewer_probe.js"
STEPS, PAGE_OF_THUMBNAILS = 24, 20
REST = 500  # ms, in which a page tells Dash, fetches ahead and is quiet again
WHEELS, MOVES, A_FRAME = 20, 30, 16
DRAG, DRAG_SECONDS = 20, 0.32


@contextlib.contextmanager
def opened(browser, url: str, **state: object) -> Iterator:
    """The Feature maps page of a browser that has fetched nothing yet, drawn and quiet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(path=PROBE)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}maps?{urlencode(state)}")
    page.wait_for_selector("#maps-wall[data-drawn]")
    page.wait_for_load_state("networkidle")
    page.locator("#maps-thumbnails [data-sample]").first.wait_for()
    page.wait_for_timeout(REST)
    yield page
    context.close()


def step(page, sample: int, act) -> float:
    """Ms from the input of an act to the picture of the sample that it leads to."""
    page.evaluate("(sample) => window.bench.expect(sample)", sample)
    act()
    taken = page.evaluate("() => window.bench.step()")
    page.wait_for_timeout(REST)
    return taken


def key_steps(browser, url: str, layer: str) -> list[float]:
    """→ from sample to sample, at a pace at which the next one is fetched ahead."""
    with opened(browser, url, layer=layer, sample=0) as page:
        return [
            step(page, sample, lambda: page.keyboard.press("ArrowRight"))
            for sample in range(1, STEPS + 1)
        ]


def jumps(browser, url: str, layer: str) -> list[float]:
    """Clicks on thumbnails, to and fro, of samples of even index: none was fetched ahead."""
    taken = []
    for first in (0, PAGE_OF_THUMBNAILS, 2 * PAGE_OF_THUMBNAILS):
        with opened(browser, url, layer=layer, sample=first) as page:
            there = list(range(first + 2, first + PAGE_OF_THUMBNAILS, 2))
            for sample in [*there[1::2], *there[0::2]]:
                thumbnail = page.locator(f"#maps-thumbnails [data-sample='{sample}']")
                thumbnail.scroll_into_view_if_needed()
                taken.append(step(page, sample, thumbnail.click))
    return taken


def frames(browser, url: str, layer: str, zoom: str) -> tuple[list[float], float]:
    """The gaps between frames, in ms, while it is zoomed in, zoomed out and moved.

    Returns:
        The gaps while inputs came, and the longest one of the half second after each gesture, when
        what is seen is painted finely.
    """
    during: list[float] = []
    after = 0.0
    with opened(browser, url, layer=layer, sample=0, zoom=zoom) as page:
        box = page.locator("#maps-wall canvas").first.bounding_box()
        x, y = box["x"] + box["width"] * 0.3, box["y"] + min(box["height"], 700) * 0.3
        page.mouse.move(x, y)

        def wheel(delta: int) -> None:
            for _ in range(WHEELS):
                page.mouse.wheel(0, delta)
                page.wait_for_timeout(A_FRAME)

        def move() -> None:
            for index in range(1, MOVES + 1):
                page.mouse.move(x + 3 * index, y + 2 * index)
                page.wait_for_timeout(A_FRAME)

        def gesture(act) -> None:
            nonlocal after
            page.evaluate("() => window.bench.gesture()")
            page.wait_for_timeout(50)
            before = page.evaluate("() => window.bench.frameCount()")
            act()
            end = page.evaluate("() => window.bench.frameCount()")
            page.wait_for_timeout(REST)
            gaps = page.evaluate("() => window.bench.settled()")
            during.extend(gaps[before : end + 1])
            after = max(after, *gaps[end + 1 :])

        gesture(lambda: wheel(-60))
        gesture(lambda: wheel(60))
        page.mouse.wheel(0, -500)
        page.wait_for_timeout(REST)
        page.keyboard.down("Shift")
        page.mouse.down()
        gesture(move)
        page.mouse.up()
        page.keyboard.up("Shift")
    return during, after


def fast_drags(browser, url: str, layer: str, rounds: int) -> list[tuple[float, float]]:
    """→ held over 20 samples, none of which is here yet.

    Returns:
        Of each round ms from the last input to the picture of the last sample, and until page and
        server were quiet: the last answer had come and the page had changed for the last time.
    """
    taken = []
    for _ in range(rounds):
        with opened(browser, url, layer=layer, sample=0) as page:
            page.evaluate("(sample) => window.bench.expect(sample)", DRAG)
            started = time.perf_counter()
            for index in range(DRAG):
                time.sleep(max(0.0, started + index * DRAG_SECONDS / DRAG - time.perf_counter()))
                page.keyboard.down("ArrowRight")
            page.keyboard.up("ArrowRight")
            drawn = page.evaluate("() => window.bench.step()")
            page.wait_for_timeout(3 * REST)
            taken.append((drawn, page.evaluate("() => window.bench.quiet()")))
    return taken
