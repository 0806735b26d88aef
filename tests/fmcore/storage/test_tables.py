"""Scores and counts that lie in tables, as h5py finds them by the names of their rows."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from helpers.factories import make_samples, make_store, reference
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from fmcore import open_store
from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import top
from fmcore.storage import problems
from fmcore.storage.format import chunk_shape


@pytest.fixture(params=[True, False], ids=["one chunk", "chunks for each row"])
def one_chunk(request):
    return request.param


@pytest.fixture
def path(tmp_path, one_chunk, monkeypatch):
    monkeypatch.setattr(chunk_shape, "SMALL_TABLE_BYTES", 1 << 17 if one_chunk else 50)
    return make_store(tmp_path / "s.h5")


def rows(file, axis, table):
    """The rows of a table of the second layer, by their names."""
    names = [name.decode() for name in file[f"names/{axis}"]]
    return dict(zip(names, file[f"layers/conv2/{table}"], strict=True))


def test_a_row_of_scores_is_what_scikit_learn_computes(path, one_chunk):
    labels, maps = make_samples(37).labels, reference().activations[1]
    with h5py.File(path, locking=False) as file:
        value, low, high = rows(file, "class_score", "class/scores")["auc_max"]
        stored = file["layers/conv2/class/scores"]
        assert stored.chunks == (stored.shape if one_chunk else (1, 1, *stored.shape[2:]))
    for index in range(3):
        for filter_index in range(maps.shape[3]):
            pooled = maps[..., filter_index].max(axis=(1, 2))
            if np.isnan(value[index, filter_index]):  # a filter that never varies
                assert np.ptp(pooled) == 0
                continue
            expected = roc_auc_score(labels == index, pooled)
            assert_allclose(value[index, filter_index], expected, atol=1e-12)
            assert low[index, filter_index] < 0.5 < high[index, filter_index]
    assert np.isnan(value[3:]).all(), "classes without samples have no scores"


def test_every_array_by_its_name_is_the_row_of_its_table(path):
    with h5py.File(path, locking=False) as file, open_store(path) as store:
        layer = store.layers["conv2"]
        for name, row in rows(file, "class_score", "class/scores").items():
            assert_array_equal(layer.statistic(name), row[0])
            assert_array_equal(layer.chance(name), row[1:])
        for name, row in rows(file, "filter_score", "filters/scores").items():
            assert_array_equal(layer.statistic(name), row[0])
            assert_array_equal(layer.chance(name), row[1:])
        for name, row in rows(file, "moment", "class/moments").items():
            assert_array_equal(layer.statistic(name), row)
        for name, row in rows(file, "count", "class/counts").items():
            assert_array_equal(layer.statistic(name), row)
        for name, row in rows(file, "pooling", "filters/undefined").items():
            assert_array_equal(layer.undefined(name), row)
        for kind in ("", "class_", "band_"):
            for name, row in rows(file, "place", f"top/{kind}places").items():
                assert_array_equal(layer.top(f"{kind}{name}")[...], row)
                assert_array_equal(layer.top(f"{kind}{name}")[-1, 1:], row[-1, 1:])
                assert_array_equal(np.asarray(layer.top(f"{kind}{name}")), row)
                assert_array_equal(layer.top(f"{kind}{name}").row(1), row[1])


def test_a_part_of_a_row_is_read_as_numpy_indexes_it(path):
    with open_store(path) as store:
        arrays = store.layers["conv2"].arrays()
        for name in ("auc_mean", "n_values", "eta2_max", "std"):
            whole = arrays[name][...]
            assert arrays[name].shape == whole.shape
            assert_array_equal(arrays[name][1:], whole[1:])
            assert_array_equal(arrays[name][[2, 0]], whole[[2, 0]])
            picks = tuple(np.arange(size)[::2] for size in whole.shape)
            assert_array_equal(arrays[name].outer(picks), whole[np.ix_(*picks)])
            assert arrays[name].only_chunk(tuple(map(range, whole.shape))) is None


def test_a_store_that_lacks_a_row_lacks_that_score_alone(path):
    """A store of another version may have other rows."""
    with h5py.File(path, "r+", locking=False) as file:
        names = file["names/class_score"]
        index = list(names).index(b"ap_max")
        names[index] = b"novel"
    with open_store(path) as store:
        layer = store.layers["conv2"]
        assert "ap_max" not in layer.statistics
        assert "ap_mean" in layer.statistics
        with pytest.raises(StatisticNotFoundError, match="ap_max"):
            layer.statistic("ap_max")
    assert [one for one in problems(path) if "seal" not in one] == []


def test_layers_may_keep_different_numbers_of_top_samples_for_each_class(tmp_path, monkeypatch):
    """A layer of many filters keeps fewer, so that they fit in memory."""
    monkeypatch.setattr(top, "CLASS_TOP_BYTES", 16 * 4 * 20 * 3)
    path = make_store(tmp_path / "s.h5")
    with h5py.File(path, locking=False) as file:
        kept = [group["top/class_places"].shape[-1] for group in file["layers"].values()]
    filters = [maps.shape[3] for maps in reference().activations]
    assert kept == [60 // n if 60 // n < 25 else 25 for n in filters]
    assert len(set(kept)) == 2
    assert list(problems(path)) == []
