"""Labels in the forms that people have, as what they are: classes, several labels, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import DatasetError
from fmcore.records import Target, Truth

MOST_CLASSES = 100_000
FORMS = (
    "a class index, a name or a number for each sample; or rows [sample, n] of 0 and 1, or of "
    "numbers"
)
WITHOUT = "without labels, pass None in Python, and leave y_test out of a file"
# How rows of 0 and 1 are made of lists of indices, and of lists of names.
OF_INDICES = (
    "np.array([[index in row for index in range(1 + max(map(max, filter(len, labels))))] "
    "for row in labels])"
)
OF_NAMES = (
    "np.array([[name in row for name in sorted(set().union(*map(set, labels)))] for row in labels])"
)


def truth_of(labels: object, *, where: str, names: Sequence[str] = ()) -> Truth:
    """Parses labels.

    Args:
        labels: integers, floats, booleans, text or bytes, as [sample], [sample, 1], or rows
            [sample, n]; also series, categories and data frames of pandas, and sparse rows.
        where: the file or argument that the labels came from, for messages.
        names: the name of each class, where the labels come with them.

    Raises:
        DatasetError: if it is not certain what the labels mean, naming the first that is wrong.
    """
    categories = _categories(labels, where)
    if categories is not None:
        return categories
    columns = _column_names(labels)
    values = _array(labels, where)
    if values.dtype.kind in "US":
        return _of_text(values, where)
    if values.dtype.kind not in "buif":
        raise DatasetError(f"{where}: labels of dtype {values.dtype}; expected {FORMS}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
        raise DatasetError(
            f"{where}: the label of sample {row} is {values[row]}; leave out samples without a "
            f"label, or all labels: {WITHOUT}"
        )
    if values.ndim == 1:
        return _of_values(values, tuple(names))
    return _of_rows(values, columns or tuple(names))


def _array(labels: Any, where: str) -> NDArray[Any]:
    """Labels as an array [sample] or [sample, n] of numbers or text."""
    if hasattr(labels, "toarray"):  # a sparse matrix, such as scikit-learn makes
        labels = labels.toarray()
    try:
        values = np.asarray(labels)
    except ValueError as error:  # NumPy says "inhomogeneous"
        raise _ragged(where) from error
    if values.ndim == 0:
        raise DatasetError(f"{where}: labels are {labels!r}; expected {FORMS}; {WITHOUT}")
    is_mixed = values.dtype.kind in "US" and not isinstance(labels, np.ndarray)
    if values.dtype.kind == "T" or is_mixed:  # NumPy makes text of what is next to text
        values = np.array(labels, dtype=object)
    if values.dtype.kind == "O":
        values = _of_objects(values, where)
    if values.ndim > 2 and sum(size > 1 for size in values.shape[1:]) <= 1:
        values = values.reshape(len(values), -1)
    if values.ndim > 2 or 0 in values.shape[1:]:
        raise DatasetError(
            f"{where}: labels of shape {values.shape}; expected {FORMS}; such labels are not "
            f"stored: {WITHOUT}"
        )
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    return values


def _ragged(where: str) -> DatasetError:
    return DatasetError(
        f"{where}: labels are rows of different lengths; expected rows [sample, n] of 0 and 1: of "
        f"lists of indices {OF_INDICES}, of lists of names {OF_NAMES}"
    )


def _of_objects(values: NDArray[Any], where: str) -> NDArray[Any]:
    """An array of Python objects as text or numbers."""
    items = list(values.flat)
    if all(isinstance(item, list | tuple | np.ndarray) for item in items):
        try:
            return _array([list(item) for item in items], where)  # a series of rows
        except ValueError as error:
            raise _ragged(where) from error
    if any(isinstance(item, list | tuple | set | frozenset | np.ndarray) for item in items):
        raise _ragged(where)
    missing = [_is_missing(item) for item in items]
    if any(missing):
        row = missing.index(True) // max(1, len(items) // len(values))
        raise DatasetError(
            f"{where}: the label of sample {row} is missing; leave out samples without a label, or "
            f"all labels: {WITHOUT}"
        )
    if all(isinstance(item, str) for item in items) or all(
        isinstance(item, bytes) for item in items
    ):
        return np.array(items).reshape(values.shape)
    if all(isinstance(item, bool | int | float | np.number | np.bool_) for item in items):
        numbers: NDArray[Any] = np.array(items).reshape(values.shape)
        if numbers.dtype.kind in "buif":
            return numbers
    types = sorted({type(item).__name__ for item in items})
    raise DatasetError(f"{where}: labels are objects of {', '.join(types)}; expected {FORMS}")


def _is_missing(item: Any) -> bool:
    """Whether an object is how Python, NumPy or pandas write that there is nothing."""
    is_nan = isinstance(item, float | np.floating) and bool(np.isnan(item))
    return item is None or is_nan or type(item).__name__ in ("NAType", "NaTType")


def _of_text(values: NDArray[Any], where: str) -> Truth:
    """Names of classes, in the order of their characters, as Keras and scikit-learn have them."""
    if values.ndim != 1:
        raise DatasetError(
            f"{where}: labels are {values.shape[1]} texts for each sample; expected one; several "
            f"labels of a sample are rows of 0 and 1: {OF_NAMES}"
        )
    texts = [_text(item, row, where) for row, item in enumerate(values)]
    names = sorted(set(texts))
    if all(name.isdecimal() for name in names) and names != sorted(names, key=int):
        raise DatasetError(
            f"{where}: labels are numbers written as text, such as {names[1]!r}, whose order as "
            "text is not that of the numbers; pass class indices: np.asarray(labels).astype(int)"
        )
    order = {name: index for index, name in enumerate(names)}
    indices = np.array([order[text] for text in texts], np.int64)
    words = "names of classes, in their sorted order"
    return Truth(Target.CLASS, indices, tuple(names), words, by_name=True)


def _text(item: Any, row: int, where: str) -> str:
    try:
        text = item.decode("utf-8") if isinstance(item, bytes) else str(item)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{where}: the label of sample {row} is not UTF-8: {error}") from error
    if not text.strip():
        raise DatasetError(
            f"{where}: the label of sample {row} is empty; leave out samples without a label"
        )
    return text


def _of_values(values: NDArray[Any], names: tuple[str, ...]) -> Truth:
    """One number for each sample: class indices, unless it cannot be."""
    is_whole = values.dtype.kind != "f" or (values == np.floor(values)).all()
    outside = (values < 0) | (values >= MOST_CLASSES)
    if not is_whole or outside.any():
        words = "numbers"
        if is_whole:
            row = int(np.argmax(outside))
            words = f"numbers, since label {values[row]} of sample {row} is not a class index"
        return Truth(Target.NUMBER, values.astype(np.float32)[:, np.newaxis], words=words)
    words = {"b": "false and true", "f": "whole numbers"}.get(values.dtype.kind, "class indices")
    return Truth(Target.CLASS, values.astype(np.int64), names, words)


def _of_rows(values: NDArray[Any], names: tuple[str, ...]) -> Truth:
    """Several numbers for each sample: one-hot rows, rows of 0 and 1, or numbers."""
    n_columns = values.shape[1]
    if not ((values == 0) | (values == 1)).all():
        return Truth(
            Target.NUMBER, values.astype(np.float32), names, f"{n_columns} numbers", n_columns
        )
    if (values.sum(axis=1) == 1).all():
        indices = values.argmax(axis=1).astype(np.int64)
        return Truth(Target.CLASS, indices, names, f"one-hot rows of {n_columns}", n_columns)
    return Truth(
        Target.LABELS, values.astype(np.bool_), names, f"rows of {n_columns} zeros and ones",
        n_columns,
    )  # fmt: skip


def _categories(labels: Any, where: str) -> Truth | None:
    """Categories of pandas that are text; None for anything else."""
    values = getattr(labels, "cat", labels)  # of a series
    if not hasattr(values, "codes") or not hasattr(values, "categories"):
        return None
    names = list(values.categories)
    if not all(isinstance(name, str) for name in names):
        return None
    indices = np.asarray(values.codes).astype(np.int64)
    if (indices < 0).any():
        row = int(np.argmax(indices < 0))
        raise DatasetError(
            f"{where}: the label of sample {row} is missing; leave out samples without a label"
        )
    words = "names of classes, in the order of their categories"
    return Truth(Target.CLASS, indices, tuple(names), words, by_name=True)


def _column_names(labels: Any) -> tuple[str, ...]:
    """The names of a data frame's columns, if they are text."""
    names = list(getattr(labels, "columns", ()))
    return tuple(names) if all(isinstance(name, str) for name in names) else ()
