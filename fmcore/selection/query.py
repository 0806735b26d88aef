"""Queries for parts of a store, with one syntax for the command line, URLs and Python."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from os import PathLike
from typing import SupportsIndex

import numpy as np

from fmcore.errors import SelectionError
from fmcore.selection.groups.tree import quoted
from fmcore.selection.names import near_matches

WHAT = ("maps", "pooled", "statistics")
DTYPES = ("float32", "float16")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query.

    Attributes:
        name: its name in a URL, and after `--` on the command line.
        example: an example of a value.
        description: the values it takes and its default, for help texts.
        choices: the allowed values; empty for any text.
        here: more values it takes on the command line and in Python, where files can be read.
    """

    name: str
    example: str
    description: str
    choices: tuple[str, ...] = ()
    here: str = ""


PARAMETERS = (
    Parameter("layer", "conv*", "comma-separated globs of layer paths (default: all)"),
    Parameter("filter", "0:8,12", "comma-separated indices and ranges of filters (default: all)"),
    Parameter(
        "class",
        "seven",
        "comma-separated names or indices of classes; selects samples by label (default: all)",
    ),
    Parameter(
        "sample",
        "0:100",
        "a group of samples: indices and ranges, label=7, prediction=1, correct, wrong, "
        "confidence>0.9, filter(conv2,5)>0.8 quantile and others, joined by and, or, not; with "
        "top:25 those of it that each selected filter responds to most (default: all)",
        here="(also @FILE, with one index or id per line, or a CSV with a column of them)",
    ),
    Parameter("what", "maps", "feature maps, pooled tables, or statistics (default: maps)", WHAT),
    Parameter(
        "statistic",
        "auc*",
        "comma-separated globs of statistics, or of pooled tables (default: all)",
        here="(also of costs, such as cost_zero_*, where `fmcore ablate` measured them)",
    ),
    Parameter("dtype", "float32", "dtype of maps and pooled tables (default: float32)", DTYPES),
)


@dataclass(frozen=True, slots=True)
class Query:
    """A query for parts of a store, see `PARAMETERS`; an empty text selects everything."""

    layer: str = "*"
    filter: str = ""
    class_: str = ""
    sample: str = ""
    what: str = WHAT[0]
    statistic: str = ""
    dtype: str = DTYPES[0]

    def as_dict(self) -> dict[str, str]:
        """The values that differ from the defaults, by the names of `PARAMETERS`."""
        return {
            field.name.rstrip("_"): value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }


def parse_query(values: Mapping[str, object]) -> Query:
    """Parses a query from values by the names of `PARAMETERS`; None means the default.

    Besides texts, Python callers may pass numbers, slices, ranges and lists of these.

    Raises:
        SelectionError: if a name is unknown, or a value is not allowed; `field` names it.
    """
    parameters = {parameter.name: parameter for parameter in PARAMETERS}
    texts: dict[str, str] = {}
    for name, value in values.items():
        key = name.rstrip("_")
        if key not in parameters:
            raise SelectionError(
                f"there is no parameter {name!r}; expected one of {', '.join(parameters)}"
                f"{near_matches(name, [*parameters])}",
                field=name,
            )
        if value is None:
            continue
        text, choices = _to_text(value, key), parameters[key].choices
        if choices and text not in choices:
            raise SelectionError(
                f"{key} is {text!r}; expected one of {', '.join(choices)}"
                f"{near_matches(text, choices)}",
                field=key,
            )
        texts["class_" if key == "class" else key] = text
    return Query(**texts)


def _to_text(value: object, field: str) -> str:
    """The text of a query's value from Python.

    Raises:
        SelectionError: if the value is empty or of a type that no text stands for.
    """
    match value:
        case str():
            return value
        case slice():
            ends = (value.start, value.stop, value.step)
            return ":".join("" if end is None else str(end) for end in ends).removesuffix(":")
        case range():
            return f"{value.start}:{value.stop}:{value.step}"
        case PathLike():
            return f"@{quoted(str(value.__fspath__()))}"
        case np.ndarray() if value.ndim == 0:
            return _to_text(value.item(), field)
        case Iterable() if not isinstance(value, bytes):
            texts = [_to_text(item, field) for item in value]
            if not texts:
                raise SelectionError(f"{field} is empty; leave it out for all", field=field)
            return ",".join(texts)
        case SupportsIndex() if not isinstance(value, bool):  # a mask does not hold indices
            return str(operator.index(value))
    raise SelectionError(
        f"{field} is {type(value).__name__}; expected a text, numbers, a slice or a range",
        field=field,
    )
