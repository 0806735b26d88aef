"""Checks a whole store against the schema, every chunk read; yields what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from fmcore.storage.attributes import DIGEST, attributes_digest, read_text
from fmcore.storage.opening import DAMAGE
from fmcore.storage.reader import Store, open_store
from fmcore.storage.schema import ATTRIBUTES, SCHEMA, ArraySpec, scale_path


def problems(path: str | Path) -> Iterator[str]:
    """One sentence for each thing that is wrong; none for a whole store.

    Raises:
        InputFileError, StoreError: if the file cannot be opened as a store at all.
    """
    with open_store(path) as store:
        groups = [layer.group for layer in store.layers.values()]
        for spec in SCHEMA:
            for group in groups if "{layer}" in spec.path else [""]:
                path_inside = spec.path.format(layer=group)
                yield from _readable(
                    f"/{path_inside}", _array_problems(store.file, spec, path_inside)
                )
        yield from _readable("the attributes", _attribute_problems(store.file, groups))
        yield from _readable("the samples", _content_problems(store))


def _readable(what: str, found: Iterator[str]) -> Iterator[str]:
    """The problems found, and that HDF5 could not go on where it could not."""
    try:
        yield from found
    except DAMAGE as error:
        yield f"{what} cannot be read: {error}"


def _array_problems(file: h5py.File, spec: ArraySpec, path: str) -> Iterator[str]:
    if path not in file:
        if not spec.optional:
            yield f"/{path} is missing"
        return
    array = file[path]
    found = "bytes" if array.dtype.kind == "S" else array.dtype.name
    if found not in spec.dtypes:
        yield f"/{path} has dtype {found}, expected {' or '.join(spec.dtypes)}"
    if not array.fletcher32:
        yield f"/{path} has no Fletcher32 checksum, so damage to it would go unseen"
    if array.ndim != len(spec.axes):
        yield f"/{path} has {array.ndim} axes, expected {len(spec.axes)}: {', '.join(spec.axes)}"
        return
    for axis, size, scales in zip(spec.axes, array.shape, array.dims, strict=True):
        expected = scale_path(axis, path)
        names = [scale.name.lstrip("/") for scale in scales.values()]
        if names != [expected]:
            yield f"/{path}: axis {axis} refers to {names or 'no scale'}, expected /{expected}"
        elif file[expected].shape != (size,):
            yield f"/{path}: {axis} is {size}, but /{expected} says {file[expected].shape[0]}"
    step = array.chunks[0] if array.chunks else len(array)
    for start in range(0, len(array), step):
        array[start : start + step]  # reading verifies the checksum of each chunk


def _attribute_problems(file: h5py.File, groups: list[str]) -> Iterator[str]:
    for place, names in ATTRIBUTES.items():
        for group in groups if "{layer}" in place else [""]:
            where = place.format(layer=group)
            missing = [name for name in names if name not in file[where].attrs]
            if missing:
                yield f"{where} lacks the attributes {', '.join(missing)}"
    if attributes_digest(file) != read_text(file, DIGEST):
        yield f"the attributes or axis references differ from their digest ({DIGEST})"


def _content_problems(store: Store) -> Iterator[str]:
    n_classes = len(store.class_names)
    for name, values in (("label", store.labels), ("prediction", store.predictions)):
        outside = (values < 0) | (values >= n_classes)
        if outside.any():
            row = int(np.argmax(outside))
            yield f"/samples/{name} of sample {row} is outside the {n_classes} classes"
    counted = np.bincount(np.clip(store.labels, 0, n_classes - 1), minlength=n_classes)
    if not np.array_equal(counted, store.class_sizes):
        yield "/classes/n_samples does not count /samples/label"
