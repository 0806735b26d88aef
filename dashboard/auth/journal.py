"""The log of who came in and who took what: a JSON object a line, appended by all workers."""

from __future__ import annotations

import json
import os
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Journal:
    """One file; each line is written at once, so that workers do not mix theirs.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, **facts: Any) -> None:
        """Appends a line: when, what happened, and what else is known of it."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        data = json.dumps(line | facts, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, data)
        finally:
            os.close(file)

    def last(self, n: int) -> list[dict[str, Any]]:
        """The newest lines, oldest of them first."""
        try:
            with self.path.open(encoding="utf-8") as file:
                return [json.loads(line) for line in deque(file, n)]
        except FileNotFoundError:
            return []
