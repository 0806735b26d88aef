"""The tables of a store whose rows are its samples: what a map of samples can be drawn of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from fmcore.errors import SelectionError
from fmcore.records import Target
from fmcore.selection import near_matches
from fmcore.statistics import POOLINGS, Center, RowTable, SampleSpace, Scale, center_of
from fmcore.storage.chunks.stored_array import StoredArray
from fmcore.storage.store import Store

# A table up to this size is read once, and in memory while it is worked on: 100,000 samples of 600
# columns. Inflating it a second and a third time took most of the time.
TABLE_BYTES = 256 << 20
# The arrays of what a model gives, one of which a store has.
_OUTPUTS = ("probability", "label_probability", "predicted_number")


class TableOf(StrEnum):
    """Where the numbers of samples come from: the filters of a layer, or the model's output."""

    LAYER = "layer"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class SampleTable:
    """One table of a store, `[sample, column]`; `sample_table` checks it.

    Attributes:
        of: where the numbers come from.
        layer: the path of the layer; empty for the output.
        by: which pooled table, `mean` or `max`; empty for the output.
        scale: what columns are divided by.
        n_columns: the number of columns: filters, classes, labels or numbers.
        what: the table in words, such as `mean activation of 32 filters of conv2`.
    """

    of: TableOf
    layer: str
    by: str
    scale: Scale
    n_columns: int
    what: str

    @property
    def key(self) -> tuple[str, ...]:
        """What tells the table from the others of its store."""
        return (self.of, self.layer, self.by, self.scale)

    @property
    def words(self) -> str:
        """The table in words, with what is done to its columns."""
        scaled = ", each divided by its standard deviation" if self.scale == Scale.STD else ""
        return f"{self.what}{scaled}"


def sample_table(
    store: Store, *, of: str = "", layer: str = "", by: str = "", scale: str = ""
) -> SampleTable:
    """One table of a store.

    Args:
        store: an open store.
        of: `layer` for the pooled activations of a layer's filters, which is the default, or
            `output` for what the model gives: probabilities, or numbers.
        layer: the path of the layer; by default the last one that was captured.
        by: `mean` (default) or `max` over the pixels of a map.
        scale: `none` (default), or `std` to divide each column by its standard deviation.

    Raises:
        LayerNotFoundError: if there is no such layer.
        SelectionError: if a value is none of these, or the store has no such table.
    """
    kind = TableOf(_one_of(of or TableOf.LAYER, "of", list(TableOf)))
    scaled = Scale(_one_of(scale or Scale.NONE, "scale", list(Scale)))
    if kind == TableOf.LAYER:
        pooling = _one_of(by or POOLINGS[0], "by", POOLINGS)
        stored = store.layers[layer or list(store.layers)[-1]]
        n = stored.n_filters
        what = f"{pooling} activation of {_count(n, 'filter')} of {stored.path}"
        return SampleTable(kind, stored.path, pooling, scaled, n, what)
    for name, value in (("layer", layer), ("by", by)):
        if value:
            raise SelectionError(
                f"{name} has no effect on the output of the model; leave it out", field=name
            )
    n = _output(store).shape[1]
    words = {
        Target.LABELS: f"probability of {_count(n, 'label')}",
        Target.NUMBER: _count(n, "predicted number"),
    }
    what = words.get(store.target, f"probability of {_count(n, 'class', 'classes')}")
    return SampleTable(kind, "", "", scaled, n, what)


def sample_space(
    store: Store, table: SampleTable, center: Center | None = None, *, is_kept: bool = True
) -> SampleSpace:
    """The samples of a store as points.

    Args:
        store: an open store.
        table: one of its tables.
        center: of this table, if it is known.
        is_kept: whether a table of up to `TABLE_BYTES` is in memory as long as the answer is; not
            worth it where the center is known and the points are gone through once.

    Raises:
        StatisticNotFoundError: if the store has no such pooled table.
        StoreError: if the table is damaged.
    """
    if table.of == TableOf.LAYER:
        array = store.layers[table.layer].pooled(table.by)
    else:
        array = _output(store)
    n, n_columns = array.shape
    rows = RowTable(n, n_columns, array.__getitem__)
    if (is_kept or center is None) and array.nbytes <= TABLE_BYTES:
        rows = RowTable.of(np.asarray(array[...]))
    return SampleSpace(rows, center or center_of(rows, table.scale))


def _output(store: Store) -> StoredArray:
    name = next((name for name in _OUTPUTS if store.file.has(name)), None)
    if name is None:
        raise SelectionError(
            f"{store.path.name} keeps no output of the model: "
            f"{store.about()['model']['output']}; choose a layer",
            field="of",
        )
    return store.file.array(name)


def _one_of(value: str, field: str, choices: list[TableOf] | list[Scale] | tuple[str, ...]) -> str:
    if value not in choices:
        raise SelectionError(
            f"no {field} {value!r}; expected {' or '.join(choices)}"
            f"{near_matches(value, list(choices))}",
            field=field,
        )
    return value


def _count(n: int, noun: str, nouns: str = "") -> str:
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"
