"""Figures of a Keras model, without a store."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from fmcore import plot
from fmcore.errors import DatasetError, ModelError, SelectionError

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([
        keras.Input((12, 10, 1)),
        keras.layers.Conv2D(5, 3, activation="relu", name="conv1"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(3, 2, activation="relu", name="conv2"),
        keras.layers.Flatten(),
        keras.layers.Dense(4, activation="softmax", name="dense"),
    ])  # fmt: skip


IMAGE = np.random.default_rng(0).random((12, 10, 1), dtype=np.float32)


@pytest.mark.parametrize("shape", [(12, 10, 1), (1, 12, 10, 1), (12, 10), (1, 12, 10)])
def test_the_maps_of_a_model_are_what_keras_predicts(model, shape):
    figure = plot.feature_maps(model, IMAGE.reshape(shape), layer="conv2")
    expected = keras.Model(model.inputs, model.get_layer("conv2").output).predict(
        IMAGE[np.newaxis], verbose=0
    )[0]
    maps = np.stack([image.get_array() for image in figure.axes[0].images], axis=2)
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert figure.get_suptitle() == "Layer: conv2"


def test_the_kernels_of_a_model_are_its_weights(model):
    figure = plot.kernels(model, layer="conv1")
    kernel = np.asarray(model.get_layer("conv1").kernel)
    for index, image in enumerate(figure.axes[0].images):
        np.testing.assert_array_equal(image.get_array(), kernel[:, :, 0, index])


@pytest.mark.parametrize("plane", [4, "norm", None])
def test_kernels_of_many_planes_are_drawn_by_plane_or_norm(model, plane):
    figure = plot.kernels(model, layer="conv2", plane=plane)
    kernel = np.asarray(model.get_layer("conv2").kernel)
    expected = kernel[:, :, 4] if plane == 4 else np.linalg.norm(kernel, axis=2)
    weights = np.stack([image.get_array() for image in figure.axes[0].images], axis=2)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    words = "input plane 4" if plane == 4 else "L2 norm over 5 input planes"
    assert figure.get_suptitle() == f"Kernels: conv2, {words}"


def test_what_a_model_cannot_be_drawn_of_is_said(model):
    with pytest.raises(DatasetError, match=r"images are 28x28x1, the model takes 12x10x1"):
        plot.feature_maps(model, np.zeros((28, 28)), layer="conv1")
    with pytest.raises(DatasetError, match=r"expected one image, found 7 .* images\[0\]"):
        plot.feature_maps(model, np.zeros((7, 12, 10, 1)), layer="conv1")
    with pytest.raises(DatasetError, match="expected one image, an array of numbers"):
        plot.feature_maps(model, 7, layer="conv1")
    with pytest.raises(SelectionError, match="there are conv1, conv2; did you mean"):
        plot.feature_maps(model, IMAGE, layer="conv")
    with pytest.raises(SelectionError, match=r"has 2 layers, expected .* conv1, conv2"):
        plot.feature_maps(model, IMAGE)
    with pytest.raises(SelectionError, match=r"has 2 layers, expected .* conv1, conv2"):
        plot.kernels(model)
    with pytest.raises(SelectionError, match="did you mean conv"):
        plot.kernels(model, layer="conv3")
    with pytest.raises(ModelError, match=r"max_pooling2d.* has no kernel"):
        plot.kernels(model, layer=model.layers[1].name)
