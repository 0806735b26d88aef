"""Gathers what a bug report needs, and tries whether a capture works here; prints nothing."""

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
    """One sentence on whether all parts worked."""
    failed = [part.name for part in tried if part.state == FAILED]
    if failed:
        return f"not well: {' and '.join(failed)} failed"
    missing = [part.name for part in tried if part.state == IMPOSSIBLE]
    if missing:
        return "all is well for reading and viewing stores; captures are not possible here"
    return "all is well"


def as_json(installation: Facts, tried: Sequence[Part]) -> dict[str, Any]:
    """Facts and parts as one JSON object, for programs."""
    return {
        **dataclasses.asdict(installation),
        "parts": [dataclasses.asdict(part) for part in tried],
        "well": not any(part.state == FAILED for part in tried),
        "verdict": verdict(tried),
    }
