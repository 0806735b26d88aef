"""What is asked for, in words: the same on the command line, in a URL and as Python keywords."""

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


# Indices, none negative: a range where they follow each other evenly, else any.
Picks = range | NDArray[np.int64]
# A short text of overlapping ranges could name any number of indices.
MOST_REPEATED = 1000
_TERM = re.compile(r"(\d{1,18})|(\d{1,18})?:(\d{1,18})?(?::(\d{1,18}))?", re.ASCII)
OUTCOMES = ("correct", "wrong")
LARGEST_LIST_CHARACTERS = 64 << 20
_INDEX = re.compile(r"\d{1,18}", re.ASCII)
_TOP = re.compile(r"top:(\d{1,9})", re.ASCII)


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
    Parameter("layer", "conv*", "globs over layer paths, with commas between them (default: all)"),
    Parameter("filter", "0:8,12", "indices and ranges of filters (default: all)"),
    Parameter(
        "class", "seven", "names or indices of classes; samples by their label (default: all)"
    ),
    Parameter(
        "sample",
        "0:100",
        "indices and ranges; correct; wrong; top:25, which each chosen filter responds to most; "
        "wrong,top:25 narrows twice (default: all)",
        here="@FILE, with one index or id per line",
    ),
    Parameter("what", "maps", "feature maps, pooled tables, or statistics (default: maps)", WHAT),
    Parameter("statistic", "auc*", "globs over statistics, or over pooled tables (default: all)"),
    Parameter("dtype", "float32", "type of maps and pooled tables (default: float32)", DTYPES),
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


@dataclass(frozen=True, slots=True)
class SampleTerms:
    """The parts of a choice of samples; each narrows what the others leave.

    Attributes:
        numbers: indices, such as `0:100,205`; empty for all.
        names: lines of a file, each an index or an id; None where no file was named.
        outcome: `correct`, `wrong`, or empty for both.
        top: how many samples each filter responds to most; None for all.
    """

    numbers: str = ""
    names: tuple[str, ...] | None = None
    outcome: str = ""
    top: int | None = None


def parse_samples(text: str, *, files: bool = True) -> SampleTerms:
    """The parts of a choice such as `0:100`, `@list.txt`, `correct`, `wrong` or `wrong,top:25`.

    Args:
        text: comma-separated; empty for all samples.
        files: whether a file may be named: nobody far away chooses what is read here.

    Raises:
        SelectionError: if a part is none of these.
        InputFileError: if a file cannot be read.
    """
    numbers: list[str] = []
    names: tuple[str, ...] | None = None
    outcome, top = "", None
    terms = list(filter(None, (part.strip() for part in text.split(","))))
    if text and not terms:
        raise SelectionError(f"{text!r} names no sample; leave it out for all", field="sample")
    for term in terms:
        if term in OUTCOMES:
            if outcome not in ("", term):
                raise SelectionError("no sample is both correct and wrong", field="sample")
            outcome = term
        elif found := _TOP.fullmatch(term):
            top = int(found[1])
            if top == 0:
                raise SelectionError("top:0 names no sample", field="sample")
        elif term.startswith("@"):
            if not files:
                raise SelectionError(
                    f"{term!r}: a file can be named on the command line and in Python only",
                    field="sample",
                )
            names = (names or ()) + _lines(Path(term[1:]))
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
        raise SelectionError("name samples by indices or by a file, not both", field="sample")
    return SampleTerms(",".join(numbers), names, outcome, top)


def _lines(path: Path) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            text = stream.read(LARGEST_LIST_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputFileError(
            f"cannot read the list of samples {path}: {reason}; expected a text file with an index "
            "or an id a line"
        ) from error
    if len(text) > LARGEST_LIST_CHARACTERS:
        raise InputFileError(
            f"{path} is no list of samples: it has more than {LARGEST_LIST_CHARACTERS:,} characters"
        )
    return tuple(filter(None, map(str.strip, text.splitlines())))


def is_index(text: str) -> bool:
    """Whether a text is a whole number that can be an index."""
    return _INDEX.fullmatch(text) is not None


def parse_classes(text: str, names: Sequence[str]) -> list[int]:
    """The indices of classes, in the order in which they are named.

    Args:
        text: names or indices, with commas between them; a name comes before an index.
        names: of all classes.

    Raises:
        SelectionError: if there is no such class, with near matches.
    """
    found: list[int] = []
    terms = [text] if text in names else [part.strip() for part in text.split(",")]
    for term in filter(None, terms):
        if term in names:
            found.append(list(names).index(term))
        elif is_index(term) and int(term) < len(names):
            found.append(int(term))
        else:
            shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise SelectionError(
                f"no class {term!r}; there are {shown}, by name or by index 0 to "
                f"{len(names) - 1}{near_matches(term, names)}",
                field="class",
            )
    if not found:
        raise SelectionError(f"{text!r} names no class", field="class")
    return list(dict.fromkeys(found))
