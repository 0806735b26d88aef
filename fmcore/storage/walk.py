"""Visits everything in a store, and refuses what reaches outside its own file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py

from fmcore.errors import StoreError

# A store is four deep.
DEEPEST = 8


def address_of(node: h5py.Group | h5py.Dataset) -> int:
    """Where an object lies in the file: the same for every way that leads to it."""
    return int(h5py.h5o.get_info(node.id).addr)


def walk(
    group: h5py.Group, path: Path, seen: set[int] | None = None
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Every group and array with its path, sorted by name, nothing outside the file touched.

    Links, virtual sources and external storage each let an HDF5 file show bytes of another file,
    such as `/etc/passwd`. (h5py's own `visititems` is not used: an error inside it, as in a damaged
    file, comes out as SystemError.)

    Args:
        group: where to start.
        path: of the file, for the message.
        seen: addresses of the objects met so far; a store has one name for each.

    Raises:
        StoreError: naming the first part that is not the file's own.
    """
    seen = set() if seen is None else seen
    if group.name.count("/") > DEEPEST:
        raise StoreError(f"{path}: {group.name} lies deeper than any part of a store")
    for name in sorted(group):
        where = f"{group.name.rstrip('/')}/{name}"
        if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            raise StoreError(f"{path}: {where} is a link to another place; a store has none")
        node = group[name]
        if isinstance(node, h5py.Dataset) and (node.is_virtual or node.external):
            raise StoreError(f"{path}: {where} keeps its data in another file; a store does not")
        address = address_of(node)
        if address in seen:
            raise StoreError(f"{path}: {where} is a second name of another part; a store has none")
        seen.add(address)
        yield where, node
        if isinstance(node, h5py.Group):
            yield from walk(node, path, seen)
