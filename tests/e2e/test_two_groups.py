"""Two groups of samples in Chromium: typed once, seen on Classes, on the wall and on Filter."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.browsing import asked, cell_position, ready, settled, until
from sklearn.metrics import roc_auc_score

pytestmark = pytest.mark.browser
LAYER = "block/conv 1"
A, B = "0:12", "label=1"


def test_groups_that_are_typed_once_go_from_classes_to_the_wall_and_to_filter(page, url, store):
    page.goto(f"{url}classes?layer=block%2Fconv+1")
    ready(page, "classes-heatmap")
    panel = page.locator("#classes-groups-content")
    assert not panel.is_visible()
    page.get_by_role("textbox", name="Group A").fill(A)
    page.locator("#classes-groups-auc .nsewdrag").wait_for()
    until(page, lambda: "all other samples (25 samples)" in panel.inner_text())
    page.get_by_role("textbox", name="Group B").fill(B)
    names = page.locator("#classes-groups .groups-name")
    until(page, lambda: names.nth(1).inner_text().startswith(f"B: {B} ("))
    settled(page)
    page.mouse.click(*cell_position(page, "classes-groups-auc", 0, 7))
    until(page, lambda: asked(page)["filter"] == "7")
    assert (asked(page)["a"], asked(page)["b"]) == (A, B)
    until(page, lambda: "Filter 7 of" in page.inner_text("#classes-groups"))

    page.get_by_role("link", name="Feature maps, ordered by").click()
    page.wait_for_selector("#maps-wall[data-drawn]")
    settled(page)
    pooled, labels = store.layers[LAYER].pooled("mean")[...], store.labels
    first, second = np.arange(37) < 12, labels == 1
    alone = first ^ second  # those of one group
    scores = [abs(roc_auc_score(first[alone], pooled[alone, index]) - 0.5) for index in range(20)]
    best = int(np.argsort(-np.round(scores, 12), kind="stable")[0])
    order = page.evaluate(
        """async () => {
          const { session } = await import("/assets/feature_maps/session.js");
          return [...session().wall.order];
        }"""
    )
    assert order[0] == best
    assert "tells A: 0:12" in page.inner_text("#maps-order-note")

    page.click("#nav-filter")
    page.locator("#filter-groups .groups-name").first.wait_for()
    settled(page)
    assert page.get_by_role("textbox", name="Group A").input_value() == A
    page.get_by_role("button", name="Swap").click()
    until(page, lambda: (asked(page)["a"], asked(page)["b"]) == (B, A))
    settled(page)
    page.get_by_role("button", name="Clear").click()
    until(page, lambda: not page.locator("#filter-groups-content").is_visible())
    until(page, lambda: not {"a", "b"} & asked(page).keys())
