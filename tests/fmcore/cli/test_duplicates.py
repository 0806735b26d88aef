"""Duplicates are those whose maps correlate above 0.99, in every kind of layer and policy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import capture_activations, open_store

pytestmark = pytest.mark.keras
N = 200
LABELS = np.arange(N) % 4


def images(n_channels: int = 1) -> np.ndarray:
    """Strokes on black of any brightness, as sparse as digits, and some black images first."""
    rng = np.random.default_rng(0)
    found = np.zeros((N, 16, 16, n_channels), np.float32)
    for image in found[3:]:
        for _ in range(3):
            y, x = rng.integers(2, 13, 2)
            image[y : y + rng.integers(1, 4), x : x + rng.integers(1, 4)] += rng.random(n_channels)
    return found


def plant(layer: keras.Layer, to: int) -> None:
    """Plants from filter `to` on copies of filter 0: exact, larger and opposite; and others.

    Then a dead one, one that nearly copies filter 1, and one that sees only the very brightest
    pixels, with its copy.
    """
    kernel, bias = layer.get_weights()
    axis = 2 if isinstance(layer, layers.DepthwiseConv2D) else 3
    kernel = np.moveaxis(kernel, axis, 0)
    rng = np.random.default_rng(1)
    kernel[to], bias[to] = kernel[0], bias[0]
    kernel[to + 1], bias[to + 1] = 3 * kernel[0], 3 * bias[0]
    kernel[to + 2], bias[to + 2] = -kernel[0], -bias[0]
    kernel[to + 3], bias[to + 3] = 0, -1
    kernel[to + 4] = kernel[1] + 0.02 * rng.normal(size=kernel[1].shape) * np.abs(kernel[1]).mean()
    bias[to + 4] = bias[1]
    kernel[to + 5] = kernel[to + 6] = np.abs(kernel[2])
    bias[to + 5] = bias[to + 6] = -0.9 * kernel[to + 5].sum()
    layer.set_weights([np.moveaxis(kernel, 0, axis), bias])


def relu() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(24, 3, activation="relu", name="planted"),
            layers.MaxPooling2D(),
            layers.Conv2D(96, 3, activation="relu", name="wide"),
            layers.Conv2D(20, 5, activation="relu", name="one_pixel"),
        ]
    )


def signed() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(24, 3, name="planted"),
            layers.LeakyReLU(),
            layers.Conv2D(40, 3, strides=2, activation="tanh", name="second"),
        ]
    )


def depthwise() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 24)),
            layers.DepthwiseConv2D(3, name="planted"),
            layers.ReLU(),
            layers.Conv2D(32, 1, activation="relu", name="second"),
        ]
    )


def normalized() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(24, 3, name="planted"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Conv2D(48, 3, name="second"),
            layers.BatchNormalization(),
            layers.Activation("silu"),
        ]
    )


def tutorial() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(16, 3, activation="relu", name="planted"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


def correlations(maps: np.ndarray) -> np.ndarray:
    """Of each filter with those before it, over all pixels of all samples; 0 where undefined."""
    columns = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.tril(np.corrcoef(columns.T), -1))


@pytest.mark.parametrize("make", [relu, signed, depthwise, normalized, tutorial])
@pytest.mark.parametrize(
    ("policy", "batch_size", "statistics"),
    [("float32", None, "all"), ("float16", 16, "basic"), ("pooled", 4, "all")],
)
def test_duplicates_are_those_whose_maps_correlate(make, policy, batch_size, statistics, tmp_path):
    keras.utils.set_random_seed(2)
    model = make()
    plant(model.get_layer("planted"), 8)
    x = images(model.input_shape[-1])
    if make is depthwise:
        x[..., 8:15] = x[..., [0, 0, 0, 0, 1, 2, 2]]  # planted filters see the same channel
    path = capture_activations(
        model,
        x,
        LABELS,
        tmp_path / "s.h5",
        policy=f"*={policy}",
        batch_size=batch_size,
        statistics=statistics,
    )
    n_found = 0
    with open_store(path) as store:
        outputs = keras.Model(model.inputs, [model.get_layer(name).output for name in store.layers])
        outputs = keras.Model(model.inputs, [model.get_layer(name).output for name in store.layers])
        for (name, layer), maps in zip(
            store.layers.items(), outputs.predict(x, verbose=0), strict=True
        ):
            maps = maps.reshape(N, *layer.shape)
            r = correlations(maps)
            health = layer.health()
            expected = (r > 0.99).any(axis=1)
            assert_array_equal(health.findings["duplicate"], expected, err_msg=name)
            others, stored_r = layer.duplicates()
            assert_array_equal(others >= 0, expected)
            repeated = np.flatnonzero(expected)
            assert_allclose(stored_r[repeated], r[repeated, others[repeated]], atol=1e-5)
            assert_allclose(stored_r[repeated], r[repeated].max(axis=1), atol=1e-5)
            n_found += len(repeated)
            if name == "planted":
                assert others[[8, 9]].tolist() == [0, 0]
                assert not expected[[10, 11]].any()
                assert others[14] == 13
    assert n_found >= 3
