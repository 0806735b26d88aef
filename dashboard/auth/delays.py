"""How long somebody waits after wrong passwords: twice as long after each, and nobody else does."""

from __future__ import annotations

import sqlite3
import time

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
            pause = min(2.0 ** (row[0] - free), LONGEST_SECONDS)
            longest = max(longest, row[1] + pause - now)
    return longest


def failed(file: sqlite3.Connection, name: str, client: str) -> None:
    """Counts a wrong password."""
    now = time.time()
    file.execute("DELETE FROM failure WHERE last < ?", (now - FORGET_SECONDS,))
    for who, _ in _counted(name, client):
        file.execute(
            "INSERT INTO failure VALUES (?, 1, ?) "
            "ON CONFLICT (who) DO UPDATE SET n = n + 1, last = excluded.last",
            (who, now),
        )


def forget(file: sqlite3.Connection, name: str, client: str) -> None:
    """Forgets what a client tried for a name; what it tried for other names still counts."""
    who, _ = _counted(name, client)[0]
    file.execute("DELETE FROM failure WHERE who = ?", (who,))


def _counted(name: str, client: str) -> tuple[tuple[str, int], tuple[str, int]]:
    return (f"{client} {name}", FREE), (client, FREE_OF_CLIENT)
