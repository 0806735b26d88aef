"""A part of a stored array is numpy's part, a chunk is what h5py reads, and damage is named."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.sharded import copy_store
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore import open_store
from fmcore.errors import ArrayIndexError, StoreError
from fmcore.storage.chunks import stored_array
from fmcore.storage.chunks.stored_array import ChunkIndex, index_of
from fmcore.storage.codec import DEFLATE, SHUFFLE_DEFLATE
from fmcore.storage.file.raw_bytes import FileBytes

MAPS, N = "layers/block_conv_1/activation", 37


@pytest.fixture
def copied(tmp_path, store_path) -> Path:
    return copy_store(store_path, tmp_path / "copy.h5")


def index_in(path: Path, name: str = MAPS) -> ChunkIndex:
    with h5py.File(path, locking=False) as file:
        return index_of(file[name], FileBytes(path))


def values_in(path: Path, name: str = MAPS) -> np.ndarray:
    with h5py.File(path, locking=False) as file:
        return file[name][...]


def spoil(path: Path, index: ChunkIndex, place: int) -> None:
    """Flips a bit in the chunk of the first filters at a place of the sample axis."""
    position = (place, *[0] * (index.offsets.ndim - 1))
    with path.open("r+b") as file:
        file.seek(int(index.offsets[position]) + 5)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


@st.composite
def keys(draw, shape):
    """Numbers and slices, perhaps one list or mask, perhaps an ellipsis."""
    listed, n_given = draw(st.integers(0, 2 * len(shape))), draw(st.integers(0, len(shape)))
    ellipsis = draw(st.sampled_from(["none", "first", "last"]))
    first = len(shape) - n_given if ellipsis == "first" else 0
    parts = []
    for axis, size in enumerate(shape[first:][:n_given]):
        number, end = st.integers(-size, size - 1), st.none() | st.integers(-size - 2, size + 2)
        step = st.sampled_from([None, 1, 2, 5, -1, -3])
        kinds = [number, number.map(np.int64), st.builds(slice, end, end, step)]
        if axis == listed:
            kinds = [
                st.lists(number, max_size=4),
                st.lists(number, min_size=1, max_size=4).map(lambda some: np.array([some, some])),
                st.lists(st.booleans(), min_size=size, max_size=size),
            ]
        parts.append(draw(st.one_of(kinds)))
    if ellipsis != "none":
        parts.insert(0 if ellipsis == "first" else len(parts), Ellipsis)
    return parts[0] if len(parts) == 1 else tuple(parts)


@given(st.data())
def test_a_part_is_numpys_part_of_the_whole(store_path, data):
    with open_store(store_path) as store:
        for array, name in (
            (store.layers["block/conv 1"].activation, MAPS),
            (store.images, "samples/image"),
        ):
            values = values_in(store_path, name)
            key = data.draw(keys(values.shape))
            part, expected = array[key], values[key]
            assert np.shape(part) == np.shape(expected)
            assert np.asarray(part).dtype == values.dtype
            assert_array_equal(part, expected)


@pytest.mark.parametrize(
    "key",
    [N, -N - 1, [0, N], (0, 9), (slice(None), slice(None), -9), (0,) * 5, (..., 0, ...), 1.5, "x",
     [0.5], np.zeros(N - 1, bool), True, (slice(None, None, 0),), slice("a")],
    ids=repr,
)  # fmt: skip
def test_what_is_no_index_is_refused_with_the_name_of_the_array(store, key):
    with pytest.raises(ArrayIndexError, match=MAPS):
        store.layers["block/conv 1"].activation[key]


def test_an_array_says_what_it_is_before_it_is_read(store, store_path):
    array, values = store.layers["block/conv 1"].activation, values_in(store_path)
    assert (array.shape, array.ndim, array.size, len(array)) == (
        values.shape,
        values.ndim,
        values.size,
        len(values),
    )
    assert (array.nbytes, array.dtype, array.stored_dtype) == (
        values.nbytes,
        np.float32,
        np.float32,
    )
    assert repr(array) == (
        f"<StoredArray {array.path} (sample: 37, y: 9, x: 8, filter: 20) float32, "
        f"{values.nbytes:,} bytes>"
    )
    with h5py.File(store_path, locking=False) as file:
        assert array.chunks == file[MAPS].chunks
        assert array.stored_bytes == file[MAPS].id.get_storage_size()
        assert array.is_deflated == (file[MAPS].compression == "gzip")
    assert_array_equal(np.asarray(array), values)
    assert_array_equal(np.stack(list(array)), values)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(array, copy=False)


@given(st.data())
def test_one_chunk_is_enough_exactly_if_its_values_are_picked_in_order(data):
    n_axes = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 8)) for _ in range(n_axes))
    chunk = tuple(data.draw(st.integers(1, size)) for size in shape)
    empty = np.zeros(1, np.int64)
    index = ChunkIndex(None, "a", shape, chunk, np.dtype("f4"), DEFLATE, empty, empty, False)
    picks, expected = [], []
    for size, step in zip(shape, chunk, strict=True):
        place = data.draw(st.integers(0, size // step))
        whole = range(place * step, place * step + step)
        stride, move = data.draw(st.sampled_from([(1, 0), (1, 0), (1, 0), (1, 1), (-1, 0), (2, 0)]))
        pick = whole[::stride] if move == 0 else range(whole.start + 1, whole.stop + 1)
        pick = np.array(pick) if data.draw(st.integers(0, 9)) == 0 else pick
        picks.append(pick)
        is_whole = isinstance(pick, range) and list(pick) == list(whole) and pick.step == 1
        # Another chunk may be hit by a pick that was moved by its length.
        moved = isinstance(pick, range) and step == 1 and move == 1
        expected.append((pick.start if moved else place) if is_whole or moved else None)
        if expected[-1] is not None and (expected[-1] + 1) * step > size:
            expected[-1] = None
    position = None if None in expected else tuple(expected)
    assert index.only_chunk(picks) == position


def test_a_chunk_that_a_client_cannot_inflate_is_not_sent_as_it_is(store):
    array = store.layers["block/conv 1"].activation
    picks = tuple(range(step) for step in array.chunks)
    assert array.only_chunk(picks) == (0, 0, 0, 0)
    shuffled = replace(array._index, codec=SHUFFLE_DEFLATE)
    file = type("File", (), {"index": lambda _, __: shuffled})()
    assert stored_array.StoredArray(file, MAPS, array.axes).only_chunk(picks) is None


def test_a_chunk_as_it_lies_in_the_file_is_what_h5py_reads_of_it(store_path):
    index, values = index_in(store_path), values_in(store_path)
    place = (3, 0, 0, 0)
    chunk = index.raw(place)
    assert (chunk.corner, chunk.shape) == (
        (3 * index.chunk[0], 0, 0, 0),
        index.chunk,
    )
    with h5py.File(store_path, locking=False) as file:
        mask, data = file[MAPS].id.read_direct_chunk(chunk.corner)
    assert (mask, chunk.data) == (0, data[:-4])
    assert (chunk.dtype, chunk.codec) == ("float32", index.codec.name)
    inflated = np.frombuffer(zlib.decompress(chunk.data), chunk.dtype).reshape(chunk.shape)
    rows = slice(chunk.corner[0], chunk.corner[0] + chunk.shape[0])
    assert_array_equal(inflated, values[rows, ..., : chunk.shape[3]])
    assert index.raw_now(place) in (chunk.data, None)  # the disk may have to be awaited
    assert_array_equal(index.values(place), inflated)


def test_what_is_not_in_memory_or_damaged_is_not_given_at_once(copied, monkeypatch):
    index = index_in(copied)
    if index.raw_now((3, 0, 0, 0)) is None:
        pytest.skip("this file system does not say what is in memory")
    spoil(copied, index, 3)
    assert index.raw_now((3, 0, 0, 0)) is None
    assert index.raw_now((2, 0, 0, 0)) == index.raw((2, 0, 0, 0)).data
    monkeypatch.setattr(FileBytes, "read_now", lambda *_: None)
    assert index.raw_now((2, 0, 0, 0)) is None


def everything(index: ChunkIndex):
    return [
        lambda: index.raw((3, 0, 0, 0)),
        lambda: index.values((3, 0, 0, 0)),
        lambda: index.row(3 * index.chunk[0]),
        lambda: index.rows(0, N),
        lambda: list(index.runs(N, 0, 5)),
    ]


def test_damage_is_named_by_its_samples_however_it_is_read(copied):
    index, values = index_in(copied), values_in(copied)
    spoil(copied, index, 3)
    first = 3 * index.chunk[0]
    for read in everything(index):
        with pytest.raises(
            StoreError, match=rf"/{MAPS}, samples {first} to {first + 1}: its check"
        ):
            read()
    # The chunks that lie beside it are whole.
    assert_array_equal(index.rows(0, first), values[:first])
    assert_array_equal(index.rows(first + 2, N), values[first + 2 :])


@pytest.mark.parametrize("failure", ["error", "short"])
def test_a_disk_that_refuses_is_named_by_its_samples_however_it_is_read(
    store_path, monkeypatch, failure
):
    index = index_in(store_path)

    def refuse(self, offset, size):
        if failure == "error":
            raise OSError(5, "Input/output error")
        return b"x" * (size - 1)

    monkeypatch.setattr(FileBytes, "read", refuse)
    why = "Input/output error" if failure == "error" else r"the file holds [\d,]+ bytes of it, exp"
    for read in everything(index):
        with pytest.raises(StoreError, match=f"/{MAPS}, samples .*: .*{why}"):
            read()


@pytest.mark.parametrize(
    ("chunk", "first", "last", "by_sample", "words"),
    [(1, 4, 4, True, "sample 4"), (1, 4, 6, True, "samples 4 to 6"), (1, 4, 4, False, "index 4"),
     (5, 1, 1, True, "samples 5 to 9"), (5, 1, 2, False, "indices 5 to 11"),
     (11, 1, 1, True, "sample 11")],
)  # fmt: skip
def test_rows_of_chunks_are_named_to_the_end_of_the_array(chunk, first, last, by_sample, words):
    empty = np.zeros(1, np.int64)
    index = ChunkIndex(
        None, "a", (12, 3), (chunk, 3), np.dtype("f4"), DEFLATE, empty, empty, by_sample
    )
    assert index.describe_rows(first, last) == words


def test_runs_are_the_chunks_as_they_lie_for_other_rows(store_path):
    index = index_in(store_path)
    stop = 6 * index.chunk[0]
    runs = list(index.runs(stop, 100 * index.chunk[0], 4))
    with h5py.File(store_path, locking=False) as file:
        chunks = [
            file[MAPS].id.read_direct_chunk((row, 0, 0, 0))[1]
            for row in range(0, stop, index.chunk[0])
        ]
    assert [run.sizes for run in runs] == [list(map(len, chunks[:4])), list(map(len, chunks[4:]))]
    assert [run.data for run in runs] == [b"".join(chunks[:4]), b"".join(chunks[4:])]
    assert [run.corner for run in runs] == [
        (place * index.chunk[0], 0, 0, 0) for place in (100, 104)
    ]


def test_a_row_keeps_no_other_rows_in_memory(store_path):
    index, values = index_in(store_path), values_in(store_path)
    assert index.chunk[0] > 1
    for row in (0, 1, N - 1):
        assert_array_equal(index.row(row), values[row])
        assert index.row(row).base is None


@pytest.mark.parametrize("threads", [None, 1, 2, 9])
def test_any_number_of_threads_reads_the_same(store_path, monkeypatch, threads):
    pools = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, most):
            pools.append(most)
            super().__init__(most)

    monkeypatch.setattr(stored_array, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(stored_array, "run_length", lambda _: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    index, values = index_in(store_path), values_in(store_path)
    picks = [np.array([30, 2, 2, 7]), range(9), range(1, 8, 2), range(20)]
    assert_array_equal(index.outer(picks, threads=threads), values[[30, 2, 2, 7]][:, :, 1:8:2])
    # Two chunks in one task, so two tasks for the three chunks.
    assert pools == ([] if threads == 1 else [2])
    empty = [range(0), range(9), range(8), range(20)]
    assert index.outer(empty, threads=threads).shape == (0, 9, 8, 20)


class Lying:
    """An array whose chunk index says something else about one chunk."""

    def __init__(self, array, change) -> None:
        self._array, self._change = array, change
        self.id = self

    def __getattr__(self, name: str):
        owner = self._array.id if hasattr(type(self._array.id), name) else self._array
        return getattr(owner, name)

    @property
    def shape(self):
        return self._array.shape

    @property
    def chunks(self):
        return self._array.chunks

    @property
    def dtype(self):
        return self._array.dtype

    @property
    def name(self):
        return self._array.name

    def chunk_iter(self, take) -> None:
        def change(info) -> None:
            entry = [info.chunk_offset, info.filter_mask, info.byte_offset, info.size]
            if entry[0][0] == 4:
                entry = self._change(entry)
            take(h5py.h5d.StoreInfo(*entry))

        self._array.id.chunk_iter(change)


def largest(array) -> int:
    """The most bytes that a chunk may take: deflate adds a few in a thousand."""
    return int(np.prod(array.chunks) * array.dtype.itemsize * 1.01 + 1024)


LIES = {
    "no place": lambda entry, array, size: [*entry[:2], None, entry[3]],
    "ends beyond the file": lambda entry, array, size: [*entry[:2], size - entry[3] + 1, entry[3]],
    "only a checksum": lambda entry, array, size: [*entry[:3], 4],
    "too large": lambda entry, array, size: [*entry[:2], 0, largest(array) + 1],
    "a filter is left out": lambda entry, array, size: [entry[0], 1, *entry[2:]],
    "twice": lambda entry, array, size: [(0, 0, 0, 0), *entry[1:]],
    "before the array": lambda entry, array, size: [(-2, 0, 0, 0), *entry[1:]],
    "behind the array": lambda entry, array, size: [(40, 0, 0, 0), *entry[1:]],
}
TRUTHS = {
    "ends with the file": lambda entry, array, size: [*entry[:2], size - entry[3], entry[3]],
    "a checksum and a byte": lambda entry, array, size: [*entry[:3], 5],
    "as large as may be": lambda entry, array, size: [*entry[:2], 8, largest(array)],
}


@pytest.mark.parametrize("kind", [*LIES, *TRUTHS])
def test_an_entry_of_the_index_that_cannot_be_is_refused(store_path, kind):
    file = FileBytes(store_path)
    with h5py.File(store_path, locking=False) as opened:
        array = opened[MAPS]
        change = {**LIES, **TRUTHS}[kind]
        lying = Lying(array, lambda entry: change(entry, array, file.size))
        if kind in LIES:
            with pytest.raises(StoreError, match=f"/{MAPS} has a damaged index of its chunks: "):
                index_of(lying, file)
        else:
            assert index_of(lying, file).sizes.shape[0] == -(-N // array.chunks[0])


def test_an_array_says_whether_its_first_axis_is_that_of_samples(store_path):
    assert index_in(store_path).by_sample
    assert not index_in(store_path, "layers/conv2/class/moments").by_sample
    assert not index_in(store_path, "sample").by_sample


def test_arrays_that_fmcore_does_not_write_have_no_index(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        whole = file.create_dataset("whole", data=np.ones(4))
        partly = file.create_dataset("partly", (8,), "f4", chunks=(2,), fletcher32=True)
        partly[:2] = 1
        file.flush()
        opened = FileBytes(tmp_path / "a.h5")
        with pytest.raises(StoreError, match="/whole has no chunks"):
            index_of(whole, opened)
        with pytest.raises(StoreError, match="/partly has 1 chunks of the 4 that its shape needs"):
            index_of(partly, opened)
