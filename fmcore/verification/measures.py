"""How right a model is, by Keras and by what a store holds, summed over blocks of samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.records import LABEL_FROM, Target
from fmcore.storage import Store
from fmcore.verification.differences import Difference, Subject

EXACT = 1e-9  # how far sums of float64 in another order may lie apart


@dataclass(frozen=True, slots=True)
class Total:
    """A measure over some samples, as a sum.

    Attributes:
        keras: by what Keras measures.
        stored: by the answers and labels of the store.
        room: how far these may lie apart, because rounding decides.
    """

    keras: float = 0.0
    stored: float = 0.0
    room: float = 0.0

    def __add__(self, other: Total) -> Total:
        return Total(self.keras + other.keras, self.stored + other.stored, self.room + other.room)

    @property
    def agrees(self) -> bool:
        """Whether both are the same; what is not finite must be the same too."""
        if not (np.isfinite(self.keras) and np.isfinite(self.stored)):
            return np.array_equal(self.keras, self.stored, equal_nan=True)
        return abs(self.keras - self.stored) <= self.room + EXACT * max(1.0, abs(self.stored))


def measures(
    target: Target,
    evaluated: float,
    expected: NDArray[np.float32],
    stored: NDArray[np.float32],
    truth: NDArray[np.generic],
    slack: NDArray[np.float64],
) -> dict[str, Total]:
    """The measures of some samples by their names, each as a sum over the samples.

    Args:
        target: the kind of answer.
        evaluated: what Keras' `evaluate` measures: the share of right classes or labels, or the
            mean absolute error.
        expected: <float32>[sample, n], the answers by Keras' `predict`.
        stored: <float32>[sample, n], the answers in the store.
        truth: <int64>[sample], <bool>[sample, n] or <float32>[sample, n], in the store.
        slack: <float64>[sample, n], how far answers may lie apart.
    """
    n_samples, n_columns = expected.shape
    if target == Target.CLASS:
        largest = np.sort(expected, axis=1)[:, -2:]
        ties = largest[:, -1] - largest[:, 0] <= 2 * slack.max(axis=1)
        n_right = int((stored.argmax(axis=1) == truth).sum())
        return {"accuracy": Total(round(evaluated * n_samples), n_right, int(ties.sum()))}
    if target == Target.LABELS:
        ties = np.abs(expected - LABEL_FROM) <= slack
        is_right = (stored >= LABEL_FROM) == truth
        n_exact = int(((expected >= LABEL_FROM) == truth).all(axis=1).sum())
        n_right = round(evaluated * expected.size)
        return {
            "labels right": Total(
                n_right / n_columns, int(is_right.sum()) / n_columns, int(ties.sum()) / n_columns
            ),
            "exact match": Total(
                n_exact, int(is_right.all(axis=1).sum()), int(ties.any(axis=1).sum())
            ),
        }
    errors = np.abs(stored.astype(np.float64) - truth.astype(np.float64))
    # Keras subtracts and averages in float32.
    room = (slack + 4 * np.finfo(np.float32).eps * (errors + np.abs(stored))).mean(axis=1).sum()
    mean = float(errors.mean(axis=1).sum())
    return {"mean absolute error": Total(evaluated * n_samples, mean, float(room))}


def recorded_difference(store: Store) -> Difference | None:
    """The first measure that a store records which does not follow from its answers and labels."""
    about, truth, answers = store.about()["model"], store.truth, store.answers
    pairs: list[tuple[str, float, float]] = []
    if store.has_outcomes:
        accuracy = float((store.predictions == store.labels).mean())
        pairs.append(("accuracy", accuracy, float(about["test_accuracy"])))
    quality = store.target_quality()
    if truth is not None and answers is not None and quality is not None:
        if store.target == Target.LABELS:
            rows = (answers >= LABEL_FROM) == truth
            exact = float(rows.all(axis=1).mean())
            pairs.append(("exact match", exact, float(about["exact_match"])))
            what = "share of right answers"
        else:
            rows = np.abs(answers.astype(np.float64) - truth)
            what = "mean absolute error"
        pairs += [
            (f"{what} of {name!r}", float(expected), float(stored))
            for name, expected, stored in zip(
                store.target_names, rows.mean(axis=0), quality, strict=True
            )
        ]
    for name, expected, stored in pairs:
        if not Total(expected, stored).agrees:
            return Difference(
                Subject.QUALITY, f"recorded {name}", f"{expected:.6g}", f"{stored:.6g}"
            )
    return None
