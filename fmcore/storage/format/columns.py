"""The columns of a store's samples: what is kept of each sample beside its maps.

To add one is to add an entry here: captures compute and store it, and schema, size estimate,
checkpoints, tables, exports and the HTTP API follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.records import SampleBatch
from fmcore.storage.format.lack import Lack


@dataclass(frozen=True, slots=True)
class SampleColumn:
    """One array with a row for each sample.

    Attributes:
        name: its name in the store.
        dtypes: numpy names of the types it may have; several only for images, which keep theirs.
        axes: the names of its axes, of which the first is `sample`.
        meaning: one sentence.
        rows: its rows for a batch, [sample, …].
        absent: when a store lacks it; empty if every store has it.
    """

    name: str
    dtypes: tuple[str, ...]
    axes: tuple[str, ...]
    meaning: str
    rows: Callable[[SampleBatch], NDArray[Any]]
    absent: str = ""


def most_probable(batch: SampleBatch) -> NDArray[np.int64]:
    """The class with the largest probability, the first of equal ones, <int64>[sample].

    Raises:
        ValueError: if the batch has no probabilities.
    """
    if batch.probability is None:
        raise ValueError("most_probable: expected probabilities, found None")
    return batch.probability.argmax(axis=1)


def label_flags(batch: SampleBatch) -> NDArray[np.uint8]:
    """Whether each sample has each label, 0 or 1, <uint8>[sample, target].

    Raises:
        ValueError: if the batch has no labels.
    """
    if batch.truth is None:
        raise ValueError("label_flags: expected labels, found None")
    return batch.truth.astype(np.uint8)


COLUMNS: dict[str, SampleColumn] = {
    column.name: column
    for column in (
        SampleColumn(
            "image",
            ("uint8", "float32"),
            ("sample", "image_y", "image_x", "image_channel"),
            "the image as a person recognizes it, before preprocessing",
            attrgetter("images"),
        ),
        SampleColumn(
            "label",
            ("int64",),
            ("sample",),
            "class index; the attribute `labels` of `/dataset` says who set it",
            attrgetter("labels"),
        ),
        SampleColumn(
            "prediction",
            ("int64",),
            ("sample",),
            "class index that the model predicts",
            most_probable,
            absent=Lack.PREDICTIONS,
        ),
        SampleColumn(
            "probability",
            ("float32",),
            ("sample", "class"),
            "probability that the model gives to each class",
            attrgetter("probability"),
            absent=Lack.PREDICTIONS,
        ),
        SampleColumn(
            "has_label",
            ("uint8",),
            ("sample", "target"),
            "1 for each label that the sample has, else 0",
            label_flags,
            absent=Lack.TRUE_LABELS,
        ),
        SampleColumn(
            "label_probability",
            ("float32",),
            ("sample", "target"),
            "probability that the model gives to each label by itself",
            attrgetter("output"),
            absent=Lack.LABELS,
        ),
        SampleColumn(
            "number",
            ("float32",),
            ("sample", "target"),
            "the numbers that are true of the sample",
            attrgetter("truth"),
            absent=Lack.TRUE_NUMBERS,
        ),
        SampleColumn(
            "predicted_number",
            ("float32",),
            ("sample", "target"),
            "the numbers that the model predicts",
            attrgetter("output"),
            absent=Lack.NUMBERS,
        ),
    )
}
# Columns with a number for each sample that are no class, which tables show as they are.
NUMBERS = tuple(
    column.name
    for column in COLUMNS.values()
    if column.axes == ("sample",) and column.name not in ("label", "prediction")
)
