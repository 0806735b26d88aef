"""How many bytes travel before the first picture of the wall."""

from __future__ import annotations

import pytest
from helpers.browsing import drawn
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser
# Of all, and of what is no library: scripts, styles, page, data. On the wire, with headers.
MOST_BYTES, MOST_OWN_BYTES = 560_000, 120_000


@pytest.fixture(scope="module")
def digits_url(digits_store):
    with running(create_app(Source(digits_store))) as url:
        yield url


def test_the_first_picture_of_the_wall_is_light(page_of, digits_url):
    """Counted as Chromium counts them, gzipped, until the wall is drawn."""
    url, page = digits_url, page_of(digits_url)
    protocol = page.context.new_cdp_session(page)
    protocol.send("Network.enable")
    requests, offset = {}, 0.0

    def sent(event):
        nonlocal offset
        offset = event["wallTime"] - event["timestamp"]
        if event["request"]["url"].startswith(url):
            requests[event["requestId"]] = [event["request"]["url"], 0, None]

    def finished(event):
        if event["requestId"] in requests:
            requests[event["requestId"]][1:] = event["encodedDataLength"], event["timestamp"]

    protocol.on("Network.requestWillBeSent", sent)
    protocol.on("Network.loadingFinished", finished)
    page.add_init_script(
        """new MutationObserver((_, self) => {
          if (!document.querySelector("#maps-wall[data-drawn]")) return;
          window.drawnAt = Date.now();
          self.disconnect();
        }).observe(document, {
          subtree: true, childList: true, attributeFilter: ["data-drawn"],
        });"""
    )
    page.goto(f"{url}maps?layer=conv1&sample=0")
    drawn(page, "conv1 0 0")
    page.locator("#maps-enlarged .nsewdrag").wait_for(state="attached")
    at = page.evaluate("() => window.drawnAt") / 1000
    before = {
        address: n_bytes
        for address, n_bytes, end in requests.values()
        # The maps of the next sample are asked for in the same frame in which the wall is drawn.
        if end is not None and end + offset <= at and "sample=1" not in address
    }
    assert any("/maps?layer=conv1" in address for address in before)
    assert not any("plotly.min" in address for address in before), "Plotly comes after the wall"
    own = {a: n for a, n in before.items() if "/_dash-component-suites/" not in a}
    assert sum(own.values()) <= MOST_OWN_BYTES, own
    assert sum(before.values()) <= MOST_BYTES, before
