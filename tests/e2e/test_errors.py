"""From the errors to the filters in Chromium, as a person goes who comes for the first time."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.browsing import asked, cell_position, hover, ready, settled, until

pytestmark = pytest.mark.browser


def worst_pair(store) -> tuple[int, int, int]:
    """The most frequent error of those whose label is also predicted right now and then."""
    n = len(store.class_names)
    counts = np.zeros((n, n), int)
    np.add.at(counts, (store.labels, store.predictions), 1)
    errors = np.where(np.eye(n, dtype=bool), 0, counts)
    label, predicted = np.unravel_index(errors.argmax(), errors.shape)
    return int(label), int(predicted), int(errors.max())


def test_from_the_first_page_to_the_filters_in_four_clicks(page, url, store):
    label, predicted, n = worst_pair(store)
    page.goto(url)
    page.locator("nav a", has_text="Errors").click()
    page.locator(".errors-pair").first.click()
    page.locator(".errors-pairs [aria-current]").wait_for()
    settled(page)
    assert (asked(page)["class"], asked(page)["predicted"]) == (str(label), str(predicted))
    thumbnails = page.locator("#errors-samples .thumbnail")
    until(page, lambda: thumbnails.count() == n)
    page.locator(".errors-contrast").click()
    page.locator("#contrast-side, #contrast-main").first.wait_for()
    until(page, lambda: {"a", "b"} <= asked(page).keys())
    group_a, group_b = (store.group(asked(page)[key]) for key in ("a", "b"))
    assert group_a.sum() == n
    assert (store.labels == store.predictions)[group_b].all()
    page.locator("main a", has_text="Filter").last.click()
    until(page, lambda: "/filter?" in page.url)


def test_a_cell_a_row_and_the_keyboard_select_the_samples(page, url, store):
    label, predicted, n = worst_pair(store)
    page.goto(f"{url}errors")
    ready(page, "errors-matrix")
    words = hover(page, "errors-matrix", label, predicted)
    assert f"{n} samples" in words
    page.mouse.click(*cell_position(page, "errors-matrix", label, predicted))
    selected = page.locator("#errors-selection .errors-selected")
    until(page, lambda: f"{n} sample" in selected.inner_text())
    settled(page)
    assert (asked(page)["class"], asked(page)["predicted"]) == (str(label), str(predicted))

    page.reload()
    until(page, lambda: f"{n} sample" in selected.inner_text())
    page.locator(f"#errors-classes .ag-row[row-id='{label}']").last.click()
    until(page, lambda: "predicted" not in asked(page))
    wrong = int(((store.labels == label) & (store.predictions != label)).sum())
    until(page, lambda: f"{wrong} sample" in selected.inner_text())

    page.locator("#errors-predicted").focus()
    page.keyboard.type(store.class_names[predicted])
    page.keyboard.press("Enter")
    until(page, lambda: asked(page).get("predicted") == str(predicted))
    until(page, lambda: f"{n} sample" in selected.inner_text())
