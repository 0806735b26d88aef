"""What an ablation measured, in `fmcore stats` and `fmcore export`, against its own raw arrays."""

from __future__ import annotations

import io
import json
import re
import weakref

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from helpers.ablations import make_ablation
from helpers.factories import CLASS_NAMES, make_target_store
from helpers.references import newcombe_limits
from helpers.sharded import copy_store
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from statsmodels.stats.multitest import multipletests

from fmcore import export_store, open_store
from fmcore.cli import main
from fmcore.errors import (
    LayerNotFoundError,
    OutputError,
    SelectionError,
    StatisticNotFoundError,
)
from fmcore.export import COLUMNS, chosen_costs, resolve, statistics_table
from fmcore.export.formats.csv import csv_text
from fmcore.records import Target
from fmcore.selection import Query
from fmcore.statistics import costs
from fmcore.storage import ablation_path

FIRST, SECOND = "block/conv 1", "conv2"
ENDS = {"accuracy": ("_low", "_high"), "probability": ("_low", "_high"), "loss": ("_low", "_high")}
FIELDS = ("accuracy", "p", "q", "probability", "loss", "n_changed", "n")
# The names of costs in a table, in order.
NAMES = [f"cost_zero_{name}{end}" for name in FIELDS[:-1] for end in ("", *ENDS.get(name, ()))]
CHOSEN = ["--statistic", "auc_mean,apoz,cka_max,cost_*"]


@pytest.fixture
def own(store_path, tmp_path):
    """A store of its own, without an ablation."""
    return copy_store(store_path, tmp_path / "own.h5")


def table(path, *arguments, capsys) -> pd.DataFrame:
    assert main(["stats", str(path), *arguments]) == 0
    return pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False, na_values=[""])


def costs_of(store_path, layer: str, *, by: str = "zero") -> dict[str, list[np.ndarray]]:
    """Each cost over all samples and in each class, [filter] and [class, filter], by its column."""
    with open_store(store_path) as store:
        labels, group = store.labels, store.layers[layer].group
    with h5py.File(ablation_path(store_path, by)) as file:
        raw = {name: array[...] for name, array in file[f"layers/{group}"].items()}
    sizes = np.bincount(labels, minlength=len(raw["loss_mean"]))[:, np.newaxis]
    of_classes = [labels == index for index in range(len(sizes))]
    overall = _of_answers(raw, labels, [np.ones(len(labels), bool)])
    overall = {name: values[0] for name, values in overall.items()}
    by_class = _of_answers(raw, labels, of_classes)
    for name in ("probability", "loss"):
        mean, squares = raw[f"{name}_mean"], raw[f"{name}_m2"]
        by_class |= _of_moments(name, sizes, mean, squares)
        total = (mean * sizes).sum(axis=0) / sizes.sum()
        squares = (squares + sizes * mean**2).sum(axis=0) - sizes.sum() * total**2
        overall |= _of_moments(name, sizes.sum(), total, squares)
    return {f"cost_{by}_{name}": [overall[name], by_class[name]] for name in overall}


def _of_answers(raw, labels, groups) -> dict[str, np.ndarray]:
    """What follows of the predicted classes, [group, filter] each."""
    shape = len(groups), len(raw["answer"])
    right, lost, gained, changed, n = np.zeros((5, *shape), int)
    limits = np.full((2, *shape), np.nan)
    for at, rows in enumerate(groups):
        whole, answers = raw["whole_answer"][rows], raw["answer"][:, rows]
        is_right = whole == labels[rows]
        n[at], right[at] = rows.sum(), is_right.sum()
        lost[at] = (is_right & (answers != labels[rows])).sum(axis=1)
        gained[at] = (~is_right & (answers == labels[rows])).sum(axis=1)
        changed[at] = (answers != whole).sum(axis=1)
        for index in range(shape[1] if rows.any() else 0):
            counts = [each[at, index] for each in (n, right, lost, gained)]
            limits[:, at, index] = newcombe_limits(*counts)
    pairs = zip(lost.flat, gained.flat, strict=True)
    p = np.array([stats.binomtest(a, a + b).pvalue if a + b else 1.0 for a, b in pairs])
    with np.errstate(invalid="ignore"):
        accuracy = (lost - gained) / n
    return {
        "accuracy": accuracy,
        "accuracy_low": limits[0],
        "accuracy_high": limits[1],
        "p": p.reshape(shape),
        "q": multipletests(p, method="holm")[1].reshape(shape),
        "n_changed": changed,
        "n": n,
    }


def _of_moments(name, n, mean, squares) -> dict[str, np.ndarray]:
    """A mean with Student's interval, which scipy does not have of values that are all equal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, error = np.where(n > 0, mean, np.nan), np.sqrt(squares / (n - 1) / n)
        ends = stats.t.interval(0.95, n - 1, mean, error)
    low, high = (np.where(error == 0, mean, end) for end in ends)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def test_rows_of_filters_and_of_classes_have_the_costs_of_scipy_and_statsmodels(own, capsys):
    before = table(own, *CHOSEN, capsys=capsys)
    make_ablation(own, layers=slice(1, None))
    rows = table(own, *CHOSEN, capsys=capsys)
    assert rows.columns.tolist() == list(COLUMNS)
    # After the statistics of the layer that was measured, which is the last.
    pd.testing.assert_frame_equal(rows[: len(before)], before)
    expected, of_costs = costs_of(own, SECOND), rows[len(before) :]
    assert of_costs.statistic.tolist() == list(np.repeat(NAMES, 3 + 4 * 3))
    assert set(of_costs.layer) == {SECOND}
    of_filters, of_classes = expected["cost_zero_n"]
    for name, of_cost in of_costs.groupby("statistic"):
        overall, by_class = expected[name]
        assert_allclose(of_cost.value, [*overall, *by_class.flat], atol=1e-7, err_msg=name)
        assert of_cost["class"].fillna("").tolist() == [""] * 3 + list(np.repeat(CLASS_NAMES, 3))
        assert of_cost["filter"].tolist() == [0, 1, 2] * 5
        assert of_cost.n.tolist() == [*of_filters, *of_classes.flat]
    # Class 3 has no samples.
    reasons = set(of_costs[of_costs.value.isna()].reason)
    assert reasons == {"no samples of this class were measured"}
    assert of_costs[of_costs.value.notna()].reason.isna().all()


def test_filters_and_classes_are_chosen_and_q_is_over_all(own, capsys):
    make_ablation(own)
    options = ["--layer", SECOND, "--filter", "2,0", "--class", "1,0"]
    rows = table(own, *options, "--statistic", "cost_zero_q", capsys=capsys)
    overall, by_class = costs_of(own, SECOND)["cost_zero_q"]
    assert_allclose(rows.value, [*overall[[2, 0]], *by_class[np.ix_([1, 0], [2, 0])].flat])
    assert rows["filter"].tolist() == [2, 0] * 3
    assert rows["class"].tolist()[2:] == ["one", "one", "zero", "zero"]


def test_globs_choose_costs_and_one_that_is_named_must_be_there(own, capsys):
    make_ablation(own, by="mean", seed=2)
    make_ablation(own, layers=slice(1, None))
    with open_store(own) as store:

        def names(statistic, layer=""):
            query = Query(what="statistics", statistic=statistic, layer=layer or "*")
            resolved = resolve(store, query)
            costs = chosen_costs(store, resolved)
            tables = statistics_table(store, resolved, costs=costs)
            rows = pd.read_csv(io.StringIO("".join(csv_text(tables))))
            assert len(rows) == tables.n_rows
            names = rows.statistic.unique().tolist()
            return [name for name in names if name.startswith("cost_")]

        of_mean = [name.replace("zero", "mean") for name in NAMES]
        assert names("cost_*", SECOND) == [*NAMES, *of_mean]
        assert names("cost_*", FIRST) == of_mean
        assert sorted(names("")) == sorted(names("apoz,*")) == sorted(names("cost_*"))
        assert names("apoz") == []
        assert names("apoz,cost_mean_p,cost_zero_loss", SECOND) == [
            *(f"cost_zero_loss{end}" for end in ("", "_low", "_high")),
            "cost_mean_p",
        ]
        assert names("cost_zero_loss_low") == ["cost_zero_loss_low"]
        assert names("apoz,cost_resample_*") == []  # what a glob takes may be missing
        assert names("cost_*_p", FIRST) == ["cost_mean_p"]
        for statistic, words in {
            "apoz,cost_zero_accurac": "matches no cost",
            "cost_zero_n": "matches no cost",  # which is no cost, but beside each
            "apoz,cost_zero_output": "matches no cost",  # of models that predict no class
        }.items():
            with pytest.raises(SelectionError, match=words):
                names(statistic)
        with pytest.raises(StatisticNotFoundError, match="--by resample` does"):
            names("cost_resample_*")
        with pytest.raises(LayerNotFoundError, match="--layer block/conv 1` adds it"):
            names("cost_zero_p", FIRST)
    both = table(own, "--layer", SECOND, "--statistic", "cost_*_accuracy", capsys=capsys)
    for by in ("zero", "mean"):
        name = f"cost_{by}_accuracy"
        of_filters = both[(both.statistic == name) & both["class"].isna()]
        assert_allclose(of_filters.value, costs_of(own, SECOND, by=by)[name][0])
    assert main(["stats", str(own), "--statistic", "apoz,cost_resample_p"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert "--by resample` does" in line


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_the_costs_of_one_layer_at_a_time_are_in_memory(own, tmp_path, form, monkeypatch):
    for by in ("zero", "mean"):
        make_ablation(own, by=by)
    earlier = []

    def watched(sums):
        measured = costs(sums)
        if len(sums.n) > 1:
            assert not any(reference() is not None for reference in earlier)
            earlier.append(weakref.ref(measured.p))
        return measured

    monkeypatch.setattr("fmcore.export.costs.costs", watched)
    with open_store(own) as store:
        export_store(store, tmp_path / form, what="statistics", format_name=form)
    assert len(earlier) == 2 * 2


def flip_loss(path):
    """Changes a byte of an array of the last layer, which only its checksum shows."""
    with h5py.File(path) as file:
        chunk = file[f"layers/{SECOND}/loss_mean"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(data)


def of_other_classes(path):
    """Puts what was measured of a model without classes in its place, under the same digest."""
    with open_store(path.with_name("own.h5")) as store:
        digest = store.digest
    other = make_target_store(path.with_name("numbers.h5"), Target.NUMBER, 60)
    make_ablation(other, digest=digest)
    ablation_path(other, "zero").rename(path)


@pytest.mark.parametrize("damage", [flip_loss, of_other_classes, None])
def test_one_that_is_damaged_or_of_another_store_is_named_and_left_out(
    own, tmp_path, damage, capsys
):
    command = ["stats", str(own)]
    assert main(command) == 0
    without = capsys.readouterr().out
    make_ablation(own, digest="" if damage else "0" * 64)
    path = ablation_path(own, "zero")
    if damage:
        damage(path)
    capsys.readouterr()
    assert main(command) == 0
    output = capsys.readouterr()
    assert output.out == without
    (left_out,) = output.err.splitlines()
    assert left_out.startswith(f"fmcore: left out: {path.name}, ")
    assert main(["stats", str(own), "--statistic", "apoz,cost_zero_p"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert path.name in line
    export = ["export", str(own), "--out", str(tmp_path / "e"), "--what", "statistics"]
    assert main(export) == 0
    manifest = json.loads((tmp_path / "e/manifest.json").read_text("utf-8"))
    assert manifest["skipped"].keys() == {path.name}
    assert not any("cost" in name for name in manifest["arrays"])
    assert f"left out: {path.name}, " in capsys.readouterr().out
    assert main([*export, "--statistic", "cost_zero_p", "--force"]) == 1
    assert path.name in capsys.readouterr().err
    assert main([*command, "--statistic", "cost_*"]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == (f"{','.join(COLUMNS)}\n", f"{left_out}\n")


def test_without_one_tables_and_exports_are_what_they_were(own, tmp_path, capsys):
    for form in ("csv", "npy"):
        with open_store(own) as store:
            manifest = export_store(store, tmp_path / form, what="statistics", format_name=form)
        assert "ablations" not in manifest
        assert not any("cost" in name for name in manifest["files"])
    with open_store(own) as store, pytest.raises(StatisticNotFoundError, match="nobody"):
        export_store(store, tmp_path / "none", what="statistics", statistic="cost_*")
    assert main(["stats", str(own)]) == 0
    text = capsys.readouterr().out
    assert text == (tmp_path / "csv/statistics.csv").read_text("utf-8")
    with open_store(own) as store:
        resolved = resolve(store, Query(what="statistics"))
        assert text == "".join(csv_text(statistics_table(store, resolved)))
        costs = chosen_costs(store, resolved)
        assert text == "".join(csv_text(statistics_table(store, resolved, costs=costs)))


def read_arrays(out, form):
    """Values of each cost of the second layer, and its axes where the format has any."""
    if form == "npy":
        for path in out.glob(f"layers/{SECOND}/*/cost_*.npy"):
            yield f"{path.parent.name}_{path.stem}", np.load(path), None
    elif form == "npz":
        yield from ((*item, None) for item in np.load(out / f"layers/{SECOND}.npz").items())
    else:
        for name, array in zarr.open_group(out / f"layers/{SECOND}.zarr", mode="r").arrays():
            yield name, array[...], array.metadata.dimension_names


@pytest.mark.parametrize("form", ["npy", "npz", "zarr"])
def test_exports_hold_them_as_arrays_with_axes_beside_the_statistics(own, tmp_path, form):
    make_ablation(own, layers=slice(1, None))
    expected = costs_of(own, SECOND)
    with open_store(own) as store:
        query = {"what": "statistics", "filter": "2,0", "class_": "1,0", "format_name": form}
        manifest = export_store(store, tmp_path / "all", **query)
        of_glob = export_store(store, tmp_path / "chosen", **query, statistic="cost_*")
        of_name = export_store(store, tmp_path / "named", **query, statistic="cost_zero_loss_low")
        none = export_store(store, tmp_path / "none", **query, statistic="auc")
    values = {name: (array, axes) for name, array, axes in read_arrays(tmp_path / "all", form)}
    of_costs = {name for name in values if "cost" in name}
    assert of_costs == {
        f"{group}_cost_zero_{name}{end}"
        for group in ("filters", "class")
        for name in FIELDS
        for end in ("", *(["_interval"] if name in ENDS else []))
    }
    for group, axes, picks in (
        ("filters", ("filter",), ([2, 0],)),
        ("class", ("class", "filter"), ([1, 0], [2, 0])),
    ):
        for name in FIELDS:
            of_all = [
                expected[f"cost_zero_{name}{end}"][len(axes) - 1][np.ix_(*picks)]
                for end in ("", *ENDS.get(name, ()))
            ]
            got, dimensions = values[f"{group}_cost_zero_{name}"]
            assert_allclose(got, of_all[0], atol=1e-7)
            assert got.dtype == (np.int64 if name.startswith("n") else np.float64)
            assert dimensions in (None, axes)
            if name in ENDS:
                got, dimensions = values[f"{group}_cost_zero_{name}_interval"]
                assert_allclose(got, of_all[1:], atol=1e-7)
                assert dimensions in (None, ("bound", *axes))
    described = {
        name: entry for name, entry in manifest["arrays"].items() if "cost_zero_loss_i" in name
    }
    assert [entry["axes"] for entry in described.values()] == [
        ["bound", "filter"],
        ["bound", "class", "filter"],
    ]
    assert manifest["ablations"]["zero"]["file"] == "own.ablation-zero.hdf5"
    assert manifest["ablations"]["zero"]["layers"] == [SECOND]
    assert len(of_glob["arrays"]) == len(of_costs)
    endings = {re.split("[/_]cost_", name)[1] for name in of_name["arrays"]}
    assert {ending.removesuffix(".npy") for ending in endings} == {"zero_loss_interval", "zero_n"}
    assert not any("cost" in name for name in none["arrays"])


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_table_of_an_export_is_that_of_the_command(own, tmp_path, form):
    make_ablation(own, layers=slice(1, None))
    out = tmp_path / f"t.{form}"
    for _ in range(2):  # which replaces its own
        assert main(["stats", str(own), *CHOSEN, "--out", str(out), "--force"]) == 0
    with open_store(own) as store:
        export_store(
            store, tmp_path / "e", what="statistics", statistic=CHOSEN[1], format_name=form
        )
    assert (tmp_path / f"e/statistics.{form}").read_bytes() == out.read_bytes()
    read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}[form]
    rows = read(out)
    expected = costs_of(own, SECOND)
    for name in NAMES:
        of_filters = rows[(rows.statistic == name) & rows["class"].isna()]
        assert_allclose(of_filters.value.astype(float), expected[name][0], atol=1e-7)


def test_an_export_does_not_go_on_with_what_another_ablation_measured(own, tmp_path):
    out, query = tmp_path / "e", {"what": "statistics", "statistic": "cost_*,apoz"}
    with open_store(own) as store:
        export_store(store, out, **query)
    path = out / f"layers/{SECOND}/filters/cost_zero_accuracy.npy"
    for seed in (0, 1):
        make_ablation(own, seed=seed)
        with open_store(own) as store:
            with pytest.raises(OutputError, match="a different ablations"):
                export_store(store, out, **query)
            export_store(store, out, **query, overwrite=True)
            export_store(store, out, **query)
        expected = costs_of(own, SECOND)["cost_zero_accuracy"][0]
        assert_array_equal(np.load(path), expected)


def test_outputs_that_are_no_class_have_how_far_they_move(tmp_path, capsys):
    path = make_target_store(tmp_path / "numbers.h5", Target.NUMBER, 60)
    moved = make_ablation(path)[SECOND]
    rows = table(path, "--layer", SECOND, "--statistic", "apoz,pearson_max,cost_*", capsys=capsys)
    rows = rows[rows.statistic.str.startswith("cost_")]
    assert set(rows.statistic) == {"cost_zero_output"}
    # The outputs of the whole model are of size one for each sample; all are of one class.
    expected = np.sqrt(moved.sum(axis=1) / 60)
    assert_allclose(rows.value, [*expected, *expected])
    assert (rows.n == 60).all()
