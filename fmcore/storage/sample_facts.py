"""The samples of one store, as expressions of groups ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import FmcoreError, SelectionError
from fmcore.records import LABEL_FROM, Target
from fmcore.selection import ClassColumn, Mask, SampleName, near_matches
from fmcore.storage.handle import StoreFile
from fmcore.storage.layer import Layer

T = TypeVar("T")
# The pooled tables that hold what a group may ask of a filter's map.
TABLES = {"max": "max", "mean": "mean", "zeros": "zero_fraction"}
# Rows of probabilities at a time: of 1,000 classes, 16 MB.
_ROWS_AT_ONCE = 4096
# Ids that a wrong one is compared with, for near matches.
_COMPARED_IDS = 10_000


class StoredSamples(Protocol):
    """What is asked of a store; `Store` is one."""

    path: Path
    n_samples: int
    class_names: tuple[str, ...]
    has_predictions: bool
    target: Target

    @property
    def file(self) -> StoreFile:
        """The open file."""

    @property
    def ids(self) -> list[str]:
        """A name for each sample."""

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The captured layers."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index, <int64>[sample]."""

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The model's class index, <int64>[sample]."""

    @property
    def has_outcomes(self) -> bool:
        """Whether each prediction is correct or wrong."""

    @property
    def why_no_outcomes(self) -> str:
        """Why none is."""

    @property
    def class_columns(self) -> tuple[str, ...]:
        """The class columns that it has."""

    @property
    def target_names(self) -> tuple[str, ...]:
        """The name of each of several labels."""


class StoreFacts:
    """The samples of one store, for `Group.mask`; each fact is read once, when it is asked for."""

    def __init__(self, store: StoredSamples) -> None:
        self._store = store
        self._facts: dict[tuple[object, ...], Any] = {}
        self.n_samples = store.n_samples
        self._has_several = store.target == Target.LABELS
        self.class_names: Sequence[str] = (
            store.target_names if self._has_several else store.class_names
        )

    def bears(self, column: ClassColumn, classes: Sequence[int]) -> Mask:
        """Whether the label, or the prediction, of each sample is one of some classes.

        A model of several labels is taken to predict those of a probability of `LABEL_FROM` or
        more, as the capture counts which of them are right.

        Returns:
            <bool>[sample].

        Raises:
            SelectionError: if the store has no such column.
        """
        store = self._store
        if self._has_several:
            name = "has_label" if column == "label" else "label_probability"
            if not store.file.has(name):
                raise self._refusal(column, "the labels of its samples are not known")
            flags = self._once((name,), lambda: self._read_flags(name))
            mask = np.zeros(self.n_samples, np.bool_)
            for label in dict.fromkeys(classes):
                mask |= (flags[:, label // 8] >> (label % 8) & 1).astype(np.bool_)
            return mask
        if column not in store.class_columns:
            raise self._refusal(column, store.why_no_outcomes)
        values = store.labels if column == "label" else store.predictions
        is_of_class: Mask = np.isin(values, list(classes))
        return is_of_class

    def correct(self) -> Mask:
        """Whether the prediction of each sample is its label, <bool>[sample].

        Raises:
            SelectionError: if no prediction is correct or wrong.
        """
        store = self._store
        if not store.has_outcomes:
            raise self._refusal("correct and wrong", store.why_no_outcomes)
        return store.labels == store.predictions

    def confidence(self) -> NDArray[np.floating]:
        """The probability of the class that is predicted, <float32>[sample].

        Raises:
            SelectionError: if the store has no probabilities of classes.
        """
        self._require_probabilities("confidence")
        return self._once(("confidence",), self._read_confidence)

    def probability(self, class_index: int) -> NDArray[np.floating]:
        """The probability of a class, or of one of several labels, <float32>[sample].

        Raises:
            SelectionError: if the store has none.
        """
        name = "label_probability" if self._has_several else "probability"
        if not (self._has_several and self._store.file.has(name)):
            self._require_probabilities("probability")
        return self._once((name, class_index), lambda: self._column(name, class_index))

    def pooled(self, layer: str, filter_index: int, pooling: str) -> NDArray[np.floating]:
        """One of `TABLES` of a filter's maps, <float32>[sample].

        Raises:
            SelectionError: if the store has no such layer, filter or table.
        """

        def read() -> NDArray[np.floating]:
            try:
                stored = self._store.layers[layer]
                table = stored.pooled(TABLES[pooling])
            except FmcoreError as error:
                raise SelectionError(f"filter: {error}", field="group") from error
            if filter_index >= stored.n_filters:
                raise SelectionError(
                    f"filter: {layer} has no filter {filter_index}; expected 0 to "
                    f"{stored.n_filters - 1}",
                    field="group",
                )
            return np.asarray(table[:, filter_index])

        return self._once((layer, filter_index, pooling), read)

    def indices(self, names: Sequence[SampleName]) -> NDArray[np.int64]:
        """The samples that a list names, in its order, <int64>[name].

        Raises:
            SelectionError: if there is no such sample, or index and id are of two.
        """
        return np.array([self._row(name) for name in names], dtype=np.int64)

    def _row(self, name: SampleName) -> int:
        """The sample that a row of a list names."""
        where = self._store.path.name
        if name.index is not None and name.index >= self.n_samples:
            raise SelectionError(
                f"no sample '{name.index}' in {where}; it holds 0 to {self.n_samples - 1}",
                field="group",
            )
        if name.id is None:
            return int(name.index or 0)
        ids, places = self._once(("ids",), self._read_places)
        if name.index is not None:
            if ids[name.index] == name.id:
                return name.index
            raise SelectionError(
                f"a row has sample {name.index} and id {name.id!r}, but in {where} that sample has "
                f"id {ids[name.index]!r}: the list is of another store; leave one column out",
                field="group",
            )
        place = places.get(name.id)
        if place is None:
            hint = f"; an index is written {name.id}" if name.id.isdecimal() else ""
            near = near_matches(name.id, list(places)[:_COMPARED_IDS])
            raise SelectionError(
                f"no sample {name.id!r} in {where}: none has that id; it holds 0 to "
                f"{self.n_samples - 1}{near}{hint}",
                field="group",
            )
        if place < 0:
            raise SelectionError(
                f"several samples of {where} have the id {name.id!r}; name them by index",
                field="group",
            )
        return place

    def _read_places(self) -> tuple[list[str], dict[str, int]]:
        """The ids, and the sample of each; below zero for one that several samples have."""
        ids, places = self._store.ids, {}
        for index, name in enumerate(ids):
            places[name] = -1 if name in places else index
        return ids, places

    def _once(self, key: tuple[object, ...], read: Callable[[], T]) -> T:
        if key not in self._facts:
            self._facts[key] = read()
        fact: T = self._facts[key]
        return fact

    def _column(self, name: str, at: int) -> NDArray[Any]:
        """One column of a table of the samples; only its chunks are in memory meanwhile."""
        return np.asarray(self._store.file.array(name)[:, at])

    def _read_flags(self, name: str) -> NDArray[np.uint8]:
        """Which labels each sample bears, or is predicted to; a bit each, [sample, label // 8]."""
        table = self._store.file.array(name)
        least = 1 if name == "has_label" else LABEL_FROM
        parts = [
            np.packbits(np.asarray(table[part]) >= least, axis=1, bitorder="little")
            for part in self._row_parts()
        ]
        return np.concatenate(parts)

    def _row_parts(self) -> Iterator[slice]:
        for first in range(0, self.n_samples, _ROWS_AT_ONCE):
            yield slice(first, min(first + _ROWS_AT_ONCE, self.n_samples))

    def _read_confidence(self) -> NDArray[np.float32]:
        table = self._store.file.array("probability")
        predictions = self._store.predictions
        values = np.empty(self.n_samples, np.float32)
        for part in self._row_parts():
            columns = predictions[part][:, np.newaxis]
            values[part] = np.take_along_axis(np.asarray(table[part]), columns, axis=1)[:, 0]
        return values

    def _require_probabilities(self, what: str) -> None:
        if not self._store.has_predictions:
            raise self._refusal(what, self._store.why_no_outcomes)

    def _refusal(self, what: str, reason: str) -> SelectionError:
        return SelectionError(
            f"{what} cannot choose samples of {self._store.path.name}: {reason}; choose them by "
            f"{self._ways}",
            field="group",
        )

    @property
    def _ways(self) -> str:
        """What does choose samples of this store."""
        store = self._store
        if self._has_several:
            labels = ["label"] if store.file.has("has_label") else []
            answers = ["prediction", "probability"] if store.file.has("label_probability") else []
            ways = [*labels, *answers]
        else:
            ways = [*store.class_columns, *(["confidence"] if store.has_predictions else [])]
        return f"{', '.join([*ways, 'filter', 'index'])} or id"
