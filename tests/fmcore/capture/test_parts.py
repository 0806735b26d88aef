"""Parts of a test set that are captured by themselves, and joined to one store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from helpers.factories import NumpyProbe, arrays_of, make_plan, make_samples, make_store
from helpers.sharded import capture_shards

from fmcore.capture.run import finish_store, scored_truth
from fmcore.errors import StoreError
from fmcore.storage import create_store, problems
from fmcore.storage.joining import append_store

N = 700


def parts_of(folder, cuts, **options):
    """Captures the parts between some rows, and joins them."""
    plan, samples = make_plan(N, batch_size=32, **options), make_samples(N)
    ranges = [range(*ends) for ends in zip((0, *cuts), (*cuts, N), strict=True)]
    shards, merged = capture_shards(NumpyProbe(), samples, folder / "parts", plan, ranges)
    return plan, samples, [shard.path for shard in shards], merged


def joined(path, plan, samples, paths, merged):
    with (
        ThreadPoolExecutor(2) as threads,
        create_store(path, plan.store, threads) as writer,
    ):
        for part in paths:
            append_store(writer, part)
        finish_store(writer, merged, scored_truth(plan, samples), threads)
    return path


@pytest.mark.parametrize("cuts", [(512,), (128, 256, 640), (37, 100, 101)])
@pytest.mark.parametrize("policy", ["", "*1=float16,conv2=pooled"])
def test_parts_joined_are_the_capture_of_all(tmp_path, cuts, policy):
    direct = arrays_of(make_store(tmp_path / "direct.h5", N, batch_size=32, policy=policy))
    path = joined(tmp_path / "joined.h5", *parts_of(tmp_path, cuts, policy=policy))
    assert list(problems(path)) == []
    arrays = arrays_of(path)
    assert arrays.keys() == direct.keys()
    for name, expected in direct.items():
        if expected.dtype.kind == "f" and not name.endswith(("activation", "probability")):
            np.testing.assert_allclose(arrays[name], expected, rtol=1e-6, atol=1e-9, err_msg=name)
        elif expected.dtype.kind != "V" and not name.endswith("facts"):
            np.testing.assert_array_equal(arrays[name], expected, err_msg=name)


def test_a_damaged_part_is_refused_by_name(tmp_path):
    plan, samples, paths, merged = parts_of(tmp_path, (512,))
    with h5py.File(paths[1]) as file:
        array = file["layers/conv2/activation"]
        place = array.id.get_chunk_info(0).byte_offset
    with paths[1].open("r+b") as file:
        file.seek(place + 5)
        byte = file.read(1)
        file.seek(place + 5)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(
        StoreError, match=r"shard-000512\.h5 is a damaged store: .*conv2/activation"
    ):
        joined(tmp_path / "joined.h5", plan, samples, paths, merged)
    assert not (tmp_path / "joined.h5").exists()
