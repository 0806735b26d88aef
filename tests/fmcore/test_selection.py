"""A query names the same on the command line, in a URL and in Python, or says what is wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from helpers.factories import CLASS_NAMES
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore.cli import main
from fmcore.errors import InputFileError, SelectionError
from fmcore.export import resolve
from fmcore.records import Policy
from fmcore.selection import (
    PARAMETERS,
    Parameter,
    Query,
    is_index,
    lists,
    match_names,
    near_matches,
    parse_classes,
    parse_numbers,
    parse_policies,
    parse_query,
    parse_samples,
    policies_for,
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
    assert match_names(names, "b,a[1]", what="layer") == ["a[1]", "b"]


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
    with pytest.raises(
        InputFileError, match=r"the list of samples .*none\.txt: No such file or dir"
    ):
        resolve(store, Query(sample=f"@{tmp_path / 'none.txt'}"))
    with pytest.raises(SelectionError, match="on the command line and in Python only") as caught:
        parse_samples(f"@{file}", files=False)
    assert caught.value.field == "sample"
    with pytest.raises(SelectionError, match="indices or a file, not both"):
        parse_samples(f"0:3,@{file}")


@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        (Query(class_="<b>three</b>"), "class", "no sample is left of 'all' that is labeled"),
        (Query(sample="corect"), "sample", "did you mean correct"),
        (Query(sample="correct,wrong"), "sample", "no sample is left of .correct,wrong."),
        (Query(sample="top:0"), "sample", "selects no sample"),
        (Query(sample=","), "sample", "at character 2 expected a term"),
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


def test_at_most_three_names_are_near_and_none_is_far():
    assert near_matches("conv", ["conv1", "conv2", "conv3", "conv4", "x"]).count("conv") == 3
    assert near_matches("conv1", ["conv1", "dense"]) == "; did you mean conv1?"
    assert near_matches("cove", ["conv1", "zz"]) == "; did you mean conv1?"
    # Of the characters of both together, half must match (the definition of difflib).
    assert near_matches("abcd", ["abxy"]) == "; did you mean abxy?"
    assert near_matches("abcd", ["axyz"]) == ""


def test_a_glob_means_what_a_shell_means_and_a_pattern_the_whole_name():
    names = ["conv1", "conv10", "block1_conv", "block2_conv", "Conv1"]
    assert match_names(names, "conv1", what="layer") == ["conv1"]
    assert match_names(names, "block?_*", what="layer") == ["block1_conv", "block2_conv"]
    assert match_names(names, "re:conv1", what="layer") == ["conv1"]
    assert match_names(names, "re:.*conv, Conv1 ,", what="layer") == names[2:]
    assert match_names(["a", "re:a"], "re:a", what="layer") == ["re:a"]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("conv1,none", r"^'none' matches no layer of m; there are conv1, conv2$"),
        ("conv3", r"^'conv3' matches no layer of m; there are conv1, conv2; did you mean conv"),
        ("re:(", r"^'re:\(' is not a valid regular expression: "),
        (" , ", r"^' , ' matches no layer of m"),
        ("re:conv", r"^'re:conv' matches no layer of m"),
    ],
)
def test_a_pattern_that_matches_nothing_is_an_error_of_its_field(pattern, why):
    with pytest.raises(SelectionError, match=why) as caught:
        match_names(["conv1", "conv2"], pattern, what="layer of m", field="layers")
    assert caught.value.field == "layers"
    with pytest.raises(SelectionError) as caught:
        match_names(["conv1", "conv2"], pattern, what="layer of m")
    assert caught.value.field == "layer"
    with pytest.raises(SelectionError, match="there are none"):
        match_names([], "conv1", what="layer")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "float16",
            r"^policy 'float16'; expected GLOB=POLICY with one of float32, float16, pooled",
        ),
        ("conv1=float", r"^policy 'conv1=float'; .*; did you mean float32, float16\?"),
        ("conv1=", r"^policy 'conv1='; expected GLOB=POLICY"),
        ("a=pooled,b", r"^policy 'b'; "),
    ],
)
def test_what_is_no_policy_is_an_error_of_its_field(text, why):
    with pytest.raises(SelectionError, match=why) as caught:
        parse_policies(text)
    assert caught.value.field == "policy"


def test_of_several_policies_the_last_one_counts_and_by_default_maps_are_exact():
    names = ["conv1", "conv2", "dense"]
    assert policies_for(names, "") == [Policy.FLOAT32] * 3
    assert policies_for(names, "conv*=pooled, conv2 = float16") == [
        Policy.POOLED,
        Policy.FLOAT16,
        Policy.FLOAT32,
    ]
    with pytest.raises(SelectionError, match="'none' matches no captured layer; ") as caught:
        policies_for(names, "none=pooled")
    assert caught.value.field == "policy"


def test_only_what_differs_from_the_defaults_is_in_a_link():
    assert Query().as_dict() == {}
    assert Query(class_="a", layer="*", what="pooled").as_dict() == {"class": "a", "what": "pooled"}
    assert Parameter("a", "b", "c") == Parameter("a", "b", "c", choices=(), here="")


def test_a_slice_and_a_list_of_anything_read_as_text():
    for value, text in [
        (slice(3), ":3"),
        (slice(3, None), "3:"),
        (slice(None), ":"),
        (slice(1, 9, 2), "1:9:2"),
        (slice(None, None, 2), "::2"),
        (np.int8(7), "7"),
        ((1, "correct", slice(4, 6)), "1,correct,4:6"),
        ({"conv1": 0}, "conv1"),
        (Path("a/b"), "@a/b"),
    ]:
        assert parse_query({"sample": value}).sample == text


@pytest.mark.parametrize("name", ["class", "class_"])
def test_an_unknown_parameter_lists_those_that_exist(name):
    assert parse_query({name: "a"}) == Query(class_="a")
    with pytest.raises(SelectionError, match="expected one of layer, filter, class, sample, what"):
        parse_query({"": "x"})


def test_an_index_has_at_most_18_digits():
    assert is_index("9" * 18)
    assert not is_index("9" * 19)
    assert not is_index("")
    assert numbers("0" * 17 + "7") == [7]
    for text in ("0" * 18 + "7", "0:" + "0" * 18 + "7", "0" * 18 + "1:7", "0:7:" + "0" * 18 + "1"):
        with pytest.raises(SelectionError, match="not the index of a sample"):
            numbers(text)


def test_a_step_of_a_range_is_at_least_1_and_an_end_may_be_the_size():
    assert numbers("0:20:19") == [0, 19]
    assert numbers("19:20") == [19]
    assert numbers(":20:1", 20) == list(range(20))
    with pytest.raises(
        SelectionError, match=r"expected indices from 0 to 19, so a range ends at 20"
    ):
        numbers("0:21")
    with pytest.raises(
        SelectionError, match=r"^'3:3' selects no sample; expected indices from 0 to 19$"
    ):
        numbers("3:3")


def test_of_few_samples_each_may_be_named_often_and_of_many_once():
    assert len(numbers(",".join(["0:20"] * 50))) == 1000
    with pytest.raises(SelectionError, match="1,001 indices are named, but only 20 exist"):
        numbers(",".join(["0:20"] * 50) + ",0")
    assert len(numbers("0:2000", 2000)) == 2000
    with pytest.raises(SelectionError, match="2,001 indices are named, but only 2,000 exist"):
        numbers("0:2000,0", 2000)


def test_an_export_takes_a_group_and_the_strongest_of_it():
    assert str(parse_samples("").group) == "all"
    selection = parse_samples(" 0:3 ,7, wrong ,top:25,wrong")
    assert (str(selection.group), selection.top) == ("0:3,7 wrong wrong", 25)
    assert parse_samples("(label=1 or wrong) top:999999999").top == 999_999_999
    for text in ("top:", "top:1000000000", "top:-1", "tops:1"):
        with pytest.raises(SelectionError, match=r"at character 1 expected .*, or top:25; found"):
            parse_samples(text)
    for text, why in {
        "top:0": "top:1 or more",
        "top:1,top:2": "one top:N: there is top:1",
        "not (top:2)": "not in parentheses",
        "wrong or label=1, top:2": r"parentheses about what top:N narrows",
    }.items():
        with pytest.raises(SelectionError, match=why) as caught:
            parse_samples(text)
        assert caught.value.field == "sample"


def test_files_of_samples_are_joined_and_not_mixed_with_indices(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b c"
    first.write_text("1\n\n x y \n")
    second.write_text("2")
    group = parse_samples(f'@{first},@"{second}",wrong').group
    assert [(name.index, name.id) for name in group.parts[0].names] == [
        (1, None),
        (None, "x y"),
        (2, None),
    ]
    with pytest.raises(SelectionError, match="indices or a file, not both") as caught:
        parse_samples(f"@{first},3")
    assert caught.value.field == "sample"
    with pytest.raises(InputFileError, match=r"b: No such file .* spaces stands in quotes"):
        parse_samples(f"@{second}")
    first.write_bytes(b"\xff\xfe")
    with pytest.raises(
        InputFileError, match=r"cannot read the list of samples .*codec can't decode"
    ):
        parse_samples(f"@{first}")


def test_a_list_of_samples_may_be_as_long_as_is_stated(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, "LARGEST_LIST_CHARACTERS", 1000)
    (tmp_path / "a").write_text("1" * 1000)
    assert [name.id for name in lists.read_list(tmp_path / "a")] == ["1" * 1000]
    (tmp_path / "a").write_text("1" * 1001)
    with pytest.raises(InputFileError, match="it has more than 1,000 characters"):
        parse_samples(f"@{tmp_path / 'a'}")


def test_a_hundred_thousand_samples_can_be_listed(tmp_path):
    (tmp_path / "a").write_text(f"{10**17}\n" * 100_000)
    assert len(lists.read_list(tmp_path / "a")) == 100_000


def test_a_class_is_named_once_and_many_are_listed_in_part():
    names = [f"c{index}" for index in range(21)]
    assert parse_classes("c3, 20 ,3,,c0", names) == [3, 20, 0]
    with pytest.raises(
        SelectionError, match=r"from 0 to 20: c0, .*, c19, …; did you mean"
    ) as caught:
        parse_classes("21", names)
    assert caught.value.field == "class"
    with pytest.raises(SelectionError, match=r"from 0 to 19: c0, .*, c19; did you mean"):
        parse_classes("20", names[:20])
    with pytest.raises(SelectionError, match="',' selects no class") as caught:
        parse_classes(",", names)
    assert caught.value.field == "class"


def test_where_files_can_be_read_the_help_names_them(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "@FILE, with one index or id per line" in " ".join(capsys.readouterr().out.split())


def test_what_comes_from_another_machine_has_no_regular_expression_and_few_short_globs():
    names = ["conv1", "conv2", "re:odd"]
    assert match_names(names, "re:conv.", what="layer") == ["conv1", "conv2"]
    assert match_names(names, "re:odd", what="layer", regular=False) == ["re:odd"]  # its name
    for pattern in ("re:conv.", "conv1, re:.*", ",".join(["conv1"] * 65), "c" + "*" * 256):
        with pytest.raises(SelectionError, match=r"command line and Python|expected at most"):
            match_names(names, pattern, what="layer", regular=False)


@pytest.mark.parametrize("part", ["*a", "*?", "*[!b]", "*a?"])
def test_globs_take_no_time_that_grows_with_what_they_leave_open(part):
    names = [f"{'a' * 300}{n}" for n in range(200)]
    globs = ",".join(f"{(part * 128)[:250]}{n:x}" for n in range(30))
    with pytest.raises(SelectionError):  # a regular expression of such parts takes hours
        match_names(names, f"{globs},zz", what="layer", regular=False)


@pytest.mark.parametrize(
    ("globs", "refused"),
    [
        (["conv*"] * 64, ""),
        (["conv*"] * 65, "65 parts of up to 5 characters; expected at most 64 of 256"),
        (["c" + "*" * 255], ""),
        (["conv1", "c" + "*" * 256], "2 parts of up to 257 characters"),
    ],
    ids=range(4),
)
def test_so_many_globs_of_such_a_length_come_from_another_machine(globs, refused):
    refusal = pytest.raises(SelectionError, match=refused) if refused else contextlib.nullcontext()
    with refusal:
        assert match_names(["conv1"], ",".join(globs), what="layer", regular=False) == ["conv1"]


def test_near_matches_are_looked_for_among_so_many_characters():
    word, near = "x" * 64, "x" * 63 + "y"
    assert near_matches(word, [near]) == f"; did you mean {near}?"
    assert near_matches("x" + word, [near]) == ""
    word, near = "activation", "activatio2"
    others = ["z" * 10_000] * 19 + ["z" * 9_990]  # 1,999,900 pairs of characters
    assert near_matches(word, [*others, near]) == f"; did you mean {near}?"
    assert near_matches(word, [*others, "z", near]) == ""


def test_near_matches_of_long_texts_and_many_names_are_not_looked_for():
    assert near_matches("conv3", ["conv1", "dense"]) == "; did you mean conv1?"
    assert near_matches("conv3" * 100_000, ["conv1"]) == ""
    assert near_matches("b" * 64, ["a" * 10_000] * 100_000 + ["b" * 64]) == ""  # of the first few
