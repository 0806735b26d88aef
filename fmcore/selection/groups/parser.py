"""Parses expressions of groups, and the selections of samples that exports take beside them.

selection:  any            of an export, with top:N among the terms of its all
any:        all, or all, …
all:        term and term, …; `and` may be left out, or be a comma
term:       not term · ( any ) · one of the leaves of `docs/groups.md`
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from fmcore.errors import InputFileError, SelectionError
from fmcore.selection.groups.facts import POOLINGS
from fmcore.selection.groups.index_sets import LONGEST, PACKED
from fmcore.selection.groups.tree import (
    BARE,
    COMPARISONS,
    OUTCOMES,
    All,
    AllOf,
    AnyOf,
    Confidence,
    FileList,
    Group,
    Ids,
    IndexSet,
    Indices,
    Listed,
    Not,
    OfClass,
    Outcome,
    Response,
)
from fmcore.selection.indices import is_index
from fmcore.selection.lists import SampleName, read_list
from fmcore.selection.names import near_matches

# Each term costs a pass over the samples, each filter or class a column of a table that is
# read and inflated: what a request may ask for.
MOST_TERMS = 256
MOST_COLUMNS = 16
DEEPEST = 32
EXAMPLES = "label=7, prediction=1, wrong, confidence>0.9, filter(conv2,5)>0.8 quantile or 0:100"

_WORDS = (
    "label",
    "prediction",
    *OUTCOMES,
    "confidence",
    "probability",
    "filter",
    "id",
    "all",
    "not",
)
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_RANGE = re.compile(r"(?:\d+(?::\d*){0,2}|:\d*(?::\d+)?)(?![\w.:])", re.ASCII)
_TOP = re.compile(r"top:(\d{1,9})(?![\w.])", re.ASCII | re.IGNORECASE)
_OPERATOR = re.compile("|".join(COMPARISONS))
_NUMBER = re.compile(
    r"[+-]?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,3})?(?![\w.])", re.ASCII
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ARGUMENT = re.compile(r"""[^\s(),"]+""")


@dataclass(frozen=True, slots=True)
class SampleSelection:
    """The samples that an export takes.

    Attributes:
        group: the group, whose `picks` are the rows.
        top: of the group, the number of samples that each filter responds to most; None for all.
    """

    group: Group
    top: int | None = None


def parse_group(text: str, *, files: bool = True, field: str = "group") -> Group:
    """Parses an expression; an empty one is every sample.

    Args:
        text: terms such as `label=7`, `prediction!=one|two`, `correct`, `wrong`,
            `confidence>0.9`, `probability(7)<0.1`, `filter(conv2,5)>0.8 quantile`, `0:100,205`,
            `id=name`, `set:…` and `@FILE`, joined by `and` (or nothing, or a comma), `or` and
            `not`, with parentheses.
        files: whether `@FILE` and any length are allowed; what comes from another machine must not
            choose which files are read, and has `LONGEST` characters at most.
        field: the parameter that it is a value of, for the error.

    Raises:
        SelectionError: if it is none; the message says where, and what was expected.
        InputFileError: if a file cannot be read.
    """
    return _Parser(text, files=files, field=field, takes_top=False).parse().group


def parse_samples(text: str, *, files: bool = True) -> SampleSelection:
    """Parses what an export takes: an expression of a group, and `top:N` beside its terms.

    Args:
        text: such as `0:100`, `@list.txt`, `label=7 wrong` or `wrong,top:25`; empty for all.
        files: as of `parse_group`.

    Raises:
        SelectionError: if it is none; the message says where, and what was expected.
        InputFileError: if a file cannot be read.
    """
    return _Parser(text, files=files, field="sample", takes_top=True).parse()


class _Conjunction:
    """The terms of one `all`; commas between indices, or between files, make one list of them."""

    def __init__(self) -> None:
        self.parts: list[Group] = []
        self._list_at: int | None = None

    def add(self, term: Group) -> None:
        """Adds a term, of which all samples must be."""
        if isinstance(term, Listed):
            self._list_at = len(self.parts)
        self.parts.append(term)

    def joined(self, term: Group) -> bool:
        """Adds a term after a comma: a list goes on with it; False where that cannot be."""
        before = None if self._list_at is None else self.parts[self._list_at]
        match before, term:
            case Indices(), Indices():
                longer: Group = Indices(f"{before.text},{term.text}")
            case FileList(), FileList():
                longer = FileList(before.paths + term.paths, before.names + term.names)
            case Listed(), Listed():
                return False
            case _:
                self.add(term)
                return True
        self.parts[self._list_at or 0] = longer
        return True

    @property
    def has_list(self) -> bool:
        """Whether one of the terms is a list."""
        return self._list_at is not None

    def group(self) -> Group:
        """The group of all terms."""
        if not self.parts:
            return All()
        return self.parts[0] if len(self.parts) == 1 else AllOf(tuple(self.parts))


class _Parser:
    def __init__(self, text: str, *, files: bool, field: str, takes_top: bool) -> None:
        self._text, self._files, self._field, self._takes_top = text, files, field, takes_top
        self._at = 0
        self._n_terms = self._depth = 0
        self._columns: set[tuple[object, ...]] = set()
        self._top: int | None = None

    def parse(self) -> SampleSelection:
        """Parses all of the text."""
        if not self._files and len(self._text) > LONGEST:
            raise SelectionError(
                f"an expression of {len(self._text):,} characters; expected at most {LONGEST:,}: "
                "save the ids of the samples as a file, and select them with @FILE on the command "
                "line or in Python",
                field=self._field,
            )
        self._skip()
        if self._at == len(self._text):
            return SampleSelection(All())
        group = self._any_of()
        if self._at < len(self._text):
            self._refuse("and, or, or the end")
        return SampleSelection(group, self._top)

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _refuse(self, expected: str, *, at: int | None = None, near: str = "") -> NoReturn:
        at = self._at if at is None else at
        rest = self._text[at : at + 24].split()
        what = f"found {rest[0]!r}" if rest else "it ends there"
        raise SelectionError(
            f"{_cut(self._text, at)}: at character {at + 1} expected {expected}; {what}{near}",
            field=self._field,
        )

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
            self._skip()
        return match

    def _takes_sign(self, sign: str) -> bool:
        is_next = self._text.startswith(sign, self._at)
        if is_next:
            self._at += len(sign)
            self._skip()
        return is_next

    def _is_word(self, *words: str) -> bool:
        match = _WORD.match(self._text, self._at)
        return match is not None and match[0].lower() in words

    def _takes_word(self, word: str) -> bool:
        is_next = self._is_word(word)
        if is_next:
            self._take(_WORD)
        return is_next

    def _any_of(self) -> Group:
        at = self._at
        parts = [self._all_of()]
        while self._takes_word("or"):
            parts.append(self._all_of())
        if len(parts) > 1 and self._top is not None and not self._depth:
            self._refuse("parentheses about what top:N narrows: (… or …), top:N", at=at)
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all_of(self) -> Group:
        terms = _Conjunction()
        self._commas()
        self._add(terms, joint="")
        while True:
            if self._commas():
                if self._at == len(self._text):
                    break
                self._add(terms, joint=",")
            elif self._takes_word("and"):
                self._add(terms, joint="and")
            elif self._at < len(self._text) and self._text[self._at] != ")":
                if self._is_word("or"):
                    break
                self._add(terms, joint="")
            else:
                break
        return terms.group()

    def _commas(self) -> bool:
        """Takes commas; several are one, and one at the end is none, as they come from scripts."""
        is_next = False
        while self._takes_sign(","):
            is_next = True
        return is_next

    def _add(self, terms: _Conjunction, *, joint: str) -> None:
        at = self._at
        if self._takes_top and (match := self._take(_TOP)) is not None:
            self._set_top(int(match[1]), at)
            return
        term = self._term()
        if joint == "and":
            terms.add(term)
        elif joint == ",":
            if not terms.joined(term):
                self._refuse(
                    "indices or a file, not both in one list; `or` between them takes the samples "
                    "of either, `and` those of both",
                    at=at,
                )
        elif isinstance(term, Listed) and terms.has_list:
            self._refuse(
                "a comma between the parts of a list, or `and` for the samples of both", at=at
            )
        else:
            terms.add(term)

    def _set_top(self, top: int, at: int) -> None:
        if self._depth:
            self._refuse("top:N beside the other terms, not in parentheses", at=at)
        if top == 0:
            self._refuse("top:1 or more: top:0 selects no sample", at=at)
        if self._top not in (None, top):
            self._refuse(f"one top:N: there is top:{self._top}", at=at)
        self._top = top

    def _term(self) -> Group:
        self._n_terms += 1
        if self._n_terms > MOST_TERMS:
            self._refuse(f"at most {MOST_TERMS} terms")
        if self._depth >= DEEPEST:
            self._refuse(f"at most {DEEPEST} levels of not and parentheses")
        self._depth += 1
        try:
            if self._takes_word("not"):
                return Not(self._term())
            if self._takes_sign("("):
                group = self._any_of()
                if not self._takes_sign(")"):
                    self._refuse("and, or, or )")
                return group
            return self._leaf()
        finally:
            self._depth -= 1

    def _leaf(self) -> Group:
        start = self._at
        if (packed := self._take(PACKED)) is not None:
            return IndexSet(packed[0])
        if _RANGE.match(self._text, self._at) is not None:
            return self._indices()
        if self._text.startswith("@", self._at):
            return self._file()
        match = self._take(_WORD)
        word = match[0].lower() if match else ""
        group = self._of_word(word)
        if group is None:
            if self._takes_top:
                examples = f"{EXAMPLES}, or top:25"
            elif word == "top":
                examples = f"{EXAMPLES}; top:N is for exports"
            else:
                examples = EXAMPLES
            words = (*_WORDS, "top:25") if self._takes_top else _WORDS
            near = near_matches(word, words) if word not in ("", "top") else ""
            self._refuse(f"a term such as {examples}", at=start, near=near)
        return group

    def _of_word(self, word: str) -> Group | None:
        """The leaf that begins with a word; None where there is none."""
        match word:
            case "all":
                return All()
            case "correct" | "wrong":
                return Outcome(word)
            case "label" | "prediction":
                is_equal = self._comparison(("=", "!=")) == "="
                return OfClass(word, self._alternatives(), is_equal)
            case "id":
                is_equal = self._comparison(("=", "!=")) == "="
                return Ids(self._alternatives(), is_equal)
            case "confidence":
                return Confidence(self._comparison(), self._number())
            case "probability":
                at = self._at
                (name,) = self._arguments(1, 1, "the name or index of a class")
                self._count_column(("probability", name), at)
                return Confidence(self._comparison(), self._number(), name)
            case "filter":
                return self._response()
        return None

    def _indices(self) -> Group:
        """Indices and ranges with commas between, as far as they go: `not 3,5` is neither."""
        ranges: list[str] = []
        while True:
            match = self._take(_RANGE)
            if match is None:
                break
            ranges.append(match[0])
            end = self._at
            if not self._commas() or _RANGE.match(self._text, self._at) is None:
                self._at = end
                break
        return Indices(",".join(ranges))

    def _comparison(self, allowed: Sequence[str] = tuple(COMPARISONS)) -> str:
        start = self._at
        match = self._take(_OPERATOR)
        if match is None or match[0] not in allowed:
            self._refuse(" or ".join(allowed), at=start)
        return match[0]

    def _number(self) -> float:
        start = self._at
        match = self._take(_NUMBER)
        if match is None or abs(number := float(match[0])) == float("inf"):
            self._refuse("a number", at=start)
        return number

    def _value(self, bare: re.Pattern[str], what: str) -> str:
        if match := self._take(_QUOTED):
            return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL)
        if (match := self._take(bare)) is None:
            self._refuse(f"{what}, in quotes where it holds spaces or signs")
        return match[0]

    def _alternatives(self) -> tuple[str, ...]:
        names = [self._value(BARE, "a name")]
        while self._takes_sign("|"):
            names.append(self._value(BARE, "a name"))
        return tuple(names)

    def _arguments(self, least: int, most: int, what: str) -> list[str]:
        start = self._at
        if not self._takes_sign("("):
            self._refuse(f"( and {what}")
        values = [self._value(_ARGUMENT, what)]
        while self._takes_sign(","):
            values.append(self._value(_ARGUMENT, what))
        if not self._takes_sign(")"):
            self._refuse(f"{what}, then )")
        if not least <= len(values) <= most:
            self._refuse(what, at=start)
        return values

    def _response(self) -> Group:
        start = self._at
        what = "a layer and a filter, such as (conv2,5) or (conv2,5,mean)"
        layer, index, *rest = self._arguments(2, 3, what)
        pooling = rest[0].lower() if rest else POOLINGS[0]
        if not is_index(index):
            self._refuse(f"{what}; {index!r} is no index", at=start)
        if pooling not in POOLINGS:
            near = near_matches(pooling, POOLINGS)
            self._refuse(f"one of {', '.join(POOLINGS)}, not {pooling!r}", at=start, near=near)
        self._count_column((layer, int(index), pooling), start)
        comparison, at = self._comparison(), self._at
        bound = self._number()
        is_quantile = self._takes_word("quantile")
        if is_quantile and not 0 <= bound <= 1:
            self._refuse("a quantile from 0 to 1", at=at)
        return Response(layer, int(index), pooling, comparison, bound, is_quantile)

    def _count_column(self, column: tuple[object, ...], at: int) -> None:
        self._columns.add(column)
        if len(self._columns) > MOST_COLUMNS:
            self._refuse(f"at most {MOST_COLUMNS} filters and probabilities of classes", at=at)

    def _file(self) -> Group:
        if not self._files:
            self._refuse("no file: one can be named on the command line and in Python only")
        self._at += 1
        path = self._value(_ARGUMENT, "the name of a file")
        return FileList((path,), self._list(path))

    def _list(self, path: str) -> tuple[SampleName, ...]:
        try:
            return read_list(Path(path))
        except InputFileError as error:
            following = self._text[self._at : self._at + 1]
            if following in ("", ",", ")"):
                raise
            raise InputFileError(f"{error}; a name with spaces stands in quotes") from error


def _cut(text: str, at: int) -> str:
    """The expression, or what is about a place of a long one."""
    if len(text) <= 120:
        return repr(text)
    first = max(0, at - 60)
    return f"{'…' if first else ''}{text[first : at + 60]!r}…"
