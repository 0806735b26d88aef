"""What sums up one layer of an open store: pooled tables, statistics, scores, health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError, StatisticNotFoundError
from fmcore.selection import near_matches
from fmcore.statistics import (
    STATISTICS,
    LayerHealth,
    Statistic,
    centred_covariance,
    correlation,
    layer_health,
    quantiles,
)
from fmcore.storage.chunks import ChunkIndex
from fmcore.storage.stored_array import StoredArray

HISTOGRAM = "class/histogram"

if TYPE_CHECKING:
    from fmcore.storage.reader import Store


class LayerStatistics:
    """Reads what a store keeps beside the maps of a layer; `Layer` is the whole.

    Attributes:
        path: the layer's Keras path.
        attributes: every attribute of its group.
        full_group: the path of its group in the file.
        shape: (y, x, filter) of one sample.
    """

    path: str
    attributes: dict[str, Any]
    full_group: str
    shape: tuple[int, int, int]
    _store: Store

    @property
    def n_filters(self) -> int:
        """Filters of the layer."""
        return self.shape[2]

    @property
    def statistics(self) -> tuple[str, ...]:
        """The names of those of `STATISTICS` that the store holds of this layer's filters."""
        return tuple(one.name for one in STATISTICS.values() if self.has(one))

    def has(self, one: Statistic) -> bool:
        """Whether the store holds a statistic of this layer's filters."""
        path = one.path if one.is_stored else HISTOGRAM
        return "layer" not in one.axes and path in self._node

    def statistic(self, name: str, *, pooling: str = "mean") -> NDArray[Any]:
        """A statistic of the layer's filters, with the axes that `STATISTICS` says.

        Args:
            name: such as `auc_max`; or `auc`, which takes the pooled table of `pooling`.
            pooling: `mean` or `max`, where the name does not say it.

        Raises:
            StatisticNotFoundError: if the store has no such statistic, with the reason.
        """
        one = self._about(_whole_name(name, pooling))
        if one.level is None:
            return self._whole(one.path)
        counts, low, high = (self._whole(path) for path in (HISTOGRAM, "class/min", "class/max"))
        return quantiles(counts, one.level, low, high)

    def chance(self, name: str, *, pooling: str = "mean") -> NDArray[np.float64] | None:
        """The chance level of a statistic, low and high, <float64>[bound, …]; None if it has none.

        Args:
            name: as for `statistic`.
            pooling: as for `statistic`.

        Raises:
            StatisticNotFoundError: as `statistic`.
        """
        one = self._about(_whole_name(name, pooling))
        return self._whole(f"{one.path}_chance") if one.chance else None

    def undefined(self, pooling: str) -> NDArray[np.uint8]:
        """Why each filter has no scores on a pooled table, <uint8>[filter], see `Defined`.

        Raises:
            StatisticNotFoundError: if the store has no scores.
        """
        return self._read_known("filters", f"undefined_{pooling}")

    def histogram(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Finite activations in each bin, and the bins.

        Returns:
            <int64>[class, filter, bin]; and the smallest and largest value of each bin,
            <float32>[bound, bin].

        Raises:
            StatisticNotFoundError: if the store has none, with the reason.
        """
        self._about("q50")
        return self._whole(HISTOGRAM), self._whole("bin_bounds")

    def histogram_array(self) -> StoredArray:
        """The counts of `histogram`, [class, filter, bin], that are read where they are indexed.

        Raises:
            StatisticNotFoundError: as `histogram`.
        """
        self._about("q50")
        axes = ("class", "filter", "bin")
        return StoredArray(self._store, f"{self.full_group}/{HISTOGRAM}", axes)

    def top(self, what: str) -> NDArray[Any]:
        """Top samples, [filter, k]; of each class, [class, filter, k]; of bands, [band, filter, k].

        Args:
            what: `sample`, `value`, `y` or `x`, or these after `class_` or `band_`.

        Raises:
            StatisticNotFoundError: if the store has none.
        """
        return self._read_known("top", what)

    def top_array(self, what: str) -> StoredArray:
        """The array of `top`, that is read where it is indexed.

        Raises:
            StatisticNotFoundError: as `top`.
        """
        of = what.rpartition("_")[0]
        axes = (of, "filter", "k") if of else ("filter", "k")
        return StoredArray(self._store, f"{self.full_group}/{self._known('top', what)}", axes)

    def pooled(self, name: str) -> NDArray[Any]:
        """A pooled table, [sample, filter].

        Raises:
            StatisticNotFoundError: if the store has no such table.
        """
        return self._read_known("pooled", name)

    @property
    def pooled_names(self) -> tuple[str, ...]:
        """The names of the pooled tables that the store holds of this layer."""
        return tuple(self._node.get("pooled", ()))

    def pooled_array(self, name: str) -> StoredArray:
        """A pooled table, [sample, filter], that is read where it is indexed."""
        return StoredArray(self._store, f"{self.full_group}/pooled/{name}", ("sample", "filter"))

    def pooled_part(self, name: str, rows: slice, columns: slice) -> NDArray[Any]:
        """A part of a pooled table, [sample, filter]; only the chunks of its rows are read."""
        return self.pooled_array(name)[rows, columns]

    def mean_map(self, class_index: int, filter_index: int) -> NDArray[np.float32] | None:
        """The mean map of a class, <float32>[y, x]; None where the store keeps none.

        `attributes["class_maps"]` says why.

        Raises:
            SelectionError: if there is no such class or filter.
        """
        for what, index, size in (
            ("class", class_index, len(self._store.class_names)),
            ("filter", filter_index, self.n_filters),
        ):
            if not 0 <= index < size:
                raise SelectionError(
                    f"no {what} {index} in layer {self.path}; it has 0 to {size - 1}"
                )
        if "class/mean_map" not in self._node:
            return None
        maps = self._array("class/mean_map").row(self._store.bytes, class_index)
        return np.ascontiguousarray(maps[..., filter_index])

    def filter_range(self) -> NDArray[np.float64]:
        """Smallest and largest activation over the whole test set, <float64>[2, filter]."""
        with np.errstate(invalid="ignore"):
            low, high = self.statistic("min"), self.statistic("max")
            return np.stack([np.fmin.reduce(low), np.fmax.reduce(high)])

    def health(self) -> LayerHealth:
        """Which filters are dead, useless or broken; from what every store holds."""
        sizes, n_nonfinite = self._store.class_sizes, self.statistic("n_nonfinite")
        n_values = self.statistic("n_values") + n_nonfinite
        zeros = np.nan_to_num(self.statistic("zero_fraction")) * n_values
        if "filters/correlation_mean" in self._node:
            alike = self.statistic("correlation_mean")
        else:
            alike = correlation(centred_covariance(self.pooled("mean")))
        return layer_health(
            low=self.statistic("min"),
            high=self.statistic("max"),
            zero_fraction=zeros.sum(axis=0) / np.maximum(n_values.sum(axis=0), 1),
            n_nonfinite=n_nonfinite,
            n_samples=sizes,
            pooled_max=self.pooled("max"),
            correlation=alike,
        )

    def _about(self, name: str) -> Statistic:
        """What a statistic is, if the store has it."""
        one, where = STATISTICS.get(name), self._store.path.name
        if one is not None and self.has(one):
            return one
        if one is None or "layer" in one.axes:
            names = self.statistics
            raise StatisticNotFoundError(
                f"no statistic {name!r} of layer {self.path} in {where}; it holds "
                f"{', '.join(names)}{near_matches(name, names)}"
            )
        if not one.is_stored and self.attributes.get("histogram"):
            reason = f"its histograms are {self.attributes['histogram']}"
        elif one.origin == "pooled":
            reason = (
                "it was captured without scores; `fmcore stats STORE --recompute` computes them"
            )
        else:
            reason = "it was captured before there were any; capture it again"
        raise StatisticNotFoundError(f"{where} holds no {name} of layer {self.path}: {reason}")

    def _read_known(self, kind: str, name: str) -> Any:
        return self._whole(self._known(kind, name))

    def _known(self, kind: str, name: str) -> str:
        """The path of an array in a group that may lack it."""
        path = f"{kind}/{name}"
        if path not in self._node:
            names = list(self._node.get(kind, ()))
            raise StatisticNotFoundError(
                f"no {kind} array {name!r} for layer {self.path} in {self._store.path.name}; it "
                f"holds {', '.join(names) or 'none'}{near_matches(name, names)}"
            )
        return path

    def _whole(self, path: str) -> Any:
        array = self._array(path)
        return array.rows(self._store.bytes, 0, array.shape[0])

    @property
    def _node(self) -> Any:
        return self._store.file[self.full_group]

    def _array(self, path: str) -> ChunkIndex:
        return self._store.array(f"{self.full_group}/{path}")


def _whole_name(name: str, pooling: str) -> str:
    """The name of a statistic that may be given without its pooled table."""
    longer = f"{name}_{pooling}"
    return longer if name not in STATISTICS and longer in STATISTICS else name
