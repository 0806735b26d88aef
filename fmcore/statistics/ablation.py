"""What a model loses without a filter: paired changes of its answers, with intervals and p.

A *cost* is positive where the model is worse without the filter. Every sample is answered twice, by
the whole model and without the filter, so all intervals and tests are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.selection import near_matches
from fmcore.statistics.proportions import proportion

# A cost counts as apart from zero where q is below it.
COST_LEVEL = 0.05
# Keras keeps probabilities this far from zero before it takes their logarithm.
LEAST_PROBABILITY = 1e-7
_CONFIDENCE = 0.95
# How the names of random orders begin, in which filters of a curve go.
RANDOM_ORDER = "random"
# An output that moves by less than rounding does, relative to its size, has not moved.
OUTPUT_RESOLUTION = 1e-5


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about filters that only an ablation gives.

    Attributes:
        name: its name in JSON and for `--fail-on`.
        words: its name for people, which completes "the filter is".
        definition: when a filter has it.
    """

    name: str
    words: str
    definition: str


NO_EFFECT = Finding(
    "no_effect",
    "without effect",
    "measured by `fmcore ablate`: of no sample does the model's answer change without the filter; "
    "of a model that predicts no class, the output moves by no more than rounding",
)


class Replacement(StrEnum):
    """What takes the place of a filter's output."""

    ZERO = "zero"
    MEAN = "mean"
    RESAMPLE = "resample"


def replacement_named(name: str) -> Replacement:
    """The replacement of a name.

    Raises:
        SelectionError: if there is none.
    """
    if name not in tuple(Replacement):
        raise SelectionError(
            f"a filter is replaced by {', '.join(Replacement)}; found {name!r}"
            f"{near_matches(name, tuple(Replacement))}",
            field="by",
        )
    return Replacement(name)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Mean changes with both ends of a 95 % interval; NaN where there are too few samples.

    Attributes:
        value: <float64>[...], the mean.
        low: <float64>[...].
        high: <float64>[...].
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def row(self, index: int) -> Change:
        """One row of arrays with several axes."""
        return Change(self.value[index], self.low[index], self.high[index])


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """How right a model is while filters of a layer, or of all, go one after the other.

    Attributes:
        orders: the name of each order in which filters go: `cost`, signs such as `apoz`, and
            `random 0`, `random 1` and so on.
        ranks: <int32>[order, filter], the filters in that order, the first to go first; those of
            all layers are counted through, layer by layer.
        steps: <int64>[step], how many are gone.
        quality: <float64>[order, step], the accuracy; of a model without classes the relative
            error of its output.
        samples: <int64>[sample], the index in the store of each sample that was answered.
    """

    orders: tuple[str, ...]
    ranks: NDArray[np.int32]
    steps: NDArray[np.int64]
    quality: NDArray[np.float64]
    samples: NDArray[np.int64]

    @property
    def n_samples(self) -> int:
        """The number of samples of each point."""
        return len(self.samples)

    @property
    def n_random(self) -> int:
        """The number of random orders."""
        return len(self.orders) - len(self.named_orders)

    @property
    def named_orders(self) -> tuple[str, ...]:
        """The orders that are not random."""
        return tuple(name for name in self.orders if not name.startswith(RANDOM_ORDER))

    def order_quality(self, order: str) -> NDArray[np.float64]:
        """The quality while filters go in an order, <float64>[step]."""
        return self.quality[self.orders.index(order)]

    def random_band(self) -> NDArray[np.float64]:
        """The least, the mean and the largest of the random orders, <float64>[3, step]."""
        rows = [place for place, name in enumerate(self.orders) if name.startswith(RANDOM_ORDER)]
        quality = self.quality[rows]
        return np.stack([quality.min(axis=0), quality.mean(axis=0), quality.max(axis=0)])


@dataclass(frozen=True, slots=True, eq=False)
class AnswerSums:
    """What is summed over samples of each class, filter by filter; `costs` makes costs of it.

    Of a model that predicts one class, `n_lost` to `loss_m2`; of others, zeros there.

    Attributes:
        n: <int64>[class], samples.
        n_right: <int64>[class], samples that the whole model has right.
        n_lost: <int64>[class, filter], right with the filter and wrong without it.
        n_gained: <int64>[class, filter], wrong with it and right without.
        n_changed: <int64>[class, filter], another answer without it.
        probability_mean: <float64>[class, filter], by how much the probability of the class that
            counts, the true one, falls.
        probability_m2: <float64>[class, filter], squared distances from that mean, summed.
        loss_mean: <float64>[class, filter], by how much the cross-entropy rises.
        loss_m2: <float64>[class, filter], squared distances from that mean, summed.
        moved: <float64>[class, filter], squared distances of the outputs with and without it.
        size: <float64>[class], squared outputs of the whole model.
    """

    n: NDArray[np.int64]
    n_right: NDArray[np.int64]
    n_lost: NDArray[np.int64]
    n_gained: NDArray[np.int64]
    n_changed: NDArray[np.int64]
    probability_mean: NDArray[np.float64]
    probability_m2: NDArray[np.float64]
    loss_mean: NDArray[np.float64]
    loss_m2: NDArray[np.float64]
    moved: NDArray[np.float64]
    size: NDArray[np.float64]

    @classmethod
    def side_by_side(cls, parts: Sequence[Self]) -> Self:
        """The sums of several filters as those of all, in order; of the same samples."""
        arrays = {}
        for field in fields(cls):
            values = [getattr(part, field.name) for part in parts]
            arrays[field.name] = (
                values[0] if values[0].ndim == 1 else np.concatenate(values, axis=1)
            )
        return cls(**arrays)

    def together(self) -> AnswerSums:
        """Sums over all classes, as those of a single class: <...>[1, filter]."""
        weights = self.n[:, np.newaxis]
        parts = {}
        for name in ("probability", "loss"):
            means, m2 = getattr(self, f"{name}_mean"), getattr(self, f"{name}_m2")
            mean = (weights * means).sum(axis=0, keepdims=True) / max(1, int(self.n.sum()))
            parts[f"{name}_mean"] = mean
            # Chan, Golub and LeVeque 1983.
            total = (m2 + weights * (means - mean) ** 2).sum(axis=0, keepdims=True)
            parts[f"{name}_m2"] = total
        names = ("n", "n_right", "n_lost", "n_gained", "n_changed", "moved", "size")
        parts |= {name: getattr(self, name).sum(axis=0, keepdims=True) for name in names}
        return AnswerSums(**parts)


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """What the model loses without each filter; axes [filter], or [class, filter] by class.

    Attributes:
        n: <int64>[...], samples.
        n_lost: <int64>[...], answers that are right with the filter and wrong without it.
        n_gained: <int64>[...], answers that are wrong with it and right without.
        n_changed: <int64>[...], answers that are another without it.
        accuracy: by how much the accuracy falls; its interval is Newcombe's for paired shares.
        p: <float64>[...], exact McNemar test, two-sided, that as many are lost as gained.
        q: <float64>[...], p after Holm over all values of the array.
        probability: by how much the probability of the true class falls.
        loss: by how much the cross-entropy rises.
        output: <float64>[...], how far the outputs move, relative to their size: the root of the
            sum of squared distances over that of squared outputs.
    """

    n: NDArray[np.int64]
    n_lost: NDArray[np.int64]
    n_gained: NDArray[np.int64]
    n_changed: NDArray[np.int64]
    accuracy: Change
    p: NDArray[np.float64]
    q: NDArray[np.float64]
    probability: Change
    loss: Change
    output: NDArray[np.float64]

    def row(self, index: int) -> Costs:
        """One row of arrays with the axes [class, filter], as arrays [filter]."""
        changes = ("accuracy", "probability", "loss")
        parts = {name: getattr(self, name).row(index) for name in changes}
        names = (field.name for field in fields(self) if field.name not in changes)
        return Costs(**parts, **{name: getattr(self, name)[index] for name in names})

    def without_move(self) -> NDArray[np.bool_]:
        """<bool>[...], whether the output moves by no more than rounding."""
        return np.asarray(~(self.output > OUTPUT_RESOLUTION))

    def order(self) -> NDArray[np.int64]:
        """Filters by cost, the least first, <int64>[filter]; of an array of filters alone.

        By accuracy, then by loss, and by how far the output moves; equal ones by index.
        """
        return joint_order([self])


def joint_order(layers: Sequence[Costs]) -> NDArray[np.int64]:
    """Filters of several layers by cost, as `Costs.order` has them, <int64>[filter].

    Args:
        layers: costs of the filters of each layer, through which filters are counted.
    """
    keys = [(layer.output, layer.loss.value, layer.accuracy.value) for layer in layers]
    return np.lexsort([np.nan_to_num(np.concatenate(key)) for key in zip(*keys, strict=True)])


def answer_sums(
    labels: NDArray[np.int64],
    whole: tuple[NDArray[np.int64], NDArray[np.float64]],
    without: tuple[NDArray[np.int64], NDArray[np.float64]],
    *,
    n_classes: int,
) -> AnswerSums:
    """Sums the changes of predicted classes.

    Args:
        labels: <int64>[sample], the class that counts: the true one where it is known.
        whole: <int64>[sample] predictions of the whole model, and <float64>[sample], the
            probability that it gives to the class that counts.
        without: <int64>[filter, sample] and <float64>[filter, sample], without each filter.
        n_classes: the number of classes.
    """
    answers, probability = whole
    is_right, right_without = answers == labels, without[0] == labels
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(n_classes + 1))
    flags = {
        "n_lost": is_right & ~right_without,
        "n_gained": ~is_right & right_without,
        "n_changed": without[0] != answers,
    }
    falls = {
        "probability": probability - without[1],
        "loss": _loss(without[1]) - _loss(probability),
    }
    sums = _zero_sums(np.diff(bounds), len(without[0]))
    counts = {"n_lost": sums.n_lost, "n_gained": sums.n_gained, "n_changed": sums.n_changed}
    moments = {
        "probability": (sums.probability_mean, sums.probability_m2),
        "loss": (sums.loss_mean, sums.loss_m2),
    }
    for label in range(n_classes):
        rows = order[bounds[label] : bounds[label + 1]]
        if not len(rows):
            continue
        sums.n_right[label] = is_right[rows].sum()
        for name, flag in flags.items():
            counts[name][label] = flag[:, rows].sum(axis=1)
        for name, fall in falls.items():
            part = np.ascontiguousarray(fall[:, rows])
            mean = part.mean(axis=1)
            moments[name][0][label] = mean
            moments[name][1][label] = ((part - mean[:, np.newaxis]) ** 2).sum(axis=1)
    return sums


def output_sums(
    labels: NDArray[np.int64],
    size: NDArray[np.float64],
    moved: NDArray[np.float64],
    *,
    n_classes: int,
) -> AnswerSums:
    """Sums how far outputs move that are no class.

    Args:
        labels: <int64>[sample], the class of each sample.
        size: <float64>[sample], squared outputs of the whole model, summed.
        moved: <float64>[filter, sample], squared distances without each filter, summed.
        n_classes: the number of classes.
    """
    sums = _zero_sums(np.bincount(labels, minlength=n_classes), len(moved))
    for index, row in enumerate(moved):
        sums.moved[:, index] = np.bincount(labels, weights=row, minlength=n_classes)
    sums.size[:] = np.bincount(labels, weights=size, minlength=n_classes)
    return sums


def _zero_sums(n: NDArray[np.int64], n_filters: int) -> AnswerSums:
    """Sums to fill, of samples of each class."""
    shape, classes = (len(n), n_filters), len(n)
    return AnswerSums(
        n=n,
        n_right=np.zeros(classes, np.int64),
        n_lost=np.zeros(shape, np.int64),
        n_gained=np.zeros(shape, np.int64),
        n_changed=np.zeros(shape, np.int64),
        probability_mean=np.zeros(shape),
        probability_m2=np.zeros(shape),
        loss_mean=np.zeros(shape),
        loss_m2=np.zeros(shape),
        moved=np.zeros(shape),
        size=np.zeros(classes),
    )


def costs(sums: AnswerSums) -> Costs:
    """What each filter costs in each class; the axes are those of the sums."""
    n = np.broadcast_to(sums.n[:, np.newaxis], sums.n_lost.shape)
    n_right = np.broadcast_to(sums.n_right[:, np.newaxis], sums.n_lost.shape)
    p = mcnemar_p(sums.n_lost, sums.n_gained)
    size = np.broadcast_to(sums.size[:, np.newaxis], sums.moved.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        output = np.where(size > 0, np.sqrt(sums.moved / size), np.nan)
    return Costs(
        n=n,
        n_lost=sums.n_lost,
        n_gained=sums.n_gained,
        n_changed=sums.n_changed,
        accuracy=newcombe(n, n_right, sums.n_lost, sums.n_gained),
        p=p,
        q=holm(p),
        probability=mean_change(n, sums.probability_mean, sums.probability_m2),
        loss=mean_change(n, sums.loss_mean, sums.loss_m2),
        output=output,
    )


def mcnemar_p(n_lost: NDArray[np.int64], n_gained: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exact two-sided p that as many answers are lost as gained.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions
    or percentages", Psychometrika 12 (1947), with the binomial law in place of chi-squared.
    """
    from scipy.special import bdtr  # takes longer to import than all else

    fewer, total = np.minimum(n_lost, n_gained), n_lost + n_gained
    return np.minimum(1.0, 2 * bdtr(fewer.astype(np.float64), total, 0.5))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P after Holm: the chance that any of all values below is by chance is at most this.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
    of Statistics 6 (1979).
    """
    flat = p.reshape(-1)
    order = np.argsort(flat, kind="stable")
    factors = np.arange(len(flat), 0, -1)
    adjusted = np.minimum(1.0, np.maximum.accumulate(flat[order] * factors))
    q = np.empty(len(flat))
    q[order] = adjusted
    return q.reshape(p.shape)


def newcombe(
    n: NDArray[np.int64],
    n_right: NDArray[np.int64],
    n_lost: NDArray[np.int64],
    n_gained: NDArray[np.int64],
) -> Change:
    """By how much a share falls, of the same samples, with Newcombe's interval for paired shares.

    Args:
        n: <int64>[...], samples.
        n_right: <int64>[...], right before.
        n_lost: <int64>[...], right before and wrong after.
        n_gained: <int64>[...], wrong before and right after.

    Source: R. G. Newcombe, "Improved confidence intervals for the difference between binomial
    proportions based on paired data", Statistics in Medicine 17 (1998), method 10.
    """
    counts = [np.asarray(count, np.float64) for count in (n, n_right, n_lost, n_gained)]
    total, right, lost, gained = counts
    both, neither = right - lost, total - right - gained
    before, after = proportion(n_right, n), proportion(n_right - n_lost + n_gained, n)
    product = both * neither - lost * gained
    corrected = np.where(product > 0, np.maximum(product - total / 2, 0), product)
    margins = right * (total - right) * (both + gained) * (lost + neither)
    with np.errstate(divide="ignore", invalid="ignore"):
        phi = np.where(margins > 0, corrected / np.sqrt(margins), 0)
        fall = np.where(total > 0, (lost - gained) / total, np.nan)

    def distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        square = first**2 - 2 * phi * first * second + second**2
        return np.sqrt(np.maximum(square, 0))

    return Change(
        fall,
        fall - distance(before.value - before.low, after.high - after.value),
        fall + distance(before.high - before.value, after.value - after.low),
    )


def mean_change(n: NDArray[np.int64], mean: NDArray[np.float64], m2: NDArray[np.float64]) -> Change:
    """Means with Student's 95 % interval.

    Args:
        n: <int64>[...], samples.
        mean: <float64>[...], their mean.
        m2: <float64>[...], the sum of squared distances from it.
    """
    from scipy.special import stdtrit

    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(m2 / (n - 1) / n)
        half = stdtrit(np.asarray(n, np.float64) - 1, (1 + _CONFIDENCE) / 2) * error
    half = np.where(n > 1, half, np.nan)
    value = np.where(n > 0, mean, np.nan)
    return Change(value, value - half, value + half)


def _loss(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cross-entropy of one sample, in nats."""
    return -np.log(np.maximum(probability, LEAST_PROBABILITY))
