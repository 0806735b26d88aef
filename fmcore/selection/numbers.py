"""Parses indices such as `0:8,12`: numbers and ranges, in the order in which they are written."""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError

# Indices, none negative: a range where they follow each other evenly, else any.
Picks = range | NDArray[np.int64]

# A short text of overlapping ranges could name any number of indices.
MOST_REPEATED = 1000
_TERM = re.compile(r"(\d{1,18})|(\d{1,18})?:(\d{1,18})?(?::(\d{1,18}))?", re.ASCII)


def parse_numbers(text: str, size: int, *, what: str, field: str) -> Picks:
    """The indices that a comma-separated list names.

    Args:
        text: such as `7`, `0:100` (0 to 99), `:8`, `90:`, `0:100:10`, or several with commas.
        size: of what there is; an index beyond it is an error, as is a range that ends beyond it.
        what: the noun for messages, such as `sample`.
        field: the parameter that is parsed.

    Raises:
        SelectionError: if it is no such list, out of range, or names nothing.
    """
    terms = [part.strip() for part in text.split(",") if part.strip()]
    found = [_term(term, size, what=what, field=field) for term in terms]
    if (n_named := sum(map(len, found))) > max(size, MOST_REPEATED):
        raise SelectionError(
            f"{n_named:,} indices are named, and there are {size:,} {what}s; name each once",
            field=field,
        )
    if not n_named:
        raise SelectionError(f"{text!r} names no {what}; there are 0 to {size - 1}", field=field)
    return found[0] if len(found) == 1 else np.concatenate([np.asarray(one) for one in found])


def _term(term: str, size: int, *, what: str, field: str) -> range:
    def refuse(why: str) -> NoReturn:
        raise SelectionError(f"{term!r}: {why}", field=field)

    parsed = _TERM.fullmatch(term)
    if parsed is None:
        refuse(f"no {what} index; expected numbers and ranges such as 7 or 0:100")
    one, first, stop, step = parsed.groups()
    if one is not None:
        if int(one) >= size:
            refuse(f"no {what} {int(one)}; there are 0 to {size - 1}")
        return range(int(one), int(one) + 1)
    if step is not None and int(step) == 0:
        refuse("a step of 0")
    start, end = int(first or 0), size if stop is None else int(stop)
    if end > size or start >= size:
        refuse(f"beyond the last {what}; there are 0 to {size - 1}, so a range ends at {size}")
    return range(start, end, int(step or 1))
