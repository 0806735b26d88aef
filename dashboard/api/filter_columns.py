"""Columns of filters as typed arrays in one body, which a script of a page takes apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.api import columns as typed
from dashboard.stores.all_filters import FilterColumn

# What the bytes mean; a browser that kept an answer of another server must not read it as this.
VERSION = "1"
LAYOUT = (
    f"{typed.LAYOUT}The object has `n`, the number of filters, and `columns`, a list. A column has "
    "`name`, `header`, `tip` and the `dtype` of its array: `<f8`, NaN for no value, or `<i4`. If "
    "whole numbers are places in a list of texts, -1 for none, it has these as `texts`. If it has "
    "a chance level, it has `two_sided`, and two more arrays: `|u1`, 1 where a value is within "
    "chance, and `<f8`, first all lower bounds of the level, then all upper ones. Columns "
    "that are `hidden` belong to another: `cost_low`, `cost_high` and `cost_q` to `cost`, which is "
    "there where `fmcore ablate` has measured it."
)


def as_bytes(columns: Sequence[FilterColumn], about: Mapping[str, Any] | None = None) -> bytes:
    """Columns as `LAYOUT` says.

    Args:
        columns: at least one.
        about: more facts for the object before the arrays.
    """
    head = {"n": len(columns[0].values), "columns": list(map(_about, columns)), **(about or {})}
    return typed.columns_bytes(head, (array for column in columns for array in _arrays(column)))


def _about(column: FilterColumn) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": column.name,
        "header": column.header,
        "tip": column.tip,
        "dtype": typed.dtype_text(column.values),
    }
    if column.texts:
        about["texts"] = column.texts
    if column.is_hidden:
        about["hidden"] = True
    if column.within is not None:
        about["two_sided"] = column.is_two_sided
    return about


def _arrays(column: FilterColumn) -> list[NDArray[Any]]:
    """The arrays of a column, in the order of the answer."""
    arrays: list[NDArray[Any]] = [column.values]
    if column.within is not None and column.bounds is not None:
        arrays += [column.within.astype(np.uint8), column.bounds.astype(np.float64)]
    return arrays
