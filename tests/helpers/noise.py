"""Noise that knows nothing of any class, and how many of its scores lie outside their chance band.

Every kind of distribution and every way to split samples into classes has parameters of its own in
each draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fmcore.statistics import STATISTICS, Filters, LabelGroups, Permutations
from fmcore.statistics.compute import compute_label_scores, compute_number_scores, score_layers

# Scores whose null distribution has no steps, where a class has so many samples.
CONTINUOUS, LEAST = ("normal", "heavy", "bimodal"), 10
# Classes are counted together with those of about as many samples: from each of these on.
SIZES = (1, 2, 6, 10, 30, 100, 300)


def _normal(rng, shape):
    values = rng.normal(size=shape)
    return values - values.min(axis=0) + rng.choice([0, 1, 1000])


def _heavy(rng, shape):
    match rng.integers(3):
        case 0:
            return np.exp(rng.uniform(1, 4) * rng.normal(size=shape))
        case 1:
            return np.minimum(np.abs(rng.standard_cauchy(shape)), 1e30)
        case _:
            return np.minimum(rng.pareto(rng.uniform(0.2, 2), shape), 1e30)


def _sparse(rng, shape):
    zeros = 1 - np.exp(rng.uniform(np.log(0.001), np.log(0.1)))
    active = np.exp(rng.uniform(0, 2) * rng.normal(size=shape))
    return np.where(rng.random(shape) < zeros, 0, active)


def _tied(rng, shape):
    match rng.integers(3):
        case 0:
            return rng.integers(0, rng.integers(2, 20), size=shape)
        case 1:
            return rng.poisson(rng.uniform(0.1, 5), shape)
        case _:
            return np.minimum(rng.exponential(size=shape), rng.uniform(0.2, 2))  # saturated


def _bimodal(rng, shape):
    upper = rng.random(shape) < rng.uniform(0.02, 0.5)
    return 5 + upper * rng.uniform(3, 50) + rng.uniform(0.01, 1) * rng.uniform(-1, 1, shape)


def _outliers(rng, shape):
    values = np.full(shape, rng.choice([0.0, 1.0, 7.5]))
    some = rng.integers(1, 6)
    for column in values.T:
        column[rng.choice(shape[0], some)] += np.exp(rng.uniform(0, 20, some))
    return values


KINDS: dict[str, Callable] = {
    "normal": _normal,
    "heavy": _heavy,
    "sparse": _sparse,
    "tied": _tied,
    "bimodal": _bimodal,
    "outliers": _outliers,
}


def _even(rng, n):
    return np.arange(n) % rng.integers(2, max(3, min(12, n // 4)))


def _unequal(rng, n):
    weights = rng.dirichlet(np.full(rng.integers(2, 12), rng.uniform(0.3, 2)))
    return rng.choice(len(weights), size=n, p=weights)


def _rare(rng, n):
    labels = 1 + np.arange(n) % rng.integers(1, 5)
    labels[: rng.integers(1, 6)] = 0
    return labels


def _many(rng, n):
    return rng.integers(0, max(2, int(n * rng.uniform(0.2, 1))), size=n)


SPLITS: dict[str, Callable] = {
    "even": _even,
    "unequal": _unequal,
    "rare": _rare,
    "many": _many,
}


@dataclass(frozen=True, slots=True)
class Outside:
    """How many scores of noise lie outside their band.

    Attributes:
        score: the name of the score.
        cell: which noise and which classes.
        n: the smallest number of samples of a class it is about, or of all.
        share: from 0 to 1; of how many is in `draws`.
        draws: the scores that are defined.
        continuous: whether the null distribution has no steps.
    """

    score: str
    cell: str
    n: int
    share: float
    draws: int
    continuous: bool


def outside_of_classes(
    kind: str, split: str, n: int, draws: int, *, seed: object
) -> Iterator[Outside]:
    """Scores of classes and of filters."""
    rng = np.random.default_rng(seed)
    labels = np.unique(rng.permutation(SPLITS[split](rng, n)), return_inverse=True)[1]
    tables = _tables(rng, kind, n, draws // 2)
    groups = LabelGroups(labels.astype(np.int64), labels.max() + 1)
    permutations = Permutations(groups)
    permutations.prepare()
    with ThreadPoolExecutor(2) as threads:
        (arrays,) = score_layers([tables], permutations, threads)
    sizes = groups.sizes
    buckets = np.digitize(sizes, SIZES)
    cell = f"{kind}, {split}, {n} samples"
    for family in dict.fromkeys(one.family for one in STATISTICS.values() if one.pooling):
        if f"{family}_mean_chance" not in arrays:
            continue
        if "class" not in STATISTICS[f"{family}_mean"].axes:
            large, spread = n >= 10 * LEAST, sizes.min() >= LEAST
            # Small tables of bins and classes are few.
            smooth = kind in CONTINUOUS and (
                large and spread if family == "mi" else large or spread
            )
            yield _outside(family, f"{cell}, {len(sizes)} classes", n, arrays, (), smooth)
            continue
        for bucket in np.unique(buckets):
            of = np.flatnonzero(buckets == bucket)
            least = min(sizes[of].min(), n - sizes[of].max())
            words = f"{cell}, classes of {sizes[of].min()} to {sizes[of].max()}"
            yield _outside(
                family,
                words,
                int(sizes[of].min()),
                arrays,
                (of,),
                kind in CONTINUOUS and least >= LEAST,
            )


def outside_of_targets(kind: str, n: int, draws: int, *, seed: object) -> Iterator[Outside]:
    """Scores of labels that are frequent and rare, and of numbers of another kind of noise."""
    rng = np.random.default_rng(seed)
    tables = _tables(rng, kind, n, draws // 2)
    few, half = rng.integers(1, 6), n // 2
    labels = np.stack([rng.permutation(np.arange(n) < many) for many in (few, half)], axis=1)
    other = str(rng.choice(list(KINDS)))
    numbers = KINDS[other](rng, (n, 1))
    with ThreadPoolExecutor(2) as threads:
        (of_labels,) = compute_label_scores([tables], labels, threads)
        (of_numbers,) = compute_number_scores([tables], numbers, threads)
    for family in ("label_auc", "label_ap", "label_dprime"):
        for index, many in enumerate((few, half)):
            words = f"{kind}, {many} of {n} samples have the label"
            smooth = kind in CONTINUOUS and min(many, n - many) >= LEAST
            yield _outside(family, words, int(many), of_labels, (index,), smooth)
    for family in ("pearson", "spearman"):
        smooth = kind in CONTINUOUS and other in CONTINUOUS and n >= LEAST
        yield _outside(family, f"{kind} against {other}, {n} samples", n, of_numbers, (0,), smooth)


class _Tables:
    def __init__(self, tables: dict) -> None:
        self._tables = tables

    def columns(self, name, filters):
        return self._tables[name][:, filters]


def _tables(rng, kind: str, n: int, n_filters: int) -> tuple[Filters, _Tables]:
    shape = n, n_filters
    tables = {name: KINDS[kind](rng, shape).astype(np.float32) for name in ("mean", "max")}
    tables |= {name: np.zeros(shape, np.int32) for name in ("max_y", "max_x")}
    return Filters(np.zeros(n_filters, bool), np.ones(n_filters, bool)), _Tables(tables)


def _outside(family, cell, n, arrays, rows, continuous) -> Outside:
    outside, defined = [], []
    for pooling in ("mean", "max"):
        score = arrays[f"{family}_{pooling}"][rows]
        low, high = arrays[f"{family}_{pooling}_chance"][(slice(None), *rows)]
        there = ~np.isnan(score)
        assert not np.isnan(low[there] + high[there]).any() or np.isinf(low[there]).any()
        outside.append(((score < low) | (score > high))[there])
        defined.append(there.sum())
    share = float(np.concatenate([part.ravel() for part in outside]).mean()) if sum(defined) else 0
    return Outside(family, cell, n, share, int(sum(defined)), continuous)
