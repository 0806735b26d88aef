"""A real server on a free port, for tests."""

from __future__ import annotations

import contextlib
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
def running(app, bounds=BOUNDS, certificate=None):
    """The address of an application that is served in a thread."""
    listening = server.bind(("127.0.0.1", 0))
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
