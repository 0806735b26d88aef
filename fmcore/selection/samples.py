"""Parses which samples and which classes are meant; who they are, the store says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fmcore.errors import InputFileError, SelectionError
from fmcore.selection.names import near_matches

OUTCOMES = ("correct", "wrong")
LARGEST_LIST_CHARACTERS = 64 << 20
_INDEX = re.compile(r"\d{1,18}", re.ASCII)
_TOP = re.compile(r"top:(\d{1,9})", re.ASCII)


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
