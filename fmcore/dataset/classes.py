"""Which classes the labels of a test set name, and how the classes are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import DatasetError


def check_labels(
    labels: NDArray[np.int64], n_classes: int, *, where: str, of: str = "the model's"
) -> None:
    """Refuses labels that name none of the classes.

    Args:
        labels: <int64>[sample].
        n_classes: how many classes there are.
        where: the file or argument the labels came from, for the message.
        of: whose classes they are.

    Raises:
        DatasetError: naming the first such label and its sample.
    """
    outside = labels >= n_classes
    if outside.any():
        row = int(np.argmax(outside))
        raise DatasetError(
            f"{where}: label {labels[row]} of sample {row} is outside {of} {n_classes} "
            f"classes (0-{n_classes - 1})"
        )


def class_names_for(names: Sequence[str], n_classes: int) -> tuple[str, ...]:
    """One name for each class; numbers where fewer are known.

    Raises:
        DatasetError: if there are more names than classes.
    """
    if len(names) > n_classes:
        raise DatasetError(f"{len(names)} class names for a model with {n_classes} classes")
    return tuple(names) + tuple(str(index) for index in range(len(names), n_classes))
