"""The network of Overview as people use it: it is the model's, folds, and opens walls."""

from __future__ import annotations

import re

import httpx
import pytest
from helpers.browsing import asked, drawn, settled, until, visit
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore.cli.__main__ import main

pytestmark = [pytest.mark.browser, pytest.mark.keras]
NETWORK = "#overview-network"


@pytest.fixture(scope="module")
def digits(digits_store):
    with running(create_app(Source(digits_store))) as url:
        yield url


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """A server of a model of two residual blocks within a model that is a layer, and the model."""
    import keras
    import numpy as np

    folder = tmp_path_factory.mktemp("blocks")
    inner = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(inner)
    for block in (1, 2):
        y = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name=f"block{block}_conv")(
            x
        )
        x = keras.layers.Add(name=f"block{block}_add")([x, y])
    body = keras.Model(inner, x, name="body")
    image = keras.Input((8, 8, 2), name="image")
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(body(image))
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="classes")(pooled))
    model.save(folder / "model.keras")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (20, 8, 8, 2), dtype=np.uint8)
    np.savez(folder / "data.npz", x_test=images, y_test=np.arange(20) % 3)
    capture = ["capture", str(folder / "model.keras"), "--data", str(folder / "data.npz")]
    assert main([*capture, "--out", str(folder / "blocks.h5"), "--yes"]) == 0
    with running(create_app(Source(folder / "blocks.h5"))) as url:
        yield url


def open_network(page, url: str, query: str = "") -> None:
    visit(page, f"{url}overview{query}")
    page.wait_for_selector(f"{NETWORK}[data-drawn]")
    settled(page)


def labels(page) -> list[str]:
    """What the boxes are called, in their order."""
    return page.locator(f"{NETWORK} [data-at]").evaluate_all(
        "(nodes) => nodes.map((node) => node.getAttribute('aria-label'))"
    )


def names(page) -> list[str]:
    return [label.split(",")[0] for label in labels(page)]


def test_the_table_of_layers_is_keras_own_model_with_what_each_reads(
    kept_page_of, digits, digits_store
):
    import keras

    model = keras.saving.load_model(digits_store.with_name("model.keras"))
    wanted = [
        [
            layer.name,
            type(layer).__name__,
            "×".join(map(str, layer.output.shape[1:])),
            layer.count_params(),
        ]
        for layer in model.layers
    ]
    page = kept_page_of(digits)
    open_network(page, digits)
    page.get_by_text("All layers as a table").click()
    rows = page.locator(f"{NETWORK} tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    assert [[*row[:3], int(re.sub(r"\D", "", row[3]) or 0)] for row in rows] == wanted
    # A chain: each layer reads the one before it.
    assert [row[5] for row in rows] == ["", *(row[0] for row in rows[:-1])]
    assert names(page) == [row[0] for row in rows]


def test_a_layer_is_a_link_to_its_wall_for_mouse_and_middle_click_alike(kept_page_of, digits):
    page = kept_page_of(digits)
    open_network(page, digits)
    link = page.locator(NETWORK).get_by_role("link", name="conv2,")
    with page.context.expect_page() as other:
        link.click(button="middle")
    other.value.wait_for_url("**/maps?layer=conv2*")
    other.value.close()
    link.click()
    drawn(page, "conv2 0 0")
    assert asked(page)["layer"] == "conv2"
    page.go_back()
    page.wait_for_selector(f"{NETWORK}[data-drawn]")


def test_colors_are_chosen_in_words_and_the_link_has_the_choice(kept_page_of, digits):
    page = kept_page_of(digits)
    open_network(page, digits)
    dead = re.compile(r"conv2,.* [1-9]\d* of 32 filters dead")  # at least the one that was made so
    until(page, lambda: any(map(dead.match, labels(page))))
    page.get_by_role("textbox", name="Colors").click()
    page.get_by_role("option", name="Effective rank").click()
    until(page, lambda: any("of 32 filters (" in label for label in labels(page)))
    until(page, lambda: asked(page).get("network") == "rank")
    assert page.locator(".network-legend").inner_text().startswith("Effective rank")
    page.reload()
    page.wait_for_selector(f"{NETWORK}[data-drawn]")
    assert any("of 32 filters (" in label for label in labels(page))


def test_parts_open_and_fold_by_click_and_by_keys_and_the_link_keeps_them(kept_page_of, blocks):
    page = kept_page_of(blocks)
    open_network(page, blocks)
    assert names(page) == ["image", "body", "pooled", "classes"]
    page.locator(NETWORK).get_by_role("button", name="body,").click()
    folded = ["image", "body/stem", "body/block1", "body/block2", "pooled", "classes"]
    until(page, lambda: names(page) == folded)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        "body/stem,"
    )
    page.keyboard.press("ArrowRight")  # along the edge
    page.keyboard.press("Enter")
    until(page, lambda: "body/block1_conv" in names(page))
    until(page, lambda: asked(page).get("open"))
    settled(page)
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(f"{NETWORK}[data-drawn]")
    assert "body/block1_add" in names(page)
    page.get_by_role("button", name="Fold body/block1", exact=True).click()
    until(page, lambda: names(page) == folded)
    page.locator(NETWORK).get_by_role("link", name="body/stem,").focus()
    page.keyboard.press("Backspace")
    until(page, lambda: names(page) == ["image", "body", "pooled", "classes"])
    until(page, lambda: "open" not in asked(page))


def test_whole_it_has_the_layers_and_edges_that_the_store_has(kept_page_of, blocks):
    graph = httpx.get(f"{blocks}api/v1/stores/blocks/graph").json()
    page = kept_page_of(blocks)
    open_network(page, blocks)
    page.get_by_role("button", name="Unfold all").click()
    size = f"{len(graph['nodes'])} {len(graph['edges'])}"
    page.wait_for_selector(f'{NETWORK}[data-drawn="{size}"]')
    assert sorted(names(page)) == sorted(node["path"] for node in graph["nodes"])


def test_one_tab_leads_in_arrows_follow_edges_and_enter_opens_the_wall(kept_page_of, digits):
    page = kept_page_of(digits)
    open_network(page, digits)
    page.get_by_role("textbox", name="Colors").focus()
    focus = "document.activeElement.getAttribute('aria-label') ?? ''"
    page.keyboard.press("Tab")
    first = names(page)[0]
    assert page.evaluate(focus).startswith(first)
    while not page.evaluate(focus).startswith("conv2,"):
        before = page.evaluate(focus)
        page.keyboard.press("ArrowRight")
        assert page.evaluate(focus) != before
    page.keyboard.press("Enter")
    drawn(page, "conv2 0 0")


def test_a_layer_that_is_not_captured_says_what_it_stands_between(kept_page_of, digits):
    page = kept_page_of(digits)
    open_network(page, digits)
    page.locator(NETWORK).get_by_role("button", name="pool1,").click()
    words = page.locator(".network-status").inner_text()
    assert "not captured; reads conv1; read by conv2." in words


def test_dragging_moves_control_and_wheel_zooms_and_neither_follows_a_link(kept_page_of, digits):
    page = kept_page_of(digits)
    open_network(page, digits)
    box = page.locator(NETWORK).get_by_role("link", name="conv1,").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 20, steps=4)
    page.mouse.up()
    link = page.locator(NETWORK).get_by_role("link", name="conv1,")
    until(page, lambda: abs(link.bounding_box()["x"] - box["x"] - 60) < 1)
    assert "/overview" in page.url
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    until(page, lambda: link.bounding_box()["width"] > 1.3 * box["width"])
    page.get_by_role("button", name="All of the network").click()
    until(page, lambda: link.bounding_box()["width"] <= box["width"] + 1)


def test_a_phone_has_it_run_down_and_no_page_wider_than_itself(kept_page_of, digits):
    page = kept_page_of(digits, viewport={"width": 390, "height": 844}, has_touch=True)
    open_network(page, digits)
    boxes = page.locator(f"{NETWORK} [data-at]").evaluate_all(
        "(nodes) => nodes.map((node) => node.getBoundingClientRect().toJSON())"
    )
    assert len({round(box["left"]) for box in boxes}) == 1
    assert [box["top"] for box in boxes] == sorted(box["top"] for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
