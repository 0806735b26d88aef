"""Summaries of real Keras models: every layer equals numpy and scikit-learn on the raw arrays."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from fmcore import capture_activations, open_store
from fmcore.statistics import Summary
from fmcore.storage import layer_basis, layer_summary

pytestmark = pytest.mark.keras
N = 12


def residual():
    x = keras.Input((12, 10, 3))
    first = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(x)
    second = layers.Conv2D(6, 3, padding="same", name="second")(first)
    joined = layers.ReLU()(layers.Add()([first, second]))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(70, 3, name="third")(joined))
    return keras.Model(x, layers.Dense(3, activation="softmax")(pooled)), ["first", "third"]


def depthwise():
    x = keras.Input((12, 10, 3))
    first = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="one")(x)
    two = layers.SeparableConv2D(2, 3, name="two")(first)
    pooled = layers.GlobalMaxPooling2D()(two)
    return keras.Model(x, layers.Dense(3, activation="softmax")(pooled)), ["one", "two"]


def dense():
    x = keras.Input((12, 10, 3))
    first = layers.Conv2D(1, 3, name="one")(x)
    hidden = layers.Dense(9, activation="tanh", name="hidden")(layers.Flatten()(first))
    out = layers.Dense(3, activation="softmax", name="dense_of_classes")(hidden)
    return keras.Model(x, out), ["one", "hidden", "dense_of_classes"]


def signals():
    x = keras.Input((30, 2))
    first = layers.Conv1D(4, 5, activation="relu", name="one")(x)
    two = layers.Conv1D(5, 3, strides=2, name="two")(first)
    pooled = layers.GlobalAveragePooling1D()(two)
    return keras.Model(x, layers.Dense(3, activation="softmax")(pooled)), ["one", "two"]


def nested():
    parts = [keras.Input((12, 10, 3)), layers.Conv2D(8, 3, activation="gelu", name="c")]
    inner = keras.Sequential(parts, name="inner")
    x = keras.Input((12, 10, 3))
    pooled = layers.GlobalAveragePooling2D()(inner(x))
    return keras.Model(x, layers.Dense(3, activation="softmax")(pooled)), ["inner/c"]


@pytest.fixture(scope="module", params=[residual, depthwise, dense, signals, nested])
def store(request, tmp_path_factory):
    keras.utils.set_random_seed(0)
    model, paths = request.param()
    _, *shape = model.input_shape
    shape = [1] * (3 - len(shape)) + shape
    images = np.random.default_rng(0).normal(size=(N, *shape)).astype(np.float32)
    path = tmp_path_factory.mktemp("summaries") / "s.h5"
    kind = "all" if request.param is dense else "conv"
    capture_activations(model, images, np.arange(N) % 3, path, kind=kind)
    with open_store(path) as opened:
        assert set(paths) <= set(opened.layers)
        yield opened


def test_every_summary_of_every_layer_is_what_numpy_makes_of_its_maps(store):
    for layer in store.layers.values():
        for sample in (0, N - 1):
            maps = layer.activation[sample].astype(np.float64)
            for by, expected in (
                (Summary.MEAN, maps.mean(axis=2)),
                (Summary.ABS, np.abs(maps).mean(axis=2)),
                (Summary.MAX, maps.max(axis=2)),
            ):
                summary = layer_summary(
                    layer, sample, by, n_filters=3, values=layer.filter_values()
                )
                scale = np.abs(maps).max()
                assert_allclose(summary.summary[:, :, 0], expected, rtol=1e-6, atol=1e-6 * scale)


def test_colors_of_every_layer_are_scikit_learns_components(store):
    for layer in store.layers.values():
        every = layer.activation[...].astype(np.float64)
        pixels = every.reshape(-1, layer.n_filters)
        n = min(3, layer.n_filters)
        if layer.path == "dense_of_classes":
            n = 2  # their sum is 1
        expected = PCA(n, svd_solver="full").fit(pixels)
        basis = layer_basis(layer)
        assert basis.n_samples == N
        assert_allclose(basis.shares, expected.explained_variance_ratio_, rtol=1e-6)
        signs = np.sign(np.sum(basis.weights * expected.components_.T, axis=0))
        summary = layer_summary(
            layer, 5, Summary.PCA, n_filters=3, values=layer.filter_values(), basis=basis
        )
        reference = expected.transform(every[5].reshape(-1, layer.n_filters)) * signs
        reference = reference.reshape(*layer.shape[:2], n)
        atol = 1e-5 * np.abs(reference).max()
        assert_allclose(summary.summary[:, :, :n], reference, rtol=1e-5, atol=atol)


def test_the_filters_that_stand_out_are_those_of_the_raw_maps(store):
    for layer in store.layers.values():
        every = layer.activation[...].astype(np.float64)
        low, high = every.min(axis=(0, 1, 2)), every.max(axis=(0, 1, 2))
        for sample in range(3):
            largest = every[sample].max(axis=(0, 1))
            share = (largest - low) / (high - low)
            n = layer.n_filters - 1
            expected = np.argsort(-share, kind="stable")[:n]
            summary = layer_summary(
                layer, sample, Summary.MEAN, n_filters=n, values=layer.filter_values()
            )
            assert summary.filters.tolist() == expected.tolist()
            assert_allclose(summary.maps, every[sample][:, :, expected], rtol=0)
            assert_allclose(summary.largest, largest[expected], rtol=0)
            whole = layer_summary(
                layer, sample, Summary.MEAN, n_filters=n + 1, values=layer.filter_values()
            )
            assert whole.filters.tolist() == list(range(n + 1))
