"""The nodes of an HDF5 file: iterating over them, their attributes, filters and chunk extents.

HDF5 keeps variable-length strings and axis references outside every checksum. So text is stored
with a fixed length, and a digest over attributes and references lets `validate` see a flipped bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import FmcoreError, StoreError
from fmcore.storage.codec import CODECS, DEFLATE, Codec

DIGEST = "attributes_sha256"
# Written by HDF5's dimension scales: references, covered through the names they resolve to.
_SCALE_ATTRIBUTES = frozenset({"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"})

# The groups of a store are nested four deep.
DEEPEST = 8
# What h5py raises for a part that is missing, a checksum that fails, or a file that was cut short.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)


def fixed_text(value: str) -> np.ndarray[Any, np.dtype[np.bytes_]]:
    """Encodes a string as HDF5 fixed-length UTF-8."""
    encoded = value.encode("utf-8", "backslashreplace")
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", len(encoded)))


def read_text(node: h5py.Group, name: str) -> str:
    """The text of an attribute; empty if the group lacks it."""
    value = node.attrs.get(name, b"")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def attributes_digest(file: h5py.File) -> str:
    """SHA-256, in hex, of all other attributes and of the scale that each axis refers to."""
    digest = hashlib.sha256()
    nodes = list(iter_nodes(file, Path(file.name)))
    # HDF5 has to search for the name of what a reference points to; here all names are at hand.
    names = {address_of(node): path for path, node in nodes}

    def add(path: str, node: h5py.Group | h5py.Dataset) -> None:
        for name in sorted(set(node.attrs) - _SCALE_ATTRIBUTES - {DIGEST}):
            value = np.asarray(node.attrs[name])
            digest.update(f"{path}@{name}:{value.dtype.str}{value.shape}".encode())
            digest.update(value.tobytes())
        if isinstance(node, h5py.Dataset) and not node.is_scale:
            axes = [[names[scale] for scale in scales] for scales in scale_addresses(node)]
            digest.update(f"{path}#{axes}".encode())

    add("/", file)
    for path, node in nodes:
        add(path, node)
    return digest.hexdigest()


def read_attributes(node: h5py.Group) -> dict[str, Any]:
    """Reads every attribute of a group as plain Python."""
    parsed: dict[str, Any] = {}
    for name, value in node.attrs.items():
        if isinstance(value, np.ndarray):
            parsed[name] = value.tolist()
        elif isinstance(value, np.generic) and not isinstance(value, np.bytes_):
            parsed[name] = value.item()
        else:
            parsed[name] = read_text(node, name)
    return parsed


def address_of(node: h5py.Group | h5py.Dataset) -> int:
    """The address of an object in the file; it is equal for all names of the object."""
    return int(h5py.h5o.get_info(node.id).addr)


def scale_addresses(array: h5py.Dataset) -> list[list[int]]:
    """The addresses of the scales of each axis; h5py's `dims` would open each, and ask its name."""
    addresses = []
    for axis in range(len(array.shape)):
        scales: list[h5py.h5d.DatasetID] = []
        if h5py.h5ds.get_num_scales(array.id, axis):
            h5py.h5ds.iterate(array.id, axis, scales.append, 0)
        addresses.append([int(h5py.h5o.get_info(scale).addr) for scale in scales])
    return addresses


def iter_nodes(
    group: h5py.Group, path: Path, seen: set[int] | None = None
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yields every group and array with its path, sorted by name; touches nothing outside the file.

    Links, virtual sources and external storage each let an HDF5 file show bytes of another file,
    such as `/etc/passwd`. (h5py's own `visititems` is not used: an error inside it, as in a damaged
    file, comes out as SystemError.)

    Args:
        group: the group to start from.
        path: the path of the file, for error messages.
        seen: addresses of the objects met so far; a store has only one name for each object.

    Raises:
        StoreError: naming the first part that is not in the file itself.
    """
    seen = set() if seen is None else seen
    if group.name.count("/") > DEEPEST:
        raise StoreError(f"{path}: {group.name} is nested deeper than any part of a store")
    for name in sorted(group):
        where = f"{group.name.rstrip('/')}/{name}"
        if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            raise StoreError(f"{path}: {where} is a link to another place; a store has no links")
        node = group[name]
        if isinstance(node, h5py.Dataset) and (node.is_virtual or node.external):
            raise StoreError(f"{path}: {where} keeps its data in another file; a store does not")
        address = address_of(node)
        if address in seen:
            raise StoreError(
                f"{path}: {where} is a second name of another part; a store has no links"
            )
        seen.add(address)
        yield where, node
        if isinstance(node, h5py.Group):
            yield from iter_nodes(node, path, seen)


def chunk_extents(dataset: h5py.Dataset) -> NDArray[np.int64]:
    """Where each stored chunk of an array lies, <int64>[chunk, (start, stop)], in HDF5's order."""
    extents = array("q")  # pairs of tuples for 200,000 chunks would take 25 MB
    dataset.id.chunk_iter(
        lambda chunk: extents.extend((chunk.byte_offset, chunk.byte_offset + chunk.size))
    )
    return np.array(extents, dtype="<i8").reshape(-1, 2)


def all_chunk_extents(file: h5py.File, path: Path) -> dict[str, NDArray[np.int64]]:
    """The `chunk_extents` of every chunked array, by its path."""
    return {
        name.lstrip("/"): chunk_extents(node)
        for name, node in iter_nodes(file, path)
        if isinstance(node, h5py.Dataset) and node.chunks
    }


def merge_adjacent(extents: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Merges chunks that lie back to back into runs: sorted, <int64>[run, (start, stop)]."""
    ends = np.concatenate([np.zeros((0, 2), "<i8"), *extents])
    ends = ends[np.argsort(ends[:, 0])]
    begins_run = np.append(True, ends[1:, 0] != ends[:-1, 1])[: len(ends)]
    ends_run = np.append(begins_run[1:], True)[: len(ends)]
    return np.stack([ends[begins_run, 0], ends[ends_run, 1]], axis=1)


def gaps(runs: NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file, (start, stop), that no run covers; `size` is the length of the file."""
    ends = [0, *runs.reshape(-1).tolist(), size]
    return zip(ends[::2], ends[1::2], strict=True)


def create_file(file: io.FileIO) -> h5py.File:
    """Creates an HDF5 file in an open file; it keeps no times, so that equal contents are equal."""
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    _keep_order_not_times(properties)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    # Both bounds: files written with "latest" by h5py 3.16 cannot be opened by 3.14.
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, file)
    name = str(file.name).encode()
    return h5py.File(h5py.h5f.create(name, h5py.h5f.ACC_TRUNC, properties, access))


def create_group(parent: h5py.Group, path: str) -> h5py.Group:
    """Creates a group, and those above it that are missing, without times."""
    properties = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    _keep_order_not_times(properties)
    for name in path.split("/"):
        if name not in parent:
            h5py.h5g.create(parent.id, name.encode(), gcpl=properties)
        parent = parent[name]
    return parent


def _keep_order_not_times(properties: h5py.h5p.PropOCID) -> None:
    order = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED
    properties.set_link_creation_order(order)
    properties.set_attr_creation_order(order)
    properties.set_obj_track_times(False)


def creation_properties(chunk: tuple[int, ...], codec: Codec = DEFLATE) -> h5py.h5p.PropDCID:
    """The HDF5 creation properties of an array whose chunks `encode` makes."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(chunk)
    for step in codec.filters:
        properties.set_filter(step.number, h5py.h5z.FLAG_OPTIONAL, step.settings)
    properties.set_fletcher32()  # last: the checksum covers the bytes on the disk
    properties.set_obj_track_times(False)
    return properties


def codec_of(array: h5py.Dataset) -> Codec | None:
    """The codec of an array in a file; None if its filters are not those of a codec."""
    properties = array.id.get_create_plist()
    stored = [properties.get_filter(index) for index in range(properties.get_nfilters())]
    if not stored or stored[-1][0] != h5py.h5z.FILTER_FLETCHER32:
        return None
    steps = [(number, values) for number, _, values, _ in stored[:-1]]
    for codec in CODECS:
        expected = [(step.number, step.settings) for step in codec.filters]
        # HDF5 appends settings of its own, such as the bytes of a value to shuffle.
        if len(steps) == len(expected) and all(
            number == other and values[: len(settings)] == settings
            for (number, values), (other, settings) in zip(steps, expected, strict=True)
        ):
            return codec
    return None


@contextlib.contextmanager
def damage_as_store_error(path: Path) -> Iterator[None]:
    """Turns what h5py raises for a damaged file into a `StoreError` that states the remedy."""
    try:
        yield
    except FmcoreError:
        raise
    except DAMAGE as error:
        raise StoreError(
            f"{path} is a damaged or incomplete store ({error}); capture again, or restore it "
            "from a copy"
        ) from error
