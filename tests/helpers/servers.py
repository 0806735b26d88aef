"""A real server on a free port, for tests."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
import time

from dashboard.pages import PAGES
from dashboard.server import listen as server
from dashboard.server.bounds import BOUNDS

# The request that a browser makes to have a page built.
_OUTPUTS = [("page", "children"), *((f"nav-{view.name}", "className") for view in PAGES)]
SHOW_PAGE = {
    "output": f"..{'...'.join('.'.join(one) for one in _OUTPUTS)}..",
    "outputs": [{"id": name, "property": prop} for name, prop in _OUTPUTS],
    "inputs": [
        {"id": "url", "property": "pathname", "value": "/"},
        {"id": "url", "property": "search", "value": ""},
    ],
    "changedPropIds": ["url.pathname"],
}


@contextlib.contextmanager
def running(app, bounds=BOUNDS, certificate=None, port=0):
    """The address of an application that is served in a thread."""
    listening = server.bind(("127.0.0.1", port))
    runner = server.configured(app, bounds, certificate)
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    try:
        yield server.address(listening, tls=certificate is not None)
    finally:
        runner.should_exit = True
        thread.join()
        listening.close()


@contextlib.contextmanager
def served(*arguments: object):
    """The address and the process of `fmdash serve`."""
    command = [sys.executable, "-m", "dashboard.cli", "serve", *map(str, arguments), "--no-open"]
    process = subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address_line = re.search(r" at (\S+) ", process.stdout.readline())
        assert address_line, process.communicate(timeout=20)[1]
        yield address_line[1], process
    finally:
        process.terminate()
        said = process.communicate(timeout=40)[1]
        assert "rror" not in said, said
