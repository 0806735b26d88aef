"""The first place where two arrays differ, with both values; pure, and within stated tolerances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.records import Policy

# The largest number that rounds to a finite float16 is just below this.
FLOAT16_OVERFLOW = 65520.0
FLOAT16_SECOND_LARGEST = 65472.0  # from the largest, the step is to infinity
MAP_AXES = ("y", "x", "filter")


class Subject(StrEnum):
    """What is compared, in the order in which differences are reported: each follows from those."""

    PIXELS = "pixels"
    ORDER = "order of samples"
    LABELS = "labels"
    DATA = "data set"
    MODEL = "model"
    OUTPUT = "output"
    QUALITY = "quality"
    MAPS = "maps"


SUBJECTS = tuple(Subject)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where a store is not what it should be.

    Attributes:
        subject: what differs.
        place: where, such as `sample 3, y 5, x 7, channel 0`.
        expected: what model and data say.
        stored: what the store says.
    """

    subject: Subject
    place: str
    expected: str
    stored: str

    def __str__(self) -> str:
        place = f", {self.place}" if self.place else ""
        return f"{self.subject}{place}: expected {self.expected}, found {self.stored}"


def first_unequal(
    subject: Subject,
    expected: NDArray[Any],
    stored: NDArray[Any],
    samples: NDArray[np.int64],
    axes: Sequence[str] = (),
) -> Difference | None:
    """The first place where two arrays are not the same, NaN as NaN.

    Args:
        subject: what the arrays are.
        expected: [sample, …].
        stored: [sample, …], of the same shape.
        samples: the index in the store of each row.
        axes: the names of the axes after the first.
    """
    unequal = ~((expected == stored) | ((expected != expected) & (stored != stored)))
    return _first(subject, "", unequal, expected, stored, samples, axes)


def first_distant(
    subject: Subject,
    expected: NDArray[np.float32],
    stored: NDArray[np.float32],
    samples: NDArray[np.int64],
    *,
    slack: NDArray[np.float64],
    axes: Sequence[str],
    what: str = "",
) -> Difference | None:
    """The first place where a stored number is farther from the expected one than it may be.

    Infinities and NaN must be the same.

    Args:
        subject: what the arrays are.
        expected: <float32>[sample, …].
        stored: <float32>[sample, …].
        samples: the index in the store of each row.
        slack: <float64>[sample, …], how far each stored number may be; see `tolerance`.
        axes: the names of the axes after the first.
        what: the name of the array, which precedes the place.
    """
    distant = ~is_close(expected, stored, slack)
    return _first(subject, what, distant, expected, stored, samples, axes)


def tolerance(
    values: NDArray[np.float32],
    resolution: float,
    *,
    largest: NDArray[np.float64] | float | None = None,
) -> NDArray[np.float64]:
    """How far equal results may lie apart, <float64> as `values`.

    `resolution · (|a| + max|a|)`: a sum in another order is off by a share of its largest terms.

    Args:
        values: the results, such as the activations of one layer.
        resolution: how far results may lie apart, relative to the largest.
        largest: max|a|, where it is that of more than `values`; broadcast to their shape.
    """
    sizes = np.abs(np.where(np.isfinite(values), values, 0)).astype(np.float64)
    return resolution * (sizes + (sizes.max(initial=0.0) if largest is None else largest))


def with_rounding(
    slack: NDArray[np.float64], values: NDArray[np.float32], policy: str
) -> NDArray[np.float64]:
    """The tolerance of values in the type that the store keeps: float16 adds half of its step."""
    if policy != Policy.FLOAT16:
        return slack
    sizes = np.minimum(np.abs(np.nan_to_num(values)) + slack, FLOAT16_SECOND_LARGEST)
    return slack + np.spacing(sizes.astype(np.float16)).astype(np.float64) / 2


def is_close(
    expected: NDArray[np.float32], stored: NDArray[np.float32], slack: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which stored numbers are near enough; infinities and NaN must be the same."""
    with np.errstate(invalid="ignore"):
        near = np.abs(stored.astype(np.float64) - expected) <= slack
    return near | (expected == stored) | (np.isnan(expected) & np.isnan(stored))


def largest_deviation(expected: NDArray[np.float32], stored: NDArray[np.float32]) -> float:
    """The largest distance of two finite values, relative to the largest expected one."""
    finite = np.isfinite(expected) & np.isfinite(stored)
    size = float(np.abs(np.where(finite, expected, 0)).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        distance = np.abs(np.where(finite, stored - expected, 0)).max(initial=0.0)
    return float(distance) / size if size else float(distance)


def first_map_difference(
    layer: str,
    policy: str,
    expected: NDArray[np.float32],
    stored: NDArray[np.float32],
    samples: NDArray[np.int64],
    *,
    resolution: float,
) -> Difference | None:
    """The first activation of a layer that is not what Keras computes.

    Args:
        layer: the layer's path.
        policy: how the store keeps its maps; a value too large for float16 is infinite.
        expected: <float32>[sample, y, x, filter].
        stored: <float32>[sample, y, x, filter].
        samples: <int64>[sample], the index in the store of each row.
        resolution: how far results may lie apart, relative to the largest.
    """
    slack = with_rounding(tolerance(expected, resolution), expected, policy)
    if policy == Policy.FLOAT16:
        overflow = np.isinf(stored) & (np.abs(expected) + slack >= FLOAT16_OVERFLOW)
        expected = np.where(overflow & (np.sign(stored) == np.sign(expected)), stored, expected)
    return first_distant(
        Subject.MAPS, expected, stored, samples, slack=slack, axes=MAP_AXES, what=f"layer {layer}"
    )


def first_pooled_difference(
    layer: str,
    expected: NDArray[np.float32],
    stored: Mapping[str, NDArray[Any]],
    samples: NDArray[np.int64],
    *,
    resolution: float,
) -> Difference | None:
    """The first value of a layer's pooled tables that is not that of the maps of Keras.

    Args:
        layer: the layer's path.
        expected: <float32>[sample, y, x, filter], the maps.
        stored: [sample, filter], the tables of the store by name.
        samples: <int64>[sample], the index in the store of each row.
        resolution: how far results may lie apart, relative to the largest.
    """
    finite = np.isfinite(expected)
    n_pixels = expected.shape[1] * expected.shape[2]
    slack = tolerance(expected, resolution)
    near = slack.max(axis=(1, 2))
    count = finite.sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        total = np.where(finite, expected, 0).sum(axis=(1, 2), dtype=np.float64)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    largest = np.where(finite, expected, -np.inf).max(axis=(1, 2))
    largest = np.where(count > 0, largest, np.nan).astype(np.float32)
    rows, filters = np.ogrid[: len(expected), : expected.shape[3]]
    # The largest value may be in two pixels, so the stored place is judged by the value there.
    at_place = expected[rows, stored["max_y"], stored["max_x"], filters]
    # A lone sum at the threshold of a ReLU may be zero or not quite.
    almost_zero = ((np.abs(expected) <= slack) & (expected != 0)).sum(axis=(1, 2))
    zeros = np.maximum(almost_zero, 1) / n_pixels
    tables = {
        "mean": (mean, stored["mean"], near),
        "max": (largest, stored["max"], near),
        "value at max_y, max_x": (largest, np.where(count > 0, at_place, np.nan), near),
        "zero_fraction": (
            (expected == 0).mean(axis=(1, 2)).astype(np.float32),
            stored["zero_fraction"],
            zeros + resolution,
        ),
    }
    for name, (values, table, room) in tables.items():
        difference = first_distant(
            Subject.MAPS,
            values,
            np.asarray(table, np.float32),
            samples,
            slack=room,
            axes=("filter",),
            what=f"pooled {name} of layer {layer}",
        )
        if difference is not None:
            return difference
    return None


def first_answer_difference(
    expected: NDArray[np.float32],
    stored: NDArray[np.float32],
    samples: NDArray[np.int64],
    *,
    slack: NDArray[np.float64],
    axis: str,
) -> Difference | None:
    """The first probability or number that does not follow from the model's output.

    Args:
        expected: <float32>[sample, n], from the model's output.
        stored: <float32>[sample, n].
        samples: <int64>[sample], the index in the store of each row.
        slack: <float64>[sample, n], how far each stored number may be from the expected one.
        axis: what the columns are: `class`, `label` or `number`.
    """
    if expected.shape != stored.shape:
        expected_size, stored_size = (values.shape[1] for values in (expected, stored))
        return Difference(
            Subject.OUTPUT, f"size of the axis {axis}", str(expected_size), str(stored_size)
        )
    what = "" if axis == "number" else "probability"
    return first_distant(
        Subject.OUTPUT, expected, stored, samples, slack=slack, axes=(axis,), what=what
    )


def first_prediction_difference(
    expected: NDArray[np.float32],
    prediction: NDArray[np.int64],
    samples: NDArray[np.int64],
    *,
    slack: NDArray[np.float64],
) -> Difference | None:
    """The first prediction that is not the most probable class.

    Args:
        expected: <float32>[sample, class], probabilities from the model's output.
        prediction: <int64>[sample] of the store.
        samples: <int64>[sample], the index in the store of each row.
        slack: <float64>[sample, class], how far a probability may be from the expected one.
    """
    # Where two classes are as probable as rounding can tell, either is right.
    at_prediction = np.take_along_axis(expected, prediction[:, np.newaxis], axis=1)[:, 0]
    room = 2 * slack.max(axis=1)
    wrong = ~(at_prediction >= expected.max(axis=1) - room) & np.isfinite(at_prediction)
    return _first(
        Subject.OUTPUT, "prediction", wrong, expected.argmax(axis=1), prediction, samples, ()
    )


def _first(
    subject: Subject,
    what: str,
    differs: NDArray[np.bool_],
    expected: NDArray[Any],
    stored: NDArray[Any],
    samples: NDArray[np.int64],
    axes: Sequence[str],
) -> Difference | None:
    if not differs.any():
        return None
    index = np.unravel_index(int(differs.argmax()), differs.shape)
    names = ("sample", *axes)
    numbers = (int(samples[index[0]]), *(int(number) for number in index[1:]))
    place = ", ".join(f"{name} {number}" for name, number in zip(names, numbers, strict=True))
    return Difference(
        subject,
        f"{what}, {place}" if what else place,
        number_text(expected[index]),
        number_text(stored[index]),
    )


def number_text(value: Any) -> str:
    """A number for a message; floats with the digits that tell two float32 apart."""
    number = value.item() if isinstance(value, np.generic) else value
    return f"{number:.9g}" if isinstance(number, float) else str(number)
