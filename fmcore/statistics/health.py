"""Which filters are dead, redundant or broken, by rules on what a store keeps.

`HEALTH_RULES` is all of them: command, pages and docs take names, words and definitions from it.
Every rule is over the whole test set, so it says nothing about samples outside it. A filter with
NaN or infinite activations is reported as non-finite and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.numbers import number_text, share_text
from fmcore.statistics.streaming.duplicates import DUPLICATE
from fmcore.statistics.values import FilterValues

# A filter is nearly dead if it is active in less than this share of the samples.
NEARLY_DEAD = 0.001
# A filter is always on if at least this share of its activations is above zero, none below.
ALWAYS_ON = 0.999
# Activation functions whose values are above zero by nature, and others that are known, by their
# names and those of layers and operations, without underscores and in lower case. `linear` is the
# name for layers without a function too, such as pooling, so there the data tell.
POSITIVE = "exp exponential hardsigmoid sigmoid softmax softplus sparsesigmoid squareplus"
NOT_POSITIVE = (
    "celu elu gelu glu hardshrink hardsilu hardswish hardtanh leakyrelu logsigmoid logsoftmax mish "
    "prelu relu relu6 selu silu softshrink softsign sparsemax sparseplus swish tanh tanhshrink "
    "threshold thresholdedrelu"
)
# What a layer's function is called where it has none.
NO_FUNCTION = "linear"
HARMLESS = "may be harmless"
# Classes that the words of one filter name before they count the rest.
MOST_NAMED = 3


class PooledTable(Protocol):
    """A pooled table, <float32>[sample, filter], or what reads it."""

    def __getitem__(self, key: Any, /) -> Any:
        """Some of its numbers."""
        ...


@dataclass(frozen=True, eq=False)
class HealthInputs:
    """What the rules know of a layer; what several of them need is computed once.

    Attributes:
        low: <float64>[class, filter], the smallest finite activation; NaN where there is none.
        high: <float64>[class, filter], the largest finite activation; NaN where there is none.
        zero_fraction: <float64>[filter], the share of all activations that are exactly zero.
        n_finite: <int64>[class, filter], the number of finite activations.
        n_nonfinite: <int64>[class, filter], the number of NaN and infinite activations.
        n_samples: <int64>[class], the number of samples.
        map_max: <float32>[sample, filter], the largest activation of each map.
        map_zeros: <float32>[sample, filter], the share of each map that is exactly zero.
        duplicate_of: <int64>[filter], the earlier filter that it repeats; -1 for none.
        activation: name of the layer's activation function, such as `relu`; empty where unknown.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    zero_fraction: NDArray[np.float64]
    n_finite: NDArray[np.int64]
    n_nonfinite: NDArray[np.int64]
    n_samples: NDArray[np.int64]
    map_max: PooledTable
    map_zeros: PooledTable
    duplicate_of: NDArray[np.int64]
    activation: str = ""

    @cached_property
    def nonfinite(self) -> NDArray[np.bool_]:
        """<bool>[filter], whether an activation is NaN or infinite."""
        return np.asarray((self.n_nonfinite > 0).any(axis=0))

    @cached_property
    def dead(self) -> NDArray[np.bool_]:
        """<bool>[filter], whether all activations are the same, and finite."""
        return dead_filters(self.low, self.high, self.n_nonfinite)

    @cached_property
    def alive(self) -> NDArray[np.bool_]:
        """<bool>[filter], whether its activations vary, and all are finite."""
        return ~self.dead & ~self.nonfinite

    @cached_property
    def positive(self) -> NDArray[np.bool_]:
        """<bool>[filter], whether an activation is above zero."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.high > 0).any(axis=0))

    @cached_property
    def negative(self) -> NDArray[np.bool_]:
        """<bool>[filter], whether an activation is below zero."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.low < 0).any(axis=0))

    @cached_property
    def dead_classes(self) -> NDArray[np.bool_]:
        """<bool>[class, filter], whether a filter that is alive is dead for a class."""
        return (self.low == 0) & (self.high == 0) & self.alive

    @cached_property
    def on(self) -> NDArray[np.bool_]:
        """<bool>[filter], whether a filter that is alive is above zero nearly everywhere."""
        return self.alive & ~self.negative & (1 - self.zero_fraction >= ALWAYS_ON)

    @cached_property
    def values(self) -> FilterValues:
        """The range of each filter's values, and how many are not finite."""
        ends = np.fmin.reduce(self.low), np.fmax.reduce(self.high)
        return FilterValues(*ends, self.n_finite, self.n_nonfinite)

    @cached_property
    def is_above_zero(self) -> bool:
        """Whether the layer's activations are above zero by nature, as those of a sigmoid.

        Where the activation function is not known, they are if all filters that are alive are on.
        """
        name = self.activation.replace("_", "").lower()
        if name in (*POSITIVE.split(), *NOT_POSITIVE.split()):
            return name in POSITIVE.split()
        return bool(self.on[self.alive].all())


@dataclass(frozen=True, slots=True)
class Detail:
    """A finding in one filter, in words.

    Attributes:
        text: in full, where there is room: `dead for classes 3, 4, 7 and 2 more`.
        short: for a cell of a table: `dead for 5 classes`.
        aside: what follows the filter's index in a list of filters, such as `as 5`; may be empty.
        other: the filter that it is about beside this one; None for none.
    """

    text: str
    short: str
    aside: str = ""
    other: int | None = None


@dataclass(frozen=True, slots=True)
class HealthRule:
    """One thing that can be wrong with a filter.

    Attributes:
        name: its name in Python, in JSON and for `--fail-on`.
        words: its name for people, which completes "the filter is".
        definition: when a filter has it.
        flags: computes which filters have it, <bool>[filter].
        is_grave: whether it is more than worth knowing.
        detail: puts it in words for a filter that has it, from the layer's health, the filter's
            index and the names of the classes; None where `words` say all.
    """

    name: str
    words: str
    definition: str
    flags: Callable[[HealthInputs], NDArray[np.bool_]]
    is_grave: bool = True
    detail: Callable[[LayerHealth, int, Sequence[str]], Detail] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LayerHealth:
    """The findings of one layer.

    Attributes:
        findings: for each of `HEALTH_RULES` by name, <bool>[filter], which filters have it.
        dead_classes: <bool>[class, filter], whether the filter is dead for the class.
        duplicate_of: <int64>[filter], the earlier filter that it repeats; -1 for none.
        values: the range of each filter's values, and how many are not finite.
        has_function: whether the layer has an activation function, as far as is known.
    """

    findings: dict[str, NDArray[np.bool_]]
    dead_classes: NDArray[np.bool_]
    duplicate_of: NDArray[np.int64]
    values: FilterValues
    has_function: bool = True

    @property
    def n_filters(self) -> int:
        """The number of filters."""
        return len(self.duplicate_of)

    def share(self, finding: str) -> float:
        """The share of the layer's filters that have a finding."""
        return float(self.findings[finding].mean())

    def filters_of(self, finding: str) -> list[int]:
        """The indices of the filters that have a finding."""
        return [int(index) for index in np.flatnonzero(self.findings[finding])]

    def words(self, finding: str) -> str:
        """A finding of some filters of the layer, in words."""
        may_be_harmless = finding == "dead" and not self.has_function
        return f"{HEALTH_RULES[finding].words}{f', {HARMLESS}' if may_be_harmless else ''}"

    def detail(self, finding: str, filter_index: int, class_names: Sequence[str]) -> Detail:
        """A finding of a filter that has it, in words."""
        rule = HEALTH_RULES[finding]
        if rule.detail is None:
            return Detail(rule.words, rule.words)
        return rule.detail(self, filter_index, class_names)

    def as_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """All findings with the indices of the filters, for programs."""
        pairs = np.argwhere(self.dead_classes.T).tolist()
        duplicates = np.flatnonzero(self.duplicate_of >= 0).tolist()
        return {
            "filters": self.n_filters,
            "findings": {
                finding: {"filters": self.filters_of(finding), "share": self.share(finding)}
                for finding in self.findings
            },
            "dead_for_class": [
                {"filter": index, "class": class_names[label]} for index, label in pairs
            ],
            "duplicate_of": {str(index): int(self.duplicate_of[index]) for index in duplicates},
        }


def dead_filters(
    low: NDArray[np.float64], high: NDArray[np.float64], n_nonfinite: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Computes which filters have only finite activations, all the same: <bool>[filter].

    After a ReLU these are the filters that are never above zero, and those that a bias keeps at
    one value. A filter of a linear layer that varies below zero is not dead.

    Args:
        low: <float64>[class, filter], the smallest finite activation; NaN, or anything above
            `high`, where there is none.
        high: <float64>[class, filter], the largest finite activation; NaN, or anything below `low`,
            where there is none.
        n_nonfinite: <int64>[class, filter], the number of NaN and infinite activations.
    """
    is_constant = np.fmin.reduce(low, axis=0) == np.fmax.reduce(high, axis=0)
    return np.asarray(is_constant & ~(n_nonfinite > 0).any(axis=0))


def _dead(layer: HealthInputs) -> NDArray[np.bool_]:
    return layer.dead


def _dead_detail(health: LayerHealth, filter_index: int, _: Sequence[str]) -> Detail:
    value = health.values.low[filter_index]
    words = [f"always {number_text(value)}"] if value else []
    words += [] if health.has_function else [HARMLESS]
    if not words:
        return Detail("dead", "dead")
    aside = ", ".join(words)
    return Detail(f"dead: {aside}", f"dead, {aside}", f"({aside})")


def _nearly_dead(layer: HealthInputs) -> NDArray[np.bool_]:
    # Who is active in few samples has few values that are not zero: mostly nobody is, and then no
    # table is read.
    suspects = np.flatnonzero(layer.alive & (layer.zero_fraction > 1 - 2 * NEARLY_DEAD))
    flags = np.zeros(len(layer.zero_fraction), np.bool_)
    if len(suspects):
        map_zeros, map_max = layer.map_zeros[...][:, suspects], layer.map_max[...][:, suspects]
        # A share of zeros is rounded to one where maps are huge; then the largest value tells.
        n_active = ((map_zeros < 1) | (map_max != 0)).sum(axis=0)
        flags[suspects] = n_active < NEARLY_DEAD * int(layer.n_samples.sum())
    return flags


def _dead_for_class(layer: HealthInputs) -> NDArray[np.bool_]:
    return np.asarray(layer.dead_classes.any(axis=0))


def _dead_for_class_detail(
    health: LayerHealth, filter_index: int, class_names: Sequence[str]
) -> Detail:
    labels = np.flatnonzero(health.dead_classes[:, filter_index]).tolist()
    plural = "" if len(labels) == 1 else "es"
    names = ", ".join(class_names[label] for label in labels[:MOST_NAMED])
    if len(labels) > MOST_NAMED:
        names += f" and {len(labels) - MOST_NAMED} more"
    return Detail(
        f"dead for class{plural} {names}", f"dead for {len(labels)} class{plural}", f"({names})"
    )


def _always_on(layer: HealthInputs) -> NDArray[np.bool_]:
    return layer.on & (not layer.is_above_zero)


def _never_positive(layer: HealthInputs) -> NDArray[np.bool_]:
    # Where no filter of the layer is ever above zero, that is its nature, as of a logarithm.
    return layer.alive & ~layer.positive & bool(layer.positive.any())


def _duplicate(layer: HealthInputs) -> NDArray[np.bool_]:
    return np.asarray(layer.duplicate_of >= 0)


def _duplicate_detail(health: LayerHealth, filter_index: int, _: Sequence[str]) -> Detail:
    other = int(health.duplicate_of[filter_index])
    return Detail(f"duplicate of filter {other}", f"duplicate of {other}", f"as {other}", other)


def _nonfinite(layer: HealthInputs) -> NDArray[np.bool_]:
    return layer.nonfinite


def _nonfinite_detail(health: LayerHealth, filter_index: int, class_names: Sequence[str]) -> Detail:
    words = health.values.nonfinite_words(filter_index, class_names)
    return Detail(f"non-finite: {words}", f"non-finite, {words}", f"({words})")


# In the order in which people read them.
HEALTH_RULES: dict[str, HealthRule] = {
    rule.name: rule
    for rule in (
        HealthRule(
            "dead",
            "dead",
            "every activation of the whole test set is the same: after a ReLU, none is above zero; "
            f"in a layer without an activation function it {HARMLESS}, as a bias to what follows",
            _dead,
            detail=_dead_detail,
        ),
        HealthRule(
            "nearly_dead",
            "nearly dead",
            f"not dead, but under {share_text(NEARLY_DEAD)} of samples have activations other than "
            "zero",
            _nearly_dead,
        ),
        HealthRule(
            "dead_for_class",
            "dead for a class",
            "not dead, but for at least one class every activation is zero",
            _dead_for_class,
            is_grave=False,
            detail=_dead_for_class_detail,
        ),
        HealthRule(
            "never_positive",
            "never positive",
            "its activations vary, but none is above zero, while some of other filters are: a ReLU "
            "behind it would put out zeros only, a normalization may still use it",
            _never_positive,
            is_grave=False,
        ),
        HealthRule(
            "always_on",
            "always on",
            f"no activation is below zero, and at least {share_text(ALWAYS_ON)} are above zero, in "
            "a layer whose activation function, such as a sigmoid, does not make all of them so",
            _always_on,
            is_grave=False,
        ),
        HealthRule(
            "duplicate",
            "duplicate",
            f"over all pixels of all samples, it has a correlation above {DUPLICATE} with an "
            "earlier filter",
            _duplicate,
            detail=_duplicate_detail,
        ),
        HealthRule(
            "nonfinite",
            "non-finite",
            "at least one activation is NaN or infinite",
            _nonfinite,
            detail=_nonfinite_detail,
        ),
    )
}


def layer_health(layer: HealthInputs) -> LayerHealth:
    """Checks every filter of a layer by all `HEALTH_RULES`."""
    findings = {name: rule.flags(layer) for name, rule in HEALTH_RULES.items()}
    has_function = layer.activation.lower() != NO_FUNCTION
    return LayerHealth(findings, layer.dead_classes, layer.duplicate_of, layer.values, has_function)


def tally(layers: Iterable[LayerHealth]) -> dict[str, int]:
    """The number of filters of some layers that have each finding, by its name, and `HARMLESS`.

    The latter are those of the dead that may be harmless.
    """
    health = list(layers)
    counts = {name: sum(len(layer.filters_of(name)) for layer in health) for name in HEALTH_RULES}
    harmless = (len(layer.filters_of("dead")) for layer in health if not layer.has_function)
    return counts | {HARMLESS: sum(harmless)}


def tally_words(counts: dict[str, int], n_filters: int) -> str:
    """What is grave of a `tally`: `3 of 48 filters dead (1 may be harmless), 2 duplicate`."""
    grave = [rule for rule in HEALTH_RULES.values() if rule.is_grave]
    present = [(counts[rule.name], rule.words) for rule in grave if counts[rule.name]]
    if not present:
        return f"nothing found in {n_filters:,} filters"
    words = [f"{n:,} {name}" for n, name in present]
    words[0] = f"{present[0][0]:,} of {n_filters:,} filters {present[0][1]}"
    if counts[HARMLESS]:  # dead ones come first
        words[0] += f" ({counts[HARMLESS]:,} {HARMLESS})"
    return ", ".join(words)
