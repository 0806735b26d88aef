"""Contrasts of a store equal those of its pooled tables, in Python and on the command line."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from helpers.factories import NumpyProbe, make_store
from sklearn.metrics import roc_auc_score

from dashboard.stores import snapshot as snapshots
from dashboard.stores.cache import ByteCache
from dashboard.stores.snapshot import Snapshot
from fmcore import open_store
from fmcore.cli import main
from fmcore.errors import SelectionError
from fmcore.statistics import BY
from fmcore.statistics.contrast.record import TABLES


class BrokenProbe(NumpyProbe):
    """A probe whose first filter of conv2 gives NaN for one sample."""

    def __call__(self, images, others=None):
        captured = super().__call__(images, others)
        captured.activations[1][images[:, 0, 0, 0] == images[0, 0, 0, 0], ..., 0] = np.nan
        return captured


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("policy", ["*=float16", "*=pooled"])
def test_a_contrast_equals_sklearn_on_the_pooled_tables_of_any_kind_of_store(tmp_path, by, policy):
    path = make_store(tmp_path / "store.h5", statistics="basic", policy=policy)
    with open_store(path) as store:
        a, b = np.arange(37) < 15, np.arange(37) >= 20
        result = store.contrast("0:15", "20:37", by=by)
        every = [store.contrast(a, b, by=by), store.contrast(range(15), np.arange(20, 37), by=by)]
        for other in every:
            np.testing.assert_array_equal(result.auc, other.auc)
        for row in range(result.n_filters):
            layer = store.layers[result.layers[result.layer[row]]]
            values = layer.pooled(TABLES[by])[...][:, result.filter[row]]
            if np.isnan(result.auc[row]):
                assert np.ptp(values[a | b]) == 0
            else:
                auc = roc_auc_score(a[a | b], values[a | b])
                assert result.auc[row] == pytest.approx(auc, abs=1e-9)
        rest = store.contrast("0:15", by=by)
        assert (rest.n_a, rest.n_b) == (15, 22)


def test_a_table_has_the_best_filter_first_and_its_layers_by_glob(store):
    result = store.contrast("0:15", layer="conv2")
    frame = result.to_frame()
    assert set(frame["layer"]) == {"conv2"}
    distance = (frame["auc"] - 0.5).abs().dropna()
    assert distance.is_monotonic_decreasing
    assert frame["q"].dropna().ge(frame["p"].dropna()).all()


def test_what_is_no_group_or_table_is_refused_with_what_was_expected(store):
    for words, a, options in (
        ("a group of indices from 0 to 37; expected 0 to 36", [0, 37], {}),
        ("a group of float64", [0.5], {}),
        ("group A has no samples", [], {}),
        ("contrasts are by mean, max, zeros; found 'means'", "0:3", {"by": "means"}),
        ("'conv9' matches no layer", "0:3", {"layer": "conv9"}),
    ):
        with pytest.raises(SelectionError, match=words):
            store.contrast(a, **options)


def test_the_command_prints_a_table_and_what_to_know(store_path, tmp_path, capsys):
    words = ["contrast", str(store_path), "--a", "0:15", "--b", "10:37"]
    assert main([*words, "--n", "3"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("A: 10 samples, B: 22 samples, by mean")
    assert "5 samples are in both groups, and left out of both." in text
    assert (
        len([line for line in text.splitlines() if line.startswith(("conv2 f", "block/conv 1 f"))])
        == 3
    )
    with open_store(store_path) as store:
        result = store.contrast("0:15", "10:37")
    assert main([*words, "--format", "csv"]) == 0
    captured = capsys.readouterr()
    assert "left out of both" in captured.err
    rows = pd.read_csv(io.StringIO(captured.out))
    np.testing.assert_allclose(rows["auc"], result.auc[result.order()], rtol=1e-15)
    assert main([*words, "--out", str(tmp_path / "c.json"), "--n", "2"]) == 0
    assert len(json.loads((tmp_path / "c.json").read_text())) == 2
    for wrong in (["--out", str(tmp_path / "c.txt")], ["--format", "parquet"], ["--a", "nine=1"]):
        capsys.readouterr()
        assert main([*words, *wrong]) == 1
        assert capsys.readouterr().err.startswith("fmcore: error: ")


def test_the_server_keeps_ranks_within_a_bound_and_answers_the_same_without(store, monkeypatch):
    kept, bare = ByteCache(), ByteCache()
    of_kept = Snapshot(store, "tiny", kept).contrast("0:15", "", "max")
    monkeypatch.setattr(snapshots, "RANKS_BYTES", 0)
    of_bare = Snapshot(store, "tiny", bare).contrast("0:15", "", "max")
    for name in ("auc", "p", "q", "chance", "mean_a", "mean_b"):
        np.testing.assert_array_equal(getattr(of_kept, name), getattr(of_bare, name))
    assert kept.held((store.digest, "ranks", "conv2", "max")) is not None
    assert bare.held((store.digest, "ranks", "conv2", "max")) is None


def test_a_sample_without_a_finite_value_leaves_its_filter_out(tmp_path):
    with open_store(
        make_store(tmp_path / "store.h5", probe=BrokenProbe(), statistics="basic")
    ) as store:
        values = store.layers["conv2"].pooled("mean")[...]
        assert np.isnan(values[:, 0]).any()
        result = store.contrast("0:15", layer="conv2")
    assert np.isnan(result.q[0])
    assert result.reason(0).startswith("non-finite")
    assert any("1 filter has NaN or infinite values" in note for note in result.notes)
