"""Values of groups of samples, from classes and from maps, against numpy on the whole arrays."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.factories import count
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.statistics import Bins, MapValues, bins_between, classes_of, union_map


def random_maps(seed: int) -> np.ndarray:
    """Maps on any scale, with zeros and values that are not finite, <float32>[s, y, x, filter]."""
    rng = np.random.default_rng(seed)
    shape = (rng.integers(2, 30), *rng.integers(1, 6, size=2), rng.integers(1, 7))
    maps = (rng.normal(size=shape) * 10.0 ** rng.integers(-9, 9)).astype(np.float32)
    if rng.random() < 0.5:
        maps = np.maximum(maps, 0)
    if rng.random() < 0.4:
        maps[rng.random(shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    return maps


def finite_bounds(maps: np.ndarray) -> np.ndarray:
    finite = maps[np.isfinite(maps)]
    return bins_between(float(finite.min()), float(finite.max()))


@pytest.mark.share
@pytest.mark.parametrize("seed", range(count(12, 200)))
def test_any_parts_of_the_maps_together_have_the_counts_and_the_mean_of_all(seed):
    maps, rng = random_maps(seed), np.random.default_rng(seed)
    bounds = finite_bounds(maps)
    values = MapValues.empty(maps.shape[1:], bounds.shape[1])
    for part in np.split(maps, np.sort(rng.integers(0, len(maps) + 1, size=3))):
        values = values.plus(part, bounds)
    assert values.n_maps == len(maps)
    for place in range(maps.shape[3]):
        own = maps[..., place]
        inside = own[np.isfinite(own)]
        # Each value lies in one bin: below the next bin's first value, and not below its own.
        expected = [np.count_nonzero((inside >= low) & (inside <= high)) for low, high in bounds.T]
        tiny = len(inside) - np.sum(expected)
        assert tiny == 0 or np.abs(inside[inside != 0]).min() < np.abs(bounds[bounds != 0]).min()
        if not tiny:
            assert_array_equal(values.counts[place], expected)
        assert values.counts[place].sum() == len(inside)
        with np.errstate(invalid="ignore"):
            mean = own.astype(np.float64).mean(axis=0)
        assert_allclose(values.mean_map(place), mean, rtol=1e-9, atol=1e-12 * np.abs(inside).max())


def test_what_lies_beyond_the_bins_counts_in_the_nearest_of_its_sign():
    bounds = Bins(0, (126, 127), (126, 127)).bounds  # ±[0.5, 1), and zero
    maps = np.array([-7, -0.5, -1e-9, -0.0, 0, 1e-9, 0.7, 9, np.nan], "f4").reshape(-1, 1, 1, 1)
    assert MapValues.empty((1, 1, 1), 3).plus(maps, bounds).counts.tolist() == [[3, 2, 3]]
    assert MapValues.empty((1, 1, 1), 3).mean_map(0) is None


@pytest.mark.share
@pytest.mark.parametrize("seed", range(count(8, 100)))
def test_a_group_is_a_union_of_classes_where_it_has_each_whole_or_not_at_all(seed):
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(1, 8))
    labels = rng.integers(0, n_classes, size=60)
    members = rng.random(n_classes) < 0.5
    mask = members[labels]
    present = np.isin(np.arange(n_classes), labels)
    assert_array_equal(classes_of(mask, labels, n_classes), np.flatnonzero(members & present))
    sizes = np.bincount(labels, minlength=n_classes)
    if (sizes > 1).any():
        at = int(np.flatnonzero(sizes[labels] > 1)[0])
        mask[at] = not mask[at]
        assert classes_of(mask, labels, n_classes) is None


def test_the_mean_map_of_classes_together_is_that_of_their_samples():
    maps, rng = random_maps(3)[..., 0].clip(-1e9, 1e9), np.random.default_rng(0)
    maps = np.nan_to_num(maps)
    labels = rng.integers(0, 3, size=len(maps))
    of_classes = [labels == index for index in range(4)]  # of the last there are none
    means = np.stack(
        [
            maps[own].mean(axis=0, dtype="f8") if own.any() else np.full(maps.shape[1:], np.nan)
            for own in of_classes
        ]
    )
    sizes = np.array([own.sum() for own in of_classes])
    assert_allclose(union_map(means, sizes), maps.mean(axis=0, dtype="f8"), rtol=1e-12)
    assert union_map(means[3:], sizes[3:]) is None
