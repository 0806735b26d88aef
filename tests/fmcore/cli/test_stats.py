"""`fmcore stats`: tables hold what the store holds in every format, and say what is missing."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from helpers.factories import CLASS_NAMES, NumpyProbe, make_plan, make_samples, make_store
from hypothesis import given
from hypothesis import strategies as st

from fmcore import open_store
from fmcore.capture import capture
from fmcore.cli import main
from fmcore.cli.stats import TABLE_FORMATS
from fmcore.errors import StatisticNotFoundError
from fmcore.export import COLUMNS, Table, Tables, export_store, resolve, statistics_table
from fmcore.export.contents import TEXT, Coded
from fmcore.export.formats.csv import csv_text
from fmcore.export.formats.json import json_text
from fmcore.export.formats.rows import _fast, number_texts
from fmcore.records import Captured, Target
from fmcore.selection import Query
from fmcore.statistics import STATISTICS

LAYERS = ("block/conv 1", "conv2")


def table(path, *arguments, capsys) -> pd.DataFrame:
    assert main(["stats", str(path), *arguments]) == 0
    return pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False, na_values=[""])


def test_every_value_is_a_row_with_its_chance_and_n(store_path, capsys):
    rows = table(store_path, "--statistic", "*", capsys=capsys)
    assert tuple(rows.columns) == tuple(COLUMNS)
    with open_store(store_path) as store:
        sizes = dict(zip(CLASS_NAMES, store.class_sizes.tolist(), strict=True))
        for layer in store.layers.values():
            for name in layer.statistics:
                one = STATISTICS[name]
                chosen = (rows.layer == layer.path) & (rows.statistic == one.family)
                pooling = rows.pooling.isna() if not one.pooling else rows.pooling == one.pooling
                here = rows[chosen & pooling]
                values, band = layer.statistic(name), layer.chance(name)
                assert len(here) == values.size
                assert (here.n == (here["class"].map(sizes) if "class" in one.axes else 37)).all()
                got = here.value.to_numpy(np.float64).reshape(values.shape)
                np.testing.assert_array_equal(got, values.astype(np.float64))
                assert here.reason.notna().to_numpy().tolist() == np.isnan(got).reshape(-1).tolist()
                if band is not None:
                    for bound, column in enumerate(("chance_low", "chance_high")):
                        got = here[column].to_numpy(np.float64).reshape(values.shape)
                        np.testing.assert_array_equal(got, band[bound])
        cka = rows[(rows.statistic == "cka") & (rows.pooling == "max")]
        expected = store.similarity("cka_max")
        np.testing.assert_array_equal(cka.value.to_numpy().reshape(2, 2), expected)
        assert cka.other.tolist() == [*LAYERS, *LAYERS]


def test_what_is_not_defined_says_why(store_path, capsys):
    rows = table(store_path, "--layer", "conv2", "--statistic", "auc_mean,csi_max", capsys=capsys)
    dead = rows[(rows["filter"] == 1)]
    assert dead.value.isna().all()
    assert set(dead.reason) == {"dead: the same activation in the whole test set"}
    rows = table(store_path, "--layer", "block*", "--statistic", "auc_mean", capsys=capsys)
    alive = rows[(rows["class"] == CLASS_NAMES[0]) & rows.value.notna()]["filter"].iloc[0]
    nobody = rows[(rows["class"] == CLASS_NAMES[3]) & (rows["filter"] == alive)]
    assert nobody.reason.tolist() == ["no samples of this class"]
    assert nobody.n.tolist() == [0]


class SignedProbe(NumpyProbe):
    """Its first layer's maps have no pixels but the image's first, with both signs."""

    def __call__(self, images, others=None) -> Captured:
        captured = super().__call__(images, others)
        first = np.broadcast_to(images[:, :1, :1] - 0.5, captured.activations[0].shape)
        return dataclasses.replace(captured, activations=(first, captured.activations[1]))


def test_each_statistic_says_why_it_alone_is_not_defined(tmp_path, capsys):
    samples = make_samples(37, labels=np.arange(37) % 2)
    images = np.broadcast_to(samples.labels[:, None, None, None] * 255, samples.images.shape)
    samples = dataclasses.replace(samples, images=images.astype(np.uint8))
    path = capture(SignedProbe(), samples, tmp_path / "signed.h5", make_plan())
    rows = table(path, "--layer", "block*", "--statistic", "csi,f,dprime,eta2", capsys=capsys)
    reasons = {name: set(one.reason.dropna()) for name, one in rows.groupby("statistic")}
    assert reasons["csi"] == {"some activations are negative"}
    assert rows[rows.statistic == "csi"].reason.notna().all()
    infinite = {"infinite: no variance within classes"}
    assert reasons["f"] == infinite
    assert np.isinf(rows[rows.statistic == "f"].value).all()
    assert reasons["dprime"] == infinite | {"no samples of this class"}
    assert reasons["eta2"] == set()


@pytest.mark.parametrize("form", TABLE_FORMATS)
def test_every_format_is_the_file_that_foreign_readers_find_in_an_export(
    store_path, store, tmp_path, form, capsys
):
    out = tmp_path / f"t.{form}"
    assert main(["stats", str(store_path), "--out", str(out)]) == 0
    export_store(store, tmp_path / "export", what="statistics", format_name=form)
    assert out.read_bytes() == (tmp_path / f"export/statistics.{form}").read_bytes()
    assert main(["stats", str(store_path), "--out", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["stats", str(store_path), "--out", str(out), "--force"]) == 0
    capsys.readouterr()
    if main(["stats", str(store_path), "--format", form]) == 0:
        assert capsys.readouterr().out.encode() == out.read_bytes()
    else:
        assert f"name a file with --out FILE.{form}" in capsys.readouterr().err


def test_json_has_the_values_of_csv_and_null_where_there_is_none(store_path, capsys):
    expected = table(store_path, capsys=capsys)
    assert main(["stats", str(store_path), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [list(row) for row in rows] == [list(COLUMNS)] * len(expected)
    for name, kind in COLUMNS.items():
        column = pd.Series([row[name] for row in rows], name=name)
        assert column.isna().tolist() == expected[name].isna().tolist(), name
        of_text = [isinstance(value, str) for value in column.dropna()]
        assert of_text == [kind == "string"] * len(of_text), name
        if kind != "string":
            np.testing.assert_array_equal(column.astype("f8"), expected[name].astype("f8"))


def test_what_is_from_pooled_can_be_recomputed_and_what_is_not_says_why(
    store_path, tmp_path, capsys
):
    basic = make_store(tmp_path / "basic.h5", statistics="basic")
    assert main(["stats", str(basic), "--statistic", "auc"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "`fmcore stats STORE --recompute` computes them" in said.err
    assert main(["stats", str(basic), "--statistic", "mean,cka", "--format", "json"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "`fmcore stats STORE --recompute` computes them" in said.err
    assert (
        main(["stats", str(basic), "--statistic", "*"]) == 0
    )  # what a pattern takes may be missing
    capsys.readouterr()
    assert main(["stats", str(basic), "--statistic", "q50", "--recompute"]) == 1
    assert "histograms are off: captured with basic statistics only" in capsys.readouterr().err
    names = ",".join(
        one.name
        for one in STATISTICS.values()
        if one.origin == "pooled" and one.target == Target.CLASS
    )
    again = table(basic, "--statistic", names, "--recompute", capsys=capsys)
    stored = table(store_path, "--statistic", names, capsys=capsys)
    pd.testing.assert_frame_equal(again, stored)
    assert set(table(basic, capsys=capsys).statistic) == {
        name
        for name, statistic in STATISTICS.items()
        if (statistic.streams and statistic.is_stored) or statistic.origin == "kernel"
    }
    with open_store(basic) as store, pytest.raises(StatisticNotFoundError, match="basic"):
        store.layers["conv2"].histogram()


def test_a_typing_error_names_near_matches(store_path, capsys):
    for arguments, near in [
        (["--statistic", "aucc"], "did you mean auc"),
        (["--layer", "conv3"], "did you mean conv2?"),
    ]:
        assert main(["stats", str(store_path), *arguments]) == 1
        said = capsys.readouterr().err
        assert near in said
        assert said.count("\n") == 1


def test_parquet_needs_a_file_and_pyarrow(store_path, tmp_path, capsys, monkeypatch):
    assert main(["stats", str(store_path), "--format", "parquet"]) == 1
    assert "--out FILE.parquet" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["stats", str(store_path), "--out", str(tmp_path / "t.parquet")]) == 1
    assert "feature-map-dashboard[parquet]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file_to_write(store_path, tmp_path, capsys):
    assert main(["stats", str(store_path), "--out", str(tmp_path), "--force"]) == 1
    assert "it is a folder; give a file in it" in capsys.readouterr().err


def test_tables_come_one_at_a_time(store):
    tables = statistics_table(
        store, resolve(store, Query(what="statistics", statistic="mean"))
    ).pieces()
    assert len(next(tables).columns["value"]) == 4 * 20
    assert len(next(tables).columns["value"]) == 4 * 3
    assert list(tables) == []


def test_a_statistic_comes_in_pieces_of_bounded_size_with_the_same_rows(store, monkeypatch):
    tables = statistics_table(store, resolve(store, Query(what="statistics", statistic="*")))
    whole = "".join(csv_text(tables))
    monkeypatch.setattr(sys.modules["fmcore.export.statistics_table"], "PIECE_ROWS", 1)
    assert max(piece.n_rows for piece in tables.pieces()) == 20  # the filters of one class
    assert "".join(csv_text(tables)) == whole
    assert whole.count("\n") == tables.n_rows + 1


@pytest.mark.parametrize("form", ["csv", "json"])
def test_the_size_of_a_large_table_is_said_before_it_is_written(
    store_path, capsys, monkeypatch, form
):
    assert main(["stats", str(store_path), "--format", form]) == 0
    whole = capsys.readouterr()
    assert whole.err == ""
    monkeypatch.setattr("fmcore.cli.stats.LARGE_ROWS", 10)
    assert main(["stats", str(store_path), "--format", form]) == 0
    again = capsys.readouterr()
    assert again.out == whole.out
    n_rows = len(json.loads(whole.out)) if form == "json" else whole.out.count("\n") - 1
    found = re.fullmatch(r"fmcore: ([\d,]+) rows, about ([\d.]+) kB; --layer.* fewer\n", again.err)
    assert int(found[1].replace(",", "")) == n_rows
    assert float(found[2]) == pytest.approx(len(whole.out) / 1e3, rel=0.5)


FLOATS = st.floats(width=64) | st.sampled_from([1e-4, 1.1e-4, 1e15, 1e16, -0.0, 5e-324])


@given(st.lists(FLOATS, min_size=1, max_size=20), st.booleans())
def test_numbers_are_what_python_and_numpy_write_with_orjson_and_without(values, is_plain):
    wide = np.array(values)
    expected = ["" if np.isnan(each) else repr(each) for each in wide.tolist()]
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    of_narrow = ["" if np.isnan(each) else str(each) for each in narrow]
    with pytest.MonkeyPatch.context() as patch:
        if is_plain:
            patch.setattr("fmcore.export.formats.rows._fast", lambda: None)
        assert number_texts(wide, missing="") == expected
        assert number_texts(narrow, missing="") == of_narrow


def test_the_fast_way_to_write_numbers_is_there_in_this_environment():
    assert _fast() is not None


@pytest.mark.parametrize(
    "texts", [["a", 'say "hi", she', "two\nlines", "a\rb", None, "100 %s %"], ["50%"], ["a\r"]]
)
def test_texts_come_back_from_a_csv_and_a_json_of_columns_that_repeat(texts):
    codes = np.arange(40) % len(texts)
    columns = {"name": Coded(texts, codes), "value": np.arange(40) / 8, "n": np.arange(40)}
    kinds = {"name": TEXT, "value": "float64", "n": "int64"}
    tables = Tables(kinds, lambda: iter([Table(columns)]), 40)
    rows = list(csv.DictReader(io.StringIO("".join(csv_text(tables)), newline="")))
    expected = [texts[code] for code in codes]
    assert [row["name"] or None for row in rows] == expected
    assert [float(row["value"]) for row in rows] == columns["value"].tolist()
    objects = json.loads("".join(json_text(tables)))
    assert [row["name"] for row in objects] == expected
    assert [row["n"] for row in objects] == list(range(40))


def test_what_is_missing_is_null_in_parquet(store_path, tmp_path):
    assert main(["stats", str(store_path), "--out", str(tmp_path / "t.parquet")]) == 0
    rows = parquet.read_table(tmp_path / "t.parquet")
    with_reason = rows["reason"].is_valid().to_numpy()
    assert with_reason.any()
    np.testing.assert_array_equal(rows["value"].is_null().to_numpy(), with_reason)
    assert not rows["value"].is_null(nan_is_null=True).to_numpy()[~with_reason].any()
    np.testing.assert_array_equal(rows["chance_low"].is_null(), rows["chance_high"].is_null())
