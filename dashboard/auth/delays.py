"""How long somebody waits after wrong passwords: twice as long after each, and nobody else does.

A try counts as a failure before its password is looked at, and is taken back if it was right: of
many tries at the same time, over all workers, no more are looked at than of tries in turn.
"""

from __future__ import annotations

import sqlite3
import time

from dashboard.auth.clients import network_of

# Failures of one client for one name that cost no waiting, and the longest wait.
FREE, LONGEST_SECONDS = 3, 300
# Failures of one client for any name, as in trying one password for everybody.
FREE_OF_CLIENT = 20
FORGET_SECONDS = 3600
TABLE = """
CREATE TABLE IF NOT EXISTS failure (
  who TEXT PRIMARY KEY, n INTEGER NOT NULL, last REAL NOT NULL);
"""


def wait(file: sqlite3.Connection, name: str, client: str) -> float:
    """Seconds until the next try is looked at; 0 for now."""
    now, longest = time.time(), 0.0
    for who, free in _counted(name, client):
        row = file.execute("SELECT n, last FROM failure WHERE who = ?", (who,)).fetchone()
        if row and row[0] > free:
            pause = min(2.0 ** min(row[0] - free, 60), LONGEST_SECONDS)
            # No longer than the pause itself, also where the clock was set back meanwhile.
            longest = max(longest, min(row[1] + pause - now, pause))
    return longest


def begin(file: sqlite3.Connection, name: str, client: str) -> float:
    """Counts a try that is about to be looked at; within a transaction that writes.

    Returns:
        0, or the seconds until it may be tried: then it was not counted.
    """
    pause = wait(file, name, client)
    if pause > 0:
        return pause
    now = time.time()
    file.execute("DELETE FROM failure WHERE last < ?", (now - FORGET_SECONDS,))
    for who, _ in _counted(name, client):
        file.execute(
            "INSERT INTO failure VALUES (?, 1, ?) "
            "ON CONFLICT (who) DO UPDATE SET n = n + 1, last = excluded.last",
            (who, now),
        )
    return 0.0


def forget(file: sqlite3.Connection, name: str, client: str) -> None:
    """Takes back a try that was right, and all of the client for this name.

    What it tried for other names still counts.
    """
    (of_name, _), (of_client, _) = _counted(name, client)
    file.execute("DELETE FROM failure WHERE who = ?", (of_name,))
    file.execute("UPDATE failure SET n = n - 1 WHERE who = ?", (of_client,))
    file.execute("DELETE FROM failure WHERE who = ? AND n < 1", (of_client,))


def _counted(name: str, client: str) -> tuple[tuple[str, int], tuple[str, int]]:
    network = network_of(client)
    return (f"{network} {name}", FREE), (network, FREE_OF_CLIENT)
