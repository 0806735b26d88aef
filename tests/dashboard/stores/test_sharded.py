"""Stores in shards on a server: one entry each, all values, and errors that name no folder."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from helpers import sharded
from helpers.factories import NumpyProbe, make_plan, make_samples, once, reference
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.discovery import find_stores
from dashboard.stores.source import Source
from fmcore import open_store

N = 20
SHARD = "shard-000008.h5"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with a store in three shards in a folder of its own."""

    def make(folder):
        (folder / "run").mkdir()
        sharded.capture_in_shards(
            NumpyProbe(), make_samples(N), folder / "run" / "s.h5", make_plan(N)
        )

    return once(tmp_path_factory, "shelf-of-shards", make)


def maps(url, query):
    return httpx.get(f"{url}api/v1/stores/run:s/maps?layer=block/conv 1&{query}")


def test_shards_are_no_stores_and_sizes_are_of_all(shelf):
    assert list(find_stores([shelf])) == ["run:s"]
    (line,) = Source(shelf).summaries()
    assert line.problem == ""
    with open_store(shelf / "run" / "s.h5") as store:
        assert line.n_bytes == store.n_bytes > (shelf / "run" / "s.h5").stat().st_size


def test_a_server_gives_maps_of_shards_and_reasons_where_one_is_gone(shelf, tmp_path):
    expected = reference(N).activations[0]
    shard, away = shelf / "run" / "s.h5.shards" / SHARD, tmp_path / SHARD
    with running(create_app(Source(shelf))) as url:
        shard.rename(away)
        try:
            for query in ("sample=9", "sample=0:20", "sample=9&format=npy", "sample=9&format=csv"):
                answer = maps(url, query)
                assert answer.status_code == 500
                assert f"s.h5.shards/{SHARD} (samples 8 to 19) is missing" in answer.text
                assert str(shelf) not in answer.text
                assert "Traceback" not in answer.text
            assert maps(url, "sample=7").status_code == 200
        finally:
            away.rename(shard)
        answer = maps(url, "sample=0:20")
        shape = tuple(map(int, answer.headers["x-shape"].split(",")))
        values = np.frombuffer(answer.content, answer.headers["x-dtype"]).reshape(shape)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
