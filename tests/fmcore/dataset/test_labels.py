"""Labels in the forms that people have are what they say, or are refused with advice that works."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from sklearn.preprocessing import LabelEncoder

from fmcore.dataset import labelled_images
from fmcore.errors import DatasetError
from fmcore.records import Target

INDICES = np.array([2, 0, 1, 2, 1])
BITS = np.array([1, 0, 1, 1, 0])
NAMES = ["cat", "ant", "bee", "cat", "bee"]
ROWS = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0]])
NUMBERS = np.array([[0.5, 2.0], [1.0, -1.0], [3.5, 0.0], [0.0, 0.25], [9.0, 9.0]])


def parsed(labels, images=None):
    images = np.zeros((5, 4, 4)) if images is None else images
    return labelled_images(images, labels, where="here")


def refusal(labels) -> str:
    with pytest.raises(DatasetError) as caught:
        parsed(labels)
    assert str(caught.value).startswith("here: ")
    return str(caught.value)


CLASSES = {
    "integers": (INDICES, INDICES),
    "unsigned": (INDICES.astype(np.uint8), INDICES),
    "a list": (INDICES.tolist(), INDICES),
    "a column": (INDICES[:, np.newaxis], INDICES),
    "a column of columns": (INDICES[:, np.newaxis, np.newaxis], INDICES),
    "whole floats": (INDICES.astype(np.float32), INDICES),
    "a column of floats": (INDICES.astype(float)[:, np.newaxis], INDICES),
    "booleans": (BITS > 0, BITS),
    "a list of booleans": ((BITS > 0).tolist(), BITS),
    "a column of booleans": (BITS[:, np.newaxis] > 0, BITS),
    "floats 0 and 1": (BITS.astype(np.float16), BITS),
    "objects": (INDICES.astype(object), INDICES),
    "a series": (pd.Series(INDICES, index=list("edcba")), INDICES),
    "a nullable series": (pd.Series(INDICES, dtype="Int64"), INDICES),
    "a frame of one column": (pd.DataFrame({"y": INDICES}), INDICES),
    "one-hot integers": (np.eye(3, dtype=int)[INDICES], INDICES),
    "one-hot floats": (np.eye(3, dtype=np.float32)[INDICES], INDICES),
    "one-hot booleans": (np.eye(3)[INDICES] > 0, INDICES),
    "one-hot lists": (np.eye(4)[INDICES].tolist(), INDICES),
    "one-hot, sparse": (scipy.sparse.csr_matrix(np.eye(3)[INDICES]), INDICES),
    "a series of one-hot rows": (pd.Series(np.eye(3)[INDICES].tolist()), INDICES),
    "a list of arrays": ([np.array([index]) for index in INDICES], INDICES),
    "categories of integers": (pd.Categorical(INDICES), INDICES),
}


@pytest.mark.parametrize("name", CLASSES)
def test_class_indices_are_taken_in_every_form(name):
    labels, expected = CLASSES[name]
    samples = parsed(labels)
    assert samples.labels.dtype == np.int64
    assert_array_equal(samples.labels, expected)
    assert samples.truth.kind == Target.CLASS
    assert_array_equal(samples.truth.values, expected)
    assert samples.truth.names == ()


TEXTS = {
    "a list": NAMES,
    "an array": np.array(NAMES),
    "bytes": np.array(NAMES).astype(bytes),
    "a list of bytes": [name.encode() for name in NAMES],
    "objects": np.array(NAMES, dtype=object),
    "a column": np.array(NAMES)[:, np.newaxis],
    "a series": pd.Series(NAMES),
    "a string series": pd.Series(NAMES, dtype="string"),
    "strings of NumPy 2": np.array(NAMES, dtype=np.dtypes.StringDType()),
    "categories": pd.Categorical(NAMES),
    "a series of categories": pd.Series(NAMES, dtype="category"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_names_are_classes_in_the_order_of_scikit_learn(name):
    encoder = LabelEncoder().fit(NAMES)
    samples = parsed(TEXTS[name])
    assert_array_equal(samples.labels, encoder.transform(NAMES))
    assert samples.truth.names == tuple(encoder.classes_)
    assert "names of classes, in" in samples.truth.words


def test_categories_keep_their_own_order_and_those_without_a_sample():
    kinds = pd.Categorical(NAMES, categories=["dog", "cat", "bee", "ant"], ordered=True)
    for labels in (kinds, pd.Series(kinds)):
        samples = parsed(labels)
        assert samples.truth.names == ("dog", "cat", "bee", "ant")
        assert_array_equal(samples.labels, kinds.codes)


def test_one_hot_columns_with_names_name_the_classes():
    samples = parsed(pd.get_dummies(pd.Series(NAMES)))
    assert_array_equal(samples.labels, LabelEncoder().fit_transform(NAMES))
    assert samples.truth.names == ("ant", "bee", "cat")
    assert samples.truth.n_columns == 3


@pytest.mark.parametrize("dtype", [int, float, bool, np.uint8])
def test_rows_of_zeros_and_ones_are_several_labels(dtype):
    for labels in (ROWS.astype(dtype), ROWS.astype(dtype).tolist(), pd.DataFrame(ROWS)):
        samples = parsed(labels)
        assert samples.labels is None
        assert samples.truth.kind == Target.LABELS
        assert samples.truth.values.dtype == bool
        assert_array_equal(samples.truth.values, ROWS)
    named = parsed(pd.DataFrame(ROWS, columns=["red", "big", "old"]))
    assert named.truth.names == ("red", "big", "old")
    assert parsed(scipy.sparse.csr_matrix(ROWS)).truth.kind == Target.LABELS


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS, NUMBERS[:, 0], NUMBERS[:, :1], NUMBERS.tolist(), pd.Series(NUMBERS[:, 0]),
        pd.DataFrame(NUMBERS), INDICES - 1, INDICES * 2**40, ROWS * 2, np.eye(3)[INDICES] * 0.9,
    ],
)  # fmt: skip
def test_what_is_no_class_is_numbers(labels):
    samples = parsed(labels)
    assert samples.labels is None
    assert samples.truth.kind == Target.NUMBER
    assert samples.truth.values.dtype == np.float32
    expected = np.asarray(labels, np.float32).reshape(5, -1)
    assert_array_equal(samples.truth.values, expected)
    with pytest.raises(
        DatasetError, match=r"numbers.* as labels; expected the class of each image"
    ):
        _ = samples.known_labels


def test_numbers_that_are_nearly_classes_say_which_is_not():
    assert "label -1 of sample 1 is not a class index" in parsed(INDICES - 1).truth.words


def test_the_same_labels_may_be_read_as_another_kind():
    def values(labels, kind):
        truth = parsed(labels).truth.read_as(kind)
        return None if truth is None else (truth.kind, truth.values.tolist())

    assert values(INDICES, Target.NUMBER) == (Target.NUMBER, [[2], [0], [1], [2], [1]])
    assert values(INDICES, Target.LABELS) is None
    assert values(BITS, Target.LABELS) == (Target.LABELS, (BITS[:, None] > 0).tolist())
    one_hot = np.eye(4)[INDICES]
    assert values(one_hot, Target.LABELS) == (Target.LABELS, (one_hot > 0).tolist())
    assert values(one_hot, Target.NUMBER) == (Target.NUMBER, one_hot.tolist())
    assert values(ROWS, Target.NUMBER) == (Target.NUMBER, ROWS.tolist())
    assert values(ROWS, Target.CLASS) is None
    assert values(NAMES, Target.NUMBER) is None
    assert values(NUMBERS, Target.CLASS) is None


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_the_fingerprint_sees_labels_of_every_kind(kind):
    labels = {"classes": INDICES, "labels": ROWS, "numbers": NUMBERS}[kind]
    assert parsed(labels).fingerprint == parsed(labels.tolist()).fingerprint
    assert parsed(labels).fingerprint != parsed(labels[::-1]).fingerprint
    assert parsed(labels).fingerprint != parsed(None).fingerprint


LISTS = [[0, 2], [], [0, 1, 2], [1], [0]]
WORDS = [["a", "c"], ["b"], ["a", "b", "c"], ["b"], ["a"]]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (3, "labels are 3; expected a class index, a name or a number for each sample"),
        (np.zeros((5, 0)), r"labels of shape \(5, 0\)"),
        (np.zeros((5, 4, 4)), r"labels of shape \(5, 4, 4\); .* without labels, pass None"),
        (np.zeros(5, complex), "labels of dtype complex128; expected a class index"),
        (np.zeros(5, "datetime64[s]"), "labels of dtype datetime64"),
        ([0, 1, float("nan"), 1, 0], "the label of sample 2 is nan; leave out samples without"),
        (np.where(NUMBERS > 8, np.inf, NUMBERS), r"the label of sample 4 is \[inf inf\]"),
        (["a", None, "b", "a", "b"], "the label of sample 1 is missing"),
        (pd.Series(["a", "b", pd.NA, "a", "b"], dtype="string"), "the label of sample 2 is miss"),
        (pd.Categorical(["a", "b", None, "a", "b"]), "the label of sample 2 is missing"),
        (pd.Series([1, 2, None, 1, 1], dtype="Int64"), "the label of sample 2 is nan; leave out"),
        (["a", "b", "", "a", "b"], "the label of sample 2 is empty"),
        ([b"a", b"\xff", b"a", b"a", b"b"], "the label of sample 1 is not UTF-8"),
        ([b"a", "b", "a", "a", "b"], "labels are objects of bytes, str; expected a class index"),
        (["a", 1, "b", 2.5, "a"], "labels are objects of float, int, str; exp"),
        (np.array([["a", "b"]] * 5), "labels are 2 texts for each sample; expected one"),
        (LISTS, "rows of different lengths"),
        (WORDS, "rows of different lengths"),
        ([{0}, {1}, {0, 1}, {2}, {0}], "rows of different lengths"),
        (np.array(LISTS, dtype=object), "rows of different lengths"),
    ],
)  # fmt: skip
def test_labels_whose_meaning_is_not_certain_are_refused(labels, words):
    with pytest.raises(DatasetError, match=words):
        parsed(labels)


def advice(message: str, start: str) -> str:
    """An expression of Python in a message, up to where its bracket closes."""
    text = message[message.index(start) :]
    depth = 0
    for end, char in enumerate(text, 1):
        depth += (char in "([") - (char in ")]")
        if depth == 0 and char == ")" and not text[end:].startswith("."):
            return text[:end]
    raise AssertionError(message)


@pytest.mark.parametrize(
    ("labels", "kind"), [(LISTS, "lists of indices "), (WORDS, "lists of names ")]
)
def test_the_advice_for_lists_makes_rows_of_zeros_and_ones(labels, kind):
    message = refusal(labels)
    expression = advice(message[message.index(kind) :], "np.array(")
    rows = eval(expression, {"np": np, "labels": labels})
    truth = parsed(rows).truth
    assert truth.kind == Target.LABELS
    all_of = sorted({item for row in labels for item in row})
    assert_array_equal(truth.values, [[item in row for item in all_of] for row in labels])


def test_numbers_as_text_are_taken_only_where_both_orders_agree():
    assert parsed(["1", "0", "2", "1", "0"]).labels.tolist() == [1, 0, 2, 1, 0]
    labels = ["10", "9", "2", "0", "1"]
    expression = advice(refusal(labels), "np.asarray(")
    assert parsed(eval(expression, {"np": np, "labels": labels})).labels.tolist() == [
        10,
        9,
        2,
        0,
        1,
    ]


def test_the_advice_for_labels_that_cannot_be_stored_is_to_leave_them_out():
    assert "without labels, pass None in Python" in refusal(np.zeros((5, 4, 4), int))
    assert parsed(None).truth is None
