"""Reads a store; results are numpy arrays or plain Python, never h5py objects.

with open_store("mnist.h5") as store:
    maps = store.layers["conv2"].feature_maps(7)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import (
    ClosedStoreError,
    LayerNotFoundError,
    PredictionsNotStoredError,
    SampleNotFoundError,
    StatisticNotFoundError,
    StoreError,
)
from fmcore.selection import near_matches
from fmcore.statistics import STATISTICS
from fmcore.storage.chunks.chunk_index import ChunkIndex, index_of
from fmcore.storage.file.nodes import DIGEST, damage_as_store_error, read_attributes, read_text
from fmcore.storage.file.opened import OpenFile, open_file
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import stated_digest
from fmcore.storage.file.structure import require_structure
from fmcore.storage.interop import samples_frame, tree_of
from fmcore.storage.layer import Layer, LayerFacts
from fmcore.storage.stored_array import StoredArray

if TYPE_CHECKING:
    import pandas
    import xarray


def open_store(path: str | Path) -> Store:
    """Opens a store for reading.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if it is not a store, or refers to other files.
        UnsupportedVersionError: if its format has another major version.
    """
    return Store(Path(path))


class Store:
    """Read-only view of one store (see FORMAT.md); a context manager.

    Attributes:
        path: the file.
        n_samples: the number of samples.
        class_names: the name of each class.
        labels_are: who set the labels: `given`, `predicted` or `none`.
        has_predictions: whether the store holds predictions and probabilities.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: OpenFile | None = open_file(path)
        self._arrays: dict[str, ChunkIndex] = {}
        try:
            with damage_as_store_error(path):
                require_structure(self.file, path)
                layers = map(LayerFacts.from_group, self.file["layers"].values())
                # Facts, not layers: a layer refers to the store, and a cycle would keep it open.
                self._facts = {
                    facts.path: facts for facts in sorted(layers, key=lambda facts: facts.index)
                }
                self.n_samples = int(self.file["sample"].shape[0])
                self.class_names = tuple(self._texts("classes/name"))
                # Read once, because every thumbnail needs it.
                self.labels_are = read_text(self.file["dataset"], "labels")
                self.has_predictions = "prediction" in self.file["samples"]
        except StoreError:
            self.close()
            raise

    @property
    def file(self) -> h5py.File:
        """The open file, for this package only."""
        return self._open.hdf5

    @property
    def bytes(self) -> FileBytes:
        """The bytes of the open file, for this package only."""
        return self._open.bytes

    @property
    def _open(self) -> OpenFile:
        opened = self._opened
        if opened is None:
            raise ClosedStoreError(f"I/O on {self!r}")
        return opened

    def array(self, path: str) -> ChunkIndex:
        """The chunk index of an array, read once; for this package only.

        Raises:
            ClosedStoreError: if the store is closed.
            StoreError: if the index of its chunks is damaged.
        """
        opened, index = self._open, self._arrays.get(path)
        if index is None:
            # Two threads may both read it; the results are equal.
            with damage_as_store_error(self.path):
                index = index_of(opened.hdf5[path], opened.bytes.size)
            self._arrays[path] = index
        return index

    def is_indexed(self, path: str) -> bool:
        """Whether the chunk index of an array was read before; for this package only."""
        return path in self._arrays

    @property
    def digest(self) -> str:
        """A digest, in hex, that differs between stores: over metadata and the places of chunks.

        It does not cover the values, which have checksums of their own.
        """
        return stated_digest(self.bytes) or read_text(self.file, DIGEST)

    @property
    def images(self) -> StoredArray:
        """The images as stored, [sample, image_y, image_x, image_channel]; indexing reads them."""
        axes = ("sample", "image_y", "image_x", "image_channel")
        return StoredArray(self, "samples/image", axes)

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The captured layers by Keras path, in the model's order."""
        return _Layers(self, self._facts)

    @property
    def ids(self) -> list[str]:
        """A name for each sample."""
        return self._texts("samples/id")

    @property
    def class_sizes(self) -> NDArray[np.int64]:
        """The number of samples with each label, <int64>[class]."""
        return self._read("classes/n_samples")

    def image(self, sample: int) -> NDArray[Any]:
        """The image as stored, <uint8 or float32>[image_y, image_x, image_channel]."""
        return self._row("samples/image", sample)

    @property
    def samples(self) -> pandas.DataFrame:
        """One row a sample: id, label, prediction, their names, correct, probability.

        The index is the index of the sample; `probability` is what the model gives to its
        prediction. Without labels or predictions, their columns are left out.

        Raises:
            MissingLibraryError: if pandas is not installed.
        """
        return samples_frame(self)

    def to_xarray(self) -> xarray.DataTree:
        """The store as a tree: samples at the root, and a node for each layer by its group's name.

        Images, maps and pooled tables are read when they are used, while the store is open.

        Raises:
            MissingLibraryError: if xarray is not installed.
        """
        return tree_of(self)

    @property
    def similarities(self) -> tuple[str, ...]:
        """The names of the statistics across layers that the store holds."""
        return tuple(name for name in self.file.get("similarity", ()) if name in STATISTICS)

    def similarity(self, name: str) -> NDArray[np.float64]:
        """A statistic across the layers in their order: [layer], or [layer, other_layer] for CKA.

        Raises:
            StatisticNotFoundError: if the store has no such statistic.
        """
        names = self.similarities
        if name not in names:
            remedy = "" if names else "; `fmcore stats STORE --recompute` computes them"
            raise StatisticNotFoundError(
                f"no statistic {name!r} across layers in {self.path.name}; it holds "
                f"{', '.join(names) or 'none'}{near_matches(name, names)}{remedy}"
            )
        return self._read(f"similarity/{name}")

    def about(self) -> dict[str, dict[str, str | int | float]]:
        """Every attribute of the file, the model, the data set and the capture, by group."""
        groups = {"store": "/", "model": "model", "dataset": "dataset", "capture": "capture"}
        return {name: read_attributes(self.file[path]) for name, path in groups.items()}

    def architecture(self) -> dict[str, Any]:
        """The model's configuration, as Keras wrote it."""
        parsed: dict[str, Any] = json.loads(self._read("model/architecture").tobytes())
        return parsed

    @property
    def has_labels(self) -> bool:
        """Whether the labels came with the images."""
        return self.labels_are == "given"

    @property
    def has_outcomes(self) -> bool:
        """Whether there are labels and predictions, so that each prediction is correct or wrong."""
        return self.has_labels and self.has_predictions

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index, <int64>[sample]; the true class if `has_labels`."""
        return self._read("samples/label")

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The model's class index, <int64>[sample].

        Raises:
            PredictionsNotStoredError: if the store holds no predictions.
        """
        return self._read(self._prediction_path("samples/prediction"))

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The probability that the model gives to each class, <float32>[sample, class].

        Raises:
            PredictionsNotStoredError: if the store holds no predictions.
        """
        return self._read(self._prediction_path("samples/probability"))

    def probability(self, sample: int) -> NDArray[np.float32]:
        """The probability that the model gives to each class for one sample, <float32>[class].

        Raises:
            PredictionsNotStoredError: if the store holds no predictions.
            SampleNotFoundError: if there is no such sample.
        """
        return self._row(self._prediction_path("samples/probability"), sample)

    @property
    def class_columns(self) -> tuple[str, ...]:
        """The class columns that the store has: `label` and `prediction`, one of them, or none."""
        labels = () if self.labels_are == "none" else ("label",)
        return (*labels, *(("prediction",) if self.has_predictions else ()))

    def classes_of_samples(self) -> dict[str, NDArray[np.int64]]:
        """The class index of each sample, <int64>[sample], by the names in `class_columns`."""
        return {name: self._read(f"samples/{name}") for name in self.class_columns}

    @property
    def accuracy_words(self) -> str:
        """The accuracy in words, such as `test accuracy 0.9841`, or why there is none."""
        return self.why_no_outcomes or f"test accuracy {self.about()['model']['test_accuracy']:.4f}"

    @property
    def why_no_outcomes(self) -> str:
        """Why no prediction is correct or wrong; empty if each of them is."""
        if self.has_outcomes:
            return ""
        if self.has_predictions:
            return "no labels: classes are what the model predicts"
        return "no predictions" if self.has_labels else "no predictions and no labels"

    def check_sample(self, sample: int) -> int:
        """Returns the index if there is such a sample.

        Raises:
            SampleNotFoundError: if there is none; negative indices are not accepted.
        """
        if not 0 <= sample < self.n_samples:
            raise SampleNotFoundError(
                f"no sample {sample} in {self.path.name}; it holds 0 to {self.n_samples - 1}"
            )
        return sample

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None  # a thread that is still reading keeps the bytes open

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._opened is None:
            return f"<closed Store {self.path.name!r}>"
        return (
            f"<Store {self.path.name!r}: {self.n_samples:,} samples, "
            f"{len(self._facts)} layers ({', '.join(self._facts)})>"
        )

    def _read(self, path: str) -> Any:
        array = self.array(path)
        return array.rows(self.bytes, 0, array.shape[0])

    def _row(self, path: str, sample: int) -> Any:
        return self.array(path).row(self.bytes, self.check_sample(sample))

    def _prediction_path(self, path: str) -> str:
        if not self.has_predictions:
            raise PredictionsNotStoredError(
                f"{self.path.name} holds no predictions: {self.about()['model']['output']}"
            )
        return path

    def _texts(self, path: str) -> list[str]:
        return [text.decode("utf-8", "replace") for text in self._read(path).tolist()]


class _Layers(Mapping[str, Layer]):
    """The layers by path; an error for a wrong path names the right ones."""

    def __init__(self, store: Store, facts: Mapping[str, LayerFacts]) -> None:
        self._store = store
        self._facts = facts

    def __getitem__(self, path: str) -> Layer:
        if path not in self._facts:
            names = list(self._facts)
            raise LayerNotFoundError(
                f"no layer {path!r} in {self._store.path.name}; it holds {', '.join(names)}"
                f"{near_matches(path, names)}"
            )
        return Layer(self._store, self._facts[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)
