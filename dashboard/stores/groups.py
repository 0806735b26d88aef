"""Two groups of samples, A and B, and what a store says of their activations."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dashboard.stores.snapshot import Snapshot
from fmcore.errors import SelectionError, StatisticNotFoundError
from fmcore.statistics import MapValues, bins_between, classes_of, union_map
from fmcore.storage import StoredArray

# Of a group whose values are in no table, a request reads at most so many maps and bytes of them,
# which takes half a second on two busy cores; the browser asks for more, and says how far it is.
STEP_MAPS, STEP_BYTES = 256, 16 << 20
# Filters whose values are counted together, where one chunk holds the maps of many.
MOST_FILTERS = 64
# By which the maps are picked that are read first.
SEED = 0
# Of mean maps of classes, a request reads at most so many bytes to make the one of a union.
CLASS_BYTES = 64 << 20
# Bins of pooled values.
POOLED_BINS = 60
# What is said of group B where it has no expression.
REST = "all other samples"


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A group of samples, without those that the other one has too.

    Attributes:
        letter: `A` or `B`.
        text: its expression, or what is said instead of one.
        mask: <bool>[sample], which samples belong to it alone.
        classes: the classes that it is the union of, <int>[class]; None if it is none.
    """

    letter: str
    text: str
    mask: NDArray[np.bool_]
    classes: NDArray[np.intp] | None

    @property
    def n(self) -> int:
        """How many samples it has."""
        return int(self.mask.sum())

    @property
    def key(self) -> str:
        """What tells its samples from others."""
        return hashlib.blake2b(np.packbits(self.mask).tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class TwoGroups:
    """Two groups beside each other.

    Attributes:
        texts: the expressions; that of B may be empty, for all samples that are not of A.
        a: the first.
        b: the other.
        n_both: how many samples belong to both, and are left out of both.
    """

    texts: tuple[str, str]
    a: Group
    b: Group
    n_both: int

    @property
    def empty(self) -> str:
        """Which of them has no samples, as a sentence; empty where both have some."""
        without = [group.letter for group in (self.a, self.b) if not group.n]
        if not without:
            return ""
        alone = " alone" if self.n_both else ""
        return f"No sample of this store belongs to {' nor to '.join(without)}{alone}."


class Source(StrEnum):
    """What the distribution of a group is made of."""

    CLASSES = "classes"
    MAPS = "maps"
    POOLED = "pooled"


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How the activations of a filter are spread over a group, or over all samples.

    Attributes:
        counts: <int64>[bin].
        n_maps: of how many samples; of all of them where it is exact.
        n: how many samples there are.
    """

    counts: NDArray[np.int64]
    n_maps: int
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class GroupSpread:
    """How the activations of a filter are spread over two groups, and over all samples.

    Attributes:
        source: what those of the groups are made of: all values, from the histograms of classes or
            from maps; or a number for each sample.
        bounds: <float32>[bound, bin].
        span: the smallest and the largest value of the filter.
        groups: those of A and of B.
        total: those of all samples; None where only the groups' maps were read.
    """

    source: Source
    bounds: NDArray[np.float32]
    span: tuple[float, float]
    groups: tuple[Counts, Counts]
    total: Counts | None

    @property
    def n_read(self) -> tuple[int, int]:
        """How many maps were read, and how many there are to read."""
        return sum(part.n_maps for part in self.groups), sum(part.n for part in self.groups)


def groups_of(snapshot: Snapshot, text_a: str, text_b: str) -> TwoGroups | None:
    """The groups of two expressions; None without one of A.

    Args:
        snapshot: the store.
        text_a: the expression of A.
        text_b: that of B; empty for all samples that are not of A.

    Raises:
        SelectionError: if one names what the store does not have, with its letter.
    """
    if not text_a:
        return None
    first = _mask(snapshot, "A", text_a)
    second = _mask(snapshot, "B", text_b) if text_b else ~first
    both = first & second
    return TwoGroups(
        (text_a, text_b),
        _group(snapshot, "A", text_a, first & ~both),
        _group(snapshot, "B", text_b or REST, second & ~both),
        int(both.sum()),
    )


def _mask(snapshot: Snapshot, letter: str, text: str) -> NDArray[np.bool_]:
    try:
        return snapshot.group(text, field=letter.lower())
    except SelectionError as error:
        raise SelectionError(f"group {letter}: {error}", field=error.field) from error


def _group(snapshot: Snapshot, letter: str, text: str, mask: NDArray[np.bool_]) -> Group:
    classes = classes_of(mask, snapshot.labels, len(snapshot.class_sizes))
    return Group(letter, text, mask, classes)


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """How each filter of a layer tells A from B, by the pooled mean; NaN where it cannot be said.

    Attributes:
        auc: <float64>[filter], the probability that a sample of A has the larger value.
        chance: <float64>[bound, filter], the band of 95% by chance.
        q: <float64>[filter], the false discovery rate among all filters of the model.
        means: <float64>[group, filter], of A and of B.
        why_none: why each filter has no numbers, [filter]; empty where it has some.
        n_tests: among how many filters q is.
        notes: what else to know, a sentence each.
    """

    auc: NDArray[np.float64]
    chance: NDArray[np.float64]
    q: NDArray[np.float64]
    means: NDArray[np.float64]
    why_none: tuple[str, ...]
    n_tests: int
    notes: tuple[str, ...]


def apart_in(snapshot: Snapshot, layer: str, two: TwoGroups) -> Apart:
    """How each filter of a layer tells two groups apart, both with samples.

    Raises:
        StatisticNotFoundError: if the store lacks the pooled table.
    """
    contrast = snapshot.contrast(*two.texts)
    rows = np.flatnonzero(contrast.layer == contrast.layers.index(layer))
    return Apart(
        contrast.auc[rows],
        contrast.chance[:, rows],
        contrast.q[rows],
        np.stack([contrast.mean_a[rows], contrast.mean_b[rows]]),
        tuple(contrast.reason(row) for row in rows.tolist()),
        contrast.n_tests,
        contrast.notes,
    )


def group_spread(
    snapshot: Snapshot, layer: str, filter_index: int, two: TwoGroups, *, step: int = 0
) -> GroupSpread:
    """How the activations of a filter are spread over two groups.

    All values where the histograms of classes have them, or maps are stored: of these a request
    reads `STEP_MAPS` of each group at most. Else the means of the maps.

    Args:
        snapshot: the store.
        layer: the path of a layer.
        filter_index: one of its filters.
        two: the groups, both with samples.
        step: how many times more than the first maps shall be read.
    """
    low, high = snapshot.filter_range(layer)[:, filter_index].tolist()
    stored, bounds = _bins(snapshot, layer)
    has_all = stored is not None
    groups = (two.a, two.b)
    are_unions = has_all and all(group.classes is not None for group in groups)
    if not (are_unions or snapshot.layer(layer).has_maps):
        return _pooled_spread(snapshot, layer, filter_index, groups)
    parts = []
    for group in groups:
        if stored is not None and group.classes is not None:
            counts = _of_classes(stored, filter_index, group.classes)
            parts.append(Counts(counts, group.n, group.n))
        else:
            maps, place = read_maps(snapshot, layer, filter_index, group, step=step)
            parts.append(Counts(maps.counts[place], maps.n_maps, group.n))
    total = None
    if stored is not None:
        n, every = snapshot.catalog.n_samples, np.arange(stored.shape[0])
        total = Counts(_of_classes(stored, filter_index, every), n, n)
    source = Source.CLASSES if are_unions else Source.MAPS
    return GroupSpread(source, bounds, (low, high), (parts[0], parts[1]), total)


def _bins(snapshot: Snapshot, layer: str) -> tuple[StoredArray | None, NDArray[np.float32]]:
    """The histograms of classes, where the store has them, and the bins."""
    try:
        stored, bounds = snapshot.layer(layer).histogram()
        return stored, snapshot.derived(("bins", layer), lambda: bounds[...])
    except StatisticNotFoundError:
        low, high = snapshot.filter_range(layer)
        return None, bins_between(float(np.fmin.reduce(low)), float(np.fmax.reduce(high)))


def _of_classes(
    stored: StoredArray, filter_index: int, classes: NDArray[np.intp]
) -> NDArray[np.int64]:
    """The histogram of a filter over some classes together, <int64>[bin]."""
    picks = (classes, range(filter_index, filter_index + 1), range(stored.shape[2]))
    counts: NDArray[np.int64] = stored.outer(picks)[:, 0].sum(axis=0, dtype=np.int64)
    return counts


def _pooled_spread(
    snapshot: Snapshot, layer: str, filter_index: int, groups: Sequence[Group]
) -> GroupSpread:
    """How the means of a filter's maps are spread, in bins of equal width."""
    values = snapshot.layer(layer).pooled("mean")[:, filter_index].astype(np.float64)
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (np.nan,) * 2
    if not finite.any():
        bounds = np.zeros((2, 1), np.float32)
        none = [Counts(np.zeros(1, np.int64), group.n, group.n) for group in groups]
        return GroupSpread(Source.POOLED, bounds, (low, high), (none[0], none[1]), None)
    edges = np.linspace(low, high if high > low else low + 1, POOLED_BINS + 1)
    # Zeros have a bin of their own, as those of a store.
    zero = int(np.searchsorted(edges, 0.0))
    bounds = np.insert(np.stack([edges[:-1], edges[1:]]), min(zero, POOLED_BINS), 0.0, axis=1)
    place = min(zero, POOLED_BINS)

    def counted(mask: NDArray[np.bool_]) -> Counts:
        own = values[mask & finite]
        is_zero = own == 0
        counts = np.histogram(own[~is_zero], edges)[0].astype(np.int64)
        counts = np.insert(counts, place, int(is_zero.sum()))
        return Counts(counts, int(mask.sum()), int(mask.sum()))

    first, second = (counted(group.mask) for group in groups)
    total = counted(np.ones(len(values), np.bool_))
    return GroupSpread(
        Source.POOLED, bounds.astype(np.float32), (float(low), float(high)), (first, second), total
    )


def group_maps(
    snapshot: Snapshot, layer: str, filter_index: int, two: TwoGroups, *, step: int = 0
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """The mean maps of a filter over A and over B, <float64>[y, x]; None for what is not stored.

    Of classes from their mean maps, else from the maps that `group_spread` reads too. Both have the
    size of the layer's maps, unless only smaller ones of classes are stored.
    """
    of_layer = snapshot.layer(layer)
    is_whole = str(of_layer.attributes["class_maps"]) == "full"
    most_classes = max(1, CLASS_BYTES // (4 * math.prod(of_layer.shape)))

    def of_group(group: Group) -> NDArray[np.float64] | None:
        classes = group.classes
        few = classes is not None and len(classes) <= most_classes
        if classes is not None and ((is_whole and few) or not of_layer.has_maps):
            picks = classes.tolist() if few else []
            maps = [of_layer.mean_map(index, filter_index) for index in picks]
            present = [values for values in maps if values is not None]
            if present:
                return union_map(np.stack(present), snapshot.class_sizes[classes])
        if not of_layer.has_maps:
            return None
        values, place = read_maps(snapshot, layer, filter_index, group, step=step)
        return values.mean_map(place)

    return of_group(two.a), of_group(two.b)


def read_maps(
    snapshot: Snapshot, layer: str, filter_index: int, group: Group, *, step: int = 0
) -> tuple[MapValues, int]:
    """The values of a group in the maps that were read so far, and the filter's place in them.

    The maps are picked by `SEED`, a step after the other until all of the group are read; one step
    at most is read now, and what was read is kept while there is room. Where it went meanwhile,
    reading begins anew: no more are in the answer than were asked for, and sometimes fewer.

    Raises:
        MapsNotStoredError: if the store has no maps of the layer.
        StoreError: if they are damaged.
    """
    stored = snapshot.layer(layer).activation
    block = _block(stored, filter_index)
    size = _step_size(stored, len(block))
    last = -(-group.n // size) - 1
    step = min(step, last)

    def key(at: int) -> tuple[str, ...]:
        return ("group maps", layer, str(block.start), group.key, str(at))

    kept = next((at for at in range(last, -1, -1) if snapshot.held(key(at)) is not None), -1)
    before: MapValues | None = snapshot.held(key(kept)) if kept >= 0 else None
    if before is not None and kept >= step:
        return before, filter_index - block.start

    def make() -> MapValues:
        bounds = _bins(snapshot, layer)[1]
        height, width = stored.shape[1:3]
        values = before or MapValues.empty((height, width, len(block)), bounds.shape[1])
        picks = np.random.default_rng(SEED).permutation(np.flatnonzero(group.mask))
        rows = np.sort(picks[values.n_maps : values.n_maps + size])
        maps = stored.outer((rows, range(height), range(width), block))
        return values.plus(maps, bounds)

    return snapshot.derived(key(kept + 1), make), filter_index - block.start


def _block(stored: StoredArray, filter_index: int) -> range:
    """The filters whose maps lie in the chunks of a filter's, at most `MOST_FILTERS`."""
    n_filters = stored.shape[3]
    width = min(stored.chunks[3], MOST_FILTERS)
    start = filter_index // stored.chunks[3] * stored.chunks[3]
    start += (filter_index - start) // width * width
    return range(start, min(start + width, n_filters))


def _step_size(stored: StoredArray, n_filters: int) -> int:
    """How many maps of a group one step reads."""
    sides = zip(stored.shape[1:3], stored.chunks[1:3], strict=True)
    n_pixels = math.prod(-(-size // step) * step for size, step in sides)
    # A chunk may hold more filters, and the maps of several samples of which one is of the group.
    n_bytes = 4 * n_pixels * max(n_filters, stored.chunks[3]) * stored.chunks[0]
    return max(1, min(STEP_MAPS, STEP_BYTES // n_bytes))
