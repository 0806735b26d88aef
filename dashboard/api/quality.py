"""The operation that says which classes are taken for which, and how good the model is for each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from dashboard.api.answers import Call, json_answer
from dashboard.server import headers as caching
from dashboard.stores.snapshot import Snapshot
from fmcore.records import Target
from fmcore.statistics import Calibration, ClassCounts, Proportion

# Pairs of classes that one answer lists.
MOST_PAIRS = 10_000


@dataclass(frozen=True, slots=True)
class Share:
    """A share with both ends of a 95 % interval; null where there is nothing to divide by."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ClassLine:
    """How good the model is for one class, or for one of several labels."""

    name: str
    n_label: int
    n_prediction: int
    n_right: int
    precision: Share
    recall: Share
    f1: Share


@dataclass(frozen=True, slots=True)
class Pair:
    """Samples of one label with another prediction, as indices of classes."""

    label: int
    prediction: int
    n: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of about one confidence: above `low`, up to `high`."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: Share


@dataclass(frozen=True, slots=True)
class CalibrationAbout:
    """Whether the model is right as often as it is confident."""

    error: float | None
    error_by_chance: float | None
    brier: float | None
    nll: float | None
    n_left_out: int
    bins: list[Bin]


@dataclass(frozen=True, slots=True)
class Errors:
    """What is wrong: of several labels only `classes`, without pairs and calibration."""

    accuracy: Share | None
    classes: list[ClassLine]
    n_pairs: int
    pairs: list[Pair]
    calibration: CalibrationAbout | None


def errors(call: Call) -> Response:
    """Scores of each class, the pairs that are confused, and calibration, `Errors`."""
    snapshot = call.snapshot()
    call.refuse_rest()
    headers = call.headers(snapshot, "errors")
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    answer = json_answer(_errors(snapshot))
    answer.headers.update(headers)
    return answer


def _errors(snapshot: Snapshot) -> Errors:
    counts = snapshot.class_counts()
    if snapshot.catalog.target == Target.LABELS:
        return Errors(None, _classes(snapshot.store.target_names, counts), 0, [], None)
    confusion = snapshot.confusion()
    pairs = confusion.pairs()
    return Errors(
        accuracy=_share(confusion.accuracy(), ()),
        classes=_classes(snapshot.catalog.class_names, counts),
        n_pairs=len(pairs),
        pairs=[Pair(*row) for row in pairs[:MOST_PAIRS].tolist()],
        calibration=_calibration(snapshot.calibration()),
    )


def _classes(names: tuple[str, ...], counts: ClassCounts) -> list[ClassLine]:
    scores = counts.scores()
    return [
        ClassLine(
            name,
            int(counts.n_label[at]),
            int(counts.n_prediction[at]),
            int(counts.n_right[at]),
            *(_share(score, (at,)) for score in (scores.precision, scores.recall, scores.f1)),
        )
        for at, name in enumerate(names)
    ]


def _calibration(calibration: Calibration) -> CalibrationAbout:
    bins = [
        Bin(
            float(calibration.edges[at]),
            float(calibration.edges[at + 1]),
            int(n),
            _number(calibration.confidence, (at,)),
            _share(calibration.accuracy, (at,)),
        )
        for at, n in enumerate(calibration.n)
    ]
    return CalibrationAbout(
        error=_finite(calibration.error),
        error_by_chance=_finite(calibration.error_by_chance),
        brier=_finite(calibration.brier),
        nll=_finite(calibration.nll),
        n_left_out=calibration.n_left_out,
        bins=bins,
    )


def _share(score: Proportion, place: tuple[int, ...]) -> Share:
    return Share(*(_number(values, place) for values in (score.value, score.low, score.high)))


def _number(values: NDArray[np.float64], place: tuple[int, ...]) -> float | None:
    return _finite(float(values[place]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
