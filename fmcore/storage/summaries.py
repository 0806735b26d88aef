"""Summaries of stored layers: one map for all filters of a sample, and the filters that stand out.

`fmcore.statistics.summary` computes them; this reads what they are computed from, within a bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.selection import Picks
from fmcore.statistics import (
    ColorBasis,
    FilterValues,
    Summary,
    color_basis,
    largest_values,
    strongest_filters,
    summary_map,
)
from fmcore.storage.layer import Layer

# What is read for a basis of colors, and what of it is computed with: the pixels of many samples
# tell more than all pixels of few. Of ResNet50 all layers then take seconds, once.
READ_BYTES, BASIS_BYTES = 32 << 20, 4 << 20
BASIS_SAMPLES = 1024
# Values of one sample that are in memory at the same time.
BLOCK_VALUES = 16 << 20


@dataclass(frozen=True, slots=True, eq=False)
class LayerSummary:
    """A layer in one sample.

    Attributes:
        summary: one map for all filters, <float32>[y, x, plane]; None if no maps are stored.
        filters: those that stand out, strongest first, <int64>[place]; all by index where as many
            were asked for.
        maps: of these, <float32>[y, x, place]; None if no maps are stored.
        largest: their largest finite activation here, <float32>[place].
    """

    summary: NDArray[np.float32] | None
    filters: NDArray[np.int64]
    maps: NDArray[np.float32] | None
    largest: NDArray[np.float32]


def layer_basis(layer: Layer) -> ColorBasis:
    """The principal components of a layer's filters, the same each time.

    From samples that are evenly spaced, and of their pixels a part that a seed chooses.

    Raises:
        MapsNotStoredError: if the store keeps no maps of the layer.
    """
    height, width, n_filters = layer.shape
    values = layer.activation
    bytes_of_sample = 4 * height * width * n_filters
    n_samples = min(max(1, READ_BYTES // bytes_of_sample), BASIS_SAMPLES, values.shape[0])
    samples = np.unique(np.linspace(0, values.shape[0] - 1, n_samples).round().astype(np.int64))
    rows = range(0, height, -(-bytes_of_sample // READ_BYTES))  # not all, of one that is too large
    maps = values.outer((samples, rows, range(width), range(n_filters)))
    pixels = maps.reshape(-1, n_filters)
    n = max(1, BASIS_BYTES // (4 * n_filters))
    if n < len(pixels):
        places = np.random.default_rng(0).choice(len(pixels), n, replace=False)
        pixels = pixels[np.sort(places)]
    return color_basis(pixels, n_samples=len(samples))


def layer_summary(
    layer: Layer,
    sample: int,
    by: Summary,
    *,
    n_filters: int,
    values: FilterValues,
    basis: ColorBasis | None = None,
) -> LayerSummary:
    """A layer in one sample: its summary, and the filters that stand out.

    Where no maps are stored, filters are chosen by their pooled maximum, and there is no map.

    Args:
        layer: the layer.
        sample: an index that there is.
        by: what a pixel of the summary is made of.
        n_filters: how many filters; all by index, where it is as many as there are.
        values: `layer.filter_values()`.
        basis: `layer_basis(layer)` for `PCA`.
    """
    low, high = values.low, values.high
    if not layer.has_maps:
        largest = np.asarray(layer.pooled("max")[sample], np.float32)
        filters = _filters(largest, low, high, n_filters)
        return LayerSummary(None, filters, None, largest[filters])
    blocks = _blocks(layer, sample)
    parts: list[NDArray[np.float32]] = []

    def seen() -> Iterator[NDArray[np.float32]]:
        for maps in blocks:
            parts.append(largest_values(maps))
            yield maps

    summary = summary_map(seen(), by, basis)
    largest = np.concatenate(parts)
    filters = _filters(largest, low, high, n_filters)
    maps = blocks[0][:, :, filters] if isinstance(blocks, list) else _read(layer, sample, filters)
    return LayerSummary(summary, filters, maps, largest[filters])


def _filters(
    largest: NDArray[np.float32], low: NDArray[np.float64], high: NDArray[np.float64], n: int
) -> NDArray[np.int64]:
    if n >= len(largest):
        return np.arange(len(largest))
    return strongest_filters(largest, low, high, n)


def _blocks(layer: Layer, sample: int) -> list[NDArray[np.float32]] | Iterator[NDArray[np.float32]]:
    """The maps of a sample; of a large layer some filters after the others."""
    height, width, n_filters = layer.shape
    n = max(1, BLOCK_VALUES // (height * width))
    if n_filters <= n:
        return [layer.feature_maps(sample)]
    starts = range(0, n_filters, n)
    return (_read(layer, sample, range(at, min(at + n, n_filters))) for at in starts)


def _read(layer: Layer, sample: int, filters: Picks) -> NDArray[np.float32]:
    height, width, _ = layer.shape
    picks = (range(sample, sample + 1), range(height), range(width), filters)
    maps: NDArray[np.float32] = layer.activation.outer(picks)[0]
    return maps
