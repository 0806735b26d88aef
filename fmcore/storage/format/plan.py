"""The plan of a store: everything that is decided before its first batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.records import (
    Conversion,
    DatasetInfo,
    LayerSpec,
    ModelInfo,
    Policy,
    StatisticsScope,
    Target,
)
from fmcore.statistics import FINEST, MATRIX_FILTERS, Bins, Extent, LayerAccumulators
from fmcore.storage.codec import DEFLATE, Codec
from fmcore.storage.format.columns import COLUMNS, SampleColumn
from fmcore.storage.format.lack import Lack
from fmcore.storage.format.schema import ARRAYS


@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """How one layer is stored.

    Attributes:
        spec: the layer as the model has it.
        policy: `float32`, `float16`, or `pooled` for no maps.
        codec: how the chunks of its maps are made.
        compression: in words for the store, how that is, and why.
        map_factors: pixels (y, x) that its class maps average into one; None for no class maps.
        class_maps: in words for the store, how class maps are reduced, or why there are none.
        bin_bits: how fine its histograms are, see `fmcore.statistics.Bins`; None for none.
        histogram: in words for the store, how wide the bins are, or why there are none.
    """

    spec: LayerSpec
    policy: Policy = Policy.FLOAT32
    codec: Codec = DEFLATE
    compression: str = DEFLATE.name
    map_factors: tuple[int, int] | None = (1, 1)
    class_maps: str = "full"
    bin_bits: int | None = FINEST
    histogram: str = Bins(FINEST).words

    def empty_accumulators(self, n_classes: int) -> LayerAccumulators:
        """The layer's accumulators, which have seen no sample yet."""
        return LayerAccumulators.empty(
            Extent(
                n_classes,
                self.spec.shape,
                map_factors=self.map_factors,
                bin_bits=self.bin_bits,
                float16=self.policy == Policy.FLOAT16,
            )
        )

    def stored(self, values: NDArray[np.float32]) -> NDArray[np.floating]:
        """The activations as the store keeps them, [sample, y, x, filter]; copied only if changed.

        Args:
            values: <float32>[sample, y, x, filter].
        """
        if self.policy != Policy.FLOAT16:
            return values
        with np.errstate(over="ignore"):
            return values.astype(np.float16)

    @property
    def lacks(self) -> frozenset[Lack]:
        """What the layer goes without."""
        reasons = {
            Lack.MAPS: self.policy == Policy.POOLED,
            Lack.CLASS_MAPS: self.map_factors is None,
            Lack.HISTOGRAMS: self.bin_bits is None,
            Lack.KERNEL: self.spec.kernel is None,
            Lack.DEPTHWISE_KERNEL: self.spec.depthwise_kernel is None,
            Lack.BIAS: self.spec.bias is None,
            Lack.DUPLICATES: self.spec.shape[0] * self.spec.shape[1] == 1,
            Lack.RECEPTIVE_FIELD: self.spec.receptive_field is None,
            Lack.MATRIX: self.spec.shape[2] > MATRIX_FILTERS,
            Lack.LISTS: self.spec.shape[2] <= MATRIX_FILTERS,
        }
        return frozenset(lack for lack, applies in reasons.items() if applies)


@dataclass(frozen=True, slots=True, eq=False)
class StorePlan:
    """Everything that is decided about a store before its first batch.

    Attributes:
        ids: a name for each sample.
        class_names: the name of each class.
        image_shape: (image_y, image_x, image_channel).
        image_dtype: uint8 or float32.
        layers: the captured layers, in the model's order.
        model: the model.
        dataset: the test set.
        batch_size: samples that go through the model together.
        first_sample: index of the first sample in the whole test set; not 0 only in a part of it.
        has_predictions: whether the model puts out a distribution over classes.
        statistics: `all`, or `basic` for neither histograms nor scores.
        target: the kind of answer that the model gives.
        output_name: the model's output that gives it; empty for none.
        conversion: how the values of that output became what is stored.
        target_names: the name of each of several labels, or of each number.
        has_truth: whether the labels of the samples are of that kind.
        present: <int64>[class], the classes that have samples, in order; None for all classes. A
            test set may have few of a thousand classes, and only these take memory.
        command: the command that makes it; empty for none, as in Python.
    """

    ids: Sequence[str]
    class_names: Sequence[str]
    image_shape: tuple[int, int, int]
    image_dtype: np.dtype[Any]
    layers: Sequence[LayerPlan]
    model: ModelInfo
    dataset: DatasetInfo
    batch_size: int
    first_sample: int = 0
    has_predictions: bool = True
    statistics: StatisticsScope = StatisticsScope.ALL
    target: Target = Target.CLASS
    output_name: str = ""
    conversion: Conversion = Conversion.IDENTITY
    target_names: Sequence[str] = ()
    has_truth: bool = False
    present: NDArray[np.int64] | None = None
    command: str = ""

    @property
    def lacks(self) -> frozenset[Lack]:
        """What the whole store goes without."""
        of_labels, of_numbers = self.target == Target.LABELS, self.target == Target.NUMBER
        scored = self.statistics == StatisticsScope.ALL
        scored_targets = (of_labels or of_numbers) and self.has_truth and scored
        reasons = {
            Lack.GRAPH: self.model.graph is None,
            Lack.PREDICTIONS: not self.has_predictions,
            **dict.fromkeys((Lack.SCORES, Lack.MATRIX, Lack.LISTS), not scored),
            Lack.LABELS: not of_labels,
            Lack.TRUE_LABELS: not (of_labels and self.has_truth),
            Lack.LABEL_SCORES: not (of_labels and scored_targets),
            Lack.NUMBERS: not of_numbers,
            Lack.TRUE_NUMBERS: not (of_numbers and self.has_truth),
            Lack.NUMBER_SCORES: not (of_numbers and scored_targets),
            Lack.TARGET_SCORES: not scored_targets,
            Lack.TARGETS: not (of_labels or of_numbers),
        }
        return frozenset(lack for lack, applies in reasons.items() if applies)

    @property
    def columns(self) -> list[SampleColumn]:
        """The columns of the samples that the store has."""
        return [column for column in COLUMNS.values() if column.absent not in self.lacks]

    def column_row(self, column: SampleColumn) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """The shape of a sample's part of a column, and the type of its values."""
        sizes = dict(zip(("image_y", "image_x", "image_channel"), self.image_shape, strict=True))
        sizes |= {"class": len(self.class_names), "target": len(self.target_names)}
        dtype = self.image_dtype if len(column.dtypes) > 1 else np.dtype(column.dtypes[0])
        return tuple(sizes[axis] for axis in column.axes[1:]), dtype

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample's name and columns, uncompressed."""
        rows = map(self.column_row, self.columns)
        longest = max((len(name) for name in self.ids), default=0)
        return longest + sum(math.prod(shape) * dtype.itemsize for shape, dtype in rows)

    def empty_accumulators(self) -> list[LayerAccumulators]:
        """Empty accumulators for each layer, for the classes that are present."""
        n_classes = len(self.class_names) if self.present is None else len(self.present)
        return [layer.empty_accumulators(n_classes) for layer in self.layers]

    def places(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each label's class among the classes that are present."""
        return labels if self.present is None else np.searchsorted(self.present, labels)

    def all_classes(self, name: str, array: NDArray[Any], unseen: NDArray[Any]) -> NDArray[Any]:
        """Extends an array of a layer from the classes that are present to all.

        Args:
            name: its name in the schema.
            array: its values for the classes that are present.
            unseen: its values for classes without samples, which are all the same.
        """
        axes, n_classes = ARRAYS[name].axes, len(self.class_names)
        if self.present is None or len(self.present) == n_classes or "class" not in axes:
            return array
        axis = axes.index("class")
        shape = *array.shape[:axis], n_classes, *array.shape[axis + 1 :]
        extended = np.full(shape, unseen.flat[0], array.dtype)
        np.moveaxis(extended, axis, 0)[self.present] = np.moveaxis(array, axis, 0)
        return extended


def sample_ids(n_samples: int, rows: range | None = None) -> list[str]:
    """A name for each sample: its index, with leading zeros to the same length.

    Args:
        n_samples: the number of samples in the test set.
        rows: of which of them; of all where left out.
    """
    width = len(str(n_samples - 1))
    return [f"{index:0{width}d}" for index in (range(n_samples) if rows is None else rows)]
