"""What the registry says of statistics holds for all of them, and for numbers."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
from scipy import stats

from fmcore.records import Target
from fmcore.statistics import (
    CLASS_FILTER,
    POOLINGS,
    STATISTICS,
    score_families,
    unpooled_statistics,
)

FILTER = ("filter",)


def test_every_score_is_in_a_list_of_families_and_has_a_short_name_of_its_own():
    of_class, of_filter = score_families(CLASS_FILTER), score_families(FILTER)
    names = {f"{family}_{pooling}" for family in of_class | of_filter for pooling in POOLINGS}
    every = STATISTICS.values()
    scores = {one.name for one in every if one.pooling and one.axes in (CLASS_FILTER, FILTER)}
    assert names == scores
    captions = [one.caption for one in (*of_class.values(), *of_filter.values())]
    captions += [one.caption for one in unpooled_statistics(FILTER).values()]
    assert len(set(captions)) == len(captions)
    assert max(map(len, captions)) <= 6


def test_what_needs_no_short_name_goes_by_its_title():
    assert STATISTICS["std"].caption == "Standard deviation"
    assert STATISTICS["mi_max"].caption == "MI"


def test_what_explains_an_undefined_value_looks_at_statistics_that_are_there():
    for one in STATISTICS.values():
        for reason in one.undefined_where:
            assert set(reason.needs) <= STATISTICS.keys()


def test_what_counts_only_where_it_is_large_has_no_band_below_it_and_says_so(store):
    layer = store.layers["block/conv 1"]
    for one in STATISTICS.values():
        if not one.chance or one.target != Target.CLASS:
            continue
        (low, high), values = layer.chance(one.name), layer.statistic(one.name)
        known = ~np.isnan(values)
        assert (low[known] <= high[known]).all()
        assert ("only a large one" in one.chance) != one.two_sided
        if not one.two_sided:
            assert one.axes == FILTER
            assert (values >= low)[known].all()


def test_a_statistic_that_tables_leave_out_ranks_filters_as_the_one_they_show(store):
    layer = store.layers["block/conv 1"]
    for one in STATISTICS.values():
        if one.same_order_as:
            shown = STATISTICS[f"{one.same_order_as}_{one.pooling}"]
            values, shown_values = map(layer.statistic, (one.name, shown.name))
            finite = np.isfinite(values)
            assert finite.sum() > 1
            assert_array_equal(*map(stats.rankdata, (values[finite], shown_values[finite])))
