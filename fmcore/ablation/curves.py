"""In which order filters may go: by what they cost, by the usual signs, at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import RANDOM_ORDER
from fmcore.storage import Layer

# Samples that a curve is measured with: there are hundreds of variants.
CURVE_SAMPLES = 1000
RANDOM_ORDERS = 20
MOST_STEPS = 16


def curve_samples(n_samples: int) -> int:
    """With how many of the samples that are answered a curve is measured."""
    return min(n_samples, CURVE_SAMPLES)


def curve_steps(n_filters: int) -> NDArray[np.int64]:
    """How many filters are gone at each point of a curve, <int64>[step], from 0 to all."""
    return np.unique(np.linspace(0, n_filters, min(n_filters, MOST_STEPS) + 1).round().astype(int))


def removals(
    ranks: NDArray[np.int32], steps: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """The sets of filters that go together, each of them once.

    Args:
        ranks: <int32>[order, filter], the filters in each order.
        steps: <int64>[step], how many of them are gone.

    Returns:
        <bool>[variant, filter], which are gone, and <int64>[order, step], the variant.
    """
    n_orders, n_filters = ranks.shape
    gone = np.zeros((n_orders, len(steps), n_filters), np.bool_)
    for place, rank in enumerate(ranks):
        for at, step in enumerate(steps):
            gone[place, at, rank[:step]] = True
    variants, of_variant = np.unique(gone.reshape(-1, n_filters), axis=0, return_inverse=True)
    return variants, of_variant.reshape(n_orders, len(steps))


def curve_orders(
    by_cost: NDArray[np.int64], signs: Mapping[str, NDArray[np.float64]], *, seed: int
) -> dict[str, NDArray[np.int64]]:
    """Filters in the order in which they go, <int64>[filter], by the name of the order.

    Args:
        by_cost: <int64>[filter], the least costly filter first.
        signs: signs that a filter is of use, <float64>[filter], by name.
        seed: of the random orders.
    """
    rng = np.random.default_rng(seed)
    orders = {"cost": by_cost}
    orders |= {name: np.argsort(sign, kind="stable") for name, sign in signs.items()}
    randoms = {
        f"{RANDOM_ORDER} {index}": rng.permutation(len(by_cost)) for index in range(RANDOM_ORDERS)
    }
    return orders | randoms


def joint_signs(layers: Sequence[Layer]) -> dict[str, NDArray[np.float64]]:
    """Signs of the filters of several layers, layer by layer, <float64>[filter], by name.

    Norms of kernels of different sizes do not compare, so each is divided by the mean of its layer.
    A sign that any layer lacks is left out.
    """
    signs = [layer_signs(layer) for layer in layers]
    for own in signs:
        norms = own.get("l1", np.zeros(0))
        if (finite := norms[np.isfinite(norms)]).any():
            own["l1"] = norms / finite.mean()
    names = [name for name in SIGNS if all(name in own for own in signs)]
    return {name: np.concatenate([own[name] for own in signs]) for name in names}


def layer_signs(layer: Layer) -> dict[str, NDArray[np.float64]]:
    """What is taken as a sign that a filter is of use, <float64>[filter]: the least goes first.

    A sign that the store cannot give, as where it holds no kernel, is left out.

    `apoz` is the share of activations above or below zero (Hu 2016), `l1` the norm of the kernel
    (Li 2017), `auc` how far the best class lies beyond its chance band, `mi` mutual information
    with the class, `duplicate` how little a filter is like another one.
    """
    signs: dict[str, NDArray[np.float64]] = {}
    for name, sign in SIGNS.items():
        try:
            values = sign(layer)
        except StatisticNotFoundError:
            continue
        # What is not defined says nothing for a filter, as of a dead one.
        signs[name] = np.nan_to_num(values, nan=-np.inf)
    return signs


def _activity(layer: Layer) -> NDArray[np.float64]:
    zeros, n = layer.statistic("zero_fraction"), layer.statistic("n_values")
    return np.asarray(1 - (np.nan_to_num(zeros) * n).sum(axis=0) / np.maximum(n.sum(axis=0), 1))


def _l1(layer: Layer) -> NDArray[np.float64]:
    return np.asarray(layer.statistic("l1_norm"), np.float64)


def _beyond_chance(layer: Layer) -> NDArray[np.float64]:
    auc, band = layer.statistic("auc_mean"), layer.chance("auc_mean")
    assert band is not None  # noqa: S101 (every AUC has one)
    with np.errstate(invalid="ignore"):
        margins = np.fmax(auc - band[1], band[0] - auc)
    return np.asarray(np.fmax.reduce(margins, axis=0))


def _mutual_information(layer: Layer) -> NDArray[np.float64]:
    return np.asarray(layer.statistic("mi_mean"), np.float64)


def _unlikeness(layer: Layer) -> NDArray[np.float64]:
    others, r = layer.duplicates()
    similar = [max((abs(pair[1]) for pair in layer.similar(index)), default=np.nan)
               for index in range(layer.n_filters)]  # fmt: skip
    return np.where(others >= 0, -r.astype(np.float64), 1 - np.array(similar))


SIGNS: dict[str, Callable[[Layer], NDArray[np.float64]]] = {
    "apoz": _activity,
    "l1": _l1,
    "auc": _beyond_chance,
    "mi": _mutual_information,
    "duplicate": _unlikeness,
}
