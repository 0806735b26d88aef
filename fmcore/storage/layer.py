"""One layer of an open store; results are numpy arrays, plain Python, or stored bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import (
    MapsNotStoredError,
    SelectionError,
    StatisticNotFoundError,
)
from fmcore.selection import near_matches
from fmcore.statistics import (
    STATISTICS,
    LayerHealth,
    Statistic,
    centered_covariance,
    correlation,
    layer_health,
    quantiles,
)
from fmcore.storage.chunks.stored_array import StoredArray
from fmcore.storage.file.nodes import read_attributes, read_text
from fmcore.storage.handle import StoreFile

HISTOGRAM = "class/histogram"


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """The attributes and shape of a layer, read once when the store is opened; see `Layer`."""

    full_group: str
    path: str
    index: int
    policy: str
    shape: tuple[int, int, int]
    attributes: Mapping[str, Any]

    @classmethod
    def from_group(cls, node: h5py.Group) -> Self:
        """Reads the facts from the group of a layer."""
        height, width, filters = (int(node[axis].shape[0]) for axis in ("y", "x", "filter"))
        return cls(
            node.name,
            read_text(node, "layer_path"),
            int(node.attrs["layer_index"]),
            read_text(node, "policy"),
            (height, width, filters),
            read_attributes(node),
        )


class Layer:
    """One captured layer of a store.

    Attributes:
        path: the Keras path of the layer.
        index: the place of the layer among the captured layers, from 0.
        shape: the shape of the maps of one sample, (y, x, filter).
        policy: how the maps are stored: `float32`, `float16`, or `pooled` for not at all.
        attributes: every attribute of the layer's group.
        full_group: the path of the layer's group in the file.
    """

    def __init__(self, file: StoreFile, facts: LayerFacts) -> None:
        self._file = file
        self.full_group = facts.full_group
        self.path, self.index, self.policy = facts.path, facts.index, facts.policy
        self.attributes, self.shape = dict(facts.attributes), facts.shape

    @property
    def has_maps(self) -> bool:
        """Whether the feature maps themselves are stored, not only tables and statistics."""
        return self.policy != "pooled"

    @property
    def group(self) -> str:
        """The name of the layer's group in the file: plain and unique, fit for a file name."""
        return self.full_group.rsplit("/", 1)[-1]

    @property
    def stored_bytes(self) -> int:
        """Bytes that the layer's maps take in the file; 0 if they are not stored."""
        return self.activation.stored_bytes if self.has_maps else 0

    def feature_maps(self, sample: int) -> NDArray[np.float32]:
        """All maps of one sample, <float32>[y, x, filter]; reads one chunk, or one a filter block.

        They are float32 even if the store keeps float16: every float16 is a float32.

        Raises:
            SampleNotFoundError: if there is no such sample.
            MapsNotStoredError: if the store keeps no maps of the layer.
            StoreError: if they are damaged.
        """
        return self.activation.row(self._file.check_sample(sample))

    @property
    def activation(self) -> StoredArray:
        """The maps of all samples, <float32>[sample, y, x, filter]; indexing reads a part of them.

        They are float32 even if the store keeps float16.

        Raises:
            MapsNotStoredError: if the store keeps no maps of the layer.
        """
        if not self.has_maps:
            raise MapsNotStoredError(
                f"{self._file.path.name} keeps no maps of layer {self.path}: it was captured with "
                "the policy pooled, tables and statistics only; capture it with float32 or float16"
            )
        return self._array("activation", ("sample", "y", "x", "filter"), dtype=np.float32)

    @property
    def n_filters(self) -> int:
        """The number of filters of the layer."""
        return self.shape[2]

    @property
    def statistics(self) -> tuple[str, ...]:
        """The names of the `STATISTICS` that the store holds for this layer's filters."""
        return tuple(statistic.name for statistic in STATISTICS.values() if self.has(statistic))

    def has(self, statistic: Statistic) -> bool:
        """Whether the store holds a statistic of this layer's filters."""
        path = statistic.path if statistic.is_stored else HISTOGRAM
        return "layer" not in statistic.axes and path in self._node

    def statistic(self, name: str, *, pooling: str = "mean") -> NDArray[Any]:
        """A statistic of the layer's filters, with the axes that `STATISTICS` states.

        Args:
            name: such as `auc_max`; or `auc`, for the pooled table of `pooling`.
            pooling: `mean` or `max`, if the name does not include it.

        Raises:
            StatisticNotFoundError: if the store has no such statistic, with the reason.
        """
        statistic = self._find(_full_name(name, pooling))
        if statistic.level is None:
            return self._read(statistic.path)
        counts, low, high = (self._read(path) for path in (HISTOGRAM, "class/min", "class/max"))
        return quantiles(counts, statistic.level, low, high)

    def chance(self, name: str, *, pooling: str = "mean") -> NDArray[np.float64] | None:
        """The chance level of a statistic, low and high, <float64>[bound, …]; None if it has none.

        Args:
            name: such as `auc_max`; or `auc`, for the pooled table of `pooling`.
            pooling: `mean` or `max`, if the name does not include it.

        Raises:
            StatisticNotFoundError: if the store has no such statistic, with the reason.
        """
        statistic = self._find(_full_name(name, pooling))
        return self._read(f"{statistic.path}_chance") if statistic.chance else None

    def undefined(self, pooling: str) -> NDArray[np.uint8]:
        """Why each filter has no scores on a pooled table, <uint8>[filter], see `Defined`.

        Raises:
            StatisticNotFoundError: if the store has no scores.
        """
        return self._read(self._path("filters", f"undefined_{pooling}"))

    def histogram(self) -> tuple[StoredArray, StoredArray]:
        """The number of finite activations in each bin, and the bounds of the bins.

        Returns:
            The counts, <int64>[class, filter, bin]; and the smallest and largest value of each
            bin, <float32>[bound, bin]. Indexing reads a part of either.

        Raises:
            StatisticNotFoundError: if the store has none, with the reason.
        """
        self._find("q50")
        counts = self._array(HISTOGRAM, ("class", "filter", "bin"))
        return counts, self._array("bin_bounds", ("bound", "bin"))

    def top(self, what: str) -> StoredArray:
        """Top samples, [filter, k]; by class, [class, filter, k]; by band, [band, filter, k].

        Indexing reads a part of them.

        Args:
            what: `sample`, `value`, `y` or `x`; with the prefix `class_` or `band_` for classes
                or bands.

        Raises:
            StatisticNotFoundError: if the store has none.
        """
        axis = what.rpartition("_")[0]
        axes = (axis, "filter", "k") if axis else ("filter", "k")
        return self._array(self._path("top", what), axes)

    def pooled(self, name: str) -> StoredArray:
        """A pooled table, [sample, filter]; indexing reads a part of it.

        Raises:
            StatisticNotFoundError: if the store has no such table.
        """
        return self._array(self._path("pooled", name), ("sample", "filter"))

    @property
    def pooled_names(self) -> tuple[str, ...]:
        """The names of the pooled tables that the store holds for this layer."""
        return tuple(self._node.get("pooled", ()))

    def arrays(self) -> dict[str, StoredArray | tuple[tuple[str, ...], NDArray[Any]]]:
        """Maps and pooled tables, unread, and statistics with their axes, by name."""
        arrays: dict[str, Any] = {"activation": self.activation} if self.has_maps else {}
        arrays |= {f"pooled_{name}": self.pooled(name) for name in self.pooled_names}
        for name in self.statistics:
            arrays[name] = (STATISTICS[name].axes, self.statistic(name))
        return arrays

    def mean_map(self, class_index: int, filter_index: int) -> NDArray[np.float32] | None:
        """The mean map of a class, <float32>[y, x]; None if the store has none.

        `attributes["class_maps"]` then says why.

        Raises:
            SelectionError: if there is no such class or filter.
        """
        n_classes = self._file.index("classes/name").shape[0]
        for axis, index, size in (
            ("class", class_index, n_classes),
            ("filter", filter_index, self.n_filters),
        ):
            if not 0 <= index < size:
                raise SelectionError(
                    f"no {axis} {index} in layer {self.path}; it has 0 to {size - 1}"
                )
        if "class/mean_map" not in self._node:
            return None
        maps = self._array("class/mean_map", ("class", "map_y", "map_x", "filter")).row(class_index)
        return np.ascontiguousarray(maps[..., filter_index])

    def filter_range(self) -> NDArray[np.float64]:
        """Smallest and largest activation over the whole test set, <float64>[2, filter]."""
        with np.errstate(invalid="ignore"):
            low, high = self.statistic("min"), self.statistic("max")
            return np.stack([np.fmin.reduce(low), np.fmax.reduce(high)])

    def health(self) -> LayerHealth:
        """Which filters are dead, useless or broken; computed from what every store holds."""
        sizes = self._file.read("classes/n_samples")
        n_nonfinite = self.statistic("n_nonfinite")
        n_values = self.statistic("n_values") + n_nonfinite
        zeros = np.nan_to_num(self.statistic("zero_fraction")) * n_values
        if "filters/correlation_mean" in self._node:
            filter_correlation = self.statistic("correlation_mean")
        else:  # a store without scores
            filter_correlation = correlation(centered_covariance(self.pooled("mean")[...]))
        return layer_health(
            low=self.statistic("min"),
            high=self.statistic("max"),
            zero_fraction=zeros.sum(axis=0) / np.maximum(n_values.sum(axis=0), 1),
            n_nonfinite=n_nonfinite,
            n_samples=sizes,
            pooled_max=self.pooled("max")[...],
            correlation=filter_correlation,
        )

    def receptive_field(self, y: int, x: int) -> tuple[int, int, int, int] | None:
        """First row, first column, last row and last column of the input that a unit sees.

        All four are -1 if the unit sees only padding. None if the receptive field is unknown:
        `attributes["receptive_field"]` then says why.

        Raises:
            SelectionError: if there is no such unit.
        """
        height, width, _ = self.shape
        if not (0 <= y < height and 0 <= x < width):
            raise SelectionError(
                f"no unit at row {y}, column {x} in layer {self.path}, whose maps are "
                f"{height}x{width}"
            )
        if "receptive_field" not in self._node:
            return None
        first_y, first_x, last_y, last_x = self._read("receptive_field")[y, x].tolist()
        return first_y, first_x, last_y, last_x

    def receptive_fields(self) -> NDArray[np.int64] | None:
        """The receptive field of every unit, <int64>[y, x, (first y, first x, last y, last x)].

        All four are -1 if a unit sees only padding. None if the receptive fields are unknown:
        `attributes["receptive_field"]` then says why.
        """
        if "receptive_field" not in self._node:
            return None
        return np.asarray(self._read("receptive_field"), dtype=np.int64)

    @property
    def kernel(self) -> NDArray[np.float32] | None:
        """The weights, <float32>[kernel_y, kernel_x, kernel_input, kernel_output], if stored."""
        return self._read("kernel") if "kernel" in self._node else None

    @property
    def bias(self) -> NDArray[np.float32] | None:
        """The bias, <float32>[filter], if stored."""
        return self._read("bias") if "bias" in self._node else None

    def _find(self, name: str) -> Statistic:
        """The definition of a statistic, if the store has it."""
        statistic, where = STATISTICS.get(name), self._file.path.name
        if statistic is not None and self.has(statistic):
            return statistic
        if statistic is None or "layer" in statistic.axes:
            names = self.statistics
            raise StatisticNotFoundError(
                f"no statistic {name!r} of layer {self.path} in {where}; it holds "
                f"{', '.join(names)}{near_matches(name, names)}"
            )
        if statistic.is_stored:
            reason = (
                "it was captured without scores; `fmcore stats STORE --recompute` computes them"
            )
        else:
            reason = f"its histograms are {self.attributes['histogram']}"
        raise StatisticNotFoundError(f"{where} holds no {name} of layer {self.path}: {reason}")

    def _path(self, kind: str, name: str) -> str:
        """The path of an array in a group that may lack it."""
        path = f"{kind}/{name}"
        if path not in self._node:
            names = list(self._node.get(kind, ()))
            raise StatisticNotFoundError(
                f"no {kind} array {name!r} for layer {self.path} in {self._file.path.name}; it "
                f"holds {', '.join(names) or 'none'}{near_matches(name, names)}"
            )
        return path

    def _read(self, path: str) -> Any:
        return self._file.read(f"{self.full_group}/{path}")

    def _array(self, path: str, axes: tuple[str, ...], *, dtype: Any = None) -> StoredArray:
        return self._file.array(f"{self.full_group}/{path}", axes, dtype=dtype)

    @property
    def _node(self) -> Any:
        return self._file.hdf5[self.full_group]


def _full_name(name: str, pooling: str) -> str:
    """The name of a statistic whose pooled table may be left out."""
    full = f"{name}_{pooling}"
    return full if name not in STATISTICS and full in STATISTICS else name
