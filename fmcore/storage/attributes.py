"""Attributes of a store: fixed-length text, and one digest over all of them.

HDF5 keeps variable-length strings and axis references outside every checksum, so text is stored
with a fixed length, and a digest lets `validate` see a flipped bit in any of them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fmcore.storage.walk import address_of, walk

DIGEST = "attributes_sha256"
# Written by HDF5's dimension scales: references, covered through the names they resolve to.
_OWNED_BY_SCALES = frozenset({"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"})


def fixed_text(value: str) -> np.ndarray[Any, np.dtype[np.bytes_]]:
    """A string as HDF5 fixed-length UTF-8."""
    encoded = value.encode("utf-8", "backslashreplace")
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(1, len(encoded))))


def read_text(node: h5py.Group, name: str) -> str:
    """The text of an attribute; empty where there is none, as a newer minor version may have it."""
    value = node.attrs.get(name, b"")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def attributes_digest(file: h5py.File) -> str:
    """SHA-256 over every attribute but itself, and over which scale each axis refers to, in hex."""
    digest = hashlib.sha256()
    nodes = list(walk(file, Path(file.name)))
    # HDF5 has to search for the name of what a reference leads to; here they are all known.
    names = {address_of(node): path for path, node in nodes}

    def add(path: str, node: h5py.Group | h5py.Dataset) -> None:
        for name in sorted(set(node.attrs) - _OWNED_BY_SCALES - {DIGEST}):
            value = np.asarray(node.attrs[name])
            digest.update(f"{path}@{name}:{value.dtype.str}{value.shape}".encode())
            digest.update(value.tobytes())
        if isinstance(node, h5py.Dataset) and not node.is_scale:
            axes = [[names[address_of(scale)] for scale in axis.values()] for axis in node.dims]
            digest.update(f"{path}#{axes}".encode())

    add("/", file)
    for path, node in nodes:
        add(path, node)
    return digest.hexdigest()


def read_attributes(node: h5py.Group) -> dict[str, Any]:
    """Every attribute of a group as plain Python."""
    parsed: dict[str, Any] = {}
    for name, value in node.attrs.items():
        if isinstance(value, np.ndarray):
            parsed[name] = value.tolist()
        elif isinstance(value, np.generic) and not isinstance(value, np.bytes_):
            parsed[name] = value.item()
        else:
            parsed[name] = read_text(node, name)
    return parsed
