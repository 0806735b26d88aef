"""Parses indices and ranges: of samples, filters and whatever else is counted from 0."""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError

# Indices, none negative: a range if they are evenly spaced, else an array.
Picks = range | NDArray[np.int64]
# Limits the indices of a short text with overlapping ranges, unless there are more to choose from.
MOST_REPEATED = 1000
_TERM = re.compile(r"(\d{1,18})|(\d{1,18})?:(\d{1,18})?(?::(\d{1,18}))?", re.ASCII)
_INDEX = re.compile(r"\d{1,18}", re.ASCII)


def is_index(text: str) -> bool:
    """Whether a text is an integer that can be an index."""
    return _INDEX.fullmatch(text) is not None


def parse_numbers(text: str, size: int, *, what: str, field: str) -> Picks:
    """Parses a comma-separated list of indices and ranges.

    Args:
        text: terms such as `7`, `0:100` (0 to 99), `:8`, `90:` or `0:100:10`, separated by commas.
        size: the number of items; indices must be below it, and ranges must not end beyond it.
        what: the noun for messages, such as `sample`.
        field: the parameter that the text is a value of, for the error.

    Raises:
        SelectionError: if the text is not such a list, is out of range, or selects nothing.
    """
    terms = [part.strip() for part in text.split(",") if part.strip()]
    ranges = [_parse_term(term, size, what=what, field=field) for term in terms]
    if (n_indices := sum(map(len, ranges))) > max(size, MOST_REPEATED):
        raise SelectionError(
            f"{n_indices:,} indices are named, but only {size:,} exist; name each {what} once",
            field=field,
        )
    if not n_indices:
        raise SelectionError(
            f"{text!r} selects no {what}; expected indices from 0 to {size - 1}", field=field
        )
    return ranges[0] if len(ranges) == 1 else np.concatenate([np.asarray(r) for r in ranges])


def _parse_term(term: str, size: int, *, what: str, field: str) -> range:
    """Parses one index or range; `start` and `stop` are those of Python's slices."""

    def refuse(reason: str) -> NoReturn:
        raise SelectionError(f"{term!r}: {reason}", field=field)

    match = _TERM.fullmatch(term)
    if match is None:
        refuse(f"not the index of a {what}; expected numbers and ranges such as 7 or 0:100")
    index, start, stop, step = match.groups()
    if index is not None:
        if int(index) >= size:
            refuse(f"there is no {what} with index {int(index)}; expected 0 to {size - 1}")
        return range(int(index), int(index) + 1)
    if step is not None and int(step) == 0:
        refuse("the step is 0; expected at least 1")
    first, end = int(start or 0), size if stop is None else int(stop)
    if end > size or first >= size:
        refuse(
            f"beyond the last {what}; expected indices from 0 to {size - 1}, so a range ends at "
            f"{size} at most"
        )
    return range(first, end, int(step or 1))
