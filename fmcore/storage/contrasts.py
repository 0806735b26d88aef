"""Two groups of samples of a store, and what its pooled tables say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fmcore.errors import SelectionError
from fmcore.selection import Group, Mask, match_names, near_matches
from fmcore.statistics import BY, Contrast, Pair, Ranks, contrast_groups
from fmcore.statistics.contrast.record import TABLES
from fmcore.storage.layer import Layer

# A group of samples: an expression, flags of all samples, or indices of some.
Samples = str | Group | ArrayLike
# Values of a pooled table that are in memory at once.
READ_VALUES = 1 << 23


def as_mask(samples: Samples, n_samples: int, group: Callable[[str | Group], Mask]) -> Mask:
    """Which samples belong to a group, <bool>[sample].

    Args:
        samples: an expression, flags of all samples, or indices of some.
        n_samples: the number of samples of the store.
        group: gives the mask of an expression.

    Raises:
        SelectionError: if these are no samples of the store.
    """
    if isinstance(samples, str | Group):
        return group(samples)
    values = np.asarray(samples)
    if values.dtype == np.bool_ and values.shape == (n_samples,):
        return values
    if values.size == 0 or (values.ndim == 1 and np.issubdtype(values.dtype, np.integer)):
        if values.size and not (values.min() >= 0 and values.max() < n_samples):
            raise SelectionError(
                f"a group of indices from {values.min()} to {values.max()}; expected 0 to "
                f"{n_samples - 1}",
                field="group",
            )
        mask = np.zeros(n_samples, np.bool_)
        mask[values.astype(np.int64)] = True
        return mask
    raise SelectionError(
        f"a group of {values.dtype} and shape {values.shape}; expected an expression, "
        f"<bool>[{n_samples}], or whole numbers in one dimension",
        field="group",
    )


def check_by(by: str) -> str:
    """Returns what a map is pooled to, if there is such a table.

    Raises:
        SelectionError: if there is none.
    """
    if by not in BY:
        raise SelectionError(
            f"contrasts are by {', '.join(BY)}; found {by!r}{near_matches(by, BY)}", field="by"
        )
    return by


def layer_ranks(layer: Layer, by: str) -> Ranks:
    """The ranks of all samples for each filter of a layer.

    Raises:
        StatisticNotFoundError: if the store has no such table.
    """
    table = layer.pooled(TABLES[by])
    return Ranks.join([Ranks.of(table[:, columns]) for columns in _columns(table.shape)])


def _columns(shape: Sequence[int]) -> Iterator[slice]:
    n_samples, n_filters = shape
    step = max(1, READ_VALUES // max(1, n_samples))
    for start in range(0, n_filters, step):
        yield slice(start, min(start + step, n_filters))


def contrast(
    layers: Mapping[str, Layer], a: Mask, b: Mask | None, *, by: str, pattern: str = ""
) -> Contrast:
    """How each filter tells two groups apart.

    Raises:
        SelectionError: if a group is empty, or there is no such layer or table.
        StatisticNotFoundError: if the store has no such table.
    """
    pair = Pair.of(a, b)
    paths = match_names(list(layers), pattern or "*", what="layer")
    check_by(by)
    return contrast_groups(((path, layer_ranks(layers[path], by)) for path in paths), pair, by=by)
