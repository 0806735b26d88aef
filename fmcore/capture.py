"""The one streaming pass: a probe over a test set, into a store. Knows no Keras and no HDF5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset import LabelledImages, describe_scale, model_input
from fmcore.records import Captured, DatasetInfo, LayerSpec, ModelInfo
from fmcore.statistics import ClassMaps, Moments, Pooled, class_maps_bytes
from fmcore.storage import StorePlan, create_store

DEFAULT_BATCH_SIZE = 256
# Mean and spread maps of a layer are held in memory for all classes at once; past this they are
# left out, and the store says so.
CLASS_MAPS_BUDGET_BYTES = 512 << 20


class Probe(Protocol):
    """Turns images into activations; the Keras probe is one implementation."""

    @property
    def layers(self) -> Sequence[LayerSpec]:
        """The layers it captures, in the model's order."""

    def __call__(self, images: NDArray[np.float32]) -> Captured:
        """Runs one batch, <float32>[sample, image_y, image_x, image_channel]."""


@dataclass(slots=True)
class _LayerSums:
    """What accumulates for one layer while the samples stream by."""

    moments: Moments
    maps: ClassMaps | None
    maps_bytes: int

    @classmethod
    def empty(cls, n_classes: int, shape: tuple[int, int, int]) -> _LayerSums:
        size = class_maps_bytes(n_classes, shape)
        maps = ClassMaps.empty(n_classes, shape) if size <= CLASS_MAPS_BUDGET_BYTES else None
        return cls(Moments.empty(n_classes, shape[2]), maps, size)

    def add(self, values: NDArray[np.float32], labels: NDArray[np.int64], n_classes: int) -> Pooled:
        pooled = Pooled.from_batch(values)
        self.moments = self.moments.merge(Moments.from_pooled(pooled, labels, n_classes=n_classes))
        if self.maps is not None:
            self.maps = self.maps.merge(ClassMaps.from_batch(values, labels, n_classes=n_classes))
        return pooled

    def arrays(self) -> dict[str, NDArray[Any]]:
        return self.moments.read_out() | (self.maps.read_out() if self.maps is not None else {})

    def class_maps(self) -> str:
        if self.maps is not None:
            return "full"
        return (
            f"off: {self.maps_bytes:,} bytes exceed the budget of {CLASS_MAPS_BUDGET_BYTES:,} bytes"
        )


def capture(
    probe: Probe,
    samples: LabelledImages,
    path: Path,
    *,
    class_names: Sequence[str],
    model: ModelInfo,
    dataset_name: str,
    dataset_source: str,
    divide_by: float = 1.0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    overwrite: bool = False,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Path:
    """Runs the whole test set through a probe once and writes the store.

    Memory does not grow with the number of samples beyond the images themselves.

    Args:
        probe: the model.
        samples: the test set; labels must lie in `range(len(class_names))`.
        path: the store; it appears when it is whole.
        class_names: the name of each class.
        model: what the store records of the model.
        dataset_name: what the store records as the name of the test set.
        dataset_source: where its images came from.
        divide_by: what pixels are divided by before the model sees them.
        batch_size: samples that go through the model together.
        overwrite: replace a store of that name.
        on_progress: called with the number of samples of each batch when it is written.

    Raises:
        OutputError: if the store exists and `overwrite` is false, or the disk refuses.
    """
    n_classes = len(class_names)
    batch_size = min(batch_size, len(samples))
    plan = StorePlan(
        ids=[f"{index:0{len(str(len(samples) - 1))}d}" for index in range(len(samples))],
        class_names=class_names,
        image_shape=(samples.images.shape[1], samples.images.shape[2], samples.images.shape[3]),
        image_dtype=samples.images.dtype,
        layers=probe.layers,
        model=model,
        dataset=DatasetInfo(
            dataset_name, dataset_source, samples.fingerprint, describe_scale(divide_by)
        ),
        batch_size=batch_size,
    )
    sums = [_LayerSums.empty(n_classes, layer.shape) for layer in probe.layers]
    n_correct = 0
    with create_store(path, plan, overwrite=overwrite) as store:
        for start in range(0, len(samples), batch_size):
            rows = slice(start, start + batch_size)
            images, labels = samples.images[rows], samples.labels[rows]
            captured = probe(model_input(images, divide_by=divide_by))
            pooled = [
                layer.add(values, labels, n_classes)
                for layer, values in zip(sums, captured.activations, strict=True)
            ]
            store.append(
                images=images,
                labels=labels,
                probability=captured.probability,
                activations=captured.activations,
                pooled=[each.tables() for each in pooled],
            )
            n_correct += int((captured.probability.argmax(axis=1) == labels).sum())
            on_progress(len(labels))
        for index, layer in enumerate(sums):
            store.write_layer(index, layer.arrays(), layer.class_maps())
        store.write_summary(
            n_samples=np.bincount(samples.labels, minlength=n_classes),
            test_accuracy=n_correct / len(samples),
        )
    return path
