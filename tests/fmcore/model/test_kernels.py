"""Kernels of every kind of layer: a stored one makes the maps that are stored, and its norms."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from dashboard.stores.source import Source
from fmcore import capture_activations, open_store
from fmcore.errors import StatisticNotFoundError
from fmcore.storage import problems

pytestmark = pytest.mark.keras
SHAPE = (9, 8, 6)
IMAGES = np.random.default_rng(0).random((5, *SHAPE), dtype=np.float32)
LABELS = np.arange(5) % 3
NORMS = {"l1_norm": 1, "l2_norm": 2}


def captured(model, path, images=IMAGES):
    capture_activations(model, images, LABELS, path, kind="all")
    assert list(problems(path)) == []
    return path


def classes(x):
    return layers.Dense(3, activation="softmax", name="head")(layers.GlobalAveragePooling2D()(x))


def model_of(layer, shape=SHAPE):
    image = keras.Input(shape)
    maps = layer(image)
    return keras.Model(
        image,
        classes(maps)
        if len(maps.shape) == 4
        else layers.Dense(3, activation="softmax")(layers.Flatten()(maps)),
    )


def random_bias(layer):
    layer.bias.assign(np.random.default_rng(1).normal(size=layer.bias.shape))


ONE_LAYER = {
    "plain": lambda: layers.Conv2D(4, (3, 2), name="conv"),
    "grouped": lambda: layers.Conv2D(4, 3, groups=2, name="conv"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv"),
    "transposed": lambda: layers.Conv2DTranspose(4, (3, 2), name="conv"),
    "separable": lambda: layers.SeparableConv2D(4, (3, 2), depth_multiplier=2, name="conv"),
    "dense": lambda: layers.Dense(4, name="conv"),
}


def convolved(image, kernel, bias, read, *, spreads):
    """Maps by the definition: each weight times a shifted plane, <float64>[y, x, filter]."""
    size_y, size_x, n_planes, n_filters = kernel.shape
    shape = np.array(image.shape[:2]) + (np.array([size_y, size_x]) - 1) * (1 if spreads else -1)
    maps = np.tile(bias.astype(np.float64), (*shape, 1))
    for filter_index in range(n_filters):
        for plane in range(n_planes):
            source = image[:, :, read(filter_index, plane)].astype(np.float64)
            for y in range(size_y):
                for x in range(size_x):
                    weight = kernel[y, x, plane, filter_index]
                    if spreads:
                        height, width = source.shape
                        maps[y : y + height, x : x + width, filter_index] += weight * source
                    else:
                        part = source[y : y + shape[0], x : x + shape[1]]
                        maps[:, :, filter_index] += weight * part
    return maps


@pytest.mark.parametrize("name", ONE_LAYER)
def test_stored_kernels_and_the_planes_they_read_make_the_stored_maps(name, tmp_path):
    layer = ONE_LAYER[name]()
    model = model_of(layer)
    random_bias(layer)
    path = captured(model, tmp_path / "s.h5")
    snapshot = Source(path).snapshot()
    planes = snapshot.kernel_planes("conv")
    assert planes.source.is_only_input
    stored = snapshot.layer("conv")
    kernel, image = stored.kernel, IMAGES[2]
    depthwise = stored.depthwise_kernel
    assert (depthwise is not None) == (name == "separable")
    read = planes.read
    if depthwise is not None:
        tiles = snapshot.kernel_part("conv", "depthwise")
        image = convolved(
            image, tiles, np.zeros(tiles.shape[3]), lambda tile, _: tile // 2, spreads=False
        )
        assert [planes.read(0, plane) for plane in range(12)] == [at // 2 for at in range(12)]
        read = lambda _, plane: plane  # noqa: E731
    expected = convolved(image, kernel, stored.bias, read, spreads=name == "transposed")
    assert_allclose(stored.feature_maps(2), expected, rtol=1e-4, atol=1e-5)


def tutorial():
    image = keras.Input((14, 14, 1))
    x = layers.MaxPooling2D()(layers.Conv2D(16, 3, activation="relu", name="conv1")(image))
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu", name="conv2")(x))
    return keras.Model(
        image, layers.Dense(3, activation="softmax", name="dense")(layers.Flatten()(x))
    )


def residual():
    image = keras.Input((14, 14, 3))
    stem = layers.ReLU()(
        layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", name="stem")(image))
    )
    x = layers.Conv2D(4, 1, name="narrow")(stem)
    x = layers.Conv2D(4, 3, padding="same", groups=2, name="middle")(layers.ReLU()(x))
    x = layers.Conv2D(8, 1, name="wide")(layers.ReLU()(x))
    x = layers.Conv2D(5, 3, strides=2, name="after")(layers.Add(name="join")([stem, x]))
    return keras.Model(image, classes(x))


def mobile():
    image = keras.Input((14, 14, 3))
    x = layers.Conv2D(6, 3, strides=2, name="stem")(image)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.Conv2D(5, 1, name="project")(layers.ReLU(6.0)(x))
    return keras.Model(image, classes(layers.SeparableConv2D(4, 3, name="separable")(x)))


def transposing():
    image = keras.Input((14, 14, 3))
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="down")(image)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")(x)
    return keras.Model(image, classes(layers.UpSampling2D()(layers.Conv2D(2, 1, name="last")(x))))


def signals():
    image = keras.Input((14, 14, 3))
    x = layers.Reshape((14, 42), name="rows")(image)
    x = layers.Conv1D(6, 3, name="first")(x)
    x = layers.DepthwiseConv1D(3, name="depthwise")(x)
    x = layers.SeparableConv1D(5, 2, name="separable")(layers.MaxPooling1D()(x))
    x = layers.Conv1DTranspose(4, 2, name="up")(x)
    return keras.Model(
        image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    )


ARCHITECTURES = (tutorial, residual, mobile, transposing, signals)


def own_weights(layer):
    """The weights of each filter, by where Keras documents them, <float64>[weight, filter]."""
    kernel = layer.get_weights()[0].astype(np.float64)
    if type(layer).__name__.startswith("Separable"):
        kernel = layer.get_weights()[1].astype(np.float64)
    elif "Transpose" in type(layer).__name__:
        kernel = np.moveaxis(kernel, -2, -1)
    elif type(layer).__name__.startswith("Depthwise"):
        filters = [
            kernel[..., at, m] for at in range(kernel.shape[-2]) for m in range(kernel.shape[-1])
        ]
        return np.stack([weights.ravel() for weights in filters], axis=1)
    return kernel.reshape(-1, kernel.shape[-1])


@pytest.mark.parametrize("build", ARCHITECTURES)
def test_norms_are_those_of_keras_weights_in_every_layer(build, tmp_path):
    model = build()
    images = np.random.default_rng(0).random((5, *model.input_shape[1:]), dtype=np.float32)
    path = captured(model, tmp_path / "s.h5", images)
    with open_store(path) as store:
        for name, layer in store.layers.items():
            weights = model.get_layer(name).get_weights()
            kind = type(model.get_layer(name)).__name__
            if not weights or kind == "BatchNormalization":
                with pytest.raises(StatisticNotFoundError, match=f"the kind {kind} has no weights"):
                    layer.statistic("l1_norm")
                assert not {*NORMS} & {*layer.statistics}
                continue
            for norm, order in NORMS.items():
                expected = np.linalg.norm(own_weights(model.get_layer(name)), order, axis=0)
                assert_allclose(layer.statistic(norm), expected, rtol=1e-12)


def test_links_of_planes_lead_to_the_filters_that_they_are(tmp_path):
    expected = {
        tutorial: {"conv1": None, "conv2": "conv1", "dense": "conv2"},
        residual: {
            **{"stem": None, "narrow": "stem", "middle": "narrow", "wide": "middle"},
            **{"after": "join", "head": "after"},
        },
        mobile: {"depthwise": "stem", "project": "depthwise", "separable": "project"},
    }
    for build, sources in expected.items():
        model = build()
        images = np.random.default_rng(0).random((5, *model.input_shape[1:]), dtype=np.float32)
        snapshot = Source(captured(model, tmp_path / f"{build.__name__}.h5", images)).snapshot()
        for path, source in sources.items():
            planes = snapshot.kernel_planes(path)
            if source is None:
                assert planes.source.is_only_input
            else:
                assert planes.source.path == source
    assert snapshot.kernel_planes("separable").read(3, 4) == 4


def test_weights_after_a_flatten_layer_are_laid_out_as_the_maps_it_reads(tmp_path):
    model = tutorial()
    images = np.random.default_rng(0).random((5, 14, 14, 1), dtype=np.float32)
    snapshot = Source(captured(model, tmp_path / "s.h5", images)).snapshot()
    kernel, bias = model.get_layer("dense").get_weights()
    laid_out = snapshot.kernel("dense")
    assert laid_out.shape == (2, 2, 8, 3)
    pooled = keras.Model(model.input, model.layers[-3].output).predict(images, verbose=0)
    scores = np.einsum("nyxp,yxpf->nf", pooled, laid_out) + bias
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = model.predict(images, verbose=0)
    assert_allclose(odds / odds.sum(axis=1, keepdims=True), expected, rtol=1e-4, atol=1e-6)
    assert_array_equal(laid_out.reshape(-1, 3), kernel)


def test_a_weight_that_is_no_number_leaves_its_filter_without_norms_and_says_so(tmp_path):
    layer = layers.Conv2D(3, 2, name="conv")
    model = model_of(layer)
    kernel, bias = layer.get_weights()
    kernel[0, 1, 2, 1], kernel[1, 0, 0, 2] = np.nan, np.inf
    layer.set_weights([kernel, bias])
    snapshot = Source(captured(model, tmp_path / "s.h5")).snapshot()
    for name in NORMS:
        assert np.isfinite(snapshot.statistic("conv", name)).tolist() == [True, False, False]
        assert snapshot.why_none("conv", name, 1) == "a weight is NaN or infinite"
