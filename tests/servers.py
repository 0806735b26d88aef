"""A real server on a free port, for tests."""

from __future__ import annotations

import contextlib
import threading
import time

from dashboard import server


@contextlib.contextmanager
def running(app):
    """The address of an application that is served in a thread."""
    listening = server.bind("127.0.0.1", 0)
    runner = server.configured(app)
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    try:
        yield server.address(listening)
    finally:
        runner.should_exit = True
        thread.join()
        listening.close()
