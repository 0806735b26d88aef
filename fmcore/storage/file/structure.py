"""Checks from its metadata alone whether a file has the structure of a store.

This is quick enough for every opening. A store that passes can be read without surprises: every
array and attribute is there, with the type and size that the schema states, and no small file
declares an array of terabytes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from fmcore.errors import StoreError, UnsupportedVersionError
from fmcore.records import LabelSource, Policy
from fmcore.storage.file.nodes import DAMAGE, address_of, codec_of, read_text, scale_addresses
from fmcore.storage.format.chunk_shape import LARGEST_CHUNK_BYTES
from fmcore.storage.format.columns import COLUMNS
from fmcore.storage.format.lack import Lack
from fmcore.storage.format.schema import (
    ATTRIBUTES,
    DATASET,
    FORMAT,
    FORMAT_VERSION,
    LAYERS,
    MODEL,
    SAMPLES,
    SCHEMA,
    ArraySpec,
    AttributeSpec,
    array_path,
    layer_path,
    scale_path,
)


def check_format(file: h5py.File, path: Path) -> None:
    """Refuses a file that is not marked as a store, or whose format has another major version.

    Raises:
        StoreError: if the file is not marked as a store.
        UnsupportedVersionError: if its format has another major version.
    """
    if read_text(file, "format") != FORMAT:
        raise StoreError(
            f"{path} is an HDF5 file but not a store: its attribute `format` is "
            f"{read_text(file, 'format')!r}, expected {FORMAT!r}; `fmcore capture` writes one"
        )
    version = read_text(file, "format_version")
    major = FORMAT_VERSION.split(".")[0]
    if version.split(".")[0] != major:
        raise UnsupportedVersionError(
            f"{path} has format version {version}, this fmcore reads {major}.x; install a version "
            "of feature-map-dashboard that reads it, or capture again"
        )


def require_structure(file: h5py.File, path: Path) -> None:
    """Refuses a file that does not have the structure of a store.

    Raises:
        StoreError: naming the first problem.
    """
    for problem in structure_problems(file):
        raise StoreError(
            f"{path} is a damaged or incomplete store: {problem}; `fmcore validate` lists all "
            "problems; capture again, or restore it from a copy"
        )


def structure_problems(file: h5py.File) -> Iterator[str]:
    """Yields one sentence for each part that is missing or differs from the schema."""
    layers = file.get(LAYERS)
    if not isinstance(layers, h5py.Group) or not len(layers):
        yield f"/{LAYERS} is missing or empty"
        return
    groups = list(layers)
    for place, attributes in ATTRIBUTES.items():
        for group in groups if "{layer}" in place else [""]:
            yield from _attribute_problems(file, place.format(layer=group), attributes)
    # Each axis belongs to many arrays, and HDF5 takes its time to look up a path.
    axis_at = functools.cache(lambda path: _axis(file, path))
    for spec in SCHEMA:
        for group in groups if spec.of_layer else [""]:
            path = array_path(spec.name, group)
            try:
                yield from _array_problems(file, spec, path, axis_at)
            except DAMAGE as error:
                yield f"/{path} cannot be read: {error}"
    try:
        yield from _prediction_problems(file)
    except DAMAGE as error:
        yield f"/{SAMPLES} cannot be read: {error}"
    for group in groups:
        try:
            yield from _policy_problems(file, group)
        except DAMAGE as error:
            yield f"/{layer_path(group)} cannot be read: {error}"
    paths = [read_text(layers[group], "layer_path") for group in groups]
    if len(set(paths)) < len(paths):
        yield f"two groups under /{LAYERS} have the same layer_path"


def _attribute_problems(
    file: h5py.File, where: str, attributes: dict[str, AttributeSpec]
) -> Iterator[str]:
    node = file.get(where)
    if not isinstance(node, h5py.Group):
        yield f"{where} is missing"
        return
    for name, spec in attributes.items():
        try:
            if name not in node.attrs and spec.optional:
                continue
            if name not in node.attrs:
                yield f"{where} lacks the attribute {name}"
            elif not _is_kind(node.attrs[name], spec.kind):
                yield f"{where}: the attribute {name} has the wrong type, expected {spec.kind}"
        except DAMAGE as error:
            yield f"{where}: the attribute {name} cannot be read: {error}"


def _is_kind(value: object, kind: str) -> bool:
    if kind == "text":
        return isinstance(value, bytes | str)
    array = np.asarray(value)
    shape = (2,) if kind == "pair" else ()
    return array.shape == shape and array.dtype.kind in ("iuf" if kind == "number" else "iu")


def _policy_problems(file: h5py.File, group: str) -> Iterator[str]:
    """Checks that maps are stored as the layer's policy states, and that their axes are there."""
    where, path = f"/{layer_path(group)}", array_path("activation", group)
    policy = read_text(file[where], "policy")
    for axis in ("y", "x", "filter"):
        scale = file.get(scale_path(axis, path))
        if not isinstance(scale, h5py.Dataset) or scale.ndim != 1 or scale.size < 1:
            yield f"/{scale_path(axis, path)} is missing or is not an axis"
    maps = file.get(path)
    if policy not in list(Policy):
        yield f"{where}: the attribute policy is {policy!r}, expected {', '.join(Policy)}"
    elif policy == Policy.POOLED and maps is not None:
        yield f"/{path} is there, but the policy is pooled"
    elif policy != Policy.POOLED and maps is None:
        yield f"/{path} is missing, but the policy is {policy}"
    elif isinstance(maps, h5py.Dataset) and maps.dtype != policy:
        yield f"/{path} has dtype {maps.dtype}, but the policy is {policy}"


def _prediction_problems(file: h5py.File) -> Iterator[str]:
    """Checks that predictions and what belongs to them are all there or all absent."""
    names = [name for name, column in COLUMNS.items() if column.absent == Lack.PREDICTIONS]
    paths = [f"/{array_path(name)}" for name in names]
    absent = [path for path in paths if path not in file]
    if absent and len(absent) < len(paths):
        others = [path for path in paths if path not in absent]
        yield f"{absent[0]} is missing, but {others[0]} is there"
        return
    labels = read_text(file[DATASET], "labels")
    has_accuracy = "test_accuracy" in file[MODEL].attrs
    if absent and has_accuracy:
        yield f"/{MODEL} has the attribute test_accuracy, but {absent[0]} is missing"
    elif has_accuracy and labels != LabelSource.GIVEN:
        yield f"/{MODEL} has the attribute test_accuracy, but labels of /{DATASET} is {labels!r}"
    elif not absent and not has_accuracy and labels == LabelSource.GIVEN:
        yield f"/{MODEL} lacks the attribute test_accuracy"
    if absent and labels == LabelSource.PREDICTED:
        yield f"/{DATASET}: the attribute labels is {labels!r}, but {absent[0]} is missing"
    elif not absent and labels == LabelSource.NONE:
        yield f"/{DATASET}: the attribute labels is {labels!r}, but {paths[0]} is there"


def _axis(file: h5py.File, path: str) -> tuple[int, tuple[int, ...]] | None:
    """The address and the shape of an axis; None if it is missing."""
    scale = file.get(path)
    return None if scale is None else (address_of(scale), getattr(scale, "shape", ()))


def _array_problems(
    file: h5py.File,
    spec: ArraySpec,
    path: str,
    axis_at: Callable[[str], tuple[int, tuple[int, ...]] | None],
) -> Iterator[str]:
    array = file.get(path)
    if array is None:
        if not spec.optional:
            yield f"/{path} is missing"
        return
    if not isinstance(array, h5py.Dataset):
        yield f"/{path} is not an array"
        return
    dtype = "bytes" if array.dtype.kind == "S" else array.dtype.name
    if dtype not in spec.dtypes:
        yield f"/{path} has dtype {dtype}, expected {' or '.join(spec.dtypes)}"
    if array.shape is None or array.ndim != len(spec.axes):
        yield f"/{path} has shape {array.shape}, expected the axes {', '.join(spec.axes)}"
        return
    addresses = scale_addresses(array)
    for index, (axis, size) in enumerate(zip(spec.axes, array.shape, strict=True)):
        expected = scale_path(axis, path)
        scale = axis_at(expected)
        if scale is None or addresses[index] != [scale[0]]:
            names = [(other.name or "?").lstrip("/") for other in array.dims[index].values()]
            yield f"/{path}: axis {axis} refers to {names or 'no scale'}, expected /{expected}"
        elif scale[1] != (size,) or size < 1:
            yield f"/{path}: length {size}, but /{expected} has the shape {scale[1]}"
    yield from _storage_problems(array, path)


def _storage_problems(array: h5py.Dataset, path: str) -> Iterator[str]:
    if not array.chunks or not array.fletcher32:
        yield f"/{path} has no chunks with Fletcher32, so damage would go unseen"
        return
    if codec_of(array) is None:
        yield f"/{path} has other filters than the codecs of this format"
    if math.prod(array.chunks) * array.dtype.itemsize > LARGEST_CHUNK_BYTES:
        yield f"/{path} has chunks of shape {array.chunks}, larger than fmcore writes"
    needed = math.prod(
        -(-size // step) for size, step in zip(array.shape, array.chunks, strict=True)
    )
    stored = array.id.get_num_chunks()
    if stored != needed:
        yield f"/{path} has {stored:,} chunks of the {needed:,} that its shape needs"
