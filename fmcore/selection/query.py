"""Queries for parts of a store, with one syntax for the command line, URLs and Python."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import NoReturn, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import InputFileError, SelectionError
from fmcore.selection.names import near_matches

WHAT = ("maps", "pooled", "statistics")
DTYPES = ("float32", "float16")


# Indices, none negative: a range if they are evenly spaced, else an array.
Picks = range | NDArray[np.int64]
# Limits the indices of a short text with overlapping ranges, unless there are more to choose from.
MOST_REPEATED = 1000
_TERM = re.compile(r"(\d{1,18})|(\d{1,18})?:(\d{1,18})?(?::(\d{1,18}))?", re.ASCII)
OUTCOMES = ("correct", "wrong")
LARGEST_LIST_CHARACTERS = 64 << 20
_INDEX = re.compile(r"\d{1,18}", re.ASCII)
_TOP = re.compile(r"top:(\d{1,9})", re.ASCII)


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
        "comma-separated indices and ranges, correct, wrong, or top:25 for the samples that each "
        "selected filter responds to most; wrong,top:25 applies both (default: all)",
        here="(also @FILE, with one index or id per line)",
    ),
    Parameter("what", "maps", "feature maps, pooled tables, or statistics (default: maps)", WHAT),
    Parameter(
        "statistic",
        "auc*",
        "comma-separated globs of statistics, or of pooled tables (default: all)",
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
            return f"@{value.__fspath__()}"
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


@dataclass(frozen=True, slots=True)
class SampleTerms:
    """The terms of a selection of samples; each narrows the selection.

    Attributes:
        numbers: indices and ranges, such as `0:100,205`; empty for all.
        names: the lines of a file, each an index or an id; None if there is no file.
        outcome: `correct`, `wrong`, or empty for both.
        top: the number of samples that each filter responds to most; None for all.
    """

    numbers: str = ""
    names: tuple[str, ...] | None = None
    outcome: str = ""
    top: int | None = None


def parse_samples(text: str, *, files: bool = True) -> SampleTerms:
    """Parses a selection of samples such as `0:100`, `@list.txt`, `correct` or `wrong,top:25`.

    Args:
        text: comma-separated terms; empty for all samples.
        files: whether `@FILE` is allowed; remote users must not choose which files are read.

    Raises:
        SelectionError: if a term is invalid.
        InputFileError: if a file cannot be read.
    """
    numbers: list[str] = []
    names: tuple[str, ...] | None = None
    outcome, top = "", None
    terms = list(filter(None, (part.strip() for part in text.split(","))))
    if text and not terms:
        raise SelectionError(
            f"{text!r} selects no sample; leave it out to select all", field="sample"
        )
    for term in terms:
        if term in OUTCOMES:
            if outcome not in ("", term):
                raise SelectionError("no sample is both correct and wrong", field="sample")
            outcome = term
        elif match := _TOP.fullmatch(term):
            top = int(match[1])
            if top == 0:
                raise SelectionError(
                    "top:0 selects no sample; expected top:1 or more", field="sample"
                )
        elif term.startswith("@"):
            if not files:
                raise SelectionError(
                    f"{term!r}: a file can be named on the command line and in Python only",
                    field="sample",
                )
            names = (names or ()) + _read_lines(Path(term[1:]))
        elif re.fullmatch(r"[\d:]+", term, re.ASCII):
            numbers.append(term)
        else:
            words = (*OUTCOMES, "top:25")
            file = "@FILE, " if files else ""
            raise SelectionError(
                f"{term!r}: expected indices such as 0:100, {file}correct, wrong, or top:25"
                f"{near_matches(term, words)}",
                field="sample",
            )
    if names is not None and numbers:
        raise SelectionError("select samples by indices or by a file, not both", field="sample")
    return SampleTerms(",".join(numbers), names, outcome, top)


def _read_lines(path: Path) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            text = stream.read(LARGEST_LIST_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputFileError(
            f"cannot read the list of samples {path}: {reason}; expected a text file with one "
            "index or id per line"
        ) from error
    if len(text) > LARGEST_LIST_CHARACTERS:
        raise InputFileError(
            f"{path} is not a list of samples: it has more than {LARGEST_LIST_CHARACTERS:,} "
            "characters"
        )
    return tuple(filter(None, map(str.strip, text.splitlines())))


def is_index(text: str) -> bool:
    """Whether a text is an integer that can be an index."""
    return _INDEX.fullmatch(text) is not None


def parse_classes(text: str, names: Sequence[str]) -> list[int]:
    """Parses a comma-separated list of classes into their indices, in the order of the list.

    Args:
        text: names or indices of classes; a class whose name is a number is found by its name.
        names: the names of all classes.

    Raises:
        SelectionError: if there is no such class; the message has near matches.
    """
    indices: list[int] = []
    by_name = {name: index for index, name in reversed([*enumerate(names)])}  # the first of equals
    terms = [text] if text in by_name else [part.strip() for part in text.split(",")]
    for term in filter(None, terms):
        if term in by_name:
            indices.append(by_name[term])
        elif is_index(term) and int(term) < len(names):
            indices.append(int(term))
        else:
            listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise SelectionError(
                f"there is no class {term!r}; expected a name or an index from 0 to "
                f"{len(names) - 1}: {listed}{near_matches(term, names)}",
                field="class",
            )
    if not indices:
        raise SelectionError(f"{text!r} selects no class", field="class")
    return list(dict.fromkeys(indices))
