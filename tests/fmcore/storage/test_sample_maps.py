"""A map by UMAP beside a store: made by a command, read by all, and never that of another store."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest
from helpers.factories import make_encoded_store, make_store, make_target_store
from helpers.sharded import copy_store
from helpers.umap_double import double_umap
from numpy.testing import assert_allclose, assert_array_equal

import fmcore
from fmcore import open_store
from fmcore.cli import main
from fmcore.errors import LayerNotFoundError, SelectionError, StatisticNotFoundError
from fmcore.records import Target
from fmcore.statistics import UmapOptions
from fmcore.storage import read_umap, sample_space, sample_table, umap_key, umap_path, umap_samples


@pytest.fixture
def path(store_path, tmp_path):
    return copy_store(store_path, tmp_path / "tiny.h5")


def test_the_command_keeps_a_map_beside_the_store_with_all_it_was_made_with(
    path, monkeypatch, capsys
):
    calls = double_umap(monkeypatch)
    words = ["--layer", "block/conv 1", "--by", "max", "--neighbors", "7", "--min-dist", "0.3"]
    assert main(["project", str(path), *words, "--seed", "5"]) == 0
    (call,) = calls
    values = call.pop("values")
    assert call == {
        "n_components": 2,
        "n_neighbors": 7,
        "min_dist": 0.3,
        "random_state": 5,
        "n_jobs": 1,
    }
    with open_store(path) as store:
        table = sample_table(store, layer="block/conv 1", by="max")
        where = umap_path(store, table)
        group = store.layers["block/conv 1"].group
        assert where == path.with_name(f"tiny.{group}-max.umap.npz")
        assert str(where) in capsys.readouterr().out
        pooled = store.layers["block/conv 1"].pooled("max")[...]
        assert_allclose(values, pooled - pooled.mean(axis=0, dtype=float), atol=1e-6)
        umap = read_umap(store, table)
        assert_array_equal(umap.positions, np.stack([values.sum(axis=1), values[:, 0]], axis=1))
        assert (umap.options, umap.library) == (UmapOptions(7, 0.3, 5), "umap-learn 0.5.99")
        assert (umap.n_columns, umap.n_placed) == (20, 37)
        key = umap_key(store, table)
        # NumPy itself reads it, without pickles.
        with np.load(where) as arrays:
            assert_array_equal(arrays["positions"], umap.positions)
            assert json.loads(arrays["about"].tobytes())["store_digest"] == store.digest
        with pytest.raises(StatisticNotFoundError, match=r"`fmcore project tiny\.h5 --layer conv2"):
            read_umap(store, sample_table(store))
    assert main(["project", str(path), *words]) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["project", str(path), *words, "--force"]) == 0
    with open_store(path) as store:
        assert read_umap(store, table).options.seed == 0
        assert umap_key(store, table) != key


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--neighbors", "1"], "n_neighbors must be 2 to 200; found 1"),
        (["--min-dist", "nan"], "min_dist must be 0 to 1; found nan"),
        (["--neighbors", "40"], "needs at least 41 samples and a column; found 37 samples"),
        (["--layer", "conv3"], "did you mean conv2"),
        (["--of", "output", "--by", "max"], "by has no effect on the output"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(path, monkeypatch, capsys, words, expected):
    double_umap(monkeypatch)
    assert main(["project", str(path), *words]) == 1
    assert expected in capsys.readouterr().err
    assert [file.name for file in path.parent.iterdir()] == ["tiny.h5"]


def test_without_the_library_the_message_says_how_to_install_it(path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    assert main(["project", str(path)]) == 1
    assert "pip install 'feature-map-dashboard[umap]'" in capsys.readouterr().err


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name, data in members.items():
            zipped.writestr(f"{name}.npy", data)
    return file.getvalue()


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def about(store, **changes) -> bytes:
    facts = {"format": "fmcore map of samples", "version": 1, "store_digest": store.digest}
    facts |= {"of": "layer", "layer": "conv2", "by": "mean", "scale": "none", "n_columns": 3}
    facts |= {"library": "x", "n_neighbors": 15, "min_dist": 0.1, "seed": 0}
    return npy(np.frombuffer(json.dumps(facts | changes).encode(), np.uint8))


PLACES = np.zeros((37, 2), np.float32)
FOREIGN = {
    "empty": lambda store: b"",
    "no archive": lambda store: b"x" * 300,
    "too large": lambda store: bytes(3 << 20),
    "no about": lambda store: archive(positions=npy(PLACES)),
    "another number of samples": lambda store: archive(
        positions=npy(PLACES[1:]), about=about(store)
    ),
    "another dtype": lambda store: archive(positions=npy(PLACES.astype(float)), about=about(store)),
    "pickles": lambda store: archive(
        positions=npy(np.array([[open]], object), allow_pickle=True), about=about(store)
    ),
    "a header that lies": lambda store: archive(positions=npy(PLACES)[:-9], about=about(store)),
    "another store": lambda store: archive(
        positions=npy(PLACES), about=about(store, store_digest="0" * 64)
    ),
    "another table": lambda store: archive(positions=npy(PLACES), about=about(store, by="max")),
    "a version to come": lambda store: archive(
        positions=npy(PLACES), about=about(store, version=2)
    ),
    "a number that is none": lambda store: archive(
        positions=npy(PLACES), about=about(store, n_neighbors=None)
    ),
    "no object": lambda store: archive(
        positions=npy(PLACES), about=npy(np.frombuffer(b"[1]", np.uint8))
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_map_of_this_store_is_refused_with_the_reason(path, kind):
    with open_store(path) as store:
        table = sample_table(store)
        umap_path(store, table).write_bytes(FOREIGN[kind](store))
        with pytest.raises(
            StatisticNotFoundError, match=r"tiny\.conv2-mean\.umap\.npz is not"
        ) as e:
            read_umap(store, table)
        assert str(path.parent) not in str(e.value)


def test_no_link_is_followed_and_no_other_file_replaced(path, monkeypatch):
    double_umap(monkeypatch)
    with open_store(path) as store:
        table = sample_table(store)
        where = umap_path(store, table)
        good = path.parent / "elsewhere"
        good.write_bytes(archive(positions=npy(PLACES), about=about(store)))
        where.symlink_to(good)
        with pytest.raises(StatisticNotFoundError, match="is not a map"):
            read_umap(store, table)
        where.unlink()
        os.mkfifo(where)
        with pytest.raises(StatisticNotFoundError, match="is not a map"):
            read_umap(store, table)
        where.unlink()
        shutil.copy(good, where)
        assert_array_equal(read_umap(store, table).positions, PLACES)
        where.write_text("mine")
    assert main(["project", str(path), "--force"]) == 1
    assert where.read_text() == "mine"


def test_tables_are_those_of_a_store_and_say_what_they_are(store, tmp_path):
    assert sample_table(store).words == "mean activation of 3 filters of conv2"
    output = sample_table(store, of="output", scale="std")
    assert output.words == "probability of 4 classes, each divided by its standard deviation"
    points = np.concatenate([points for _, points in sample_space(store, output).points()])
    expected = store.probabilities.astype(float)
    assert_allclose(points, (expected - expected.mean(axis=0)) / expected.std(axis=0), atol=1e-9)
    for table in ({"of": "pixels"}, {"by": "median"}, {"scale": "max"}):
        with pytest.raises(SelectionError, match=f"no {next(iter(table))} "):
            sample_table(store, **table)
    with pytest.raises(LayerNotFoundError):
        sample_table(store, layer="conv3")
    with open_store(make_encoded_store(tmp_path / "encoded.h5")) as encoded:
        with pytest.raises(SelectionError, match="keeps no output of the model") as refused:
            sample_table(encoded, of="output")
        assert refused.value.field == "of"
    for target, words in (("labels", "probability of 3 labels"), ("number", "2 predicted numbers")):
        with open_store(make_target_store(tmp_path / f"{target}.h5", Target(target), 60)) as other:
            assert sample_table(other, of="output").words == words
            assert len(fmcore.project_samples(other, of="output").positions) == 60


def test_python_has_the_map_the_neighbors_and_the_outliers(store):
    assert fmcore.project_samples(store, layer="conv2", by="max").positions.shape == (37, 2)
    near = fmcore.nearest_samples(store, 5, k=3, of="output")
    values = store.probabilities.astype(float)
    distances = np.linalg.norm(values - values[5], axis=1)
    assert near.samples.tolist() == np.argsort(distances, kind="stable")[1:4].tolist()
    apart = fmcore.outlying_samples(store, k=1, of="output")
    every = np.linalg.norm(values[:, np.newaxis] - values, axis=2) + np.diag(np.full(37, np.inf))
    assert_allclose(apart.distances, every.min(axis=1), atol=1e-12)


@pytest.mark.skipif(
    importlib.util.find_spec("umap") is None,
    reason="umap-learn is not installed: it compiles itself for half a minute, so CI is without it",
)
def test_the_library_itself_makes_the_same_map_each_time_and_keeps_groups_apart(tmp_path):
    with open_store(make_store(tmp_path / "s.h5", 60)) as store:
        table = sample_table(store, layer="block/conv 1")
        first, again = (umap_samples(store, table, UmapOptions(seed=3)) for _ in range(2))
        assert_array_equal(first.positions, again.positions)
        assert np.isfinite(first.positions).all()
        assert first.positions.std(axis=0).min() > 0
