"""How many of a filter's values over the test set are smaller than a value: at least that share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import dead_filters
from fmcore.storage import Layer

# Samples' largest values that are kept of each filter where there are no histograms.
MOST_KNOTS = 512
# A pooled table that is larger is not read for this.
TABLE_BYTES = 64 << 20
# Counts of histograms that are in memory at the same time.
BLOCK_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """The distribution of each filter's values, as far as a store holds it.

    From histograms, `edges` are the smallest values of their bins, the same for all filters, and
    what lies in the bin of a value is not counted as smaller. From pooled tables, they are the
    largest values of samples: all values of a sample whose largest is smaller are smaller, and of
    the others, for a value above zero, all zeros are.

    Attributes:
        edges: ascending, <float32>[1 or filter, knot].
        smaller: share of values below a value with so many edges below it, <float32>[filter, n].
        smaller_than_zero: `smaller` for values that are not above zero; None where it is the same.
        low: the smallest finite value of each filter, <float64>[filter].
        high: the largest one.
        is_alive: whether a filter has a distribution to compare with: it is neither dead nor
            constant, <bool>[filter].
        words: how exact the shares are.
    """

    edges: NDArray[np.float32]
    smaller: NDArray[np.float32]
    smaller_than_zero: NDArray[np.float32] | None
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    is_alive: NDArray[np.bool_]
    words: str

    def below(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """At least which share of each filter's values is smaller than one value of it.

        Args:
            values: one for each filter, <float32>[filter]; what is not finite has no share.

        Returns:
            <float64>[filter], from 0 to 1; NaN for filters that are dead or constant, and for
            values that are not finite.
        """
        filters = np.arange(len(values))
        if self.smaller_than_zero is None:
            counts = np.searchsorted(self.edges[0], values, side="right")
        else:
            counts = (self.edges < values[:, np.newaxis]).sum(axis=1)
        share = self.smaller[filters, counts].astype(np.float64)
        if self.smaller_than_zero is not None:
            share = np.where(values > 0, share, self.smaller_than_zero[filters, counts])
        return np.where(self.is_alive & np.isfinite(values), share, np.nan)


def shares_of(layer: Layer) -> Shares:
    """The distribution of the values of a layer's filters: histograms, or else pooled tables.

    Raises:
        StatisticNotFoundError: if the store has neither, or tables too large to be read for this.
    """
    try:
        return _of_histograms(layer)
    except StatisticNotFoundError:
        return _of_tables(layer)


def _of_histograms(layer: Layer) -> Shares:
    stored, bounds = layer.histogram()
    n_classes, n_filters, n_bins = stored.shape
    smaller = np.zeros((n_filters, n_bins + 1), np.float32)
    step = max(1, BLOCK_BYTES // (8 * n_classes * n_bins))
    for first in range(0, n_filters, step):
        block = range(first, min(first + step, n_filters))
        counts = stored.outer((range(n_classes), block, range(n_bins))).sum(axis=0)
        n_values = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        # Rounded down: a share is never more than it is.
        before = np.cumsum(counts, axis=1)[:, :-1] / n_values
        smaller[block.start : block.stop, 2:] = _rounded_down(before)
    words = (
        "Shares are from the stored histograms, and at least what is said: values in the same bin "
        f"are not counted ({layer.bin_words.split(';')[0]})."
    )
    low, high, is_alive = _ranges(layer)
    return Shares(bounds[...][:1], smaller, None, low, high, is_alive, words)


def _of_tables(layer: Layer) -> Shares:
    table = layer.pooled("max")
    n_samples, n_filters = table.shape
    if 4 * n_samples * n_filters > TABLE_BYTES:
        raise StatisticNotFoundError(
            f"the store keeps no histograms of layer {layer.path}: {layer.bin_words}; and the "
            f"largest values of its {n_samples:,} samples are too many to be read for this"
        )
    largest, zeros = table[...], layer.pooled("zero_fraction")[...]
    order = np.argsort(largest, axis=0, kind="stable")
    largest = np.take_along_axis(largest, order, axis=0)
    zeros = np.take_along_axis(zeros, order, axis=0).astype(np.float64)
    knots = np.unique(np.linspace(0, n_samples - 1, min(n_samples, MOST_KNOTS)).astype(np.int64))
    counts = np.concatenate([[0], knots + 1])
    # Zeros of the samples that are not among the first so many.
    rest = np.zeros((n_samples + 1, n_filters))
    rest[:-1] = np.cumsum(zeros[::-1], axis=0)[::-1]
    smaller = _rounded_down((counts[:, np.newaxis] + rest[counts]).T / n_samples)
    not_above = np.broadcast_to(_rounded_down(counts / n_samples), smaller.shape)
    low, high, is_alive = _ranges(layer)
    # Samples then have fewer values than others, and do not count alike.
    is_whole = layer.statistic("n_nonfinite").sum(axis=0) == 0
    words = (
        "The store keeps no histograms of this layer; shares are from the largest value and the "
        "zeros of each sample, and at least what is said."
    )
    edges = np.ascontiguousarray(largest[knots].T, np.float32)
    return Shares(edges, smaller, not_above, low, high, is_alive & is_whole, words)


def _ranges(
    layer: Layer,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    values = layer.filter_values()
    dead = dead_filters(layer.statistic("min"), layer.statistic("max"), values.n_nonfinite)
    with np.errstate(invalid="ignore"):
        is_alive = ~dead & (values.low < values.high)
    return values.low, values.high, is_alive


def _rounded_down(shares: NDArray[np.float64]) -> NDArray[np.float32]:
    rounded = shares.astype(np.float32)
    return np.where(rounded > shares, np.nextafter(rounded, np.float32(-1)), rounded)
