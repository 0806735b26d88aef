"""A real server, real Chromium, and a page on which not one word on the console is allowed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from factories import absent, tool

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
def page(browser, url):
    """A page that fails its test on any console message, failed request or foreign host."""
    context = browser.new_context(viewport={"width": 1400, "height": 1300})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    opened.on(
        "response",
        lambda answer: answer.status >= 400 and complaints.append(f"{answer.status} {answer.url}"),
    )
    opened.on(
        "request",
        lambda asked: (
            asked.url.startswith((url, "data:", "blob:"))
            or complaints.append(f"foreign: {asked.url}")
        ),
    )
    opened.set_default_timeout(20_000)
    yield opened
    context.close()
    assert complaints == []
