"""Creates the groups, arrays, axes and attributes of a new store, but not its samples."""

from __future__ import annotations

import datetime
import os
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import OutputError
from fmcore.files import safe_names
from fmcore.records import Policy, StatisticsScope
from fmcore.statistics import PERMUTATIONS, POOLED, SEED
from fmcore.storage.chunks.buffer import ChunkBuffer
from fmcore.storage.chunks.sharded import ShardedRows, ShardRows
from fmcore.storage.codec import DEFLATE, Codec
from fmcore.storage.file.layer_facts import LayerFacts
from fmcore.storage.file.nodes import (
    create_group,
    creation_properties,
    fixed_text,
    refer_to_arrays,
    refer_to_scales,
    write_chunk,
)
from fmcore.storage.file.shard_table import ShardTable
from fmcore.storage.format import chunk_shape
from fmcore.storage.format.graph import graph_json
from fmcore.storage.format.plan import LayerPlan, StorePlan
from fmcore.storage.format.schema import (
    ARRAYS,
    CAPTURE,
    DATASET,
    FORMAT,
    FORMAT_VERSION,
    MODEL,
    SHARDED_VERSION,
    SHARDS,
    ArraySpec,
    array_path,
    layer_path,
    names_of,
    scale_path,
)
from fmcore.storage.tables import Chunks, PlacedArrays, TableRows


class Skeleton:
    """A new store without samples.

    Attributes:
        layers: the name of the group of each layer of the plan, such as `conv1`.
        rows: the arrays that samples are appended to, by path.
        sharded: the arrays whose chunks stay in shards, by path.
        tables: where whole arrays go.
    """

    def __init__(self, file: h5py.File, plan: StorePlan, shards: ShardRows | None = None) -> None:
        self._file = file
        self._plan = plan
        self.layers = safe_names([layer.spec.path for layer in plan.layers])
        self.rows: dict[str, ChunkBuffer] = {}
        self.sharded: dict[str, ShardedRows] = {}
        self._shards = shards
        self.tables = TableRows(plan.lacks)
        # Arrays that get more values. An open array takes HDF5 20 KB, and a store has thousands:
        # whole ones are closed, and so are scales, which are found by their references.
        self._arrays: dict[str, h5py.Dataset] = {}
        # HDF5 takes 50 µs to look up a path, and a store has hundreds of arrays.
        self._groups_by_path: dict[str, h5py.Group] = {"": file}
        self._scales: dict[str, h5py.Reference] = {}
        self._arrays_of: defaultdict[str, list[tuple[h5py.Reference, int]]] = defaultdict(list)
        self._create_all()

    def _create_all(self) -> None:
        plan, file = self._plan, self._file
        n_samples = len(plan.ids)
        libraries = (
            f"numpy {np.__version__}, h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}"
        )
        _set(
            file,
            format=FORMAT,
            format_version=FORMAT_VERSION if self._shards is None else SHARDED_VERSION,
            created=_time_of_writing(),
            libraries=libraries,
        )
        _set(file, writer=f"fmcore {version('feature-map-dashboard')}")
        model = create_group(file, MODEL)
        _set(model, name=plan.model.name, digest=plan.model.digest)
        _set(model, framework=plan.model.framework, output=plan.model.output, target=plan.target)
        _set(model, output_name=plan.output_name, conversion=plan.conversion)
        _set(model, graph=plan.model.graph_words)
        info = plan.dataset
        dataset = create_group(file, DATASET)
        _set(dataset, name=info.name, source=info.source, fingerprint=info.fingerprint)
        _set(dataset, preprocessing=info.preprocessing, labels=info.labels)
        capture = create_group(file, CAPTURE)
        capture.attrs["batch_size"] = plan.batch_size
        capture.attrs["first_sample"] = plan.first_sample
        _set(capture, statistics=plan.statistics)
        if plan.command:
            _set(capture, command=plan.command)
        if plan.statistics == StatisticsScope.ALL:
            capture.attrs["permutations"] = PERMUTATIONS
            capture.attrs["permutation_seed"] = SEED
        self.write("architecture", np.frombuffer(plan.model.architecture.encode(), "u1"))
        if plan.model.graph is not None:
            self.write("graph", np.frombuffer(graph_json(plan.model.graph), "u1"))
        self.write("class_name", _text_array(plan.class_names))
        if plan.target_names:
            self.write("target_name", _text_array(plan.target_names))
        for axis, names in self.tables.names.items():
            if ARRAYS[names_of(axis)].absent not in plan.lacks:
                self.write(names_of(axis), _text_array(names))
        self.write("id", _text_array(plan.ids))
        for column in plan.columns:
            row, dtype = plan.column_row(column)
            self._stream(column.name, "", (n_samples, *row), dtype)
        for index, layer in enumerate(plan.layers):
            self._create_layer(index, layer, n_samples)

    def _create_layer(self, index: int, plan: LayerPlan, n_samples: int) -> None:
        layer, name = plan.spec, self.layers[index]
        group = create_group(self._file, layer_path(name))
        _set(group, layer_path=layer.path, kind=layer.kind, padding=layer.padding)
        _set(group, activation_function=layer.activation, policy=plan.policy)
        _set(group, class_maps=plan.class_maps, histogram=plan.histogram)
        _set(group, receptive_field=layer.field_words)
        group.attrs["layer_index"] = index
        for key in ("kernel_size", "strides", "dilation"):
            group.attrs[key] = np.array(getattr(layer, key), dtype=np.int32)
        for axis, size in zip(("y", "x", "filter"), layer.shape, strict=True):
            self._scale(scale_path(axis, array_path("activation", name)), size)
        if plan.policy != Policy.POOLED:
            _set(group, compression=plan.compression)
            shape, dtype = (n_samples, *layer.shape), np.dtype(plan.policy)
            self._stream("activation", name, shape, dtype, plan.codec)
        for part in ("kernel", "depthwise_kernel", "bias", "receptive_field"):
            if (values := getattr(layer, part)) is not None:
                self.write(part, values, name)
        for table_name, table in POOLED.items():
            rows = (n_samples, layer.shape[2])
            pooled_name, dtype = f"pooled_{table_name}", np.dtype(table.dtype)
            self._stream(pooled_name, name, rows, dtype, readable=True)

    def _stream(
        self,
        name: str,
        layer: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        codec: Codec = DEFLATE,
        *,
        readable: bool = False,
    ) -> None:
        """Creates an array that samples are appended to.

        A readable one can be read before the file is closed; its chunks are not written in runs.
        """
        if name == "activation":
            n_samples, height, width, n_filters = shape
            chunk: tuple[int, ...] = chunk_shape.activation_chunk(
                n_samples, (height, width, n_filters), itemsize=dtype.itemsize
            )
        else:
            chunk = chunk_shape.table_chunk(shape, itemsize=dtype.itemsize)
        path = array_path(name, layer)
        if self._shards is not None and self._shards.hold_chunks(shape, chunk):
            for axis, size in zip(ARRAYS[name].axes, shape, strict=True):
                self._scale(scale_path(axis, path), size)
            self.sharded[path] = ShardedRows(path, shape, chunk, dtype, codec)
            return
        array = self._create(ARRAYS[name], layer, shape, dtype, chunk, codec)
        self.rows[path] = ChunkBuffer(array, codec, in_runs=not readable)

    def write(self, name: str, array: NDArray[Any], layer: str = "") -> None:
        """Writes a whole array that lies in the file by itself.

        Args:
            name: the name of the array in the schema.
            array: the array.
            layer: the name of the layer's group; empty for an array of the whole store.
        """
        placed = self.tables.place(name, array, layer)
        if placed is not None:
            self.put(placed, placed.encode())

    def put(self, placed: PlacedArrays, chunks: Chunks) -> None:
        """Writes values of an array, which is created with the first of them.

        Args:
            placed: the values.
            chunks: what `placed.encode` returned.
        """
        path = array_path(placed.name, placed.layer)
        if path not in self._arrays:
            self._arrays[path] = self._create(
                ARRAYS[placed.name], placed.layer, placed.shape, placed.dtype, placed.chunk
            )
        stored = self._arrays[path]
        for corner, chunk in chunks:
            write_chunk(stored, corner, chunk)
        if placed.is_last:
            self._arrays.pop(path).id.close()

    def finish(self, table: ShardTable | None = None) -> None:
        """Writes what each layer holds, and which arrays have each axis, once all are there.

        Args:
            table: the shards that hold the samples, if any do.
        """
        groups = [self._file[layer_path(layer)] for layer in self.layers]
        sharded = {} if table is None else table.arrays
        facts = [LayerFacts.of_group(group, sharded).text() for group in groups]
        self.write("layer_facts", _text_array(facts))
        if table is not None:
            _set(create_group(self._file, SHARDS), folder=table.folder, digest=table.digest)
            for name, column in table.columns().items():
                self.write(name, column)
            rows = self.sharded.values()
            for name, parts in (
                ("shard_chunk_offset", [part for array in rows for part in array.offsets]),
                ("shard_chunk_size", [part for array in rows for part in array.sizes]),
            ):
                self.write(name, np.concatenate(parts))
        for path, arrays in self._arrays_of.items():
            refer_to_arrays(self._file[self._scales[path]], arrays)

    def set_numbers(self, group: str, **numbers: float) -> None:
        """Sets attributes of a group."""
        for name, number in numbers.items():
            self._file[group].attrs[name] = number

    def set_words(self, group: str, **texts: str) -> None:
        """Sets attributes of a group that are text."""
        _set(self._file[group], **texts)

    def _create(
        self,
        spec: ArraySpec,
        layer: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        chunk: tuple[int, ...],
        codec: Codec = DEFLATE,
    ) -> h5py.Dataset:
        path = array_path(spec.name, layer)
        array = self._dataset(path, shape, dtype, chunk, codec)
        paths = [scale_path(axis, path) for axis in spec.axes]
        scales = [self._scale(*axis) for axis in zip(paths, shape, strict=True)]
        refer_to_scales(array, scales)
        reference = array.ref
        for axis, scale_of_axis in enumerate(paths):
            self._arrays_of[scale_of_axis].append((reference, axis))
        return array

    def _scale(self, path: str, size: int) -> h5py.Reference:
        """The dimension scale of an axis, which holds its indices; created when first needed."""
        if path not in self._scales:
            chunk = chunk_shape.table_chunk((size,), itemsize=4)
            scale = self._dataset(path, (size,), np.dtype("int32"), chunk)
            scale[...] = np.arange(size, dtype=np.int32)
            scale.make_scale(path.rsplit("/", 1)[-1])
            self._scales[path] = scale.ref
            scale.id.close()
        return self._scales[path]

    def _dataset(
        self,
        path: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        chunk: tuple[int, ...],
        codec: Codec = DEFLATE,
    ) -> h5py.Dataset:
        """Creates an empty array, and the groups above it."""
        group, _, name = path.rpartition("/")
        if group not in self._groups_by_path:
            self._groups_by_path[group] = create_group(self._file, group)
        parent = self._groups_by_path[group]
        space = h5py.h5s.create_simple(shape)
        kind = h5py.h5t.py_create(dtype, logical=True)
        properties = creation_properties(chunk, codec)
        return h5py.Dataset(h5py.h5d.create(parent.id, name.encode(), kind, space, properties))


def _time_of_writing() -> str:
    """The time now, or that of `SOURCE_DATE_EPOCH`: with it, equal captures are equal bytes.

    Raises:
        OutputError: if the variable is no time.
    """
    now, fixed = datetime.datetime.now(datetime.UTC), os.environ.get("SOURCE_DATE_EPOCH")
    try:
        time = datetime.datetime.fromtimestamp(int(fixed), datetime.UTC) if fixed else now
    except (ValueError, OverflowError, OSError) as error:
        raise OutputError(
            f"the environment variable SOURCE_DATE_EPOCH is {fixed!r}; expected seconds since "
            "1970, such as 1767225600; set it so, or unset it"
        ) from error
    return time.isoformat(timespec="seconds")


def _set(node: h5py.Group, **texts: str) -> None:
    for name, text in texts.items():
        node.attrs[name] = fixed_text(text)


def _text_array(texts: Sequence[str]) -> NDArray[Any]:
    encoded = [text.encode("utf-8", "backslashreplace") for text in texts]
    longest = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", longest))
