"""Takes the pictures of the dashboard that README and docs show, of real stores.

`python -m tools.pictures STORE OTHER` serves the two, opens every page of the first in Chromium, in
light and dark and on a phone, and writes docs/pictures/PAGE-LOOK.png; then those of docs/tour.md,
docs/pictures/tour-NAME.png.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from dashboard.pages import PAGES
from dashboard.pages.page import Page

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
# A sample of MNIST's test set that is a 7 with a clear bar, and a filter that is not dead.
QUERY = "?layer=conv1&sample=0&filter=3&class=7"
# What the pages of errors are about: the pair of classes that the demo's model confuses most.
OF_PAGES = {
    "errors": "&predicted=2",
    "contrast": "&a=label%3D7+prediction%3D2&b=label%3D7+correct",
}
# What somebody has in the browser who got the three steps of Overview.
GOT_IT = 'localStorage.setItem("feature-maps-first-steps", "done")'
# Figures are flat but for maps: so few colors take a third of the bytes, and nobody sees it.
COLORS = 256
# Milliseconds without a change after which a page is complete.
REST = 1500


@dataclass(frozen=True, slots=True)
class Look:
    """A way to look at a page.

    Attributes:
        name: in the name of the file.
        scheme: the color scheme.
        width: CSS pixels of the window across.
        height: down; more is cut off.
        is_phone: whether it is touched.
    """

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int
    is_phone: bool = False


LOOKS = (
    Look("light", "light", 1280, 1000),
    Look("dark", "dark", 1280, 1000),
    Look("phone", "light", 390, 844, is_phone=True),
)


@dataclass(frozen=True, slots=True)
class Stop:
    """A picture of docs/tour.md.

    Attributes:
        name: in the name of the file.
        link: below the store; None for the list of stores.
        of_other: whether it is of the other store.
        is_new: whether it is seen by somebody who has not got the three steps of Overview yet.
        panel: the id of what is scrolled to.
        height: CSS pixels of the window.
    """

    name: str
    link: str | None
    of_other: bool = False
    is_new: bool = False
    panel: str = ""
    height: int = 860


TOUR = (
    Stop("health", "overview", of_other=True, is_new=True),
    Stop("filter", "filter?layer=conv1&filter=7"),
    Stop("contrast", "contrast?a=label%3D4+prediction%3D9&b=label%3D4+correct"),
    Stop("compare", "compare?layer=conv1&filter=7&pair=number"),
    Stop("arrays", "filter?layer=conv1&filter=7", panel="filter-raw", height=560),
    Stop("stores", None, height=330),
)
TOUR_WIDTH = 1280


def main(
    store: str,
    other: str,
    *,
    query: str = QUERY,
    folder: Path = FOLDER,
    pages: Sequence[Page] = PAGES,
    looks: Sequence[Look] = LOOKS,
    tour: Sequence[Stop] = TOUR,
) -> None:
    """Writes the pictures of a store; the other one is what Compare sets beside it."""
    from playwright.sync_api import sync_playwright  # only here: tests of names import this module

    folder.mkdir(exist_ok=True)
    with serving(store, other) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for look in looks:
            with tab_of(browser, look, is_new=False) as tab:
                for page in pages:
                    more = OF_PAGES.get(page.name, "") if query else ""
                    tab.goto(f"{address}stores/{Path(store).stem}/{page.name}{query}{more}")
                    write(picture_of(tab), folder / f"{page.name}-{look.name}.png")
        for stop in tour:
            of = f"stores/{Path(other if stop.of_other else store).stem}/{stop.link}"
            look = Look("tour", "light", TOUR_WIDTH, stop.height)
            with tab_of(browser, look, is_new=stop.is_new) as tab:
                tab.goto(address + ("" if stop.link is None else of))
                picture = picture_of(tab, panel=stop.panel)
                write(picture, folder / f"tour-{stop.name}.png")
        browser.close()


@contextmanager
def tab_of(browser: Any, look: Look, *, is_new: bool) -> Iterator[Any]:
    """A tab of a browser that nobody has used, or only to get the three steps of Overview."""
    context = browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,
        device_scale_factor=2 if look.is_phone else 1,
        is_mobile=look.is_phone,
        has_touch=look.is_phone,
    )
    if not is_new:
        context.add_init_script(GOT_IT)
    yield context.new_page()
    context.close()


def write(picture: bytes, path: Path) -> None:
    """Writes a picture, and says how large it is."""
    path.write_bytes(picture)
    print(f"{path}: {len(picture):,} bytes")


def picture_of(tab: Any, *, panel: str = "") -> bytes:
    """What is seen of a page when all of it is there, as a PNG of few colors.

    Args:
        tab: where the page is opened.
        panel: the id of what is scrolled to; empty for the top of the page.
    """
    tab.wait_for_selector("main :is(.page, .ag-row)")
    tab.wait_for_selector("[data-dash-is-loading]", state="detached")
    tab.wait_for_timeout(REST)
    tab.wait_for_selector('[data-current="busy"]', state="detached")
    if panel:
        tab.locator(f"#{panel}").evaluate("(panel) => panel.scrollIntoView({ block: 'center' })")
    tab.wait_for_timeout(REST)
    picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    small = io.BytesIO()
    picture.quantize(COLORS, kmeans=2, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


@contextmanager
def serving(*stores: str) -> Iterator[str]:
    """The address of the dashboard of some stores, while they are served."""
    command = [sys.executable, "-m", "dashboard.cli", "serve", *stores, "--port", "0", "--no-open"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        line = process.stdout.readline() if process.stdout else ""
        address = re.search(r"http://\S+", line)
        if address is None:
            raise SystemExit(f"the dashboard of {stores[0]} does not start: {line or 'no word'}")
        yield address.group()
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main(*sys.argv[1:])
