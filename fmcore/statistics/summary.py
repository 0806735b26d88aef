"""One map that stands for all filters of a layer in one sample, and which filters stand out in it.

The mean of the filters, the mean of their absolute values, the largest, or three principal
components as red, green and blue. Values that are not finite are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.components import leading, rounding_noise, signed

N_COLORS = 3
# What a color spans of a component: rare values would leave the others without contrast.
PERCENTILES = (1.0, 99.0)

# Of a model with so few filters in all, all are shown in a picture of its layers; of others these.
SMALL_MODEL, STRONGEST = 64, 8


class Summary(StrEnum):
    """What a pixel of a summary is made of."""

    MEAN = "mean"
    ABS = "abs"
    MAX = "max"
    PCA = "pca"


# Each in a few words, as pages and figures write it.
SUMMARY_WORDS = {
    Summary.MEAN: "mean of the filters",
    Summary.ABS: "mean of their absolute values",
    Summary.MAX: "largest of the filters",
    Summary.PCA: "three principal components as colors",
}


def n_shown(n_filters: Iterable[int]) -> int:
    """How many filters of each layer a picture of all layers shows: all of a small model.

    Args:
        n_filters: of each layer.
    """
    total = sum(n_filters)
    return total if total <= SMALL_MODEL else STRONGEST


@dataclass(frozen=True, slots=True, eq=False)
class ColorBasis:
    """The first principal components of a layer's filters, and what their colors span.

    Every sample is seen in the same basis and with the same spans, so that samples compare.

    Attributes:
        mean: of each filter, <float64>[filter].
        weights: of each filter in each component, <float64>[filter, component]; at most three
            components, fewer where the filters vary in fewer ways.
        shares: of the variance, <float64>[component].
        low: what 1 % of the scores are below, <float64>[component].
        high: what 99 % of the scores are below, <float64>[component].
        n_samples: the number of samples that it was computed from.
    """

    mean: NDArray[np.float64]
    weights: NDArray[np.float64]
    shares: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_samples: int

    @property
    def n_components(self) -> int:
        """How many components there are, 0 to 3."""
        return len(self.shares)


def color_basis(pixels: NDArray[np.float32], *, n_samples: int) -> ColorBasis:
    """The principal components of a layer's filters over pixels of some samples.

    Each pixel is an observation of all filters (Jolliffe 2002, Principal Component Analysis). The
    largest weight of each component is positive, so that its sign is no chance. A value that is not
    finite counts as the mean of its filter.

    Args:
        pixels: all filters at some pixels of some samples, <float32>[pixel, filter].
        n_samples: the number of these samples.
    """
    values = pixels.astype(np.float64)
    is_finite = np.isfinite(values)
    values[~is_finite] = 0
    noise = rounding_noise(values.size, np.abs(values).max(initial=0))
    mean = values.sum(axis=0) / np.maximum(is_finite.sum(axis=0), 1)
    values -= mean
    values[~is_finite] = 0
    n_values, n_filters = values.shape
    is_wide = n_filters > n_values
    # The smaller of the two matrices has the same eigenvalues.
    matrix = values @ values.T if is_wide else values.T @ values
    variances, vectors = leading(matrix, N_COLORS)
    total = float(np.square(values).sum())
    is_there = variances > noise
    variances, vectors = variances[is_there], vectors[:, is_there]
    weights = signed(values.T @ vectors / np.sqrt(variances) if is_wide else vectors)
    scores = values @ weights
    low, high = np.zeros((2, 0))
    if scores.size:
        low, high = np.percentile(scores, PERCENTILES, axis=0)
    shares = variances / total if len(variances) else variances
    return ColorBasis(mean, weights, shares, low, high, n_samples)


def summary_map(
    blocks: Iterable[NDArray[np.float32]], by: Summary, basis: ColorBasis | None = None
) -> NDArray[np.float32]:
    """One map for all filters of a sample, <float32>[y, x, plane]: one plane, or of `PCA` three.

    A component that the basis does not have is 0. A pixel without a finite value is NaN.

    Args:
        blocks: the maps of the sample, some filters after the others, <float32>[y, x, filter].
        by: what a pixel is made of.
        basis: the components of `PCA`.
    """
    if by == Summary.PCA:
        if basis is None:
            raise ValueError("PCA needs the basis of the layer")
        return _scores(blocks, basis)
    parts = [_OF_BLOCK[by](maps) for maps in blocks]
    total = np.max if by == Summary.MAX else np.sum
    values = total([values for values, _ in parts], axis=0)
    n_finite = np.asarray(sum(count for _, count in parts))
    if by != Summary.MAX:
        values = values / np.maximum(n_finite, 1)
    return np.where(n_finite > 0, values, np.nan).astype(np.float32)[:, :, np.newaxis]


# What a block of filters adds to a summary, [y, x], and how many of its values are finite.
_Part = tuple[NDArray[Any], NDArray[np.integer] | int]


def _sums(maps: NDArray[np.float32]) -> _Part:
    values, n_finite = _finite(maps, instead=0)
    return values.sum(axis=2, dtype=np.float64), n_finite


def _absolute_sums(maps: NDArray[np.float32]) -> _Part:
    return _sums(np.abs(maps))


def _largest_values(maps: NDArray[np.float32]) -> _Part:
    values, n_finite = _finite(maps, instead=-np.inf)
    return values.max(axis=2), n_finite


_OF_BLOCK: Mapping[Summary, Callable[[NDArray[np.float32]], _Part]] = {
    Summary.MEAN: _sums,
    Summary.ABS: _absolute_sums,
    Summary.MAX: _largest_values,
}


def _finite(maps: NDArray[np.float32], *, instead: float) -> _Part:
    """Maps with another value in the place of those that are not finite, and how many are."""
    is_finite = np.isfinite(maps)
    if is_finite.all():
        return maps, maps.shape[2]
    return np.where(is_finite, maps, np.float32(instead)), is_finite.sum(axis=2)


def _scores(blocks: Iterable[NDArray[np.float32]], basis: ColorBasis) -> NDArray[np.float32]:
    parts, first = [], 0
    for maps in blocks:
        place = slice(first, first + maps.shape[2])
        values = maps - basis.mean[place]
        is_finite = np.isfinite(values)
        if not is_finite.all():
            values[~is_finite] = 0
        parts.append((values @ basis.weights[place], is_finite.any(axis=2, keepdims=True)))
        first = place.stop
    scores = np.sum([scores for scores, _ in parts], axis=0)
    is_known = np.any([is_there for _, is_there in parts], axis=0)
    lacking = N_COLORS - basis.n_components
    padded = np.pad(scores, ((0, 0), (0, 0), (0, lacking)))
    return np.where(is_known, padded, np.nan).astype(np.float32)


def summary_colors(scores: NDArray[np.float32], basis: ColorBasis) -> NDArray[np.float32]:
    """Scores of three components as red, green and blue from 0 to 1, <float32>[y, x, color].

    A component that the basis does not have is one half everywhere; what is NaN stays so.

    Args:
        scores: of `summary_map`, <float32>[y, x, plane].
        basis: what they are scores in.
    """
    low, high = np.full((2, N_COLORS), [[-1.0], [1.0]])
    low[: basis.n_components], high[: basis.n_components] = basis.low, basis.high
    span = np.where(high > low, high - low, 1)
    colors: NDArray[np.float32] = np.clip((scores - low) / span, 0, 1).astype(np.float32)
    return colors


def largest_values(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest finite value of each filter, <float32>[filter]; NaN where there is none.

    Args:
        maps: <float32>[y, x, filter].
    """
    highest = maps.reshape(-1, maps.shape[2]).max(axis=0)
    if not np.isfinite(highest).all():
        highest = np.where(np.isfinite(maps), maps, -np.inf).max(axis=(0, 1))
    return np.where(np.isneginf(highest), np.nan, highest).astype(np.float32)


def strongest_filters(
    largest: NDArray[np.float32], low: NDArray[np.float64], high: NDArray[np.float64], count: int
) -> NDArray[np.int64]:
    """The filters whose largest activation in a sample comes nearest the top of their own range.

    Equal ones are in order of index. A filter whose values never vary, or that has none here, is
    none of them.

    Args:
        largest: of each filter in the sample, <float32>[filter].
        low: the smallest value of each filter over the test set, <float64>[filter].
        high: the largest one.
        count: how many there are at most.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (largest - low) / (high - low)
    share = np.where(np.isfinite(share), share, -np.inf)
    order = np.argsort(-share, kind="stable")[:count]
    return order[np.isfinite(share[order])]
