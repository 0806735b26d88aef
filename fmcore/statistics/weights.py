"""Norms of the weights that make each filter, which say nothing of what it responds to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The weights of a layer's filters, without biases, in parts that fit in memory.

    Attributes:
        n_filters: how many filters there are.
        parts: gives the parts, each <float32>[…, filter], of all filters.
    """

    n_filters: int
    parts: Callable[[], Iterable[NDArray[np.float32]]]


def l1_norms(weights: Weights) -> NDArray[np.float64]:
    """The sum of the absolute weights of each filter, <float64>[filter]."""
    sums = np.zeros(weights.n_filters)
    for part in weights.parts():
        sums += np.abs(part).reshape(-1, weights.n_filters).sum(axis=0, dtype=np.float64)
    return sums


def l2_norms(weights: Weights) -> NDArray[np.float64]:
    """The square root of the sum of the squared weights of each filter, <float64>[filter]."""
    sums = np.zeros(weights.n_filters)
    for part in weights.parts():
        flat = part.reshape(-1, weights.n_filters)
        sums += np.einsum("wf,wf->f", flat, flat, dtype=np.float64)
    return np.sqrt(sums)
