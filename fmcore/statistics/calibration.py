"""Whether a model is right as often as it is confident."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.proportions import Proportion, proportion

N_BINS = 10
# Draws of right and wrong for the chance level of the calibration error, and their seed.
DRAWS, SEED = 200, 0
# Numbers that are drawn at most, about 0.2 s: of more samples than 100,000 there are fewer draws,
# but at least so many.
MOST_DRAWN, FEWEST_DRAWS = 20_000_000, 20
# The least probability that a logarithm is taken of: 0 would make the mean infinite.
LEAST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How often predictions of each confidence are right.

    A bin holds what is above its lower edge, and up to its upper edge.

    Attributes:
        edges: <float64>[bin + 1], from 0 to 1.
        n: samples in each bin, <int64>[bin].
        confidence: the mean confidence in each, <float64>[bin]; NaN where there is none.
        accuracy: the share that is right in each, with a 95 % interval, <float64>[bin].
        error: the expected calibration error: the distance of accuracy and confidence, its mean
            over the samples (Guo et al. 2017, "On calibration of modern neural networks", ICML).
        error_by_chance: what 95 % of the errors are below where each sample is right with just the
            probability that its confidence says.
        brier: the mean squared distance of all probabilities from the label, 0 to 2 (Brier 1950,
            "Verification of forecasts expressed in terms of probability").
        nll: the mean negative logarithm of the probability of the label; one below
            `LEAST_PROBABILITY` counts as that.
        n_left_out: samples whose probabilities are not finite, which count nowhere.
    """

    edges: NDArray[np.float64]
    n: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: Proportion
    error: float
    error_by_chance: float
    brier: float
    nll: float
    n_left_out: int


@dataclass(frozen=True, slots=True, eq=False)
class Probabilities:
    """What calibration needs of the probabilities of samples, one number a sample.

    Attributes:
        confidence: the probability of the prediction, <float64>[sample].
        brier: the squared distance from the label, <float64>[sample].
        nll: the negative logarithm of the probability of the label, <float64>[sample].
    """

    confidence: NDArray[np.float64]
    brier: NDArray[np.float64]
    nll: NDArray[np.float64]


def of_samples(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.int64],
    predictions: NDArray[np.int64],
) -> Probabilities:
    """The numbers of each sample; NaN where a probability is not finite.

    Args:
        probabilities: <float>[sample, class].
        labels: <int64>[sample].
        predictions: <int64>[sample].
    """
    wide, rows = probabilities.astype(np.float64), np.arange(len(labels))
    is_finite = np.isfinite(wide).all(axis=1)
    wide[~is_finite] = np.nan
    of_label, confidence = wide[rows, labels], wide[rows, predictions]
    nll = -np.log(np.clip(of_label, LEAST_PROBABILITY, 1.0))
    brier = np.square(wide).sum(axis=1) - 2 * of_label + 1
    return Probabilities(confidence, brier, nll)


def calibration(samples: Probabilities, is_right: NDArray[np.bool_]) -> Calibration:
    """How confidence and accuracy go together.

    Args:
        samples: as `of_samples` makes them.
        is_right: whether the prediction of each is its label, <bool>[sample].
    """
    is_finite = np.isfinite(samples.confidence)
    confidence, right = samples.confidence[is_finite], is_right[is_finite]
    edges = np.linspace(0, 1, N_BINS + 1)
    bins = np.searchsorted(edges[1:-1], confidence)
    n = np.bincount(bins, minlength=N_BINS)
    sums = np.bincount(bins, confidence, minlength=N_BINS).astype(np.float64)
    n_right = np.bincount(bins[right], minlength=N_BINS)
    return Calibration(
        edges=edges,
        n=n,
        confidence=sums / np.where(n > 0, n, np.nan),
        accuracy=proportion(n_right, n),
        error=_error(n_right, sums, len(bins)),
        error_by_chance=_error_by_chance(confidence, bins, sums),
        brier=_mean(samples.brier[is_finite]),
        nll=_mean(samples.nll[is_finite]),
        n_left_out=int((~is_finite).sum()),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _error(n_right: NDArray[np.int64], sums: NDArray[np.float64], n: int) -> float:
    """Σ n_bin / n · |accuracy − confidence| over bins, where n_bin goes out."""
    return float(np.abs(n_right - sums).sum() / n) if n else float("nan")


def _error_by_chance(
    confidence: NDArray[np.float64], bins: NDArray[np.intp], sums: NDArray[np.float64]
) -> float:
    n = len(confidence)
    if not n:
        return float("nan")
    rng = np.random.default_rng(SEED)
    errors = []
    for _ in range(min(DRAWS, max(FEWEST_DRAWS, MOST_DRAWN // n))):
        is_right = rng.random(n) < confidence
        errors.append(_error(np.bincount(bins[is_right], minlength=N_BINS), sums, n))
    return float(np.quantile(errors, 0.95))


def most_confident(
    confidence: NDArray[np.floating], is_wrong: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The wrong samples by confidence, the most confident first, <int64>[sample].

    Equal ones are in order of index; those whose confidence is not a number come last.

    Args:
        confidence: <float>[sample].
        is_wrong: <bool>[sample].
    """
    wrong = np.flatnonzero(is_wrong)
    keys = -confidence[wrong].astype(np.float64)
    return wrong[np.argsort(keys, kind="stable")]
