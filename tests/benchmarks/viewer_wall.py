"""The wall in Chromium as a person uses it: steps from sample to sample, zoom, a fast drag."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

PROBE = Path(__file__).parent / "viewer_probe.js"
PAGE_OF_THUMBNAILS, FRAME_MS = 20, 16
DRAG, DRAG_SECONDS = 20, 0.32


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things are done, and how long the pauses between them are.

    Attributes:
        steps: of the arrow key.
        screens: of thumbnails.
        jumps: clicks on a screen of thumbnails, at most.
        turns: of the wheel, and moves of the pointer.
        rest: ms, in which a page tells Dash, fetches ahead and is quiet again.
        zooms: of each picture.
        links: of each page that is opened to record its callbacks.
        replays: of each callback.
        requests: before the server's memory is read again.
    """

    steps: int
    screens: int
    jumps: int
    turns: int
    rest: int
    zooms: int
    links: int
    replays: int
    requests: int


FULL = Pace(24, 3, 18, 20, 500, 6, 6, 60, 500)
QUICK = Pace(2, 1, 2, 3, 100, 2, 1, 2, 20)


@contextlib.contextmanager
def opened(browser, url: str, rest: int = FULL.rest, **state: object) -> Iterator:
    """The Feature maps page of a browser that has fetched nothing yet, drawn and quiet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(path=PROBE)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}maps?{urlencode(state)}")
    page.wait_for_selector("#maps-wall[data-drawn]")
    page.wait_for_load_state("networkidle")
    page.locator("#maps-thumbnails [data-sample]").first.wait_for()
    page.wait_for_timeout(rest)
    yield page
    context.close()


def step(page, sample: int, act, rest: int) -> float:
    """Ms from the input of an act to the picture of the sample that it leads to."""
    page.evaluate("(sample) => window.bench.expect(sample)", sample)
    act()
    taken = page.evaluate("() => window.bench.step()")
    page.wait_for_timeout(rest)
    return taken


def key_steps(browser, url: str, layer: str, pace: Pace) -> list[float]:
    """→ from sample to sample, at a pace at which the next one is fetched ahead."""
    with opened(browser, url, pace.rest, layer=layer, sample=0) as page:
        return [
            step(page, sample, lambda: page.keyboard.press("ArrowRight"), pace.rest)
            for sample in range(1, pace.steps + 1)
        ]


def jumps(browser, url: str, layer: str, pace: Pace) -> list[float]:
    """Clicks on thumbnails, to and fro, of samples of even index: none was fetched ahead."""
    taken = []
    for first in range(0, pace.screens * PAGE_OF_THUMBNAILS, PAGE_OF_THUMBNAILS):
        with opened(browser, url, pace.rest, layer=layer, sample=first) as page:
            samples = list(range(first + 2, first + PAGE_OF_THUMBNAILS, 2))
            for sample in [*samples[1::2], *samples[0::2]][: pace.jumps]:
                thumbnail = page.locator(f"#maps-thumbnails [data-sample='{sample}']")
                thumbnail.scroll_into_view_if_needed()
                taken.append(step(page, sample, thumbnail.click, pace.rest))
    return taken


def frames(browser, url: str, layer: str, zoom: str, pace: Pace) -> tuple[list[float], float]:
    """The gaps between frames, in ms, while it is zoomed in, zoomed out and moved.

    Returns:
        The gaps while inputs came, and the longest one of the half second after each gesture, when
        what is seen is painted finely.
    """
    during: list[float] = []
    after = 0.0
    with opened(browser, url, pace.rest, layer=layer, sample=0, zoom=zoom) as page:
        box = page.locator("#maps-wall canvas").first.bounding_box()
        x, y = box["x"] + box["width"] * 0.3, box["y"] + min(box["height"], 700) * 0.3
        page.mouse.move(x, y)

        def wheel(delta: int) -> None:
            for _ in range(pace.turns):
                page.mouse.wheel(0, delta)
                page.wait_for_timeout(FRAME_MS)

        def move() -> None:
            for index in range(1, pace.turns + 1):
                page.mouse.move(x + 3 * index, y + 2 * index)
                page.wait_for_timeout(FRAME_MS)

        def gesture(act) -> None:
            nonlocal after
            page.evaluate("() => window.bench.gesture()")
            page.wait_for_timeout(50)
            before = page.evaluate("() => window.bench.frameCount()")
            act()
            end = page.evaluate("() => window.bench.frameCount()")
            page.wait_for_timeout(pace.rest)
            gaps = page.evaluate("() => window.bench.settled()")
            during.extend(gaps[before : end + 1])
            # On a loaded machine no frame may come after it: then there is nothing to add.
            after = max([after, *gaps[end + 1 :]])

        page.keyboard.down("Control")
        gesture(lambda: wheel(-60))
        gesture(lambda: wheel(60))
        page.mouse.wheel(0, -500)
        page.keyboard.up("Control")
        page.wait_for_timeout(pace.rest)
        page.keyboard.down("Shift")
        page.mouse.down()
        gesture(move)
        page.mouse.up()
        page.keyboard.up("Shift")
    return during, after


def fast_drags(browser, url: str, layer: str, rounds: int, pace: Pace) -> list[tuple[float, float]]:
    """→ held over 20 samples, none of which is here yet.

    Returns:
        Of each round ms from the last input to the picture of the last sample, and until page and
        server were quiet: the last answer had come and the page had changed for the last time.
    """
    taken = []
    for _ in range(rounds):
        with opened(browser, url, pace.rest, layer=layer, sample=0) as page:
            page.evaluate("(sample) => window.bench.expect(sample)", DRAG)
            started = time.perf_counter()
            for index in range(DRAG):
                time.sleep(max(0.0, started + index * DRAG_SECONDS / DRAG - time.perf_counter()))
                page.keyboard.down("ArrowRight")
            page.keyboard.up("ArrowRight")
            painted = page.evaluate("() => window.bench.step()")
            page.wait_for_timeout(3 * pace.rest)
            taken.append((painted, page.evaluate("() => window.bench.quiet()")))
    return taken
