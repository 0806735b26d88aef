"""One layer of an open store; results are numpy arrays, plain Python, or stored bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import (
    MapsNotStoredError,
    SelectionError,
    StatisticNotFoundError,
    StoreError,
)
from fmcore.numbers import number_text
from fmcore.records import Policy, Target
from fmcore.selection import Picks, near_matches
from fmcore.statistics import (
    DUPLICATE,
    DUPLICATE_ARRAYS,
    DUPLICATE_VALUES,
    POOLED,
    SIMILAR_ARRAYS,
    STATISTICS,
    FilterValues,
    HealthInputs,
    LayerHealth,
    RowTable,
    Statistic,
    Weights,
    correlation_matrix,
    correlation_rows,
    duplicate_arrays,
    layer_health,
    most_similar,
)
from fmcore.storage.chunks.stored_array import ArrayInFile, StoredArray
from fmcore.storage.file.layer_facts import LayerFacts
from fmcore.storage.format.schema import ARRAYS
from fmcore.storage.handle import StoreFile

# Bytes of a kernel that are in memory at once where its norms are computed.
KERNEL_BYTES = 16 << 20
# Layers whose kernels stores of format 1.0 do not have.
_LATE_KERNELS = frozenset(
    {
        *("Conv1DTranspose", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D"),
        *("SeparableConv1D", "SeparableConv2D"),
    }
)
_KERNELS = frozenset({"Conv1D", "Conv2D", "Dense"})
# A pooled table up to this size is read once for correlations, which take it three times.
TABLE_BYTES = 64 << 20


class Layer:
    """One captured layer of a store.

    Attributes:
        path: the Keras path of the layer.
        index: the place of the layer among the captured layers, from 0.
        shape: the shape of the maps of one sample, (y, x, filter).
        policy: how the maps are stored: `float32`, `float16`, or `pooled` for not at all.
        attributes: every attribute of the layer's group.
        group: the name of the layer's group in the file: plain and unique, fit for a file name.
    """

    def __init__(self, file: StoreFile, facts: LayerFacts) -> None:
        self._file = file
        self._facts = facts
        self.group = facts.group
        self.path, self.index, self.policy = facts.path, facts.index, facts.policy
        self.attributes, self.shape = dict(facts.attributes), facts.shape

    @property
    def has_maps(self) -> bool:
        """Whether the feature maps themselves are stored, not only tables and statistics."""
        return self.policy != "pooled"

    @property
    def stored_bytes(self) -> int:
        """Bytes that the layer's maps take in the file; 0 if they are not stored."""
        return self._facts.stored_bytes

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
        return self._array("activation", dtype=np.float32)

    @property
    def n_filters(self) -> int:
        """The number of filters of the layer."""
        return self.shape[2]

    @property
    def statistics(self) -> tuple[str, ...]:
        """The names of the `STATISTICS` that `statistic` gives of this layer's filters."""
        return tuple(statistic.name for statistic in STATISTICS.values() if self.has(statistic))

    def has(self, statistic: Statistic) -> bool:
        """Whether the store holds a statistic of this layer's filters, or what it is made of."""
        name = statistic.made_of or statistic.name
        if "other_filter" in statistic.axes and self._has("similar_r"):
            return True  # it has scores, and the correlations of many filters are computed
        return "layer" not in statistic.axes and self._has(name)

    def statistic(self, name: str, *, pooling: str = "mean") -> NDArray[Any]:
        """A statistic of the layer's filters, with the axes that `STATISTICS` states.

        Args:
            name: such as `auc_max`; or `auc`, for the pooled table of `pooling`.
            pooling: `mean` or `max`, if the name does not include it.

        Raises:
            StatisticNotFoundError: if the store has no such statistic, with the reason.
        """
        statistic = self._find(_full_name(name, pooling))
        if "other_filter" in statistic.axes and not self._has(statistic.name):
            return correlation_matrix(self._row_table(statistic.pooling))
        if statistic.is_stored:
            return self._read(statistic.name)
        if statistic.made_of == "kernel":
            return statistic.compute(Weights(self.n_filters, self._kernel_parts))
        return self.quantiles(statistic.name)[statistic.name]

    def quantiles(self, *names: str) -> dict[str, NDArray[np.float64]]:
        """Quantiles by name, <float64>[class, filter], of histograms that are read once.

        Args:
            names: which, such as `q50`; all if none is named.

        Raises:
            StatisticNotFoundError: if the store has no histograms, with the reason.
        """
        self._find("q50")
        inputs = [self._read(name) for name in ("histogram", "bin_bounds", "min", "max")]
        return {
            name: statistic.compute(*inputs)
            for name, statistic in STATISTICS.items()
            if statistic.level is not None and (not names or name in names)
        }

    def correlations(self, filter_index: int, *, pooling: str = "mean") -> NDArray[np.float32]:
        """The Pearson correlation of a filter with all of the layer, <float32>[filter].

        It is NaN where one of the two does not vary. Of many filters, it is computed from their
        pooled table, of which few rows at a time are in memory.

        Args:
            filter_index: which filter.
            pooling: `mean` or `max`.

        Raises:
            SelectionError: if there is no such filter.
            StatisticNotFoundError: if the store has no scores.
        """
        self.check_filter(filter_index)
        name = self._find(f"correlation_{pooling}").name
        if self._has(name):
            return self._array(name).row(filter_index)
        _, r = next(correlation_rows(self._row_table(pooling), np.array([filter_index])))
        return r[0]

    def similar(self, filter_index: int) -> list[tuple[int, float]]:
        """The other filters that one correlates most with, together or opposite, and r.

        At most 25, the largest |r| of pooled means first, equal ones by index; only filters that
        vary.

        Raises:
            SelectionError: if there is no such filter.
            StatisticNotFoundError: if the store has no scores.
        """
        self.check_filter(filter_index)
        if self._has("similar_r"):
            indices, r = (
                self._array(name).row(filter_index) for name in ("similar_filter", "similar_r")
            )
        else:
            all_r = self.correlations(filter_index)
            indices = most_similar(all_r[np.newaxis], np.array([filter_index]))[0]
            r = all_r[indices]
        pairs = zip(indices.tolist(), r.tolist(), strict=True)
        return [(index, value) for index, value in pairs if 0 <= index < self.n_filters]

    def chance(self, name: str, *, pooling: str = "mean") -> NDArray[np.float64] | None:
        """The chance level of a statistic, low and high, <float64>[bound, …]; None if it has none.

        Args:
            name: such as `auc_max`; or `auc`, for the pooled table of `pooling`.
            pooling: `mean` or `max`, if the name does not include it.

        Raises:
            StatisticNotFoundError: if the store has no such statistic, with the reason.
        """
        statistic = self._find(_full_name(name, pooling))
        return self._read(statistic.chance_name) if statistic.chance else None

    def undefined(self, pooling: str) -> NDArray[np.uint8]:
        """Why each filter has no scores on a pooled table, <uint8>[filter], see `Defined`.

        Raises:
            StatisticNotFoundError: if the store has no scores.
        """
        return self._read(self._require("undefined_", pooling))

    def histogram(self) -> tuple[StoredArray, StoredArray]:
        """The number of finite activations in each bin, and the bounds of the bins.

        Returns:
            The counts, <int64>[class, filter, bin]; and the smallest and largest value of each
            bin, <float32>[bound, bin]. Indexing reads a part of either.

        Raises:
            StatisticNotFoundError: if the store has none, with the reason.
        """
        self._find("q50")
        return self._array("histogram"), self._array("bin_bounds")

    def top(self, what: str) -> StoredArray:
        """Top samples, [filter, k]; by class, [class, filter, k]; by band, [band, filter, k].

        Indexing reads a part of them.

        Args:
            what: `sample`, `value`, `y` or `x`; with the prefix `class_` or `band_` for classes
                or bands.

        Raises:
            StatisticNotFoundError: if the store has none.
        """
        return self._array(self._require("top_", what))

    def pooled(self, name: str) -> StoredArray:
        """A pooled table, [sample, filter]; indexing reads a part of it.

        Raises:
            StatisticNotFoundError: if the store has no such table.
        """
        return self._array(self._require("pooled_", name))

    def strongest(
        self, filter_index: int, *, most: int, mask: NDArray[np.bool_] | None = None
    ) -> dict[str, NDArray[Any]]:
        """The samples that excite a filter most: `sample`, `value`, `y` and `x`, each [k].

        Those with a larger maximum of the map first, equal ones by index; none without a finite
        value. They are computed from the pooled tables.

        Args:
            filter_index: which filter.
            most: the number of samples, at most.
            mask: <bool>[sample], of which samples; of all where left out.

        Raises:
            StatisticNotFoundError: if the store has no such table.
        """
        values = self.pooled("max")[:, filter_index]
        is_eligible = np.isfinite(values) if mask is None else np.isfinite(values) & mask
        samples = np.flatnonzero(is_eligible)
        samples = samples[np.argsort(-values[samples], kind="stable")[:most]]
        places = {axis: self.pooled(f"max_{axis}")[samples, filter_index] for axis in ("y", "x")}
        return {"sample": samples, "value": values[samples], **places}

    @property
    def pooled_names(self) -> tuple[str, ...]:
        """The names of the pooled tables that the store holds for this layer."""
        return tuple(name for name in POOLED if self._has(f"pooled_{name}"))

    def arrays(self) -> dict[str, ArrayInFile]:
        """Maps, pooled tables and statistics by name; nothing of them is read yet."""
        arrays: dict[str, ArrayInFile] = {"activation": self.activation} if self.has_maps else {}
        arrays |= {f"pooled_{name}": self.pooled(name) for name in self.pooled_names}
        for name in (*DUPLICATE_ARRAYS, *SIMILAR_ARRAYS):
            if self._has(name):
                arrays[name] = self._array(name)
        for name in self.statistics:
            axes = STATISTICS[name].axes
            if "other_filter" in axes and not self._has(name):
                continue  # it would be computed
            stored = STATISTICS[name].is_stored
            arrays[name] = self._array(name) if stored else _Computed(self, name)
        return arrays

    def mean_map(self, class_index: int, filter_index: int) -> NDArray[np.float32] | None:
        """The mean map of a class, <float32>[y, x]; None if the store has none.

        `attributes["class_maps"]` then says why.

        Raises:
            SelectionError: if there is no such class or filter.
        """
        n_classes = self._file.array("class_name").shape[0]
        self._check_index("class", class_index, n_classes)
        self.check_filter(filter_index)
        if not self._has("mean_map"):
            return None
        maps = self._array("mean_map").row(class_index)
        return np.ascontiguousarray(maps[..., filter_index])

    def filter_range(self) -> NDArray[np.float64]:
        """Smallest and largest activation over the whole test set, <float64>[2, filter]."""
        with np.errstate(invalid="ignore"):
            low, high = self.statistic("min"), self.statistic("max")
            return np.stack([np.fmin.reduce(low), np.fmax.reduce(high)])

    def filter_values(self) -> FilterValues:
        """The range of each filter's values, and how many are not finite, over the test set."""
        low, high = self.filter_range()
        return FilterValues(low, high, self.statistic("n_values"), self.statistic("n_nonfinite"))

    def health(self) -> LayerHealth:
        """Which filters are dead, useless or broken; computed from what every store holds."""
        sizes = self._file.read("n_samples")
        n_finite, n_nonfinite = self.statistic("n_values"), self.statistic("n_nonfinite")
        n_values = n_finite + n_nonfinite
        zeros = np.nan_to_num(self.statistic("zero_fraction")) * n_values
        inputs = HealthInputs(
            low=self.statistic("min"),
            high=self.statistic("max"),
            zero_fraction=zeros.sum(axis=0) / np.maximum(n_values.sum(axis=0), 1),
            n_finite=n_finite,
            n_nonfinite=n_nonfinite,
            n_samples=sizes,
            map_max=self.pooled("max"),
            map_zeros=self.pooled("zero_fraction"),
            duplicate_of=self.duplicates()[0],
            activation=str(self.attributes["activation_function"]),
        )
        return layer_health(inputs)

    def duplicates(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The earlier filter that each repeats pixel by pixel, over all samples.

        Returns:
            The earlier filter with the largest Pearson correlation, if that is above 0.99, the
            first of equal ones, <int64>[filter], -1 for none; and the correlation, <float32>
            [filter], NaN for none. A filter with values that are not finite has none.
        """
        if self._has("duplicate_of"):
            return self._read("duplicate_of").astype(np.int64), self._read("duplicate_r")
        arrays = self._duplicates_of_pixels()
        return arrays["duplicate_of"].astype(np.int64), arrays["duplicate_r"]

    def _duplicates_of_pixels(self) -> dict[str, NDArray[Any]]:
        """Duplicates where maps have one pixel: the pooled mean of a map is all of it."""
        later, earlier, r = [], [], []

        def collect(filters: NDArray[np.integer], others: NDArray[np.integer], of: Any) -> None:
            rows, places = np.nonzero(of > DUPLICATE)
            later.append(filters[rows])
            earlier.append(others[rows, places])
            r.append(of[rows, places])

        every = np.arange(self.n_filters)
        rest = every if self._file.n_samples >= DUPLICATE_VALUES else every[:0]
        if len(rest) and self._has("correlation_mean"):
            of_all = self._read("correlation_mean")
            collect(every, np.broadcast_to(every, of_all.shape), of_all)
            rest = every[:0]
        elif len(rest) and self._has("similar_r"):
            of_similar = self._read("similar_r")
            collect(every, self._read("similar_filter"), of_similar)
            # Those that are full of duplicates may leave out some.
            rest = np.flatnonzero(np.abs(of_similar).min(axis=1) > DUPLICATE)
        if len(rest):
            for filters, of_all in correlation_rows(self._row_table("mean"), rest):
                collect(filters, np.broadcast_to(every, of_all.shape), of_all)
        if not later:
            later, earlier, r = [every[:0]], [every[:0]], [np.zeros(0, np.float32)]
        pairs = [np.concatenate(arrays) for arrays in (later, earlier, r)]
        is_earlier = pairs[1] < pairs[0]
        return duplicate_arrays(self.n_filters, *(array[is_earlier] for array in pairs))

    def _row_table(self, pooling: str) -> RowTable:
        """A pooled table, read at once if it is small, else each time its rows are needed."""
        table = self.pooled(pooling)
        if table.dtype.itemsize * self._file.n_samples * self.n_filters <= TABLE_BYTES:
            return RowTable.of(table[...])
        return RowTable(self._file.n_samples, self.n_filters, table.__getitem__)

    def check_filter(self, index: int) -> None:
        """Raises `SelectionError` if there is no such filter."""
        self._check_index("filter", index, self.n_filters)

    def _check_index(self, axis: str, index: int, size: int) -> None:
        if not 0 <= index < size:
            raise SelectionError(f"no {axis} {index} in layer {self.path}; it has 0 to {size - 1}")

    @property
    def value_words(self) -> str:
        """How exact the layer's stored values are, and how many the store has made infinite."""
        if not self.has_maps:
            return "pooled: tables and statistics, no maps"
        if self.policy != Policy.FLOAT16:
            return "float32, as the model puts them out"
        error = self.attributes["largest_error"]
        words = f"float16: rounded, the largest error is {number_text(error, digits=3)}"
        n_overflow = int(self.attributes["n_overflow"])
        return f"{words}; {n_overflow:,} beyond ±65,504 became infinite" if n_overflow else words

    @property
    def bin_words(self) -> str:
        """How wide the bins of histograms are, and so how accurate quantiles; or why none are."""
        return str(self.attributes["histogram"])

    @property
    def field_words(self) -> str:
        """Whether receptive fields are what units see: `exact`, or `at most` or `unknown` and why.

        Exact means that each side of the box is moved out to a pixel that can change the unit, and
        none beyond it can. A unit may see less than `at most`.
        """
        return str(self.attributes["receptive_field"])

    def receptive_field(self, y: int, x: int) -> tuple[int, int, int, int] | None:
        """First row, first column, last row and last column of the input that a unit sees.

        It holds what the units of all filters at that place see; they may see less where
        `field_words` says so. All four are -1 if they see only padding. None if the receptive field
        is unknown.

        Raises:
            SelectionError: if there is no such unit.
        """
        height, width, _ = self.shape
        if not (0 <= y < height and 0 <= x < width):
            raise SelectionError(
                f"no unit at row {y}, column {x} in layer {self.path}, whose maps are "
                f"{height}x{width}"
            )
        if not self._has("receptive_field"):
            return None
        first_y, first_x, last_y, last_x = self._read("receptive_field")[y, x].tolist()
        return first_y, first_x, last_y, last_x

    def receptive_fields(self) -> NDArray[np.int64] | None:
        """The receptive field of every unit, <int64>[y, x, (first y, first x, last y, last x)].

        All four are -1 if a unit sees only padding. None if the receptive fields are unknown.
        """
        if not self._has("receptive_field"):
            return None
        return np.asarray(self._read("receptive_field"), dtype=np.int64)

    @property
    def kernel(self) -> NDArray[np.float32] | None:
        """The weights, <float32>[kernel_y, kernel_x, kernel_input, kernel_output], if stored.

        `kernel_output` is the filter. Of a separable layer it is the pointwise part, and each
        filter of a depthwise layer has the one plane that it reads.

        Raises:
            StoreError: if they are those of another number of filters.
        """
        array = self._kernel_array()
        return None if array is None else array[...]

    @property
    def depthwise_kernel(self) -> NDArray[np.float32] | None:
        """The depthwise part of a separable layer's weights, if stored.

        <float32>[depthwise_y, depthwise_x, depthwise_input, multiplier].
        """
        return self._read("depthwise_kernel") if self._has("depthwise_kernel") else None

    @property
    def why_no_kernel(self) -> str:
        """Why the store keeps no kernel of the layer."""
        kind = str(self.attributes["kind"]).partition(" ")[0]
        if kind in _LATE_KERNELS:
            return f"earlier versions of fmcore kept none of a {kind}; capture the model again"
        if kind in _KERNELS:
            return f"it was captured without the weights of this {kind}; capture the model again"
        return (
            f"a layer of the kind {kind or 'unknown'} has no weights that belong to one filter each"
        )

    @property
    def kernel_bytes(self) -> int:
        """Bytes of the weights as float32, before they are read; 0 if none are stored."""
        array = self._kernel_array()
        return 0 if array is None else 4 * math.prod(array.shape)

    def _kernel_array(self) -> StoredArray | None:
        if not self._has("kernel"):
            return None
        array = self._array("kernel")
        if array.shape[3] != self.n_filters:
            raise StoreError(
                f"{self._file.path.name} is a damaged store: the kernel of layer {self.path} has "
                f"the weights of {array.shape[3]} filters, expected {self.n_filters}"
            )
        return array

    def _kernel_parts(self) -> Iterator[NDArray[np.float32]]:
        """The kernel, some input planes of one row at a time."""
        array = self._kernel_array()
        if array is None:
            return
        n_rows, n_columns, n_inputs, n_filters = array.shape
        step = max(1, KERNEL_BYTES // max(1, 4 * n_columns * n_filters))
        for row in range(n_rows):
            for first in range(0, n_inputs, step):
                yield array[row, :, first : first + step]

    @property
    def kernel_shape(self) -> tuple[int, ...] | None:
        """The shape of `kernel`; None if it is not stored."""
        return self._array("kernel").shape if self._has("kernel") else None

    def weights_of(self, filter_index: int) -> NDArray[np.float32]:
        """The weights of one filter, <float32>[kernel_y, kernel_x, kernel_input].

        Raises:
            SelectionError: if there is no such filter.
            StatisticNotFoundError: if the store keeps no kernel of the layer.
        """
        self.check_filter(filter_index)
        shape = self.kernel_shape
        if shape is None:
            raise StatisticNotFoundError(f"the store keeps no kernel of layer {self.path}")
        picks = (*map(range, shape[:3]), range(filter_index, filter_index + 1))
        return np.asarray(self._array("kernel").outer(picks)[..., 0])

    @property
    def bias(self) -> NDArray[np.float32] | None:
        """The bias, <float32>[filter], if stored."""
        return self._read("bias") if self._has("bias") else None

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
        if statistic.target != Target.CLASS:
            reason = ARRAYS[name].absent
        elif statistic.made_of == "kernel":
            reason = self.why_no_kernel
        elif statistic.is_stored:
            reason = (
                "it was captured without scores; `fmcore stats STORE --recompute` computes them"
            )
        else:
            reason = f"its histograms are {self.bin_words}"
        raise StatisticNotFoundError(f"{where} holds no {name} of layer {self.path}: {reason}")

    def _require(self, prefix: str, name: str) -> str:
        """The full name of an array that the store may lack, such as `pooled_max`."""
        kind = prefix.removesuffix("_")
        matching = [array for array in ARRAYS if array.startswith(prefix)]
        if prefix + name not in matching or not self._has(prefix + name):
            names = [array.removeprefix(prefix) for array in matching if self._has(array)]
            raise StatisticNotFoundError(
                f"no {kind} array {name!r} for layer {self.path} in {self._file.path.name}; it "
                f"holds {', '.join(names) or 'none'}{near_matches(name, names)}"
            )
        return prefix + name

    def _has(self, name: str) -> bool:
        return self._file.has(name, self.group)

    def _read(self, name: str) -> Any:
        return self._file.read(name, self.group)

    def _array(self, name: str, *, dtype: Any = None) -> StoredArray:
        return self._file.array(name, self.group, dtype=dtype)


class _Computed:
    """A statistic that is computed of others when it is used, with the face of a `StoredArray`."""

    def __init__(self, layer: Layer, name: str) -> None:
        self._layer, self._name = layer, name
        self.axes = STATISTICS[name].axes
        sizes = {"class": layer._array("mean").shape[0], "filter": layer.n_filters}
        self.shape = tuple(sizes[axis] for axis in self.axes)
        self.dtype = np.dtype(STATISTICS[name].dtype)

    def outer(self, picks: tuple[Picks, ...]) -> NDArray[Any]:
        """The values at all combinations of picked indices."""
        values: NDArray[Any] = self._layer.statistic(self._name)[np.ix_(*picks)]
        return values


def _full_name(name: str, pooling: str) -> str:
    """The name of a statistic whose pooled table may be left out."""
    full = f"{name}_{pooling}"
    return full if name not in STATISTICS and full in STATISTICS else name
