"""Rows that come in pieces of any size are, once they are written, the array that h5py reads."""

from __future__ import annotations

import itertools

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore.storage.chunks.buffer import ChunkBuffer, ChunkRun, encode_run
from fmcore.storage.chunks.grid import run_length
from fmcore.storage.codec import DEFLATE
from fmcore.storage.file.nodes import creation_properties


def buffer_of(file: h5py.File, shape, chunk, name="a", **options) -> ChunkBuffer:
    space = h5py.h5s.create_simple(shape)
    properties = creation_properties(chunk)
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, properties)
    return ChunkBuffer(file[name], DEFLATE, **options)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver=("v110", "v110")) as opened:
        yield opened


@given(st.integers(1, 30), st.integers(1, 7), st.sets(st.integers(0, 30), max_size=5), st.data())
def test_any_part_of_what_was_written_in_pieces_is_read(tmp_path_factory, n, step, cuts, data):
    values, step = np.arange(1, n * 4 + 1, dtype=np.float32).reshape(n, 4), min(step, n)
    path = tmp_path_factory.mktemp("a") / "a.h5"
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        buffer = buffer_of(file, (n, 4), (step, 4), in_runs=False)
        bounds = [0, *sorted(cut for cut in cuts if 0 < cut < n), n]
        for start, stop in itertools.pairwise(bounds):
            for run in buffer.add(values[start:stop]):
                buffer.put(encode_run(run, DEFLATE))
            assert_array_equal(buffer.waiting, values[stop // step * step : stop])
            assert buffer.n_rows == stop // step * step
        for run in buffer.flush():
            buffer.put(encode_run(run, DEFLATE))
        assert (len(buffer.waiting), buffer.n_rows, buffer.has_runs) == (0, n, False)
        assert buffer.flush() == []
        first, last = sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n))))
        for rows, columns in (
            (slice(first, last), slice(0, 4)),
            (slice(first, n + 9), slice(1, 3)),
            (slice(None), slice(3, 9)),
        ):
            part = buffer.read(rows, columns)
            assert_array_equal(part, values[rows, columns])
            assert part.dtype == values.dtype
        sizes = [file["a"].id.get_chunk_info(index).size for index in range(-(-n // step))]
        assert_array_equal(buffer.sizes, sizes)
        assert buffer.sizes.dtype == np.int64
    with h5py.File(path) as file:
        assert_array_equal(file["a"][...], values)


def test_rows_that_wait_are_a_copy_and_keep_no_batch_in_memory(file):
    buffer = buffer_of(file, (20, 4), (3, 4))
    batch = np.ones((10, 4), np.float32)
    buffer.add(batch)
    (waiting,) = buffer._waiting
    assert waiting.base is None
    assert not np.shares_memory(waiting, batch)
    assert len(waiting) == 1
    buffer.flush()
    assert buffer._waiting == []


def test_chunks_go_many_at_a_time_or_one_by_one(file):
    values = np.ones((200, 4), np.float32)
    buffer = buffer_of(file, (200, 4), (1, 4))
    lengths = [len(parts) for _, parts in buffer.add(values)]
    assert buffer.run_length == run_length(16) == max(lengths)
    assert sum(lengths) == 200
    for sizes, has_runs in (([20], False), ([20, 20], True), ([20], True)):
        run = ChunkRun((0, 0), b"x" * sum(sizes), sizes)
        buffer.put(run)
        assert buffer.has_runs == has_runs
    del file["a"]
    buffer = buffer_of(file, (200, 4), (1, 4), in_runs=False)
    assert [len(parts) for _, parts in buffer.add(values)] == [1] * 200


def test_a_buffer_that_goes_on_writes_what_one_that_was_never_stopped_writes(file):
    values = np.arange(80, dtype=np.float32).reshape(20, 4)
    first = buffer_of(file, (20, 4), (3, 4), in_runs=False)
    n_first = len(first.add(values[:10]))
    whole = buffer_of(file, (20, 4), (3, 4), "b", in_runs=False)
    data = [encode_run(run, DEFLATE) for run in whole.add(values)]
    second = buffer_of(file, (20, 4), (3, 4), "c", in_runs=False)
    for run in data[:n_first]:
        assert second.next_run(run.data, run.sizes) == run
        second.put(run)
    second.resume(first.n_rows, first.waiting)
    for run in [*second.add(values[10:]), *second.flush()]:
        second.put(encode_run(run, DEFLATE))
    file.flush()
    assert_array_equal(file["c"][...], values)
