"""What a bug report needs, and whether a capture works here; gathers facts and prints nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from fmcore.doctor.installation import Facts, Library, Machine, facts
from fmcore.doctor.trial import FAILED, IMPOSSIBLE, WELL, Part, parts

__all__ = [
    "FAILED",
    "IMPOSSIBLE",
    "WELL",
    "Facts",
    "Library",
    "Machine",
    "Part",
    "as_json",
    "facts",
    "parts",
    "verdict",
]


def verdict(tried: Sequence[Part]) -> str:
    """One sentence about all parts."""
    failed = [one.name for one in tried if one.state == FAILED]
    if failed:
        return f"not well: {' and '.join(failed)} failed"
    missing = [one.name for one in tried if one.state == IMPOSSIBLE]
    if missing:
        return "all is well for reading and viewing stores; captures are not possible here"
    return "all is well"


def as_json(known: Facts, tried: Sequence[Part]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        **dataclasses.asdict(known),
        "parts": [dataclasses.asdict(one) for one in tried],
        "well": not any(one.state == FAILED for one in tried),
        "verdict": verdict(tried),
    }
