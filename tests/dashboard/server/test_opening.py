"""Whether `fmdash serve` opens a browser, and what it says where it does not."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

import httpx
import pytest

from dashboard.server.listen import open_browser, why_no_browser

NAMES = ("CI", "BROWSER", "SSH_CONNECTION", "DISPLAY", "WAYLAND_DISPLAY")


@pytest.mark.skipif(sys.platform != "linux", reason="a Mac always has a display")
@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "there is no display"),
        ({"DISPLAY": ":0"}, ""),
        ({"WAYLAND_DISPLAY": "wayland-0"}, ""),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "::1 1 ::1 22"}, "you are here by SSH"),
        ({"SSH_CONNECTION": "::1 1 ::1 22", "BROWSER": "/opt/editor/open"}, ""),
        ({"BROWSER": "firefox"}, ""),
        ({"DISPLAY": ":0", "BROWSER": "firefox", "CI": "true"}, "this is a CI run"),
    ],
)
def test_a_browser_is_opened_where_a_person_sees_it(monkeypatch, environment, reason):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert why_no_browser() == reason


@contextlib.contextmanager
def serving(*arguments: object, **environment: str):
    """The address of `fmdash serve`, and a function that gives the next line it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in NAMES}
    process = subprocess.Popen(
        [sys.executable, "-m", "dashboard.cli", "serve", *map(str, arguments), "--port", "0"],
        env=kept | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield re.search(r" at (\S+) ", process.stdout.readline())[1], process.stdout.readline
    finally:
        process.terminate()
        process.communicate(timeout=40)


def browser(folder: Path) -> tuple[str, Path]:
    """A program that writes down what it shall open, and where."""
    program, opened = folder / "browser", folder / "opened"
    program.write_text(
        f'#!/bin/sh\nprintf %s "$1" > "{opened}.part"\nmv "{opened}.part" "{opened}"\n'
    )
    program.chmod(0o755)
    return str(program), opened


def answers(address: str) -> bool:
    """Whether the server answers, for which it has half a minute."""
    for _ in range(300):
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{address}healthz").status_code == 200
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_the_browser_is_given_the_address_of_the_page(store_path, tmp_path, workers):
    program, opened = browser(tmp_path)
    with serving(store_path, "--workers", workers, BROWSER=program) as (address, _):
        for _ in range(300):
            if opened.exists():
                break
            time.sleep(0.1)
        assert opened.read_text() == address
        assert httpx.get(address).status_code == 200


@pytest.mark.parametrize("program", ["/nowhere/browser", "false", "'no end of %s"])
def test_a_browser_that_cannot_be_opened_is_said(monkeypatch, capsys, program):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROWSER", program)
    # What the library found out when it was first asked.
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    open_browser("http://127.0.0.1:1/")
    words = "No browser could be opened: open http://127.0.0.1:1/ in yours.\n"
    assert capsys.readouterr().out == words


def test_the_server_goes_on_where_no_browser_can_be_opened(store_path):
    with serving(store_path, BROWSER="/nowhere/browser") as (address, next_line):
        assert next_line() == f"No browser could be opened: open {address} in yours.\n"
        assert httpx.get(f"{address}healthz").status_code == 200


def test_without_a_browser_it_is_said_what_to_do_and_to_click_first(store_path):
    with serving(store_path.parent, "--workers", 1, SSH_CONNECTION="::1 1 ::1 22") as (
        address,
        next_line,
    ):
        port, line = address.rstrip("/").rpartition(":")[2], next_line()
    assert "because you are here by SSH" in line
    assert f"after `ssh -L {port}:127.0.0.1:{port} " in line
    assert "Click a store, then Feature maps first" in line


def test_who_wants_no_browser_gets_none(store_path, tmp_path):
    program, opened = browser(tmp_path)
    with serving(store_path, "--no-open", BROWSER=program) as (address, _):
        assert answers(address)
        time.sleep(0.5)
    assert not opened.exists()
