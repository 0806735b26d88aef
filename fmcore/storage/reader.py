"""Reads a store; everything that comes out is numpy or plain Python, never an h5py object.

with open_store("mnist.h5") as store:
    maps = store.layers["conv2"].feature_maps(7)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import (
    ClosedStoreError,
    LayerNotFoundError,
    SampleNotFoundError,
    SelectionError,
    StatisticNotFoundError,
    StoreError,
)
from fmcore.selection import near_matches
from fmcore.storage.attributes import read_attributes, read_text
from fmcore.storage.opening import damage_named, open_file
from fmcore.storage.structure import require_structure


def open_store(path: str | Path) -> Store:
    """Opens a store for reading.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if it is no store, or reaches outside its own file.
        UnsupportedVersionError: if its format is of another major version.
    """
    return Store(Path(path))


class Store:
    """Read-only view of one store (see FORMAT.md); a context manager.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: h5py.File | None = open_file(path)
        try:
            with damage_named(path):
                require_structure(self._handle, path)
                found = [Layer(self, group.name) for group in self._handle["layers"].values()]
                found.sort(key=lambda layer: layer.index)
                # Names, not the layers: these hold the store, and a cycle would keep it open.
                self._groups = {layer.path: layer.full_group for layer in found}
                self.n_samples = int(self._handle["sample"].shape[0])
                self.class_names = tuple(self._texts("classes/name"))
        except StoreError:
            self.close()
            raise

    @property
    def file(self) -> h5py.File:
        """The open file, for this package only."""
        if self._handle is None:
            raise ClosedStoreError(f"I/O on {self!r}")
        return self._handle

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The captured layers by Keras path, in the model's order."""
        return _Layers(self, self._groups)

    @property
    def labels(self) -> NDArray[np.int64]:
        """True class index, <int64>[sample]."""
        return self._read("samples/label")

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The model's class index, <int64>[sample]."""
        return self._read("samples/prediction")

    @property
    def ids(self) -> list[str]:
        """A name for each sample."""
        return self._texts("samples/id")

    @property
    def class_sizes(self) -> NDArray[np.int64]:
        """Samples that bear each label, <int64>[class]."""
        return self._read("classes/n_samples")

    def probability(self, sample: int) -> NDArray[np.float32]:
        """The model's belief in each class, <float32>[class]."""
        return self._read("samples/probability", self.check_sample(sample))

    def image(self, sample: int) -> NDArray[Any]:
        """The image as stored, <uint8 or float32>[image_y, image_x, image_channel]."""
        return self._read("samples/image", self.check_sample(sample))

    def about(self) -> dict[str, dict[str, str | int | float]]:
        """Every attribute of the file, the model, the data set and the capture, by group."""
        groups = {"store": "/", "model": "model", "dataset": "dataset", "capture": "capture"}
        return {name: read_attributes(self.file[path]) for name, path in groups.items()}

    def architecture(self) -> dict[str, Any]:
        """The model's configuration, as Keras wrote it."""
        parsed: dict[str, Any] = json.loads(self._read("model/architecture").tobytes())
        return parsed

    def check_sample(self, sample: int) -> int:
        """The index itself.

        Raises:
            SampleNotFoundError: if there is no such sample; negative indices are none.
        """
        if not 0 <= sample < self.n_samples:
            raise SampleNotFoundError(
                f"no sample {sample} in {self.path.name}; it holds 0 to {self.n_samples - 1}"
            )
        return sample

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._handle is None:
            return f"<closed Store {self.path.name!r}>"
        return (
            f"<Store {self.path.name!r}: {self.n_samples:,} samples, "
            f"{len(self._groups)} layers ({', '.join(self._groups)})>"
        )

    def _read(self, path: str, selection: Any = ...) -> Any:
        return read_array(self, path, selection)

    def _texts(self, path: str) -> list[str]:
        return [text.decode("utf-8", "replace") for text in self._read(path).tolist()]


class Layer:
    """One captured layer of a store.

    Attributes:
        path: its Keras path.
        index: its place among the captured layers.
        shape: (y, x, filter) of one sample.
        full_group: the path of its group in the file.
    """

    def __init__(self, store: Store, group: str) -> None:
        self._store = store
        self.full_group = group
        node = store.file[group]
        self.path = read_text(node, "layer_path")
        self.index = int(node.attrs["layer_index"])
        self.attributes = read_attributes(node)
        _, height, width, filters = node["activation"].shape
        self.shape: tuple[int, int, int] = (height, width, filters)

    @property
    def n_filters(self) -> int:
        """Filters of the layer."""
        return self.shape[2]

    @property
    def group(self) -> str:
        """The name of the layer's group in the file: plain and unique, fit for a file name."""
        return self.full_group.rsplit("/", 1)[-1]

    @property
    def stored_bytes(self) -> int:
        """Bytes that the layer's activation takes in the file."""
        with damage_named(self._store.path):
            return int(self._store.file[self.full_group]["activation"].id.get_storage_size())

    def feature_maps(self, sample: int) -> NDArray[np.float32]:
        """All maps of one sample, <float32>[y, x, filter]; reads one chunk, or one a filter block.

        Raises:
            SampleNotFoundError: if there is no such sample.
        """
        return self._read("activation", self._store.check_sample(sample))

    def activation(self, start: int, stop: int) -> NDArray[np.float32]:
        """The maps of a range of samples, <float32>[sample, y, x, filter].

        Raises:
            SampleNotFoundError: if it does not begin at a sample.
        """
        self._store.check_sample(start)
        return self._read("activation", slice(start, stop))

    def pooled(self, name: str) -> NDArray[Any]:
        """A pooled table, [sample, filter].

        Raises:
            StatisticNotFoundError: if the store has no such table.
        """
        return self._read_known("pooled", name)

    def statistic(self, name: str) -> NDArray[Any]:
        """A statistic for each class and filter, [class, filter].

        Raises:
            StatisticNotFoundError: if the store has no such statistic.
        """
        return self._read_known("class", name)

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
        if "mean_map" not in self._store.file[self.full_group]["class"]:
            return None
        return self._read("class/mean_map", (class_index, slice(None), slice(None), filter_index))

    def filter_range(self) -> NDArray[np.float64]:
        """Smallest and largest activation over the whole test set, <float64>[2, filter]."""
        with np.errstate(invalid="ignore"):
            low, high = self.statistic("min"), self.statistic("max")
            return np.stack([np.fmin.reduce(low), np.fmax.reduce(high)])

    def _read_known(self, kind: str, name: str) -> Any:
        names = list(self._store.file[self.full_group][kind])
        if name not in names:
            raise StatisticNotFoundError(
                f"no {kind} array {name!r} for layer {self.path} in {self._store.path.name}; it "
                f"holds {', '.join(names)}{near_matches(name, names)}"
            )
        return self._read(f"{kind}/{name}")

    def _read(self, path: str, selection: Any = ...) -> Any:
        return read_array(self._store, f"{self.full_group}/{path}", selection)


class _Layers(Mapping[str, Layer]):
    """Layers by path, with an error that says which there are."""

    def __init__(self, store: Store, groups: Mapping[str, str]) -> None:
        self._store = store
        self._groups = groups

    def __getitem__(self, path: str) -> Layer:
        if path not in self._groups:
            names = list(self._groups)
            raise LayerNotFoundError(
                f"no layer {path!r} in {self._store.path.name}; it holds {', '.join(names)}"
                f"{near_matches(path, names)}"
            )
        return Layer(self._store, self._groups[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)


def read_array(store: Store, path: str, selection: Any = ...) -> Any:
    """Reads part of an array, its checksums verified.

    Raises:
        StoreError: if a chunk is damaged, naming the array.
    """
    with damage_named(store.path):
        return store.file[path][selection]
