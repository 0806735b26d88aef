"""The server of `people.py`, as a viewer installs it; the callbacks of one store take 2 s."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dashboard.auth.people import People
from dashboard.cli import main
from dashboard.stores.source import STORE_HERE, Source

folder, users, n_people, password, slow, workers = sys.argv[1:]
people = People(Path(users), create=True)
people.add("p0", "export", password)
(hashed,) = people._file.execute("SELECT password FROM person").fetchone()
with people._changing() as file:  # the same password for all: hashing takes a while
    for n in range(1, int(n_people)):
        file.execute("INSERT INTO person VALUES (?, ?, ?)", (f"p{n}", "export", hashed))
print(people.make_token("p0", "load"), flush=True)

opened = Source.snapshot


def late(self, name=None):
    """What `Source.snapshot` does, 2 s later in the pages of one store."""
    if name is None and STORE_HERE.get() == slow:
        time.sleep(2)
    return opened(self, name)


Source.snapshot = late
arguments = ["serve", folder, "--users", users, "--workers", workers, "--port", "0", "--no-open"]
sys.exit(main(arguments))
