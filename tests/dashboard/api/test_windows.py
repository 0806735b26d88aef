"""Maps made smaller for a screen keep what is seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dashboard.api.windows import shrink

shapes = st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 200))


@given(shapes, st.integers(1, 4))
def test_a_shrunk_map_keeps_what_is_farthest_from_zero_in_each_block(shape, step):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    small = shrink(values, step)
    assert small.shape[:2] == (-(-shape[0] // step), -(-shape[1] // step))
    assert_array_equal(abs(small).max(axis=(0, 1)), abs(values).max(axis=(0, 1)))
    block = values[:step, :step, 0]
    assert small[0, 0, 0] == block.flat[abs(block).argmax()]
