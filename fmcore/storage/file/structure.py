"""Whether a file has the shape of a store, from its metadata alone: quick enough for every opening.

A store that passes can be read without surprises: every array and attribute is there, of the type
and the size the schema says, and no small file declares an array of terabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from fmcore.errors import StoreError, UnsupportedVersionError
from fmcore.records import LABELS, POLICIES
from fmcore.storage.file.nodes import DAMAGE, address_of, codec_of, read_text
from fmcore.storage.format.chunk_shape import LARGEST_CHUNK_BYTES
from fmcore.storage.format.schema import (
    ATTRIBUTES,
    FORMAT,
    FORMAT_VERSION,
    SCHEMA,
    ArraySpec,
    AttributeSpec,
    scale_path,
)


def check_format(file: h5py.File, path: Path) -> None:
    """Stops at a file that does not say it is a store, or is one of another major version.

    Raises:
        StoreError, UnsupportedVersionError: naming what was found and what was expected.
    """
    if read_text(file, "format") != FORMAT:
        raise StoreError(
            f"{path} is an HDF5 file but no store: its attribute `format` is "
            f"{read_text(file, 'format')!r}, expected {FORMAT!r}; `fmcore capture` writes one"
        )
    found = read_text(file, "format_version")
    if found.split(".")[0] != FORMAT_VERSION.split(".")[0]:
        raise UnsupportedVersionError(
            f"{path} has format version {found}, this fmcore reads {FORMAT_VERSION}; "
            "install a fitting version of feature-map-dashboard, or capture again"
        )


def require_structure(file: h5py.File, path: Path) -> None:
    """Refuses a file that has not the shape of a store.

    Raises:
        StoreError: naming the first thing that is wrong.
    """
    for problem in structure_problems(file):
        raise StoreError(
            f"{path} is a damaged or incomplete store: {problem}; `fmcore validate` lists all that "
            "is wrong; capture again, or restore it from a copy"
        )


def structure_problems(file: h5py.File) -> Iterator[str]:
    """One sentence for each part that is missing or not what the schema says."""
    layers = file.get("layers")
    if not isinstance(layers, h5py.Group) or not len(layers):
        yield "/layers is missing or empty"
        return
    groups = list(layers)
    for place, attributes in ATTRIBUTES.items():
        for group in groups if "{layer}" in place else [""]:
            yield from _checked(file, place.format(layer=group), attributes)
    for spec in SCHEMA:
        for group in groups if "{layer}" in spec.path else [""]:
            path = spec.path.format(layer=group)
            try:
                yield from _array_problems(file, spec, path)
            except DAMAGE as error:
                yield f"/{path} cannot be read: {error}"
    try:
        yield from _prediction_problems(file)
    except DAMAGE as error:
        yield f"/samples cannot be read: {error}"
    for group in groups:
        try:
            yield from _policy_problems(layers[group])
        except DAMAGE as error:
            yield f"/layers/{group} cannot be read: {error}"
    paths = [read_text(layers[group], "layer_path") for group in groups]
    if len(set(paths)) < len(paths):
        yield "two groups under /layers have the same layer_path"


def _checked(file: h5py.File, where: str, attributes: dict[str, AttributeSpec]) -> Iterator[str]:
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
                yield f"{where}: the attribute {name} is no {spec.kind}"
        except DAMAGE as error:
            yield f"{where}: the attribute {name} cannot be read: {error}"


def _is_kind(value: object, kind: str) -> bool:
    if kind == "text":
        return isinstance(value, bytes | str)
    array = np.asarray(value)
    shape = (2,) if kind == "pair" else ()
    return array.shape == shape and array.dtype.kind in ("iuf" if kind == "number" else "iu")


def _policy_problems(layer: h5py.Group) -> Iterator[str]:
    """Maps are there if the layer's policy says so, and of its type; and their axes always."""
    where, policy = layer.name, read_text(layer, "policy")
    for axis in ("y", "x", "filter"):
        scale = layer.get(axis)
        if not isinstance(scale, h5py.Dataset) or scale.ndim != 1 or scale.size < 1:
            yield f"{where}/{axis} is missing or no axis"
    maps = layer.get("activation")
    if policy not in POLICIES:
        yield f"{where}: the attribute policy is {policy!r}, expected {', '.join(POLICIES)}"
    elif policy == "pooled" and maps is not None:
        yield f"{where}/activation is there, but the policy is pooled"
    elif policy != "pooled" and maps is None:
        yield f"{where}/activation is missing, but the policy is {policy}"
    elif isinstance(maps, h5py.Dataset) and maps.dtype != policy:
        yield f"{where}/activation has dtype {maps.dtype}, but the policy is {policy}"


def _prediction_problems(file: h5py.File) -> Iterator[str]:
    """Predictions are there with all that goes with them, or nothing of it is."""
    there = [f"/samples/{name}" for name in ("prediction", "probability")]
    absent = [path for path in there if path not in file]
    if len(absent) == 1:
        (other,) = set(there) - set(absent)
        yield f"{absent[0]} is missing, but {other} is there"
        return
    labels = read_text(file["dataset"], "labels") or LABELS[0]
    has_accuracy = "test_accuracy" in file["model"].attrs
    if absent and has_accuracy:
        yield f"/model has the attribute test_accuracy, but {absent[0]} is missing"
    elif not absent and not has_accuracy and labels == "given":
        yield "/model lacks the attribute test_accuracy"
    if absent and labels == "predicted":
        yield f"/dataset: the attribute labels is {labels!r}, but {absent[0]} is missing"
    elif not absent and labels == "none":
        yield f"/dataset: the attribute labels is {labels!r}, but {there[0]} is there"


def _array_problems(file: h5py.File, spec: ArraySpec, path: str) -> Iterator[str]:
    array = file.get(path)
    if array is None:
        if not spec.optional:
            yield f"/{path} is missing"
        return
    if not isinstance(array, h5py.Dataset):
        yield f"/{path} is no array"
        return
    found = "bytes" if array.dtype.kind == "S" else array.dtype.name
    if found not in spec.dtypes:
        yield f"/{path} has dtype {found}, expected {' or '.join(spec.dtypes)}"
    if array.shape is None or array.ndim != len(spec.axes):
        yield f"/{path} has shape {array.shape}, expected the axes {', '.join(spec.axes)}"
        return
    for axis, size, scales in zip(spec.axes, array.shape, array.dims, strict=True):
        yield from _axis_problems(file, path, scale_path(axis, path), size, list(scales.values()))
    yield from _storage_problems(array, path)


def _axis_problems(
    file: h5py.File, path: str, expected: str, size: int, scales: list[h5py.Dataset]
) -> Iterator[str]:
    there = file.get(expected)
    if there is None or list(map(address_of, scales)) != [address_of(there)]:
        axis = expected.rsplit("/", 1)[-1]
        names = [(scale.name or "?").lstrip("/") for scale in scales]
        yield f"/{path}: axis {axis} refers to {names or 'no scale'}, expected /{expected}"
    elif there.shape != (size,) or size < 1:
        yield f"/{path}: length {size}, but /{expected} has the shape {there.shape}"


def _storage_problems(array: h5py.Dataset, path: str) -> Iterator[str]:
    if not array.chunks or not array.fletcher32:
        yield f"/{path} has no chunks with Fletcher32, so damage to it would go unseen"
        return
    if codec_of(array) is None:
        yield f"/{path} has other filters than the codecs of this format"
    if math.prod(array.chunks) * array.dtype.itemsize > LARGEST_CHUNK_BYTES:
        yield f"/{path} has chunks of shape {array.chunks}, larger than any of ours"
    needed = math.prod(
        -(-size // step) for size, step in zip(array.shape, array.chunks, strict=True)
    )
    stored = array.id.get_num_chunks()
    if stored != needed:
        yield f"/{path} has {stored:,} chunks of the {needed:,} that its shape needs"
