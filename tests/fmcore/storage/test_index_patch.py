"""Checksums are HDF5's own, and chunks written as one are read one by one by any HDF5."""

from __future__ import annotations

import itertools
import subprocess

import h5py
import numpy as np
import pytest
from helpers.factories import tool
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import Fletcher32
from numpy.testing import assert_array_equal

from fmcore.statistics.streaming.kernels import compiled
from fmcore.storage import codec
from fmcore.storage.chunks import grid
from fmcore.storage.chunks.buffer import ChunkBuffer, encode_run
from fmcore.storage.chunks.grid import RUN_BYTES, run_length
from fmcore.storage.chunks.index_patch import _fixed_arrays, lookup3, patch_index
from fmcore.storage.codec import fletcher32
from fmcore.storage.file import nodes
from fmcore.storage.file.nodes import all_chunk_extents
from fmcore.storage.file.seal import seal
from fmcore.storage.kernels import set_checksums


def checksums_of_writers(pieces):
    """The checksums that a writer sets behind each piece."""
    ends = np.cumsum([len(piece) + 4 for piece in pieces])
    data = np.frombuffer(bytearray(b"".join(bytes(piece) + b"\xff" * 4 for piece in pieces)), "u1")
    compiled(set_checksums)(data, ends)
    assert b"".join(
        data[end - 4 - len(piece) : end - 4].tobytes()
        for piece, end in zip(pieces, ends, strict=True)
    ) == b"".join(pieces)
    return [data[end - 4 : end].tobytes() for end in ends]


def checksums_of_readers(pieces):
    """The checksums that a reader expects behind each piece."""
    return [checksum.tobytes() for checksum in fletcher32(pieces)]


@pytest.mark.parametrize("checksums", [checksums_of_writers, checksums_of_readers])
class TestFletcher32:
    @given(pieces=st.lists(st.binary(min_size=1, max_size=1500), min_size=1, max_size=9))
    def test_of_many_pieces_is_that_of_each(self, checksums, pieces):
        assert checksums(pieces) == [bytes(Fletcher32().encode(piece))[-4:] for piece in pieces]

    @given(
        sizes=st.lists(
            st.sampled_from([1, 1023, 1024, 8191, 8192, 8193, 65_535, 65_536, 65_537, 131_073]),
            min_size=1,
        ),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_of_small_and_large_pieces_is_that_of_each(self, checksums, sizes, seed):
        rng = np.random.default_rng(seed)
        pieces = [memoryview(rng.bytes(size)) for size in sizes]
        assert checksums(pieces) == [bytes(Fletcher32().encode(piece))[-4:] for piece in pieces]

    @pytest.mark.parametrize("size", [1, 2, 511, 512, 513, 65_535, 65_536 * 2, 300_001, 40 << 20])
    @pytest.mark.parametrize("value", [0, 1, 255])
    def test_of_bytes_that_are_all_the_same(self, checksums, size, value):
        piece = bytes([value]) * size
        assert checksums([piece]) == [bytes(Fletcher32().encode(piece))[-4:]]


def test_lookup3_is_what_hdf5_puts_behind_its_superblock(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver=("v110", "v110")) as file:
        file["x"] = 1
    superblock = (tmp_path / "a.h5").read_bytes()[:48]
    assert lookup3([superblock[:44]]) == [superblock[44:]]


def test_lookup3_is_what_its_author_says():
    # The self-test in lookup3.c, driver5.
    key = b"Four score and seven years ago"
    assert lookup3([key]) == [(0x17770551).to_bytes(4, "little")]


@given(st.lists(st.binary(min_size=1, max_size=100), min_size=1, max_size=8))
def test_lookup3_of_many_keys_is_that_of_each(keys):
    assert lookup3(keys) == [lookup3([key])[0] for key in keys]


def written(path, arrays: dict[str, tuple[np.ndarray, tuple[int, ...]]], cuts=()) -> dict:
    """A file whose arrays are written in runs, in turn, with other things between them."""
    rows: dict[str, ChunkBuffer] = {}
    with h5py.File(path, "w", libver=("v110", "v110"), track_order=True) as file:
        for name, (values, chunk) in arrays.items():
            space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.py_create(values.dtype)
            properties = nodes.creation_properties(chunk)
            made = h5py.h5d.create(file.id, name.encode(), kind, space, properties)
            rows[name] = ChunkBuffer(h5py.Dataset(made), codec.DEFLATE)
        n = max(len(values) for values, _ in arrays.values())
        bounds = [0, *cuts, n]
        for start, stop in itertools.pairwise(bounds):
            for name, (values, _) in arrays.items():
                for some in rows[name].add(values[start:stop]):
                    rows[name].put(encode_run(some, codec.DEFLATE))
            file.create_dataset(f"between {start}", data=np.arange(50))
        for each in rows.values():
            for some in each.flush():
                each.put(encode_run(some, codec.DEFLATE))
    return {name: each.sizes for name, each in rows.items() if each.has_runs}


def check(path, arrays) -> None:
    with h5py.File(path) as file:
        for name, (values, chunk) in arrays.items():
            grid = [-(-size // step) for size, step in zip(values.shape, chunk, strict=True)]
            assert file[name].id.get_num_chunks() == np.prod(grid)
            assert_array_equal(file[name][...], values)
        for name in set(file) - set(arrays):
            assert_array_equal(file[name][...], np.arange(50))


# Entries of an index are in pages of 1,024 where there are more.
@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 1_023, 1_024, 1_025, 2_048, 2_049, 9_000])
def test_chunks_written_as_one_are_read_one_by_one(tmp_path, n):
    values = np.random.default_rng(0).integers(0, 5, (n, 3, 4)).astype(np.float32)
    arrays = {"a": (values, (1, 3, 4)), "b": (values.astype("u1")[:, 0], (min(n, 7), 4))}
    sizes = written(tmp_path / "a.h5", arrays, cuts=range(100, n, 100))
    places = patch_index(tmp_path / "a.h5", sizes)
    check(tmp_path / "a.h5", arrays)
    with h5py.File(tmp_path / "a.h5") as file:
        found = all_chunk_extents(file, tmp_path / "a.h5")
    for name, each in places.items():
        assert_array_equal(found[name], each)


def test_blocks_of_filters_are_indexed_in_their_order(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 2, 2, 30)).astype(np.float32)
    arrays = {"a": (values, (1, 2, 2, 7)), "b": (values, (3, 2, 2, 30))}
    sizes = written(tmp_path / "a.h5", arrays, cuts=(11, 13))
    patch_index(tmp_path / "a.h5", sizes)
    check(tmp_path / "a.h5", arrays)


def test_a_foreign_reader_finds_a_chunk_that_was_written_as_one_of_many(tmp_path):
    h5dump = tool("h5dump", debian="hdf5-tools")
    values = np.arange(3_000, dtype=np.float32).reshape(1_500, 2)
    arrays = {"a": (values, (1, 2))}
    patch_index(tmp_path / "a.h5", written(tmp_path / "a.h5", arrays))
    command = [h5dump, "-d", "/a", "-s", "1333,0", "-c", "1,2", "-y", str(tmp_path / "a.h5")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "2666, 2667" in said


def test_what_was_written_and_what_hdf5_holds_must_be_the_same(tmp_path):
    values = np.arange(400, dtype=np.float32).reshape(200, 2)
    path = tmp_path / "a.h5"
    sizes = written(path, {"a": (values, (1, 2))})
    for wrong in (sizes["a"] + 1, sizes["a"][:-1], np.roll(np.append(sizes["a"][1:], 90), 3)):
        before = path.read_bytes()
        with pytest.raises(RuntimeError, match="a: HDF5 holds other runs"):
            patch_index(path, {"a": wrong})
        assert path.read_bytes() == before
    places = patch_index(path, sizes)
    with pytest.raises(RuntimeError, match="a: HDF5 reads its chunks at other places"):
        seal(path, {"a": places["a"][::-1]})


def test_a_layout_that_is_not_of_hdf5_1_10_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("fmcore.storage.chunks.index_patch._HEADER_MAGIC", b"NONE")
    values = np.arange(400, dtype=np.float32).reshape(200, 2)
    sizes = written(tmp_path / "a.h5", {"a": (values, (1, 2))})
    with pytest.raises(RuntimeError, match="in no fixed array"):
        patch_index(tmp_path / "a.h5", sizes)


@given(
    n=st.integers(1, 300),
    rows=st.integers(1, 4),
    step=st.integers(1, 4),
    most=st.integers(1, 70),
)
def test_runs_are_the_blocks_many_at_a_time(n, rows, step, most):
    values = np.arange(n * 12, dtype=np.float32).reshape(n, 1, 3, 4)
    chunk = (rows, 1, 3, step)
    blocks = list(grid.blocks(values, chunk, 5 * rows))
    runs = list(grid.block_runs(values, chunk, 5 * rows, most))
    assert [corner for corner, _ in runs] == [corner for corner, _ in blocks[::most]]
    flat = [block for _, some in runs for block in some]
    assert [block.tobytes() for block in flat] == [block.tobytes() for _, block in blocks]
    assert all(len(some) <= most for _, some in runs)


@pytest.mark.parametrize(
    "chunk_bytes", [4, 255, 256, 4_096, 65_535, 65_536, 262_144, 1 << 24, 256 << 20]
)
def test_a_run_that_did_not_shrink_fits_into_the_size_of_a_chunk(chunk_bytes):
    # The specification: one byte more than the size of a chunk's values needs with 8 bits to spare.
    size_bytes = min(8, 1 + (chunk_bytes.bit_length() - 1 + 8) // 8)
    n = run_length(chunk_bytes)
    assert n * (chunk_bytes * 1.01 + 64) < 256**size_bytes
    assert n == 1 or n * chunk_bytes <= RUN_BYTES


def test_chunks_behind_4_gib_are_found_at_their_places(tmp_path):
    path, values = tmp_path / "a.h5", np.arange(400, dtype=np.float32).reshape(200, 2)
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        # Allocated and never written: it takes no room on the disk.
        large = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        large.set_chunk((1 << 30,))
        large.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        large.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        h5py.h5d.create(
            file.id, b"large", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((5 << 30,)), large
        )
        space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.IEEE_F32LE
        created = h5py.h5d.create(file.id, b"a", kind, space, nodes.creation_properties((1, 2)))
        buffer = ChunkBuffer(h5py.Dataset(created), codec.DEFLATE)
        for run in buffer.add(values):
            buffer.put(encode_run(run, codec.DEFLATE))
    extents = patch_index(path, {"a": buffer.sizes})
    assert extents["a"].min() > 4 << 30
    with h5py.File(path) as file:
        assert_array_equal(file["a"][...], values)


def test_a_header_right_behind_a_chunk_is_found(tmp_path):
    path = tmp_path / "a.h5"
    values = np.arange(400, dtype=np.float32).reshape(200, 2)
    sizes = written(path, {"a": (values, (1, 2))})
    start, size = path.read_bytes().index(b"FAHD"), path.stat().st_size
    for covered in (np.zeros((0, 2), "<i8"), np.array([[0, start]], "<i8")):
        with path.open("rb") as file:
            ((first, _),) = _fixed_arrays(file, covered, size)
        assert first == all_extents(path)["a"][0, 0]
    assert len(sizes["a"]) == 200


def all_extents(path):
    with h5py.File(path) as file:
        return all_chunk_extents(file, path)
