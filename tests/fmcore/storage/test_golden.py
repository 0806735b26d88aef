"""Stores of released versions of the format are read, and this version writes what it released."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.factories import make_samples, make_store, reference
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import open_store
from fmcore.storage import FORMAT_VERSION, problems
from fmcore.storage.format.schema import SHARDED_VERSION

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("store-*.h5"))
N = 12
# What says which program wrote a file, and when; and the digest of all attributes.
OF_THE_WRITER = {"writer", "libraries", "created", "attributes_sha256"}


def contents(path):
    """All arrays and attributes of a file, by their paths."""
    arrays, attributes = {}, {}

    def add(where, node):
        if isinstance(node, h5py.Dataset):
            arrays[where] = (
                node[...],
                node.chunks,
                [axis[0].name for axis in node.dims if len(axis)],
            )
        else:
            attributes.update({f"{where}@{name}": value for name, value in node.attrs.items()})

    with h5py.File(path, locking=False) as file:
        add("", file)
        file.visititems(add)
    return arrays, attributes


def test_the_version_that_is_written_has_a_golden_store():
    names = [path.name for path in GOLDEN]
    assert {f"store-{FORMAT_VERSION}.h5", f"store-{SHARDED_VERSION}.h5"} <= set(names)
    with open_store(GOLDEN[names.index(f"store-{SHARDED_VERSION}.h5")]) as store:
        assert store.n_shards == 2


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_store_is_sound_and_read_as_it_was_written(path):
    assert list(problems(path)) == []
    with open_store(path) as store:
        assert_array_equal(store.labels, make_samples(N).labels)
        for layer, maps in zip(store.layers.values(), reference(N).activations, strict=True):
            assert_allclose(layer.activation[...], maps, rtol=1e-5, atol=1e-6)
            assert_allclose(layer.statistic("max"), by_class(maps), rtol=1e-5, atol=1e-6)
            assert {"auc_mean", "q50", "mi_max"} <= set(layer.statistics)


def by_class(maps):
    """The largest value of each class and filter, <float64>[class, filter]; NaN of no sample."""
    labels = make_samples(N).labels
    largest = np.full((4, maps.shape[3]), np.nan)
    for label in np.unique(labels):
        largest[label] = maps[labels == label].max(axis=(0, 1, 2))
    return largest


def test_what_is_written_now_is_what_was_released(tmp_path):
    """Another layout needs another `FORMAT_VERSION`, and a golden store of it."""
    arrays, attributes = contents(make_store(tmp_path / "now.h5", N))
    (golden,) = [path for path in GOLDEN if path.stem == f"store-{FORMAT_VERSION}"]
    released, released_attributes = contents(golden)
    assert arrays.keys() == released.keys()
    for where, (values, chunks, axes) in arrays.items():
        expected, *layout = released[where]
        assert [chunks, axes] == layout, where
        assert values.dtype == expected.dtype, where
        if values.dtype.kind == "f":
            assert_allclose(values, expected, rtol=1e-4, atol=1e-5, err_msg=where)
        elif where != "contents/facts":
            assert_array_equal(values, expected, err_msg=where)
    assert attributes.keys() == released_attributes.keys()
    for name, value in attributes.items():
        expected = released_attributes[name]
        if name.endswith("@compression"):  # how much deflate leaves depends on its library
            value, expected = (text.decode().split(":")[0] for text in (value, expected))
        if name.rpartition("@")[2] not in OF_THE_WRITER:
            assert_array_equal(value, expected, err_msg=name)
