"""How samples are cut into shards, and what is recorded of them."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pickle

import numpy as np
import pytest
from helpers.factories import NumpyProbe, make_plan, make_samples
from hypothesis import given, settings
from hypothesis import strategies as st

from fmcore.capture.plan import image_digests
from fmcore.capture.run import capture_part
from fmcore.cluster.job import Shard, rows_digest, shard_plan, without_model
from fmcore.cluster.shards import ShardRecord, Shards, save_sums, shard_ranges
from fmcore.errors import ClusterError, OutputError
from fmcore.files import sha256_of
from fmcore.records import Target
from fmcore.storage import FileBytes
from fmcore.storage.file.seal import stated_digest
from fmcore.storage.unfinished import SUMS, lock_unfinished


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5000),
    batch=st.integers(1, 600),
    rows=st.none() | st.integers(1, 6000),
    checkpoint=st.integers(1, 9000),
)
def test_shards_are_whole_batches_and_cover_all_samples(n, batch, rows, checkpoint):
    plan = make_plan(1, checkpoint_rows=checkpoint)
    store = dataclasses.replace(
        plan.store, ids=[str(index) for index in range(n)], batch_size=batch
    )
    plan = dataclasses.replace(plan, store=store)
    ranges = shard_ranges(plan, rows)
    assert [row for part in ranges for row in part] == list(range(n))
    size = len(ranges[0])
    assert all(part.start % batch == 0 for part in ranges)
    assert all(len(part) == size for part in ranges[:-1])
    assert len(ranges[-1]) < 2 * size
    assert size <= max(batch, rows or checkpoint) + batch or len(ranges) == 1


def test_whole_chunks_where_that_is_cheap():
    ranges = shard_ranges(make_plan(20_000, batch_size=96), 4000)
    assert len(ranges[0]) % math.lcm(96, 256) == 0


def test_a_job_holds_no_array_but_the_classes():
    plan = without_model(make_plan(5000))
    small = len(pickle.dumps(plan))
    assert len(pickle.dumps(without_model(make_plan(50)))) == pytest.approx(small, abs=64)
    assert not plan.store.ids
    assert all(layer.spec.kernel is None for layer in plan.store.layers)
    assert plan.store.model.architecture == "{}"


@contextlib.contextmanager
def unfinished(tmp_path, n_shards=3, **identity):
    """Shards of 64 samples, and a function that captures one."""
    plan, samples = make_plan(64 * n_shards, batch_size=32), make_samples(64 * n_shards)
    digests = image_digests(samples)
    shards = []
    for index in range(n_shards):
        rows = slice(64 * index, 64 * index + 64)
        digest = rows_digest(samples, rows, digests[rows], Target.CLASS)
        shards.append(Shard(index, rows.start, rows.stop, digest))

    def captured(index, token="0" * 8):
        path = tmp_path / "store.h5.partial" / f"shard-{index:06d}-{token}.h5"
        part = shard_plan(
            without_model(plan), NumpyProbe(), plan.store.model, shards[index], len(samples)
        )
        sums = capture_part(NumpyProbe(), samples, path, part, n_threads=1)
        save_sums(path.with_suffix(SUMS), sums)
        sums_path = path.with_suffix(SUMS)
        return ShardRecord(
            index,
            path.name,
            path.stat().st_size,
            stated_digest(FileBytes(path)),
            sums_path.stat().st_size,
            sha256_of(sums_path),
        )

    with lock_unfinished(tmp_path / "store.h5", discard=False) as own:
        yield Shards(own, {"model": "tiny"} | identity, plan, shards), captured


def test_recorded_shards_are_taken_up_and_others_removed(tmp_path):
    with unfinished(tmp_path) as (shards, captured):
        shards.look_up()
        first, second = captured(0), captured(1)
        assert shards.accept(first)
        shards.record()
        names = {path.name for path in shards.folder.iterdir()}
        assert second.file in names
    with unfinished(tmp_path) as (shards, _):
        shards.look_up()
        assert list(shards.records) == [0]
        assert [shard.index for shard in shards.missing] == [1, 2]
        names = {path.name for path in shards.folder.iterdir()}
        assert names == {first.file, first.sums_file, "lock", "manifest.json"}


@pytest.mark.parametrize("damage", ["store", "sums", "length", "gone"])
def test_a_shard_that_is_not_as_recorded_is_captured_again(tmp_path, damage):
    with unfinished(tmp_path) as (shards, captured):
        records = [captured(index) for index in range(2)]
        for record in records:
            shards.accept(record)
        shards.record()
    path = shards.folder / (records[1].sums_file if damage == "sums" else records[1].file)
    data = bytearray(path.read_bytes())
    if damage == "length":
        data += b"x"
    else:
        data[-20] ^= 1
    path.unlink() if damage == "gone" else path.write_bytes(data)
    with unfinished(tmp_path) as (shards, _):
        shards.look_up()
        assert list(shards.records) == [0]


def test_another_run_is_refused_by_the_field(tmp_path):
    with unfinished(tmp_path) as (shards, captured):
        shards.accept(captured(0))
        shards.record()
    with (
        unfinished(tmp_path, model="other") as (shards, _),
        pytest.raises(OutputError, match="model was tiny, now it is other"),
    ):
        shards.look_up()


def test_the_first_valid_attempt_counts(tmp_path):
    with unfinished(tmp_path) as (shards, captured):
        first, again = captured(0), captured(0, token="1" * 8)
        assert shards.accept(first)
        assert not shards.accept(again)
        assert [path.name for path in shards.folder.glob("shard-*.h5")] == [first.file]


def test_what_a_worker_claims_is_checked(tmp_path):
    with unfinished(tmp_path) as (shards, captured):
        record = dataclasses.replace(captured(0), digest="0" * 64)
        with pytest.raises(ClusterError, match="not as the worker wrote it"):
            shards.accept(record)


def test_sums_are_merged_in_the_order_of_the_shards(tmp_path):
    """However shards come back, and wherever a run is interrupted."""
    n = 20
    with unfinished(tmp_path / "a", n) as (shards, captured):
        for index in range(n):
            shards.accept(captured(index))
            shards.merge()
        expected = [layer.state() for layer in shards.sums]
        assert len(list(shards.folder.glob(f"shard-*{SUMS}"))) <= 8
    order = np.random.default_rng(1).permutation(n)
    for part in (order[:11], order[11:]):
        with unfinished(tmp_path / "b", n) as (shards, captured):
            shards.look_up()
            for index in map(int, part):
                shards.accept(captured(index))
                shards.merge()
            shards.record()
    assert shards.n_merged == n
    for layer, state in zip(shards.sums, expected, strict=True):
        for key, array in layer.state().items():
            np.testing.assert_array_equal(array, state[key], err_msg=key)
