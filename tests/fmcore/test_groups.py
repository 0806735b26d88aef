"""Expressions of groups select what numpy selects, and what is wrong has its place."""

from __future__ import annotations

import base64
import re
import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.factories import count, make_encoded_store, make_target_store
from helpers.sharded import copy_store
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore import open_store
from fmcore.errors import InputFileError, SelectionError
from fmcore.export import resolve
from fmcore.records import LABEL_FROM, Target
from fmcore.selection import LONGEST, Query, parse_group, parse_samples, quoted, set_text

N = 40
NAMES = ("zero", "5", 'a "b"|c', "or", "")
IDS = {"a": 1, "b": 2, "cat_07.png": 3}


@dataclass
class Arrays:
    """The samples of no store, in numpy."""

    n_samples: int = N
    class_names: tuple[str, ...] = NAMES

    def __post_init__(self):
        rng, n, n_classes = np.random.default_rng(0), self.n_samples, len(self.class_names)
        self.labels, self.predictions = rng.integers(0, n_classes, (2, n))
        self.probabilities = rng.dirichlet(np.ones(n_classes), n)
        self.table = {"max": rng.normal(size=n), "mean": rng.normal(size=n), "zeros": rng.random(n)}
        self.table["max"][[3, 7]] = np.nan, np.inf

    def bears(self, column, classes):
        return np.isin(self.labels if column == "label" else self.predictions, classes)

    def correct(self):
        return self.labels == self.predictions

    def confidence(self):
        return self.probabilities[np.arange(self.n_samples), self.predictions]

    def probability(self, class_index):
        return self.probabilities[:, class_index]

    def pooled(self, layer, filter_index, pooling):
        return self.table[pooling]

    def indices(self, names):
        return np.array(
            [IDS.get(name.id, 0) if name.index is None else name.index for name in names]
        )

    def where(self, *indices):
        """The mask of some indices."""
        return np.isin(np.arange(self.n_samples), indices)


SAMPLES = Arrays()
where, POOLED = SAMPLES.where, SAMPLES.table
LABELS, PREDICTIONS, PROBABILITIES = SAMPLES.labels, SAMPLES.predictions, SAMPLES.probabilities
PREDICTED = SAMPLES.confidence()


def above(values, bound):
    return np.nan_to_num(values, nan=-np.inf) > bound


FINITE = POOLED["max"][np.isfinite(POOLED["max"])]
# A leaf, and what numpy says of it.
LEAVES = {
    "all": np.ones(N, bool),
    "label=zero": LABELS == 0,
    "label = 5": LABELS == 1,  # a name before an index
    "label!=0|2": ~np.isin(LABELS, [0, 2]),
    f"prediction={quoted(NAMES[2])}|or": np.isin(PREDICTIONS, [2, 3]),
    'PREDICTION=""': PREDICTIONS == 4,
    "correct": LABELS == PREDICTIONS,
    "wrong": LABELS != PREDICTIONS,
    "confidence>0.5": PREDICTED > 0.5,
    "confidence<=5e-1": PREDICTED <= 0.5,
    "probability(or)>=.25": PROBABILITIES[:, 3] >= 0.25,
    'probability("5") != 0': PROBABILITIES[:, 1] != 0,
    "filter(conv2,5)>0": above(POOLED["max"], 0),
    'filter("block/conv 1", 0, mean) < -0.25': POOLED["mean"] < -0.25,
    "filter(conv2,5,zeros)>0.8 quantile": POOLED["zeros"] > np.quantile(POOLED["zeros"], 0.8),
    "filter(conv2,5)>=0.5 quantile": above(POOLED["max"], np.quantile(FINITE, 0.5) - 1e-12),
    "0:10,20": where(*range(10), 20),
    ":3, 38:": where(0, 1, 2, 38, 39),
    "0:40:13": where(0, 13, 26, 39),
    set_text(range(0, 40, 3)): where(*range(0, 40, 3)),
    "set:" + base64.urlsafe_b64encode(b"\0" + zlib.compress(b"\x07")).decode().strip("="): where(
        0, 1, 2
    ),
}


@st.composite
def expressions(draw, depth=3):
    """An expression, the mask of it, and how tightly it binds: 0 for `or`, 1 for `and`."""
    kind = draw(st.sampled_from(["leaf", "not", "and", "or"] if depth else ["leaf"]))
    if kind == "leaf":
        text = draw(st.sampled_from(sorted(LEAVES)))
        return text, LEAVES[text], 2
    first, mask, level = draw(expressions(depth - 1))
    if kind == "not":
        return f"not {first if level == 2 else f'({first})'}", ~mask, 2
    second, other, other_level = draw(expressions(depth - 1))
    if kind == "or":
        return f"{first} or {second}", mask | other, 0
    first = first if level else f"({first})"
    second = second if other_level else f"({second})"
    return f"{first} {draw(st.sampled_from(['and', 'AND', ' and']))} {second}", mask & other, 1


@given(expressions())
def test_a_group_is_what_numpy_makes_of_its_terms(drawn):
    text, mask, _ = drawn
    group = parse_group(text, files=False)
    assert_array_equal(group.mask(SAMPLES), mask, err_msg=text)
    assert parse_group(str(group), files=False) == group
    assert_array_equal(np.unique(group.picks(Arrays())), np.flatnonzero(mask))


WORDS = [
    *LEAVES,
    *(
        "label",
        "=",
        "!=",
        ">",
        "filter(",
        ")",
        "(",
        "|",
        ",",
        "0",
        "7:",
        ":",
        '"',
        "\\",
        "@",
        "top:3",
    ),
    *("set:", "or", "and", "not", "quantile", "1e400", "id=", "id=3", " ", "-", ".", "é", "\0"),
]


@settings(max_examples=count(300, 20_000))
@given(st.text(max_size=40) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_of_any_text_there_is_a_group_or_a_sentence(text):
    for parse in (parse_group, lambda *args, **options: parse_samples(*args, **options).group):
        with suppress(SelectionError):  # any other error fails
            group = parse(text, files=False)
            assert parse_group(str(group), files=False) == group
            assert group.mask(SAMPLES).shape == (N,)


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("labl=7", 1, "did you mean label"),
        ("label 7", 7, "= or !="),
        ("label>7", 6, "= or !=; found '>7'"),
        ("label=", 7, "a name, in quotes where it holds spaces or signs; it ends there"),
        ('label="a', 7, "a name"),
        ("wrong & correct", 7, "a term such as label=7"),
        ("(wrong", 7, r"and, or, or \)"),
        ("wrong)", 6, "and, or, or the end"),
        ("wrong or", 9, "a term such as"),
        ("confidence>high", 12, "a number"),
        ("confidence>1e400", 12, "a number"),
        ("probability>1", 12, r"\( and the name or index of a class"),
        ("filter(conv2)>1", 7, "a layer and a filter, such as"),
        ("filter(conv2,x)>1", 7, "'x' is no index"),
        ("filter(conv2,1,maxx)>1", 7, "not 'maxx'.*did you mean max"),
        ("filter(conv2,1)>80 quantile", 17, "a quantile from 0 to 1"),
        ("3 5", 3, "a comma between the parts of a list, or `and`"),
        ("3,7 wrong 5", 11, "a comma between"),
        ("@/etc/passwd", 1, "no file: one can be named on the command line and in Python only"),
        ("top:25", 1, "top:N is for exports"),
        ("0:3x", 1, "a term such as"),
        (" ".join(["wrong"] * 257), 1537, "at most 256 terms"),
        ("(" * 33 + "wrong", 33, "at most 32 levels"),
        (
            " ".join(f"filter(a,{n})>0" for n in range(17)),
            237,
            "at most 16 filters and probabilities of classes",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_was_expected(text, place, expected):
    with pytest.raises(SelectionError, match=rf"at character \d+ expected .*{expected}") as caught:
        parse_group(text, files=False, field="a")
    assert f"at character {place} " in str(caught.value)
    assert caught.value.field == "a"
    assert len(str(caught.value)) < 500


def test_what_comes_from_another_machine_is_as_long_as_a_link():
    assert parse_group("0," * (LONGEST // 2), files=False)
    with pytest.raises(SelectionError, match=r"7,001 characters; expected at most 7,000: save"):
        parse_group("0" * (LONGEST + 1), files=False)
    assert parse_group("0," * LONGEST)


def test_a_column_is_read_once_however_often_it_is_named(store):
    text = "filter(conv2,0)>0.1 quantile filter(conv2,0)<0.9 quantile or not filter(conv2,0)>3"
    reads = []
    pooled = type(store.layers["conv2"]).pooled

    class Counting(type(store)):
        @property
        def layers(self):
            reads.append(1)
            return super().layers

    with Counting(store.path) as counting:
        mask = counting.group(text)
    values = np.asarray(pooled(store.layers["conv2"], "max")[:, 0]).astype(float)
    low, high = np.quantile(values, [0.1, 0.9])
    assert_array_equal(mask, ((values > low) & (values < high)) | ~(values > 3))
    assert len(reads) == 1


@given(st.sets(st.integers(0, 2999), max_size=300) | st.sets(st.integers(0, 60)))
def test_a_set_of_samples_is_what_it_was_made_of(indices):
    text = set_text(indices)
    facts = Arrays(n_samples=3000)
    assert_array_equal(np.flatnonzero(parse_group(text).mask(facts)), sorted(indices))
    mask = np.zeros(3000, bool)
    mask[list(indices)] = True
    assert set_text(mask) == text


def test_a_set_that_no_link_holds_is_refused_with_what_to_do():
    rng = np.random.default_rng(0)
    for n, share in ((40_000, 0.5), (100_000, 0.07), (100_000, 0.93)):
        mask = rng.random(n) < share
        text = set_text(mask)
        assert len(text) <= LONGEST
        assert_array_equal(parse_group(text, files=False).mask(Arrays(n_samples=n)), mask)
    with pytest.raises(SelectionError, match="a link holds 7,000: save their ids as a file"):
        set_text(rng.random(100_000) < 0.5)
    with pytest.raises(SelectionError, match="there is no sample -3"):
        set_text([1, -3])


def test_a_set_of_another_store_or_a_damaged_one_is_refused_in_bounded_memory():
    text = set_text(range(0, 6000, 7))
    with pytest.raises(SelectionError, match="of another store"):
        parse_group(text).mask(Arrays(n_samples=5000))
    for damaged in (text[:-4], text[:-4] + "AAAA", "set:AAAA", "set:eJ", "set:A"):
        with pytest.raises(SelectionError, match=r"is damaged: .*; take the link again"):
            parse_group(damaged).mask(Arrays(n_samples=6000))
    for head in (b"", b"\0"):
        for byte in (b"\0", b"\x7f", b"\x80", b"\xff"):
            bomb = head + zlib.compress(byte * (4 << 20), 9)
            text = "set:" + base64.urlsafe_b64encode(bomb).decode().rstrip("=")
            tracemalloc.start()
            with pytest.raises(SelectionError, match="set of samples"):
                parse_group(text, files=False).mask(Arrays(n_samples=6000))
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
            tracemalloc.stop()


def test_rows_of_an_export_are_in_the_order_of_a_list_whatever_narrows_it(store, tmp_path):
    file = tmp_path / "wanted.txt"
    file.write_text("30\n2\n30\n7\n")

    def rows(text):
        return list(resolve(store, Query(sample=text)).samples)

    wrong = set(np.flatnonzero(store.labels != store.predictions))
    assert rows("30,2,7,2") == [30, 2, 7, 2]
    assert rows(f"@{file}") == [30, 2, 30, 7]
    kept = [index for index in (30, 2, 30, 7) if index in wrong]
    assert rows(f"wrong,@{file}") == rows(f"@{file} and wrong") == kept
    assert rows("30,wrong,2,7") == [index for index in (30, 2, 7) if index in wrong]
    assert rows("30,2 or 7") == [2, 7, 30]
    assert rows("30,2 and 2,7") == [2]
    assert rows("not 3,5") == [index for index in range(37) if index not in (3, 5)]


def test_a_table_of_samples_is_taken_back(store, tmp_path):
    file = tmp_path / "wrong.csv"
    frame = store.samples
    wrong = frame[~frame["correct"]].iloc[::-1]
    wrong.to_csv(file)  # sample, id, label, …
    assert list(store.picks(f"@{file}")) == list(wrong.index)
    wrong[["id"]].to_csv(file, index=False)
    assert list(store.picks(f"@{file}")) == list(wrong.index)
    file.write_text('\ufeffwhy,"index"\r\n"a, ""b""\n",3\r\n\r\nc,1\r\n', newline="")
    assert list(store.picks(f"@{file}")) == [3, 1]
    for text, error, why in (
        ("sample,id\n3,4\n", SelectionError, "a row has sample 3 and id '4', .* of another store"),
        ("id\nnobody\n", SelectionError, "none has that id"),
        ("sample\n37\n", SelectionError, "no sample '37' in tiny.h5; it holds 0 to 36"),
        ("sample\n3.0\n", InputFileError, r"line 2: sample is '3\.0'; expected the index"),
        ("sample,id\n3\n", InputFileError, "line 2: 1 cells; expected 2, as its header has"),
        ('id\n"a', InputFileError, "line 2: unexpected end of data; expected a CSV table"),
    ):
        file.write_text(text)
        with pytest.raises(error, match=why):
            store.group(f"@{file}")


def test_a_whole_number_is_an_index_and_an_id_where_that_is_said(store):
    class Renamed(type(store)):
        ids = property(lambda self: [*map(str, range(100, 135)), "5", "100"])

    with Renamed(store.path) as renamed:
        assert list(renamed.picks("5")) == [5]
        assert list(renamed.picks("id=5")) == [35]
        assert list(renamed.picks("id=101|5")) == [1, 35]
        assert list(renamed.picks("id!=101 0:3")) == [0, 2]
        with pytest.raises(SelectionError, match=r"several samples of tiny\.h5 have the id '100'"):
            renamed.group("id=100")
        with pytest.raises(SelectionError, match=r"none has that id; .*; an index is written 7"):
            renamed.group("id=7")


def test_of_several_labels_each_term_says_what_it_means_or_why_it_means_nothing(tmp_path):
    with open_store(make_target_store(tmp_path / "labels.h5", Target.LABELS)) as store:
        truth, answers = store.truth, store.answers
        assert_array_equal(store.group("label=cat"), truth[:, 0])
        assert_array_equal(store.group("label=cat label=dog/wolf"), truth[:, 0] & truth[:, 1])
        assert_array_equal(store.group("label=0|1"), truth[:, 0] | truth[:, 1])
        assert_array_equal(store.group('prediction="<b>bird</b>"'), answers[:, 2] >= LABEL_FROM)
        assert_array_equal(store.group("probability(cat)>0.7"), answers[:, 0].astype(float) > 0.7)
        for text in ("correct", "wrong", "confidence>0.5"):
            with pytest.raises(SelectionError, match=r"the model gives several labels, no class; "):
                store.group(text)


@pytest.mark.parametrize("kind", ["numbers", "unlabeled", "no predictions"])
def test_a_term_without_a_meaning_is_refused_with_the_reason_and_a_way(tmp_path, kind):
    path = tmp_path / "store.h5"
    refused = {"label=0", "prediction=0", "correct", "wrong", "confidence>0", "probability(0)>0"}
    if kind == "numbers":
        make_target_store(path, Target.NUMBER)
        why = "the model gives numbers, no class; choose them by filter, index or id"
    else:
        make_encoded_store(path, labelled=kind == "no predictions")
        why = "no predictions"
        refused -= {"label=0"} if kind == "no predictions" else set()
    with open_store(path) as store:
        for text in refused:
            with pytest.raises(SelectionError, match=f"cannot choose samples of store.h5: .*{why}"):
                store.group(text)
        layer = next(iter(store.layers))
        assert store.group(f"filter({quoted(layer)},0)>0 or 0:3")[:3].all()


DOCS = (Path(__file__).parents[2] / "docs/groups.md").read_text()


def test_every_example_of_the_docs_selects_what_numpy_selects(tmp_path, monkeypatch):
    digits = Arrays(300, tuple("0123456789"))
    labels, predictions, confidence = digits.labels, digits.predictions, digits.confidence()
    largest, where = digits.table["max"], digits.where
    high = above(largest, np.quantile(largest[np.isfinite(largest)], 0.8))
    expected = {
        "label=7 prediction=1": (labels == 7) & (predictions == 1),
        "wrong and confidence>0.9": (labels != predictions) & (confidence > 0.9),
        "filter(conv2,5)>0.8 quantile or not (label=3|5)": high | ~np.isin(labels, [3, 5]),
        "label=7": labels == 7,
        "label!=3|5": ~np.isin(labels, [3, 5]),
        "prediction=1": predictions == 1,
        "correct": labels == predictions,
        "wrong": labels != predictions,
        "confidence>0.9": confidence > 0.9,
        "probability(7)<0.1": digits.probabilities[:, 7] < 0.1,
        "filter(conv2,5)>1.5": above(largest, 1.5),
        "filter(conv2,5)>0.8 quantile": high,
        "7": where(7),
        "0:100,205": where(*range(100), 205),
        ":50": where(*range(50)),
        "0:100:10": where(*range(0, 100, 10)),
        "id=cat_07.png": where(3),
        "id!=a|b": ~where(1, 2),
        "@wanted.csv": where(4, 2),
        "set:AHjaE1IEAABHADQ": where(1, 4, 8, 13),
        "all": np.ones(300, bool),
    }
    table = DOCS.split("| term |")[1].split("\n\n")[0]
    terms = re.findall(r"^\| (`.*?`) \|", table.replace(r"\|", "\0"), re.MULTILINE)
    examples = [*DOCS.split("```")[1].split("\n")[1:-1]]
    examples += [term for cell in terms for term in re.findall("`(.*?)`", cell)]
    monkeypatch.chdir(tmp_path)
    Path("wanted.csv").write_text("sample\n4\n2\n")
    assert {text.replace("\0", "|") for text in examples} == {*expected}
    for text, mask in expected.items():
        assert_array_equal(parse_group(text).mask(digits), mask, err_msg=text)


def test_the_code_of_the_docs_runs(store_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy_store(store_path, "my_store.h5")
    (code,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    exec(code, {})
