"""Mean maps of groups of samples: of stored maps, read within a bound, or of those of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.stores.snapshot import Snapshot
from fmcore.statistics import classes_of, union_map
from fmcore.storage import Layer

# Samples of a group whose maps are read, at most: their mean is as sharp as a screen shows.
MOST_SAMPLES = 500
# Bytes that are inflated for the mean maps of one group, at most, 0.2 to 0.3 s of a core; of maps
# over 64 KiB fewer samples are read.
MOST_BYTES = 32 << 20
# Bytes of maps that are in memory at once.
BATCH_BYTES = 8 << 20
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class GroupMap:
    """The mean map of one filter over a group.

    Attributes:
        values: <float32>[y, x], means of the finite values, NaN where there is none; None where
            there is no map.
        n_used: samples that it is the mean of.
        n: samples of the group.
        why: why there is none, a sentence; empty where there is one.
    """

    values: NDArray[np.float32] | None
    n_used: int
    n: int
    why: str = ""

    @property
    def words(self) -> str:
        """What it is the mean of, such as `mean of 500 of 3,012`; or why there is none."""
        if self.why:
            return self.why
        if self.n_used == self.n:
            return "the only sample" if self.n == 1 else f"mean of all {self.n:,}"
        return f"mean of {self.n_used:,} of {self.n:,}"


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Mean maps of neighboring filters, <float32>[y, x, filter], over `n_used` samples."""

    values: NDArray[np.float32]
    n_used: int


def group_map(
    snapshot: Snapshot,
    path: str,
    filter_index: int,
    samples: NDArray[np.int64],
    key: tuple[str, ...],
) -> GroupMap:
    """The mean map of a filter over a group; over a seeded choice of it, where it is large.

    Args:
        snapshot: the store.
        path: of the layer.
        filter_index: the filter.
        samples: <int64>[sample], at least one, ascending.
        key: what tells the samples from all others, to keep the mean by.

    Raises:
        StoreError: if maps are damaged.
    """
    layer = snapshot.layer(path)
    if not layer.has_maps:
        return _of_class_maps(snapshot, layer, filter_index, samples)
    size, block = _filters_of_block(layer), block_of(layer, filter_index)
    filters = range(block * size, min((block + 1) * size, layer.n_filters))

    def make() -> _Block:
        used = picked(samples, most_samples(layer))
        return _Block(_mean_maps(layer, used, filters), len(used))

    kept = snapshot.derived_once(("mean maps", path, str(block), *key), make)
    values = np.ascontiguousarray(kept.values[..., filter_index - filters.start])
    return GroupMap(values, kept.n_used, len(samples))


def picked(samples: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The samples, or `most` of them, always the same ones; ascending."""
    if len(samples) <= most:
        return samples
    return np.sort(np.random.default_rng(SEED).choice(samples, most, replace=False))


def most_samples(layer: Layer) -> int:
    """How many samples of a group are read: `MOST_SAMPLES`, or what `MOST_BYTES` are enough for."""
    n_rows, height, width, n_filters = layer.activation.chunks
    y, x, _ = layer.shape
    # Each sample may lie in a chunk of its own, of which there may be several for a map.
    tiles = -(-y // height) * -(-x // width)
    of_one = 4 * n_rows * height * width * n_filters * tiles
    return max(1, min(MOST_SAMPLES, MOST_BYTES // of_one))


def block_of(layer: Layer, filter_index: int) -> int:
    """The place of the neighboring filters that are read together with one; 0 without maps."""
    return filter_index // _filters_of_block(layer) if layer.has_maps else 0


def _filters_of_block(layer: Layer) -> int:
    """Filters that lie in one chunk: to read one of them inflates all."""
    return int(layer.activation.chunks[3])


def _mean_maps(layer: Layer, samples: NDArray[np.int64], filters: range) -> NDArray[np.float32]:
    """Means of the finite values of some samples, <float32>[y, x, filter]."""
    height, width, _ = layer.shape
    shape = (height, width, len(filters))
    total, count = np.zeros(shape), np.zeros(shape, np.int64)
    step = max(1, BATCH_BYTES // (4 * height * width * len(filters)))
    for first in range(0, len(samples), step):
        picks = (samples[first : first + step], range(height), range(width), filters)
        values = layer.activation.outer(picks)
        is_finite = np.isfinite(values)
        if is_finite.all():
            total += values.sum(axis=0, dtype=np.float64)
            count += len(values)
        else:
            total += np.where(is_finite, values, 0).sum(axis=0, dtype=np.float64)
            count += is_finite.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(count, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _of_class_maps(
    snapshot: Snapshot, layer: Layer, filter_index: int, samples: NDArray[np.int64]
) -> GroupMap:
    """The mean of the stored mean maps of classes, where a group is nothing but whole classes."""
    n = len(samples)
    words = f"The maps of {layer.path} are not stored (its policy is {layer.policy})"
    is_of_group = np.zeros(len(snapshot.labels), np.bool_)
    is_of_group[samples] = True
    classes = classes_of(is_of_group, snapshot.labels, len(snapshot.class_sizes))
    if classes is None:
        return GroupMap(
            None, 0, n, f"{words}, only means by class, and the group is not made of whole classes."
        )
    maps = [layer.mean_map(int(index), filter_index) for index in classes]
    stored = [values for values in maps if values is not None]
    if len(stored) < len(maps):
        return GroupMap(None, 0, n, f"{words}, nor are means by class.")
    mean = union_map(np.stack(stored), snapshot.class_sizes[classes])
    return GroupMap(None if mean is None else mean.astype(np.float32), n, n)
