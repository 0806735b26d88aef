"""The plan of a store: everything that is decided before its first batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.records import DatasetInfo, LayerSpec, ModelInfo, Policy, StatisticsScope
from fmcore.statistics import FINEST, Bins, LayerAccumulators
from fmcore.storage.format.schema import DEFLATE, Codec


@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """How one layer is stored.

    Attributes:
        spec: the layer as the model has it.
        policy: `float32`, `float16`, or `pooled` for no maps.
        codec: how the chunks of its maps are made.
        map_factors: pixels (y, x) that its class maps average into one; None for no class maps.
        class_maps: in words for the store, how class maps are reduced, or why there are none.
        bin_bits: how fine its histograms are, see `fmcore.statistics.Bins`; None for none.
        histogram: in words for the store, how wide the bins are, or why there are none.
    """

    spec: LayerSpec
    policy: Policy = Policy.FLOAT32
    codec: Codec = DEFLATE
    map_factors: tuple[int, int] | None = (1, 1)
    class_maps: str = "full"
    bin_bits: int | None = FINEST
    histogram: str = Bins(FINEST).words

    def empty_accumulators(self, n_classes: int) -> LayerAccumulators:
        """The layer's accumulators, which have seen no sample yet."""
        return LayerAccumulators.empty(
            n_classes,
            self.spec.shape,
            factors=self.map_factors,
            bits=self.bin_bits,
            rounded=self.policy == Policy.FLOAT16,
        )


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
        first_sample: index of the first sample in the whole test set; not 0 only in a shard.
        has_predictions: whether the model puts out a distribution over classes.
        statistics: `all`, or `basic` for neither histograms nor scores.
        present: <int64>[class], the classes that have samples, in order; None for all classes. A
            test set may have few of a thousand classes, and only these take memory.
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
    present: NDArray[np.int64] | None = None

    def empty_accumulators(self) -> list[LayerAccumulators]:
        """Empty accumulators for each layer, for the classes that are present."""
        n_classes = len(self.class_names) if self.present is None else len(self.present)
        return [layer.empty_accumulators(n_classes) for layer in self.layers]

    def places(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each label's class among the classes that are present."""
        return labels if self.present is None else np.searchsorted(self.present, labels)

    def scatter(self, index: int, accumulators: LayerAccumulators) -> LayerAccumulators:
        """Extends the accumulators of a layer from the classes that are present to all."""
        if self.present is None or len(self.present) == len(self.class_names):
            return accumulators
        return accumulators.scatter(
            self.layers[index].empty_accumulators(len(self.class_names)), self.present
        )


def sample_ids(n_samples: int) -> list[str]:
    """A name for each sample: its index, with leading zeros to the same length."""
    return [f"{index:0{len(str(n_samples - 1))}d}" for index in range(n_samples)]
