"""What is asked for, in words: the same on the command line, in a URL and as Python keywords."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from os import PathLike
from typing import SupportsIndex

import numpy as np

from fmcore.errors import SelectionError
from fmcore.selection.names import near_matches

WHAT = ("maps", "pooled", "statistics")
DTYPES = ("float32", "float16")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One part of a query.

    Attributes:
        name: on the command line after `--`, and in a URL.
        example: a value.
        description: what it chooses, in a few words.
        choices: the values there are; empty for any text.
        here: what it also takes where files can be read: on the command line and in Python.
    """

    name: str
    example: str
    description: str
    choices: tuple[str, ...] = ()
    here: str = ""


PARAMETERS = (
    Parameter("layer", "conv*", "globs over layer paths, with commas between them (all)"),
    Parameter("filter", "0:8,12", "indices and ranges of filters (all)"),
    Parameter("class", "seven", "names or indices of classes; samples by their label (all)"),
    Parameter(
        "sample",
        "0:100",
        "indices and ranges; correct; wrong; top:25, which each chosen filter responds to most; "
        "wrong,top:25 narrows twice (all)",
        here="or @FILE, with an index or an id a line",
    ),
    Parameter("what", "maps", "feature maps, pooled tables, or statistics (maps)", WHAT),
    Parameter("statistic", "auc*", "globs over statistics, or over pooled tables (all)"),
    Parameter("dtype", "float32", "of maps and pooled tables (float32)", DTYPES),
)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for; see `PARAMETERS`. Empty texts stand for all there is."""

    layer: str = "*"
    filter: str = ""
    class_: str = ""
    sample: str = ""
    what: str = WHAT[0]
    statistic: str = ""
    dtype: str = DTYPES[0]

    def as_dict(self) -> dict[str, str]:
        """What was asked for beyond the defaults, by the names of `PARAMETERS`."""
        return {
            one.name.rstrip("_"): value
            for one in fields(self)
            if (value := getattr(self, one.name)) != one.default
        }


def parse_query(values: Mapping[str, object]) -> Query:
    """A query of values by the names of `PARAMETERS`; None is as if it were left out.

    Beside texts, Python callers may give numbers, slices, ranges and lists of numbers.

    Raises:
        SelectionError: if a name is unknown, or a value is none of its choices; `field` names it.
    """
    known = {one.name: one for one in PARAMETERS}
    texts: dict[str, str] = {}
    for name, value in values.items():
        key = name.rstrip("_")
        if key not in known:
            raise SelectionError(
                f"no parameter {name!r}; there are {', '.join(known)}"
                f"{near_matches(name, [*known])}",
                field=name,
            )
        if value is None:
            continue
        text, choices = _text(value, key), known[key].choices
        if choices and text not in choices:
            raise SelectionError(
                f"{key} {text!r}; expected one of {', '.join(choices)}"
                f"{near_matches(text, choices)}",
                field=key,
            )
        texts["class_" if key == "class" else key] = text
    return Query(**texts)


def _text(value: object, field: str) -> str:
    match value:
        case str():
            return value
        case slice():
            ends = (value.start, value.stop, value.step)
            return ":".join("" if end is None else str(end) for end in ends).removesuffix(":")
        case range():
            return f"{value.start}:{value.stop}:{value.step}"
        case PathLike():
            return f"@{value.__fspath__()}"
        case np.ndarray() if value.ndim == 0:
            return _text(value.item(), field)
        case Iterable() if not isinstance(value, bytes):
            texts = [_text(one, field) for one in value]
            if not texts:
                raise SelectionError(f"{field} is empty; leave it out for all", field=field)
            return ",".join(texts)
        case SupportsIndex() if not isinstance(value, bool):  # of a mask, which has no indices
            return str(operator.index(value))
    raise SelectionError(
        f"{field} is {type(value).__name__}; expected a text, numbers, a slice or a range",
        field=field,
    )
