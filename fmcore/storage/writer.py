"""Writes one store, batch by batch, in constant memory; `publish` gives it its name at the end."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.files import publish
from fmcore.records import DatasetInfo, LayerSpec, ModelInfo
from fmcore.storage import codec, layout
from fmcore.storage.attributes import DIGEST, attributes_digest, fixed_text
from fmcore.storage.heldfile import HeldFile
from fmcore.storage.schema import FORMAT, FORMAT_VERSION, SCHEMA, ArraySpec, scale_path

# Both bounds: files written with "latest" by h5py 3.16 cannot be opened by 3.14.
LIBRARY_VERSIONS = ("v110", "v110")
CHUNKS_PER_TASK = 16  # a task for each chunk would spend as long on hand-over as on deflate


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
    """

    ids: Sequence[str]
    class_names: Sequence[str]
    image_shape: tuple[int, int, int]
    image_dtype: np.dtype[Any]
    layers: Sequence[LayerSpec]
    model: ModelInfo
    dataset: DatasetInfo
    batch_size: int


@contextlib.contextmanager
def create_store(path: Path, plan: StorePlan, *, overwrite: bool = False) -> Iterator[StoreWriter]:
    """Opens a new store for writing; it appears as `path` when the block ends without an error.

    Raises:
        OutputError: if `path` exists and `overwrite` is false, or the disk refuses.
    """
    with publish(path, overwrite=overwrite) as partial, HeldFile(partial, "w+") as file:
        writer = StoreWriter(file, plan)
        try:
            yield writer
            writer.finish()
        except Exception:
            file.check()  # where the disk failed, that is the error; what HDF5 made of it is not
            raise
        finally:
            writer.close()
        file.check()


class StoreWriter:
    """Appends batches to a store, then its statistics. One thread may use it."""

    def __init__(self, file: HeldFile, plan: StorePlan) -> None:
        self._disk = file
        self._plan = plan
        self._written = 0
        self._groups = layout.group_names([layer.path for layer in plan.layers])
        self._pending: list[list[NDArray[np.float32]]] = [[] for _ in plan.layers]
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="deflate")
        self._file = h5py.File(file, "w", libver=LIBRARY_VERSIONS, track_order=True)
        try:
            self._create_all()
        except BaseException:
            self.close()
            raise

    def append(
        self,
        *,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        probability: NDArray[np.float32],
        activations: Sequence[NDArray[np.float32]],
        pooled: Sequence[Mapping[str, NDArray[Any]]],
    ) -> None:
        """Writes the next samples.

        Args:
            images: <uint8 or float32>[sample, image_y, image_x, image_channel].
            labels: <int64>[sample].
            probability: <float32>[sample, class].
            activations: for each layer, <float32>[sample, y, x, filter].
            pooled: for each layer, the pooled tables [sample, filter] by name.

        Raises:
            OSError: if the disk refuses.
        """
        rows = slice(self._written, self._written + len(labels))
        samples = self._file["samples"]
        samples["image"][rows] = images
        samples["label"][rows] = labels
        samples["probability"][rows] = probability
        samples["prediction"][rows] = probability.argmax(axis=1)
        for index, group in enumerate(self._groups):
            for name, table in pooled[index].items():
                self._file[f"layers/{group}/pooled/{name}"][rows] = table
            self._write_activation(index, activations[index])
        self._written = rows.stop
        self._disk.check()

    def write_layer(self, index: int, arrays: Mapping[str, NDArray[Any]], class_maps: str) -> None:
        """Writes what is known of a layer once all samples are seen.

        Args:
            index: place of the layer in the plan.
            arrays: `[class, …]` arrays by their name under `class/`.
            class_maps: `full`, or why there are none.
        """
        group = self._file[f"layers/{self._groups[index]}"]
        for name, array in arrays.items():
            spec = _SPECS[f"layers/{{layer}}/class/{name}"]
            self._create(spec, self._groups[index], array.shape, array.dtype, array)
        group.attrs["class_maps"] = fixed_text(class_maps)

    def write_summary(self, *, n_samples: NDArray[np.int64], test_accuracy: float) -> None:
        """Writes what is known of the test set once all samples are seen.

        Args:
            n_samples: <int64>[class], samples that bear each label.
            test_accuracy: share of correct predictions.
        """
        spec = _SPECS["classes/n_samples"]
        self._create(spec, "", n_samples.shape, n_samples.dtype, n_samples)
        self._file["model"].attrs["test_accuracy"] = test_accuracy

    def finish(self) -> None:
        """Writes the chunks that wait to be full, and the digest of all attributes."""
        n_samples = len(self._plan.ids)
        if self._written != n_samples:
            raise ValueError(f"{self._written} samples were written of the {n_samples} planned")
        for index in range(len(self._groups)):
            self._write_activation(index, None)
        self._file.attrs[DIGEST] = fixed_text(attributes_digest(self._file))
        self._disk.check()

    def close(self) -> None:
        """Lets go of the threads and of HDF5; safe to call twice."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._file.close()

    def _write_activation(self, index: int, values: NDArray[np.float32] | None) -> None:
        """Writes all chunks that are full; without values, also the last one."""
        array = self._file[f"layers/{self._groups[index]}/activation"]
        rows = array.chunks[0]
        pending = self._pending[index]
        # The chunks before this one are full and written, so what waits begins on a boundary.
        start = self._written - sum(map(len, pending))
        if values is not None:
            pending.append(values)
        if not pending:
            return
        whole = np.concatenate(pending) if len(pending) > 1 else pending[0]
        ready = len(whole) if values is None else len(whole) // rows * rows
        self._pending[index] = [whole[ready:]] if ready < len(whole) else []
        self._write_chunks(array, list(layout.blocks(whole[:ready], array.chunks, start)))

    def _write_chunks(self, array: h5py.Dataset, blocks: list[layout.Block]) -> None:
        def encode(some: list[layout.Block]) -> list[tuple[tuple[int, ...], bytes]]:
            return [(offset, codec.encode(block)) for offset, block in some]

        tasks = [blocks[i : i + CHUNKS_PER_TASK] for i in range(0, len(blocks), CHUNKS_PER_TASK)]
        for done in self._threads.map(encode, tasks):
            for offset, data in done:
                array.id.write_direct_chunk(offset, data)

    def _create_all(self) -> None:
        plan, file = self._plan, self._file
        n_samples = len(plan.ids)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        libraries = (
            f"numpy {np.__version__}, h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}"
        )
        _set(file, format=FORMAT, format_version=FORMAT_VERSION, created=now, libraries=libraries)
        _set(file, writer=f"fmcore {version('feature-map-dashboard')}")
        model = file.create_group("model", track_order=True)
        _set(model, name=plan.model.name, digest=plan.model.digest)
        _set(model, framework=plan.model.framework, output=plan.model.output)
        about = plan.dataset
        dataset = file.create_group("dataset", track_order=True)
        _set(dataset, name=about.name, source=about.source, fingerprint=about.fingerprint)
        _set(dataset, preprocessing=about.preprocessing)
        file.create_group("capture", track_order=True).attrs["batch_size"] = plan.batch_size
        self._put("model/architecture", "", np.frombuffer(plan.model.architecture.encode(), "u1"))
        self._put("classes/name", "", _text_array(plan.class_names))
        self._put("samples/id", "", _text_array(plan.ids))
        image_shape = (n_samples, *plan.image_shape)
        self._create(_SPECS["samples/image"], "", image_shape, plan.image_dtype)
        for name in ("label", "prediction"):
            self._create(_SPECS[f"samples/{name}"], "", (n_samples,), np.dtype("int64"))
        probability = (n_samples, len(plan.class_names))
        self._create(_SPECS["samples/probability"], "", probability, np.dtype("float32"))
        for index, layer in enumerate(plan.layers):
            self._create_layer(index, layer, n_samples)

    def _create_layer(self, index: int, layer: LayerSpec, n_samples: int) -> None:
        name = self._groups[index]
        group = self._file.create_group(f"layers/{name}", track_order=True)
        _set(group, layer_path=layer.path, kind=layer.kind, padding=layer.padding)
        _set(group, activation_function=layer.activation)
        group.attrs["layer_index"] = index
        for key in ("kernel_size", "strides", "dilation"):
            group.attrs[key] = np.array(getattr(layer, key), dtype=np.int32)
        spec = _SPECS["layers/{layer}/activation"]
        self._create(spec, name, (n_samples, *layer.shape), np.dtype("float32"))
        for part, weights in (("kernel", layer.kernel), ("bias", layer.bias)):
            if weights is not None:
                self._put(f"layers/{{layer}}/{part}", name, weights)
        for path, spec in _SPECS.items():
            if path.startswith("layers/{layer}/pooled/"):
                self._create(spec, name, (n_samples, layer.shape[2]), np.dtype(spec.dtypes[0]))

    def _put(self, path: str, layer: str, array: NDArray[Any]) -> None:
        self._create(_SPECS[path], layer, array.shape, array.dtype, array)

    def _create(
        self,
        spec: ArraySpec,
        layer: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        values: NDArray[Any] | None = None,
    ) -> None:
        path = spec.path.format(layer=layer)
        if path.endswith("/activation"):
            n_samples, *rest = shape
            chunk: tuple[int, ...] = layout.activation_chunk(n_samples, (rest[0], rest[1], rest[2]))
        else:
            chunk = layout.table_chunk(shape, itemsize=dtype.itemsize)
        array = self._dataset(path, shape, dtype, chunk)
        for position, (axis, size) in enumerate(zip(spec.axes, shape, strict=True)):
            array.dims[position].attach_scale(self._scale(scale_path(axis, path), size))
        if values is not None:
            array[...] = values

    def _scale(self, path: str, size: int) -> h5py.Dataset:
        """The dimension scale of an axis: its indices, made where it is first needed."""
        if path not in self._file:
            chunk = layout.table_chunk((size,), itemsize=4)
            scale = self._dataset(path, (size,), np.dtype("int32"), chunk)
            scale[...] = np.arange(size, dtype=np.int32)
            scale.make_scale(path.rsplit("/", 1)[-1])
        return self._file[path]

    def _dataset(
        self, path: str, shape: tuple[int, ...], dtype: np.dtype[Any], chunk: tuple[int, ...]
    ) -> h5py.Dataset:
        folder, _, name = path.rpartition("/")
        if folder and folder not in self._file:
            self._file.create_group(folder, track_order=True)
        parent = self._file[folder] if folder else self._file
        space = h5py.h5s.create_simple(shape)
        kind = h5py.h5t.py_create(dtype, logical=True)
        properties = codec.creation_properties(chunk)
        return h5py.Dataset(h5py.h5d.create(parent.id, name.encode(), kind, space, properties))


_SPECS = {spec.path: spec for spec in SCHEMA}


def _set(node: h5py.Group, **texts: str) -> None:
    for name, text in texts.items():
        node.attrs[name] = fixed_text(text)


def _text_array(texts: Sequence[str]) -> NDArray[Any]:
    encoded = [text.encode("utf-8", "backslashreplace") for text in texts]
    longest = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", longest))
