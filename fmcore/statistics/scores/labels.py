"""The samples of a test set grouped by label, as scores need them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelGroups:
    """The samples of each class. Sums over classes run over the classes that have samples.

    Attributes:
        labels: <int64>[sample], each in `range(n_classes)`.
        n_classes: the number of classes of the model, including those without samples.
    """

    labels: NDArray[np.int64]
    n_classes: int

    @property
    def n_samples(self) -> int:
        """The number of samples."""
        return len(self.labels)

    @cached_property
    def all_sizes(self) -> NDArray[np.int64]:
        """The number of samples of each class, <int64>[class]."""
        return np.bincount(self.labels, minlength=self.n_classes)

    @cached_property
    def present(self) -> NDArray[np.intp]:
        """The classes that have samples, ascending, <intp>[present]."""
        return np.flatnonzero(self.all_sizes)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """The number of samples of each class that has any, <int64>[present]."""
        return self.all_sizes[self.present]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first position of each class in `order`, <int64>[present]."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """The indices of the samples class after class, ascending in each, <intp>[sample]."""
        return np.argsort(self.labels, kind="stable")

    @cached_property
    def class_index(self) -> NDArray[np.int64]:
        """The class of each sample in `order`, as an index into `present`, <int64>[sample]."""
        return np.repeat(np.arange(len(self.present)), self.sizes)

    @cached_property
    def running_count(self) -> NDArray[np.int64]:
        """The number of each sample in `order` within its class, from 1, <int64>[sample]."""
        return np.arange(1, self.n_samples + 1) - np.repeat(self.starts, self.sizes)

    def sums(self, ordered: NDArray[Any]) -> NDArray[Any]:
        """Sums over each class that has samples, <int64 or float>[..., present].

        Args:
            ordered: <number>[..., sample], samples in `order`.
        """
        dtype = np.int64 if ordered.dtype.kind in "iu" else None
        return np.add.reduceat(ordered, self.starts, axis=-1, dtype=dtype)

    def scatter(self, values: NDArray[Any], *, axis: int, fill: float) -> NDArray[Any]:
        """Expands an axis of the classes that have samples to all classes.

        Args:
            values: <any>[..., present, ...].
            axis: the axis to expand.
            fill: the value for classes without samples.
        """
        shape = list(values.shape)
        shape[axis] = self.n_classes
        expanded = np.full(shape, fill, values.dtype)
        np.moveaxis(expanded, axis, 0)[self.present] = np.moveaxis(values, axis, 0)
        return expanded
