"""Which classes are taken for which: counts of labels and predictions, and what follows of them.

Only cells that are not empty are kept, so that memory grows with the samples and not with the
square of the classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.proportions import Proportion, f1_proportion, proportion


@dataclass(frozen=True, slots=True, eq=False)
class ClassScores:
    """How good a model is for each class; NaN where there is nothing to divide by.

    Attributes:
        precision: the share of the samples predicted as the class that have it as label.
        recall: the share of the samples with the label that are predicted as it.
        f1: the harmonic mean of both.
    """

    precision: Proportion
    recall: Proportion
    f1: Proportion


@dataclass(frozen=True, slots=True, eq=False)
class ClassCounts:
    """What the scores of classes are made of; of several labels a sample may count for many.

    Attributes:
        n_right: samples that have the class as label and as prediction, <int64>[class].
        n_label: samples that have it as label, <int64>[class].
        n_prediction: samples that have it as prediction, <int64>[class].
    """

    n_right: NDArray[np.int64]
    n_label: NDArray[np.int64]
    n_prediction: NDArray[np.int64]

    @property
    def n_errors(self) -> NDArray[np.int64]:
        """The errors that a class is part of, as label or as prediction, <int64>[class]."""
        return self.n_label + self.n_prediction - 2 * self.n_right

    def scores(self) -> ClassScores:
        """Precision, recall and F1 of each class, as scikit-learn has them, with 95 % intervals."""
        return ClassScores(
            precision=proportion(self.n_right, self.n_prediction),
            recall=proportion(self.n_right, self.n_label),
            f1=f1_proportion(self.n_right, self.n_label, self.n_prediction),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """How many samples of each label have each prediction.

    Attributes:
        label: the label of each cell that is not empty, <int64>[cell], ascending.
        prediction: its prediction, <int64>[cell], ascending within a label.
        n: its samples, <int64>[cell].
        classes: what the scores of each class are made of.
    """

    label: NDArray[np.int64]
    prediction: NDArray[np.int64]
    n: NDArray[np.int64]
    classes: ClassCounts

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes.n_label)

    @property
    def n_samples(self) -> int:
        """How many samples there are."""
        return int(self.classes.n_label.sum())

    @property
    def n_right(self) -> int:
        """How many of them are predicted as their label."""
        return int(self.classes.n_right.sum())

    @property
    def n_wrong(self) -> int:
        """How many of them are predicted as another class than their label."""
        return self.n_samples - self.n_right

    def accuracy(self) -> Proportion:
        """The share of all samples that are right, <float64>[]."""
        return proportion(self.classes.n_right.sum(), self.classes.n_label.sum())

    def scores(self) -> ClassScores:
        """Precision, recall and F1 of each class, <float64>[class]."""
        return self.classes.scores()

    def matrix(self, classes: NDArray[np.integer] | None = None) -> NDArray[np.int64]:
        """The counts as a table, <int64>[label, prediction].

        Args:
            classes: the classes of its rows and columns in their order; None for all by index,
                which of 10,000 classes takes 800 MB.
        """
        picks = np.arange(self.n_classes) if classes is None else np.asarray(classes)
        places = np.full(self.n_classes, -1)
        places[picks] = np.arange(len(picks))
        rows, columns = places[self.label], places[self.prediction]
        is_inside = (rows >= 0) & (columns >= 0)
        table = np.zeros((len(picks), len(picks)), np.int64)
        table[rows[is_inside], columns[is_inside]] = self.n[is_inside]
        return table

    def count(self, label: int, prediction: int) -> int:
        """How many samples of a label have a prediction."""
        return int(self.n[(self.label == label) & (self.prediction == prediction)].sum())

    def pairs(self) -> NDArray[np.int64]:
        """The errors as rows of label, prediction and count, <int64>[pair, 3].

        The most frequent first; equal ones by label, then by prediction.
        """
        is_error = self.label != self.prediction
        rows = np.stack([self.label, self.prediction, self.n], axis=1)[is_error]
        return rows[np.argsort(-rows[:, 2], kind="stable")]

    def worst(self, most: int) -> NDArray[np.int64]:
        """The classes that are part of the most errors, <int64>[class]; equal ones by index."""
        return np.argsort(-self.classes.n_errors, kind="stable")[:most]


def confusion(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], *, n_classes: int
) -> Confusion:
    """Counts the labels and predictions of samples.

    Args:
        labels: <int64>[sample], each from 0 to below `n_classes`.
        predictions: <int64>[sample], the same.
        n_classes: how many classes there are.
    """
    cells, n = np.unique(labels * n_classes + predictions, return_counts=True)
    return Confusion(
        label=cells // n_classes,
        prediction=cells % n_classes,
        n=n.astype(np.int64),
        classes=ClassCounts(
            n_right=np.bincount(labels[labels == predictions], minlength=n_classes),
            n_label=np.bincount(labels, minlength=n_classes),
            n_prediction=np.bincount(predictions, minlength=n_classes),
        ),
    )


def label_counts(truth: NDArray[np.bool_], is_answer: NDArray[np.bool_]) -> ClassCounts:
    """The counts of each of several labels.

    Args:
        truth: whether a sample has a label, <bool>[sample, label].
        is_answer: whether the model gives it, <bool>[sample, label].
    """
    return ClassCounts(
        n_right=(truth & is_answer).sum(axis=0),
        n_label=truth.sum(axis=0),
        n_prediction=is_answer.sum(axis=0),
    )


def confused_order(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """An order in which classes that are confused stand side by side, <int64>[class].

    It begins with the pair that is confused most, either way. Each class is followed by the one
    that is confused most with it of those that are left; where there is none, by the next pair.
    Classes without any confusion come last; equal ones are in order of index.

    Args:
        matrix: <int64>[label, prediction].
    """
    either = matrix + matrix.T
    np.fill_diagonal(either, 0)
    order: list[int] = []
    left: NDArray[np.bool_] = np.any(either, axis=1)
    while left.any():
        follows = either[order[-1]] * left if order else np.zeros(len(left), np.int64)
        if follows.any():
            order.append(int(follows.argmax()))
        else:
            among = either * left
            strength = np.where(left, among.max(axis=1), -1)
            order.append(int(strength.argmax()))
        left[order[-1]] = False
    rest = np.setdiff1d(np.arange(len(matrix)), order)
    return np.concatenate([np.array(order, np.int64), rest])
