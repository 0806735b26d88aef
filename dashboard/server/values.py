"""What the value of a component's property may be, as a browser sends it; parsed at the door.

Nothing behind it has to ask whether a text is one. What JavaScript has no value for, such as a
number that is none, or a whole one that it could not count to, no component sends.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dashboard.server.bounds import BOUNDS

# Why a value is not of a kind; empty where it is.
Kind = Callable[[object], str]
# As long as the longest address, which is the longest text that a page sends.
LONGEST_TEXT = BOUNDS.text_characters
# The largest whole number that JavaScript tells from the next (ECMA-262, Number.MAX_SAFE_INTEGER).
LARGEST_WHOLE = (1 << 53) - 1
# An event of a graph has lists of points of lists: 5.
DEEPEST, MOST_PARTS = 8, 2_000


def scalar(value: object) -> str:
    """What a control holds: nothing, a switch, a finite number or a text."""
    match value:
        case None | bool():
            return ""
        case int():
            return "" if abs(value) <= LARGEST_WHOLE else "a whole number that is too large"
        case float():
            return "" if math.isfinite(value) else "a number that is none"
        case str():
            return _text_problem(value)
        case _:
            return f"expected a number or a text, found {_words(value)}"


def text(value: object) -> str:
    """An address, or a part of one: nothing or a text."""
    if value is None:
        return ""
    return scalar(value) if isinstance(value, str) else f"expected a text, found {_words(value)}"


def whole(value: object) -> str:
    """An index or a number of clicks: nothing or a whole number."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return scalar(value)
    return f"expected a whole number, found {_words(value)}"


def listed(kind: Kind, *, most: int) -> Kind:
    """A list of values of a kind, or nothing."""

    def problem(value: object) -> str:
        if value is None:
            return ""
        if not isinstance(value, list):
            return f"expected a list, found {_words(value)}"
        if len(value) > most:
            return f"a list of {len(value)} values, of {most} at most"
        return next(filter(None, map(kind, value)), "")

    return problem


def record(**kinds: Kind) -> Kind:
    """An object whose parts of these names are of these kinds, or are not there; or nothing."""

    def problem(value: object) -> str:
        if value is None:
            return ""
        if not isinstance(value, dict):
            return f"expected an object, found {_words(value)}"
        problems = ((name, kind(value.get(name))) for name, kind in kinds.items())
        return next((f"{name}: {reason}" for name, reason in problems if reason), "")

    return problem


def event(value: object) -> str:
    """What a graph says of a click: any value that is neither deep nor large."""
    n_parts, waiting = 0, [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        n_parts += 1
        if depth > DEEPEST or n_parts > MOST_PARTS:
            return f"deeper than {DEEPEST} or of more than {MOST_PARTS} values"
        if isinstance(part, list | dict):
            parts = part.values() if isinstance(part, dict) else part
            waiting += ((inner, depth + 1) for inner in parts)
        elif problem := scalar(part):
            return problem
    return ""


def _text_problem(value: str) -> str:
    if len(value) > LONGEST_TEXT:
        return f"a text of {len(value)} characters, of {LONGEST_TEXT} at most"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "a text with half a character"
    return ""


def _words(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "a switch", str: "a text"}
    return names.get(type(value), "a number")
