"""A query names the same on the command line, in a URL and in Python, or says what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.factories import CLASS_NAMES
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore.errors import InputFileError, SelectionError
from fmcore.export import resolve
from fmcore.selection import (
    PARAMETERS,
    Query,
    match_names,
    parse_classes,
    parse_numbers,
    parse_query,
    parse_samples,
)


def numbers(text: str, size: int = 20) -> list[int]:
    return list(parse_numbers(text, size, what="sample", field="sample"))


@given(st.data())
def test_ranges_mean_what_slices_mean(data):
    size = data.draw(st.integers(1, 30))
    ends = st.none() | st.integers(0, size)
    start, stop = data.draw(ends), data.draw(ends)
    step = data.draw(st.none() | st.integers(1, 5))
    text = f"{'' if start is None else start}:{'' if stop is None else stop}"
    text += "" if step is None else f":{step}"
    expected = list(range(size))[start:stop:step]
    if expected:
        assert numbers(text, size) == expected
    else:
        with pytest.raises(SelectionError, match=r"selects no sample|beyond"):
            numbers(text, size)


def test_indices_keep_their_order():
    assert numbers("7") == [7]
    assert numbers(" 3, 1 ,0:3,1") == [3, 1, 0, 1, 2, 1]
    assert isinstance(parse_numbers("2:5", 9, what="filter", field="filter"), range)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("20", r"no sample with index 20; expected 0 to 19"),
        ("0:21", r"beyond the last sample"),
        ("20:", r"beyond the last sample"),
        ("-1", r"not the index of a sample"),
        ("1.5", r"not the index of a sample"),
        ("one", r"not the index of a sample"),
        ("0:10:0", r"the step is 0"),
        ("3:3", r"selects no sample"),
        (",", r"selects no sample"),
        ("9" * 30, r"not the index of a sample"),
        ("٣", r"not the index of a sample"),
        (",".join(["0:20"] * 51), r"1,020 indices are named, but only 20 exist"),
    ],
)
def test_what_is_no_index_is_said(text, why):
    with pytest.raises(SelectionError, match=why) as caught:
        numbers(text)
    assert caught.value.field == "sample"


def test_a_query_is_the_same_from_texts_and_from_python():
    texts = {"layer": "conv*", "filter": "0:8,12", "class": "seven", "sample": "0:100"}
    same = parse_query(texts | {"dtype": "float16"})
    assert same == parse_query(
        {
            "layer": "conv*",
            "filter": [slice(0, 8), np.int64(12)],
            "class_": ["seven"],
            "sample": slice(0, 100),
            "dtype": "float16",
        }
    )
    assert parse_query({"sample": range(0, 10, 2)}).sample == "0:10:2"
    assert parse_query({"sample": np.array([3, 1])}).sample == "3,1"
    assert parse_query({"filter": None, "sample": np.array(3)}) == Query(sample="3")
    assert same.as_dict() == texts | {"dtype": "float16"}
    assert {parameter.name for parameter in PARAMETERS} == {
        name.rstrip("_") for name in Query.__dataclass_fields__
    }


@pytest.mark.parametrize(
    ("values", "field", "why"),
    [
        ({"layr": "x"}, "layr", "did you mean layer"),
        ({"what": "pools"}, "what", "did you mean pooled"),
        ({"dtype": "float64"}, "dtype", "expected one of float32, float16"),
        ({"sample": 1.5}, "sample", "sample is float"),
        ({"sample": [True, False]}, "sample", "sample is bool"),
        ({"sample": np.array([True])}, "sample", "sample is bool"),
        ({"sample": []}, "sample", "sample is empty; leave it out for all"),
        ({"filter": np.array([], int)}, "filter", "filter is empty"),
        ({"sample": b"ab"}, "sample", "sample is bytes"),
    ],
)
def test_a_query_with_a_mistake_names_the_parameter(values, field, why):
    with pytest.raises(SelectionError, match=why) as caught:
        parse_query(values)
    assert caught.value.field == field


def test_classes_are_names_before_they_are_indices():
    assert parse_classes("zwei ②,0", CLASS_NAMES) == [2, 0]
    assert parse_classes("1", ["1", "0"]) == [0]
    assert parse_classes("a,b", ["x", "a,b"]) == [1]
    with pytest.raises(SelectionError, match=r"no class 'zeo'; .* did you mean zero"):
        parse_classes("zeo", CLASS_NAMES)
    for text in ("4", "-1", ",", "²", "1" * 5000):
        with pytest.raises(SelectionError):
            parse_classes(text, CLASS_NAMES)


def test_names_with_commas_and_brackets_name_themselves():
    names = ["a,b", "a[1]", "a", "b"]
    assert match_names(names, "a,b", what="layer") == ["a,b"]
    assert match_names(names, "a[1]", what="layer") == ["a[1]"]
    assert match_names(names, "b,a", what="layer") == ["a", "b"]


def test_outcomes_and_top_narrow_what_indices_leave(store):
    labels, predictions = store.labels, store.predictions
    table = store.layers["conv2"].pooled("max")[...]

    def samples(**values):
        return np.asarray(resolve(store, parse_query(values)).samples)

    assert_array_equal(samples(), np.arange(37))
    assert_array_equal(samples(sample="correct"), np.flatnonzero(labels == predictions))
    assert_array_equal(
        samples(sample="wrong,0:9"),
        np.flatnonzero(labels != predictions)[:9][np.flatnonzero(labels != predictions)[:9] < 9],
    )
    assert_array_equal(samples(class_="one"), np.flatnonzero(labels == 1))
    assert_array_equal(
        samples(class_="one,zero", sample="5,3,4"),
        np.array([5, 3, 4])[np.isin(labels[[5, 3, 4]], [0, 1])],
    )
    best = np.argsort(-table, axis=0, kind="stable")[:4]
    assert_array_equal(samples(layer="conv2", sample="top:4"), np.unique(best))
    assert_array_equal(samples(layer="conv2", filter="2", sample="top:4"), np.sort(best[:, 2]))
    of_one = np.flatnonzero(labels == 1)
    best = of_one[np.argsort(-table[of_one], axis=0, kind="stable")[:2]]
    selected = samples(layer="conv2", filter=0, class_="one", sample="top:2")
    assert_array_equal(selected, np.sort(best[:, 0]))


def test_a_file_names_samples_by_index_or_id(store, tmp_path):
    file = tmp_path / "list.txt"
    file.write_text(f"5\n\n{store.ids[3]}\n 0 \n")
    assert list(resolve(store, parse_query({"sample": file})).samples) == [5, 3, 0]
    file.write_bytes(b"\xef\xbb\xbf7\r\n")
    assert list(resolve(store, parse_query({"sample": file})).samples) == [7]
    with pytest.raises(InputFileError, match="characters"):
        resolve(store, Query(sample="@/dev/zero"))
    file.write_text("9" * 5000)
    with pytest.raises(SelectionError, match="no sample '9999"):
        resolve(store, Query(sample=f"@{file}"))
    file.write_text("5\nnobody\n")
    with pytest.raises(SelectionError, match=r"no sample 'nobody'"):
        resolve(store, Query(sample=f"@{file}"))
    with pytest.raises(InputFileError, match="cannot read the list of samples"):
        resolve(store, Query(sample=f"@{tmp_path / 'none.txt'}"))
    with pytest.raises(SelectionError, match="on the command line and in Python only"):
        parse_samples(f"@{file}", files=False)
    with pytest.raises(SelectionError, match="by indices or by a file, not both"):
        parse_samples(f"0:3,@{file}")


@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        (Query(class_="<b>three</b>"), "class", "no sample is left of 'all' that is labeled"),
        (Query(sample="corect"), "sample", "did you mean correct"),
        (Query(sample="correct,wrong"), "sample", "both correct and wrong"),
        (Query(sample="top:0"), "sample", "selects no sample"),
        (Query(sample=","), "sample", "selects no sample"),
        (Query(sample="37"), "sample", "no sample with index 37"),
        (Query(layer="conv2", filter="3"), "filter", "no filter of conv2 with index 3"),
        (Query(filter="0:20"), "filter", "beyond the last filter of conv2"),
        (Query(what="statistics", sample="0"), "sample", "of the whole test set"),
        (Query(what="statistics", dtype="float16"), "dtype", "in their own precision"),
        (Query(statistic="auc"), "statistic", "cannot choose maps"),
    ],
)
def test_a_selection_that_names_nothing_says_which_part(store, query, field, why):
    with pytest.raises(SelectionError, match=why) as caught:
        resolve(store, query)
    assert caught.value.field == field
