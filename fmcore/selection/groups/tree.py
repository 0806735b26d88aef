"""Groups of samples: what an expression becomes, and which samples of a store it holds."""

from __future__ import annotations

import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.selection.classes import class_index
from fmcore.selection.groups.facts import POOLINGS, ClassColumn, Mask, SampleFacts
from fmcore.selection.groups.index_sets import unpack
from fmcore.selection.indices import Picks, parse_numbers
from fmcore.selection.lists import SampleName

OUTCOMES = ("correct", "wrong")
# The longest first, as they are looked for in a text.
COMPARISONS: Mapping[str, Callable[..., Mask]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
# What a name may be without quotes.
BARE = re.compile(r"""[^\s()|,<>=!"]+""")


class Group(ABC):
    """A set of samples, as an expression says it; `str` gives a text that parses to the same."""

    @abstractmethod
    def mask(self, facts: SampleFacts) -> Mask:
        """Which samples belong to it, <bool>[sample].

        Raises:
            SelectionError: if the store has no such class, layer, filter or sample, or lacks what
                the expression is about.
        """

    def picks(self, facts: SampleFacts) -> Picks:
        """Its samples as rows of an export: as a list has them, else ascending, <int64>[row].

        A list that other terms narrow keeps its order too.

        Raises:
            SelectionError: as `mask`.
        """
        return np.flatnonzero(self.mask(facts))

    @property
    def level(self) -> int:
        """How tightly the text binds: 0 for `or`, 1 for `and`, 2 for the rest."""
        return 2


class Listed(Group):
    """Samples by a list, whose order `picks` keeps."""

    def mask(self, facts: SampleFacts) -> Mask:
        """Which samples are in the list, <bool>[sample]; raises `SelectionError`."""
        mask = np.zeros(facts.n_samples, np.bool_)
        mask[np.asarray(self.picks(facts))] = True
        return mask


@dataclass(frozen=True, slots=True)
class All(Group):
    """Every sample."""

    def mask(self, facts: SampleFacts) -> Mask:
        """All true, <bool>[sample]."""
        return np.ones(facts.n_samples, np.bool_)

    def picks(self, facts: SampleFacts) -> Picks:
        """All samples, by index."""
        return range(facts.n_samples)

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True, slots=True)
class AnyOf(Group):
    """Samples of at least one of its parts."""

    parts: tuple[Group, ...]

    def mask(self, facts: SampleFacts) -> Mask:
        """Whether any part has each sample, <bool>[sample]; raises `SelectionError`."""
        mask = np.zeros(facts.n_samples, np.bool_)
        for part in self.parts:
            mask |= part.mask(facts)
        return mask

    @property
    def level(self) -> int:
        """0: binds less than all others."""
        return 0

    def __str__(self) -> str:
        return " or ".join(_inside(part, 1) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AllOf(Group):
    """Samples of all its parts."""

    parts: tuple[Group, ...]

    def mask(self, facts: SampleFacts) -> Mask:
        """Whether all parts have each sample, <bool>[sample]; raises `SelectionError`."""
        return _all_of(self.parts, facts)

    def picks(self, facts: SampleFacts) -> Picks:
        """Its samples: in the order of its list, if it has one list, else ascending."""
        lists = [part for part in self.parts if isinstance(part, Listed)]
        if len(lists) != 1:
            return np.flatnonzero(self.mask(facts))
        rows = np.asarray(lists[0].picks(facts), dtype=np.int64)
        mask = _all_of((part for part in self.parts if part is not lists[0]), facts)
        narrowed: NDArray[np.int64] = rows[mask[rows]]
        return narrowed

    @property
    def level(self) -> int:
        """1: binds more than `or`."""
        return 1

    def __str__(self) -> str:
        text, n_lists = "", 0
        for part in self.parts:
            # Two lists side by side are refused: nobody could say if either or both are meant.
            n_lists += isinstance(part, Listed)
            joint = " and " if isinstance(part, Listed) and n_lists > 1 else " "
            text += (joint if text else "") + _inside(part, 2)
        return text


@dataclass(frozen=True, slots=True)
class Not(Group):
    """Samples that are not of a group."""

    part: Group

    def mask(self, facts: SampleFacts) -> Mask:
        """Whether each sample is not of the part, <bool>[sample]; raises `SelectionError`."""
        return ~self.part.mask(facts)

    def __str__(self) -> str:
        return f"not {_inside(self.part, 2)}"


@dataclass(frozen=True, slots=True)
class OfClass(Group):
    """Samples whose label, or prediction, is one of some classes, by name or index."""

    column: ClassColumn
    classes: tuple[str, ...]
    is_equal: bool = True

    def mask(self, facts: SampleFacts) -> Mask:
        """Whether each sample has one of the classes, <bool>[sample].

        Raises:
            SelectionError: if there is no such class, or the samples have none.
        """
        mask = facts.bears(
            self.column,
            [
                class_index(name, facts.class_names, what=self.column, field="group")
                for name in self.classes
            ],
        )
        return mask if self.is_equal else ~mask

    def __str__(self) -> str:
        return f"{self.column}{'=' if self.is_equal else '!='}{alternatives(self.classes)}"


@dataclass(frozen=True, slots=True)
class Outcome(Group):
    """Samples whose prediction is correct, or wrong."""

    outcome: str

    def mask(self, facts: SampleFacts) -> Mask:
        """Whether each prediction is that, <bool>[sample].

        Raises:
            SelectionError: if no prediction is either.
        """
        correct = facts.correct()
        return correct if self.outcome == "correct" else ~correct

    def __str__(self) -> str:
        return self.outcome


@dataclass(frozen=True, slots=True)
class Confidence(Group):
    """Samples by the probability of what is predicted, or of a class.

    Attributes:
        comparison: how it is compared, of `COMPARISONS`.
        bound: with what.
        of_class: the class, by name or index; empty for the one that is predicted.
    """

    comparison: str
    bound: float
    of_class: str = ""

    def mask(self, facts: SampleFacts) -> Mask:
        """Whether the probability compares so, <bool>[sample].

        Raises:
            SelectionError: if there is no such class, or there are no probabilities.
        """
        if not self.of_class:
            return _compared(facts.confidence(), self.comparison, self.bound)
        index = class_index(self.of_class, facts.class_names, what="probability", field="group")
        return _compared(facts.probability(index), self.comparison, self.bound)

    def __str__(self) -> str:
        what = f"probability({quoted(self.of_class)})" if self.of_class else "confidence"
        return f"{what}{self.comparison}{self.bound!r}"


@dataclass(frozen=True, slots=True)
class Response(Group):
    """Samples by one number of a filter's map.

    Attributes:
        layer: the path of the filter's layer.
        filter_index: the filter.
        pooling: the number, of `POOLINGS`.
        comparison: how it is compared, of `COMPARISONS`.
        bound: with what; where `is_quantile`, with that quantile of it over all samples.
        is_quantile: whether the bound is one.
    """

    layer: str
    filter_index: int
    pooling: str
    comparison: str
    bound: float
    is_quantile: bool

    def mask(self, facts: SampleFacts) -> Mask:
        """Whether the number compares so, <bool>[sample]; NaN compares with nothing.

        A quantile is that of `numpy.quantile` with its default, `linear`, in float64, over all
        samples of the store where the number is finite.

        Raises:
            SelectionError: if there is no such layer, filter, or table of it.
        """
        values = facts.pooled(self.layer, self.filter_index, self.pooling)
        bound = self.bound
        if self.is_quantile:
            finite = values[np.isfinite(values)].astype(np.float64)
            if not len(finite):
                return np.zeros(len(values), np.bool_)
            bound = float(np.quantile(finite, self.bound))
        return _compared(values, self.comparison, bound)

    def __str__(self) -> str:
        pooling = "" if self.pooling == POOLINGS[0] else f",{self.pooling}"
        quantile = " quantile" if self.is_quantile else ""
        return (
            f"filter({quoted(self.layer)},{self.filter_index}{pooling}){self.comparison}"
            f"{self.bound!r}{quantile}"
        )


@dataclass(frozen=True, slots=True)
class Indices(Listed):
    """Samples by a list of indices and ranges, such as `0:100,205`."""

    text: str

    def picks(self, facts: SampleFacts) -> Picks:
        """The indices as they are listed; raises `SelectionError` if one is out of range."""
        return parse_numbers(self.text, facts.n_samples, what="sample", field="group")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class IndexSet(Group):
    """Samples by a packed set of indices, `set:…`, as `set_text` makes it."""

    text: str

    def mask(self, facts: SampleFacts) -> Mask:
        """Which samples the set has, <bool>[sample].

        Raises:
            SelectionError: if it is damaged, or of a store with more samples.
        """
        mask = np.zeros(facts.n_samples, np.bool_)
        mask[unpack(self.text, facts.n_samples)] = True
        return mask

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Ids(Group):
    """Samples by their ids."""

    ids: tuple[str, ...]
    is_equal: bool = True

    def mask(self, facts: SampleFacts) -> Mask:
        """Whether each sample has one of the ids, <bool>[sample].

        Raises:
            SelectionError: if no sample has one of them.
        """
        mask = np.zeros(facts.n_samples, np.bool_)
        mask[facts.indices([SampleName(None, name) for name in self.ids])] = True
        return mask if self.is_equal else ~mask

    def __str__(self) -> str:
        return f"id{'=' if self.is_equal else '!='}{alternatives(self.ids)}"


@dataclass(frozen=True, slots=True)
class FileList(Listed):
    """Samples by the lists of files, such as `@wanted.csv`.

    Attributes:
        paths: of the files.
        names: what they list.
    """

    paths: tuple[str, ...]
    names: tuple[SampleName, ...]

    def picks(self, facts: SampleFacts) -> Picks:
        """The samples as the files list them; raises `SelectionError` if there is no such one."""
        return facts.indices(self.names)

    def __str__(self) -> str:
        return ",".join(f"@{quoted(path)}" for path in self.paths)


def quoted(name: str) -> str:
    """A name as an expression takes it, in quotes where it needs some."""
    if BARE.fullmatch(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def alternatives(names: Iterable[str]) -> str:
    """Names of which any will do, as an expression takes them: `3|5`."""
    return "|".join(map(quoted, names))


def _inside(part: Group, level: int) -> str:
    return str(part) if part.level >= level else f"({part})"


def _all_of(parts: Iterable[Group], facts: SampleFacts) -> Mask:
    mask = np.ones(facts.n_samples, np.bool_)
    for part in parts:
        mask &= part.mask(facts)
    return mask


def _compared(values: NDArray[np.floating], comparison: str, bound: float) -> Mask:
    """Compares in float64, so that a bound is what a person wrote."""
    result: Mask = COMPARISONS[comparison](values.astype(np.float64), bound)
    # NaN is unequal to all; a value that is none belongs to no group.
    return result & ~np.isnan(values)
