"""What expressions ask of the samples of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.selection.lists import SampleName

Mask = NDArray[np.bool_]
ClassColumn = Literal["label", "prediction"]
# What of a filter's map is compared: the largest value, the mean, or the share of exact zeros.
POOLINGS = ("max", "mean", "zeros")


class SampleFacts(Protocol):
    """Facts of the samples of a store; one that it lacks is a `SelectionError` that says why.

    Attributes:
        n_samples: how many there are.
        class_names: the names that `label`, `prediction` and `probability` are compared with.
    """

    n_samples: int
    class_names: Sequence[str]

    def bears(self, column: ClassColumn, classes: Sequence[int]) -> Mask:
        """Whether the label, or the prediction, of each sample is one of some classes.

        Of a model of several labels: whether the sample bears one of them, or is predicted to.

        Returns:
            <bool>[sample].
        """

    def correct(self) -> Mask:
        """Whether the prediction of each sample is its label, <bool>[sample]."""

    def confidence(self) -> NDArray[np.floating]:
        """The probability of the class that is predicted, <float>[sample]."""

    def probability(self, class_index: int) -> NDArray[np.floating]:
        """The probability of a class, <float>[sample]."""

    def pooled(self, layer: str, filter_index: int, pooling: str) -> NDArray[np.floating]:
        """One of `POOLINGS` of a filter's maps, <float>[sample]."""

    def indices(self, names: Sequence[SampleName]) -> NDArray[np.int64]:
        """The samples that a list names, in its order, <int64>[name]."""
