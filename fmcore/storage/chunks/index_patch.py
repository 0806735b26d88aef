"""Writes runs of chunks in one call each, then enters every chunk into HDF5's index.

HDF5 takes one chunk a call: 20,000 calls cost the capture 0.3 s, most of it in waiting for the GIL.
So HDF5 is given many chunks at a time as if they were one: it allocates the space and writes them.
When it has closed the file, the extents of all chunks are written into its index, a fixed array, as
the HDF5 File Format Specification defines it (version 3.0, VII.D). Then HDF5 itself must read the
same extents back (`seal`), or nothing is published.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.storage.codec import CHECKSUM_BYTES
from fmcore.storage.file.nodes import all_chunk_extents, gaps, merge_adjacent

# Magic, version, client (1: chunks with filters), bytes of an entry, log2 of the entries in a
# page, number of entries, address of the data block, checksum.
_HEADER_MAGIC, _HEADER = b"FAHD", struct.Struct("<4sBBBBQQI")
# Magic, version, client, address of the header.
_BLOCK_MAGIC, _BLOCK = b"FADB", struct.Struct("<4sBBQ")


def patch_index(path: Path, sizes: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Enters every chunk of some arrays into HDF5's index, which has only the first of each run.

    Args:
        path: a file that HDF5 has closed.
        sizes: the bytes of each chunk in row-major order, <int64>[chunk], by array.

    Returns:
        Where each chunk lies, <int64>[chunk, (start, stop)], by array.

    Raises:
        OSError: if the disk refuses.
        RuntimeError: if the layout of the file is not the one in HDF5's specification.
    """
    if not sizes:
        return {}
    with h5py.File(path, "r", locking=False) as file:
        runs = all_chunk_extents(file, path)
        firsts = {name: _first_chunks(file[name]) for name in sizes}
    with path.open("r+b") as out:
        size = out.seek(0, 2)
        indices = dict(_fixed_arrays(out, merge_adjacent(list(runs.values())), size))
        extents = {
            name: _extents_of_runs(name, runs[name], firsts[name], sizes[name]) for name in sizes
        }
        blocks = {}
        for name, chunk_extents in extents.items():
            if chunk_extents[0, 0] not in indices:
                raise RuntimeError(
                    f"{name}: its chunks are in no fixed array, the index that HDF5 1.10 writes"
                )
            index, head = indices[chunk_extents[0, 0]]
            blocks[index.address] = _data_block(index, head, chunk_extents)
        sums = iter(lookup3([part for parts in blocks.values() for part in parts]))
        for address, parts in blocks.items():
            out.seek(address)
            out.write(b"".join(part + next(sums) for part in parts))
    return extents


def _first_chunks(dataset: h5py.Dataset) -> NDArray[np.int64]:
    """The index of the first chunk of each run, in row-major order of all chunks."""
    grid = [-(-size // step) for size, step in zip(dataset.shape, dataset.chunks, strict=True)]
    corners: list[tuple[int, ...]] = []
    dataset.id.chunk_iter(lambda chunk: corners.append(chunk.chunk_offset))
    positions = np.array(corners) // np.array(dataset.chunks)
    return np.ravel_multi_index(tuple(positions.T), grid)


def _extents_of_runs(
    name: str, runs: NDArray[np.int64], firsts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where each chunk of an array lies, from runs that together hold all chunks."""
    before = np.cumsum(sizes) - sizes
    lengths = np.diff(firsts, append=len(sizes))
    in_runs = np.add.reduceat(sizes, firsts)
    if firsts[0] != 0 or not np.array_equal(in_runs, runs[:, 1] - runs[:, 0]):
        raise RuntimeError(f"{name}: HDF5 holds other runs of chunks than were written")
    starts = np.repeat(runs[:, 0] - before[firsts], lengths) + before
    return np.stack([starts, starts + sizes], axis=1)


@dataclass(frozen=True, slots=True)
class _FixedArray:
    """HDF5's chunk index of one array: its data block, and the layout of its entries.

    Attributes:
        address: the address of the data block.
        entry_bytes: bytes of an entry: an address of 8 bytes, a size, and a mask of 4 bytes.
        n_entries: the number of chunks of the array.
        page_entries: entries in a page; there are no pages if the entries do not fill one.
    """

    address: int
    entry_bytes: int
    n_entries: int
    page_entries: int

    @property
    def n_pages(self) -> int:
        """The number of pages of the data block; 0 if the entries are not in pages."""
        is_paged = self.n_entries > self.page_entries
        return -(-self.n_entries // self.page_entries) if is_paged else 0

    @property
    def first_entry(self) -> int:
        """The offset of the first entry in the data block, behind the head and a bit a page."""
        return _BLOCK.size + -(-self.n_pages // 8) + (CHECKSUM_BYTES if self.n_pages else 0)

    def encode_entries(self, extents: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The bytes of the entries, [entry, byte], with a mask that skips no filter."""
        entries = np.zeros((len(extents), self.entry_bytes), np.uint8)
        entries[:, :8] = _little_endian(extents[:, 0])
        sizes = extents[:, 1] - extents[:, 0]
        entries[:, 8:-4] = _little_endian(sizes)[:, : self.entry_bytes - 12]
        return entries


def _little_endian(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    return numbers.astype("<i8").view(np.uint8).reshape(-1, 8)


def _fixed_arrays(
    file: BinaryIO, runs: NDArray[np.int64], size: int
) -> Iterator[tuple[int, tuple[_FixedArray, bytes]]]:
    """Yields the address of an array's first chunk, its chunk index, and its data block's head."""
    for start, stop in gaps(runs, size):
        file.seek(start)
        metadata = file.read(stop - start)
        offset = metadata.find(_HEADER_MAGIC)
        while offset >= 0:
            header = metadata[offset : offset + _HEADER.size]
            if len(header) == _HEADER.size and _has_checksum(header):
                _, version, client, entry, bits, n_entries, address, _ = _HEADER.unpack(header)
                if (version, client) == (0, 1) and 12 < entry <= 20:
                    index = _FixedArray(address, entry, n_entries, 1 << bits)
                    file.seek(address)
                    block = file.read(index.first_entry + 8)
                    head = block[: _BLOCK.size]
                    if head[:4] == _BLOCK_MAGIC and _BLOCK.unpack(head)[3] == start + offset:
                        yield int.from_bytes(block[index.first_entry :], "little"), (index, head)
            offset = metadata.find(_HEADER_MAGIC, offset + 1)


def _has_checksum(metadata: bytes) -> bool:
    """Whether metadata end with their own checksum."""
    return lookup3([metadata[:-CHECKSUM_BYTES]])[0] == metadata[-CHECKSUM_BYTES:]


def _data_block(index: _FixedArray, head: bytes, extents: NDArray[np.int64]) -> list[bytes]:
    """The data block of an index with all its entries, in parts that each get a checksum."""
    if len(extents) != index.n_entries:
        raise RuntimeError(f"{len(extents)} chunks were written, expected {index.n_entries}")
    entries = index.encode_entries(extents).tobytes()
    head += np.packbits(np.ones(index.n_pages, np.uint8)).tobytes()
    if not index.n_pages:
        return [head + entries]
    page_bytes = index.page_entries * index.entry_bytes
    return [head, *(entries[at : at + page_bytes] for at in range(0, len(entries), page_bytes))]


def lookup3(keys: Sequence[bytes]) -> list[bytes]:
    """The checksum that HDF5 puts behind its metadata, for each key: four bytes, as on the disk.

    Jenkins 2006, "lookup3.c", `hashlittle` with the initial value 0. All keys are hashed at the
    same time, and shorter ones start later, so many keys cost little more than the longest.

    Args:
        keys: at least one key, none of them empty.
    """
    order = sorted(range(len(keys)), key=lambda index: -len(keys[index]))
    lengths = np.array([len(keys[index]) for index in order])
    # The last 1 to 12 bytes of a key are mixed in another way.
    steps_of_key = np.maximum(0, (lengths - 1) // 12)
    n_steps = int(steps_of_key.max())
    words = np.zeros((len(keys), n_steps + 1, 3), "<u4")
    for index, steps, row in zip(order, steps_of_key, words, strict=True):
        row.reshape(-1).view(np.uint8)[12 * (n_steps - steps) :][: len(keys[index])] = (
            np.frombuffer(keys[index], np.uint8)
        )
    sums = [(lengths + 0xDEADBEEF).astype(np.uint32) for _ in range(3)]
    n_active = np.searchsorted(-steps_of_key, np.arange(n_steps) - n_steps, side="right")
    for n, step in zip(n_active, words[:, :n_steps].transpose(1, 2, 0).copy(), strict=True):
        a, b, c = (part[:n] for part in sums)
        a += step[0, :n]
        b += step[1, :n]
        c += step[2, :n]
        for turn in ((4, 6, 8), (16, 19, 4)):
            a -= c
            a ^= _rotate(c, turn[0])
            c += b
            b -= a
            b ^= _rotate(a, turn[1])
            a += c
            c -= b
            c ^= _rotate(b, turn[2])
            b += a
    a, b, c = (part + last for part, last in zip(sums, words[:, n_steps].T, strict=True))
    c = (c ^ b) - _rotate(b, 14)
    a = (a ^ c) - _rotate(c, 11)
    b = (b ^ a) - _rotate(a, 25)
    c = (c ^ b) - _rotate(b, 16)
    a = (a ^ c) - _rotate(c, 4)
    b = (b ^ a) - _rotate(a, 14)
    c = (c ^ b) - _rotate(b, 24)
    checksums = dict(zip(order, c.astype("<u4"), strict=True))
    return [checksums[index].tobytes() for index in range(len(keys))]


def _rotate(words: NDArray[np.uint32], by: int) -> Any:
    return words << np.uint32(by) | words >> np.uint32(32 - by)
