"""Chunks that lie back to back are written in one go; afterwards HDF5's index is told of each.

HDF5 takes one chunk a call: 20,000 calls cost the capture 0.3 s, most of it in waiting for the GIL.
So HDF5 is given many chunks at a time as if they were one: it finds the room and writes them. When
it has closed the file, the places of all of them are put into its index, a fixed array, as the HDF5
File Format Specification lays it down (version 3.0, VII.D); then HDF5 itself must read the same
places back (`seal`), or nothing is published.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.storage.chunks.codec import CHECKSUM_BYTES, encode
from fmcore.storage.chunks.grid import Blocks
from fmcore.storage.file.nodes import all_chunk_extents, gaps, merge_adjacent
from fmcore.storage.format.schema import Codec

# A task for each chunk would spend as long on hand-over as on deflate. HDF5, which takes a run for
# one chunk, has room for sizes of at least 256 times the bytes of a chunk's values.
CHUNKS_PER_RUN = 64
RUN_BYTES = 4 << 20  # of values; a task holds them up to three times
# Magic, version, client (1: chunks with filters), bytes of an entry, log2 of the entries in a
# page, number of entries, address of the data block, checksum.
_HEADER_MAGIC, _HEADER = b"FAHD", struct.Struct("<4sBBBBQQI")
# Magic, version, client, address of the header.
_BLOCK_MAGIC, _BLOCK = b"FADB", struct.Struct("<4sBBQ")


class ChunkRun(NamedTuple):
    """Chunks of one array that follow each other, as they will lie in the file.

    Attributes:
        corner: where the first begins in the array.
        data: their bytes, one behind the other.
        sizes: how many bytes each has.
    """

    corner: tuple[int, ...]
    data: bytes
    sizes: list[int]


def run_length(chunk_bytes: int) -> int:
    """How many chunks go to HDF5 as one.

    Args:
        chunk_bytes: of the values of a chunk.
    """
    return max(1, min(CHUNKS_PER_RUN, RUN_BYTES // chunk_bytes))


def encode_run(blocks: Blocks, codec: Codec) -> ChunkRun:
    """The run of some chunks that follow each other, at least one."""
    corner, values = blocks
    chunks = encode(values, codec)
    return ChunkRun(corner, b"".join(chunks), [len(chunk) for chunk in chunks])


def patch_index(path: Path, sizes: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Puts every chunk of some arrays into HDF5's index, where only the first of each run is.

    Args:
        path: a file that HDF5 has closed.
        sizes: of each array its chunks' bytes, <int64>[chunk], in row-major order.

    Returns:
        Where each chunk lies, <int64>[chunk, (start, stop)], by array.

    Raises:
        OSError: if the disk refuses.
        RuntimeError: if HDF5 did not lay the file out as its specification says.
    """
    if not sizes:
        return {}
    with h5py.File(path, "r", locking=False) as file:
        runs = all_chunk_extents(file, path)
        firsts = {name: _first_chunks(file[name]) for name in sizes}
    with path.open("r+b") as out:
        size = out.seek(0, 2)
        arrays = dict(_fixed_arrays(out, merge_adjacent(list(runs.values())), size))
        places = {
            name: _extents_of_runs(name, runs[name], firsts[name], sizes[name]) for name in sizes
        }
        blocks = {}
        for name, each in places.items():
            if each[0, 0] not in arrays:
                raise RuntimeError(f"{name}: its chunks are in no fixed array, as in HDF5 1.10")
            found, head = arrays[each[0, 0]]
            blocks[found.address] = _parts(found, head, each)
        sums = iter(lookup3([part for parts in blocks.values() for part in parts]))
        for address, parts in blocks.items():
            out.seek(address)
            out.write(b"".join(part + next(sums) for part in parts))
    return places


def _first_chunks(dataset: h5py.Dataset) -> NDArray[np.int64]:
    """The number of the first chunk of each run, in row-major order of all chunks."""
    grid = [-(-size // step) for size, step in zip(dataset.shape, dataset.chunks, strict=True)]
    corners: list[tuple[int, ...]] = []
    dataset.id.chunk_iter(lambda chunk: corners.append(chunk.chunk_offset))
    positions = np.array(corners) // np.array(dataset.chunks)
    return np.ravel_multi_index(tuple(positions.T), grid)


def _extents_of_runs(
    name: str, runs: NDArray[np.int64], firsts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where each chunk lies, of runs that together hold all of them."""
    before = np.cumsum(sizes) - sizes
    lengths = np.diff(firsts, append=len(sizes))
    in_runs = np.add.reduceat(sizes, firsts)
    if firsts[0] != 0 or not np.array_equal(in_runs, runs[:, 1] - runs[:, 0]):
        raise RuntimeError(f"{name}: HDF5 holds other runs of chunks than were written")
    starts = np.repeat(runs[:, 0] - before[firsts], lengths) + before
    return np.stack([starts, starts + sizes], axis=1)


@dataclass(frozen=True, slots=True)
class _FixedArray:
    """The index of one array: its data block, and the form of its entries.

    Attributes:
        address: of the data block.
        entry_bytes: of an entry: an address of 8 bytes, a size, and a mask of 4.
        n_entries: all chunks of the array.
        page_entries: entries of a page; they are not in pages where they fill none.
    """

    address: int
    entry_bytes: int
    n_entries: int
    page_entries: int

    @property
    def n_pages(self) -> int:
        """Pages of the data block; 0 where entries are not in pages."""
        is_paged = self.n_entries > self.page_entries
        return -(-self.n_entries // self.page_entries) if is_paged else 0

    @property
    def first_entry(self) -> int:
        """Where the first entry stands in the data block: behind its head, and a bit a page."""
        return _BLOCK.size + -(-self.n_pages // 8) + (CHECKSUM_BYTES if self.n_pages else 0)

    def entries(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The bytes of entries, [entry, byte]; no filter is left out of any chunk."""
        found = np.zeros((len(places), self.entry_bytes), np.uint8)
        found[:, :8] = _bytes_of(places[:, 0])
        found[:, 8:-4] = _bytes_of(places[:, 1] - places[:, 0])[:, : self.entry_bytes - 12]
        return found


def _bytes_of(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    return numbers.astype("<i8").view(np.uint8).reshape(-1, 8)


def _fixed_arrays(
    file: BinaryIO, runs: NDArray[np.int64], size: int
) -> Iterator[tuple[int, tuple[_FixedArray, bytes]]]:
    """Every index of chunks in a file, with the head of its data block, by the first address."""
    for start, stop in gaps(runs, size):
        file.seek(start)
        metadata = file.read(stop - start)
        place = metadata.find(_HEADER_MAGIC)
        while place >= 0:
            header = metadata[place : place + _HEADER.size]
            if len(header) == _HEADER.size and _is_sealed(header):
                _, version, client, entry, bits, n_entries, address, _ = _HEADER.unpack(header)
                if (version, client) == (0, 1) and 12 < entry <= 20:
                    found = _FixedArray(address, entry, n_entries, 1 << bits)
                    file.seek(address)
                    block = file.read(found.first_entry + 8)
                    head = block[: _BLOCK.size]
                    if head[:4] == _BLOCK_MAGIC and _BLOCK.unpack(head)[3] == start + place:
                        yield int.from_bytes(block[found.first_entry :], "little"), (found, head)
            place = metadata.find(_HEADER_MAGIC, place + 1)


def _is_sealed(metadata: bytes) -> bool:
    """Whether metadata end with their checksum."""
    return lookup3([metadata[:-CHECKSUM_BYTES]])[0] == metadata[-CHECKSUM_BYTES:]


def _parts(found: _FixedArray, head: bytes, places: NDArray[np.int64]) -> list[bytes]:
    """The data block of an index with all of its entries, in the parts that have a checksum."""
    if len(places) != found.n_entries:
        raise RuntimeError(f"{len(places)} chunks were written of {found.n_entries}")
    entries = found.entries(places).tobytes()
    head += np.packbits(np.ones(found.n_pages, np.uint8)).tobytes()
    if not found.n_pages:
        return [head + entries]
    page_bytes = found.page_entries * found.entry_bytes
    return [head, *(entries[at : at + page_bytes] for at in range(0, len(entries), page_bytes))]


def lookup3(keys: Sequence[bytes]) -> list[bytes]:
    """The checksum that HDF5 puts behind its metadata, of each key: four bytes, as on the disk.

    Jenkins 2006, "lookup3.c", `hashlittle` with the initial value 0. All keys take their steps at
    the same time, a shorter one later, so that many cost little more than the longest.

    Args:
        keys: at least one, none of them empty.
    """
    order = sorted(range(len(keys)), key=lambda index: -len(keys[index]))
    lengths = np.array([len(keys[index]) for index in order])
    whole = np.maximum(0, (lengths - 1) // 12)  # the last 1 to 12 bytes are mixed in another way
    n_steps = int(whole.max())
    words = np.zeros((len(keys), n_steps + 1, 3), "<u4")
    for index, steps, row in zip(order, whole, words, strict=True):
        row.reshape(-1).view(np.uint8)[12 * (n_steps - steps) :][: len(keys[index])] = (
            np.frombuffer(keys[index], np.uint8)
        )
    sums = [(lengths + 0xDEADBEEF).astype(np.uint32) for _ in range(3)]
    n_taking = np.searchsorted(-whole, np.arange(n_steps) - n_steps, side="right")
    for n, step in zip(n_taking, words[:, :n_steps].transpose(1, 2, 0).copy(), strict=True):
        a, b, c = (each[:n] for each in sums)
        a += step[0, :n]
        b += step[1, :n]
        c += step[2, :n]
        for turn in ((4, 6, 8), (16, 19, 4)):
            a -= c
            a ^= _rotated(c, turn[0])
            c += b
            b -= a
            b ^= _rotated(a, turn[1])
            a += c
            c -= b
            c ^= _rotated(b, turn[2])
            b += a
    a, b, c = (each + last for each, last in zip(sums, words[:, n_steps].T, strict=True))
    c = (c ^ b) - _rotated(b, 14)
    a = (a ^ c) - _rotated(c, 11)
    b = (b ^ a) - _rotated(a, 25)
    c = (c ^ b) - _rotated(b, 16)
    a = (a ^ c) - _rotated(c, 4)
    b = (b ^ a) - _rotated(a, 14)
    c = (c ^ b) - _rotated(b, 24)
    found = dict(zip(order, c.astype("<u4"), strict=True))
    return [found[index].tobytes() for index in range(len(keys))]


def _rotated(words: NDArray[np.uint32], by: int) -> Any:
    return words << np.uint32(by) | words >> np.uint32(32 - by)
