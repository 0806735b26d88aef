"""Names of the files that people take home: what they are of, in characters that any system takes.

Scripts make theirs by the same rule in assets/feature_maps/file_name.js.
"""

from __future__ import annotations

import re

# Letters of all scripts may stay.
_UNSAFE = re.compile(r"[^\w.]+")
# A file system takes 255 bytes; a letter has up to four.
_LONGEST = 60


def file_name(*parts: str, ending: str = "") -> str:
    """The name of a file that is of some things, such as `mnist-conv1-sample3-filter5.npy`.

    Args:
        parts: the store first, then what narrows it; empty ones are left out. Each is cut where
            it is long.
        ending: such as `.npy`; empty where a browser adds it.
    """
    safe = (_UNSAFE.sub("_", part)[:_LONGEST].strip("._") for part in parts)
    return "-".join(filter(None, safe)) + ending


def numbered(noun: str, value: object) -> str:
    """A part of a name that says which: `sample3`, `sample_top_25`; empty for none."""
    text = "" if value is None else str(value)
    return f"{noun}{text}" if text[:1].isdigit() else f"{noun}_{text}" if text else ""
