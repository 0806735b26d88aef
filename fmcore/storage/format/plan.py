"""What is known of a store before its first batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.records import DatasetInfo, LayerSpec, ModelInfo
from fmcore.statistics import FINEST, Bins, LayerAccumulators
from fmcore.storage.format.schema import DEFLATE, Codec


@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """How one layer is stored.

    Attributes:
        spec: the layer.
        policy: `float32`, `float16`, or `pooled` for no maps.
        codec: how the chunks of its maps are made.
        map_factors: pixels (y, x) that its class maps average into one; None for no class maps.
        class_maps: the same in words, as the store records it.
        bin_bits: how fine its histograms are, see `fmcore.statistics.Bins`; None for none.
        histogram: the same in words.
    """

    spec: LayerSpec
    policy: str = "float32"
    codec: Codec = DEFLATE
    map_factors: tuple[int, int] | None = (1, 1)
    class_maps: str = "full"
    bin_bits: int | None = FINEST
    histogram: str = Bins(FINEST).words

    def empty_accumulators(self, n_classes: int) -> LayerAccumulators:
        """Accumulators that have seen nothing."""
        return LayerAccumulators.empty(
            n_classes,
            self.spec.shape,
            factors=self.map_factors,
            bits=self.bin_bits,
            rounded=self.policy == "float16",
        )


@dataclass(frozen=True, slots=True, eq=False)
class StorePlan:
    """All that is known of a store before its first batch.

    Attributes:
        ids: a name for each sample.
        class_names: the name of each class.
        image_shape: (image_y, image_x, image_channel).
        image_dtype: uint8 or float32.
        layers: the captured layers, in the model's order.
        model: which model.
        dataset: which test set.
        batch_size: samples that go through the model together.
        first_sample: index of its first sample in the whole test set; 0 unless it is a shard.
        has_predictions: whether the model puts out a distribution over classes.
        statistics: `all`, or `basic` for neither histograms nor scores.
        present: <int64>[class], the classes that have samples, in order; all where left out. Of a
            thousand classes a test set may have a few, and only these take memory.
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
    statistics: str = "all"
    present: NDArray[np.int64] | None = None

    def empty_accumulators(self) -> list[LayerAccumulators]:
        """Accumulators of each layer, for the classes that are present."""
        n_classes = len(self.class_names) if self.present is None else len(self.present)
        return [layer.empty_accumulators(n_classes) for layer in self.layers]

    def places(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the classes of labels are among those that are present."""
        return labels if self.present is None else np.searchsorted(self.present, labels)

    def scatter(self, index: int, sums: LayerAccumulators) -> LayerAccumulators:
        """The accumulators of a layer, for all classes."""
        if self.present is None or len(self.present) == len(self.class_names):
            return sums
        return sums.scatter(
            self.layers[index].empty_accumulators(len(self.class_names)), self.present
        )


def sample_ids(n_samples: int) -> list[str]:
    """The name of each sample: its index, all of the same length."""
    return [f"{index:0{len(str(n_samples - 1))}d}" for index in range(n_samples)]
