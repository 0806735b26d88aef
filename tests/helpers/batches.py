"""Batches of activations that the laws of the accumulators are tried on."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

N_CLASSES = 4


@st.composite
def batches(draw, *, finite: bool = True):
    """Maps, labels and cut points; zeros, negative values, offsets of 1e6, absent classes."""
    n = draw(st.integers(1, 12))
    shape = (n, *(draw(st.integers(1, 4)) for _ in range(3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["relu", "signed", "offset", "constant"]))
    values = rng.normal(size=shape)
    if kind == "relu":
        values = np.maximum(values, 0)
    elif kind == "offset":
        values = 1e6 + 1e-3 * values
    elif kind == "constant":
        values = np.full(shape, draw(st.floats(-5, 5)))
    if kind != "offset" and draw(st.booleans()):
        values = values.astype(np.float32)
    if not finite:
        bad = rng.random(shape) < 0.3
        values[bad] = rng.choice([np.nan, np.inf, -np.inf], size=int(bad.sum()))
    labels = rng.integers(0, draw(st.integers(1, N_CLASSES)), size=n)
    cuts = sorted(draw(st.sets(st.integers(0, n), max_size=4)))
    return values, labels, cuts


def pieces(values, labels, cuts):
    bounds = [0, *cuts, len(labels)]
    return [
        (values[start:stop], labels[start:stop])
        for start, stop in itertools.pairwise(bounds)
        if stop > start
    ]
