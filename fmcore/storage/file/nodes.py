"""The nodes of an HDF5 file: iterating over them, their attributes, filters and chunk extents.

HDF5 keeps variable-length strings outside every checksum. So text is stored with a fixed length. A
digest over attributes lets `validate` see what another program has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from array import array
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py._objects import phil
from numpy.typing import NDArray

from fmcore.errors import FmcoreError, StoreError
from fmcore.storage.codec import CODECS, DEFLATE, Codec

DIGEST = "attributes_sha256"
# The digest itself, and what HDF5's dimension scales write.
_LEFT_OUT = frozenset({DIGEST, "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"})
# The types that HDF5's dimension scales specification gives to the last two of these.
_SCALES = h5py.vlen_dtype(h5py.ref_dtype)
_ARRAYS = np.dtype([("dataset", h5py.ref_dtype), ("dimension", "<u4")], align=True)

# The groups of a store are nested four deep.
DEEPEST = 8
# A group of a store has 20 attributes of 200 bytes. Of 65,000, which all are read for each page,
# that took 13 s, and one of 60 MB took 1.2 GB of memory.
MOST_ATTRIBUTES = 256
MOST_ATTRIBUTE_BYTES = 1 << 20
# Grows with the number of arrays, 16 bytes each; only HDF5 reads it.
_UNBOUNDED = b"REFERENCE_LIST"
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
    """SHA-256, in hex, of all other attributes; see `AttributesDigest`."""
    digest = AttributesDigest()
    digest.add("/", file)
    for path, node in iter_nodes(file, Path(file.name)):
        digest.add(path, node)
    return digest.hexdigest()


class AttributesDigest:
    """Digests the attributes of a file, node by node, in any order.

    What dimension scales refer to is not in it: the structure of a store says what that must be.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, path: str, node: h5py.Group | h5py.Dataset) -> None:
        """Adds the attributes of a group or an array."""
        names: list[bytes] = []
        h5py.h5a.iterate(node.id, names.append)
        for name in {name.decode("utf-8", "surrogateescape") for name in names} - _LEFT_OUT:
            where = f"{path}@{name}".encode("utf-8", "surrogateescape")
            try:
                value = np.asarray(node.attrs[name])
            except DAMAGE:  # a digest of something else than was written
                self._parts.append(where)
                continue
            kind = f":{value.dtype.str}{value.shape}".encode()
            self._parts.append(where + kind + value.tobytes())

    def hexdigest(self) -> str:
        """SHA-256 of what was added, in hex."""
        digest = hashlib.sha256()
        for part in sorted(self._parts):
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()


def require_few_attributes(node: h5py.Group | h5py.Dataset, where: str, path: Path) -> None:
    """Refuses a group or an array whose attributes take longer to read than those of any store.

    Raises:
        StoreError: if there are too many, or they are too large.
    """
    count = h5py.h5a.get_num_attrs(node.id)
    if count > MOST_ATTRIBUTES:
        raise StoreError(
            f"{path} is no store: {where} has {count:,} attributes, expected at most "
            f"{MOST_ATTRIBUTES}"
        )
    sizes = (h5py.h5a.get_info(node.id, index=index).data_size for index in range(count))
    n_bytes = sum(sizes)
    if n_bytes > MOST_ATTRIBUTE_BYTES and h5py.h5a.exists(node.id, _UNBOUNDED):
        n_bytes -= h5py.h5a.get_info(node.id, _UNBOUNDED).data_size
    if n_bytes > MOST_ATTRIBUTE_BYTES:
        raise StoreError(
            f"{path} is no store: the attributes of {where} take {n_bytes:,} bytes, expected at "
            f"most {MOST_ATTRIBUTE_BYTES:,}"
        )


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
        with contextlib.suppress(RuntimeError):  # there are none; asking before takes as long
            h5py.h5ds.iterate(array.id, axis, scales.append, 0)
        addresses.append([int(h5py.h5o.get_info(scale).addr) for scale in scales])
    return addresses


def refer_to_scales(array: h5py.Dataset, scales: Sequence[h5py.Reference]) -> None:
    """Writes which scale each axis of an array has; `refer_to_arrays` writes the way back.

    HDF5's own `H5DSattach_scale` writes both, and the whole list of a scale anew for each array: of
    200 layers, with 8,000 arrays on the axis `class`, that left 130 MB of holes in 256 MB.
    """
    references = np.empty(len(scales), _SCALES)
    for axis, scale in enumerate(scales):
        references[axis] = np.array([scale], h5py.ref_dtype)
    kind = h5py.h5t.py_create(_SCALES, logical=True)
    space = h5py.h5s.create_simple(references.shape)
    h5py.h5a.create(array.id, b"DIMENSION_LIST", kind, space).write(references)


def refer_to_arrays(scale: h5py.Dataset, arrays: Sequence[tuple[h5py.Reference, int]]) -> None:
    """Writes which arrays have a scale, and as which of their axes."""
    scale.attrs.create("REFERENCE_LIST", np.array(arrays, _ARRAYS))


def iter_nodes(
    group: h5py.Group,
    path: Path,
    seen: set[int] | None = None,
    *,
    only: Collection[str] | None = None,
    closed: Collection[str] = (),
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yields every group and array with its path, sorted by name; touches nothing outside the file.

    Links, virtual sources and external storage each let an HDF5 file show bytes of another file,
    such as `/etc/passwd`. (h5py's own `visititems` is not used: an error inside it, as in a damaged
    file, comes out as SystemError.)

    Args:
        group: the group to start from.
        path: the path of the file, for error messages.
        seen: addresses of the objects met so far; a store has only one name for each object.
        only: the names of the parts of `group` to look at; None for all.
        closed: the paths of groups that are yielded, but not what is in them.

    Raises:
        StoreError: naming the first part that is not in the file itself.
    """
    yield from _below(
        group, group.name.rstrip("/"), path, set() if seen is None else seen, only, closed
    )


def _below(
    group: h5py.Group,
    above: str,
    path: Path,
    seen: set[int],
    only: Collection[str] | None,
    closed: Collection[str],
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """As `iter_nodes`, with the path of the group, which HDF5 would have to put together."""
    if above.count("/") > DEEPEST:
        raise StoreError(f"{path}: {above} is nested deeper than any part of a store")
    for name in sorted(group if only is None else only):
        where, key = f"{above}/{name}", name.encode("utf-8", "surrogateescape")
        if group.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
            raise StoreError(f"{path}: {where} is a link to another place; a store has no links")
        node = _wrapped(h5py.h5o.open(group.id, key), group, name)
        if isinstance(node, h5py.Dataset):
            properties = node.id.get_create_plist()
            if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
                raise StoreError(
                    f"{path}: {where} keeps its data in another file; a store does not"
                )
        address = address_of(node)
        if address in seen:
            raise StoreError(
                f"{path}: {where} is a second name of another part; a store has no links"
            )
        seen.add(address)
        require_few_attributes(node, where, path)
        yield where, node
        if isinstance(node, h5py.Group) and where not in closed:
            yield from _below(node, where, path, seen, None, closed)


def _wrapped(identifier: Any, group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """An open object of HDF5 as h5py's, without another look-up of its path."""
    if isinstance(identifier, h5py.h5d.DatasetID):
        return h5py.Dataset(identifier)
    if isinstance(identifier, h5py.h5g.GroupID):
        return h5py.Group(identifier)
    return group[name]


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
    # No array gets a cache of chunks: they are written whole, and the places in it take memory.
    access.set_cache(0, 0, 0, 0.0)
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


def write_chunk(array: h5py.Dataset, corner: tuple[int, ...], data: bytes | memoryview) -> None:
    """Writes a chunk as it will lie in the file, past HDF5's filters.

    h5py takes its lock for every call but this and `read_chunk` (up to version 3.16). Without it, a
    thread that lets go of any object of h5py is in HDF5 at the same time, which then fails, crashes
    or damages the file.

    Args:
        array: the array.
        corner: where the chunk begins in the array.
        data: its bytes, of several chunks where they were made as a run.
    """
    with phil:
        array.id.write_direct_chunk(corner, data)


def read_chunk(array: h5py.Dataset, corner: tuple[int, ...]) -> bytes:
    """The bytes of a chunk as it lies in the file; see `write_chunk` for the lock."""
    with phil:
        _, data = array.id.read_direct_chunk(corner)
    return bytes(data)


def creation_properties(chunk: tuple[int, ...], codec: Codec = DEFLATE) -> h5py.h5p.PropDCID:
    """The HDF5 creation properties of an array whose chunks `encode` makes."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(chunk)
    for step in codec.filters:
        properties.set_filter(step.number, h5py.h5z.FLAG_OPTIONAL, step.settings)
    properties.set_fletcher32()  # last: the checksum covers the bytes on the disk
    properties.set_obj_track_times(False)
    return properties


def codec_of(properties: h5py.h5p.PropDCID) -> Codec | None:
    """The codec of an array by its creation properties; None if its filters are none's."""
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
