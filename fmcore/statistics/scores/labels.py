"""The samples of a test set by their class, as scores need them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelGroups:
    """Which samples bear which label. Sums over classes run over those that have samples.

    Attributes:
        labels: <int64>[sample], each in `range(n_classes)`.
        n_classes: classes of the model, also those without samples.
    """

    labels: NDArray[np.int64]
    n_classes: int

    @property
    def n_samples(self) -> int:
        """Samples in all."""
        return len(self.labels)

    @cached_property
    def every_size(self) -> NDArray[np.int64]:
        """Samples of each class, <int64>[class]."""
        return np.bincount(self.labels, minlength=self.n_classes)

    @cached_property
    def present(self) -> NDArray[np.intp]:
        """The classes that have samples, ascending, <intp>[present]."""
        return np.flatnonzero(self.every_size)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Their samples, <int64>[present]."""
        return self.every_size[self.present]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each of them begins, where samples lie class after class, <int64>[present]."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Samples class after class, by index, <intp>[sample]."""
        return np.argsort(self.labels, kind="stable")

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """For samples class after class, the place of their class in `present`, <int64>[sample]."""
        return np.repeat(np.arange(len(self.present)), self.sizes)

    @cached_property
    def so_far(self) -> NDArray[np.int64]:
        """For samples class after class, 1, 2, 3 … in each, <int64>[sample]."""
        return np.arange(1, self.n_samples + 1) - np.repeat(self.starts, self.sizes)

    def sums(self, ordered: NDArray[Any]) -> NDArray[Any]:
        """Sums over each class that is present, of [..., sample] in `order`: [..., present]."""
        dtype = np.int64 if ordered.dtype.kind in "iu" else None
        return np.add.reduceat(ordered, self.starts, axis=-1, dtype=dtype)

    def scatter(self, of_present: NDArray[Any], *, axis: int, nothing: float) -> NDArray[Any]:
        """An array with an axis of the classes that are present, as one of all classes.

        Args:
            of_present: <any>[..., present, ...].
            axis: which one that is.
            nothing: what classes without samples have.
        """
        shape = list(of_present.shape)
        shape[axis] = self.n_classes
        every = np.full(shape, nothing, of_present.dtype)
        np.moveaxis(every, axis, 0)[self.present] = np.moveaxis(of_present, axis, 0)
        return every
