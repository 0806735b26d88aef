"""Patch, kernel, bias and function make what Keras predicts, or a sentence says why not."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.factories import count
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import capture_activations, open_store
from fmcore.errors import MapsNotStoredError, SampleNotFoundError, SelectionError, UnexplainedError
from fmcore.units import arithmetic_of

pytestmark = pytest.mark.keras
SHAPE = (17, 14, 3)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, *SHAPE), dtype=np.uint8)
ROWS = RNG.random((4, 40, 3), dtype=np.float32)
LABELS = np.arange(4) % 3


def tutorial(x):
    x = layers.Conv2D(5, 3, activation="relu", name="conv1")(layers.Rescaling(2.0, -0.5)(x))
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.3)(layers.Conv2D(6, 3, activation="relu", name="conv2")(x))
    x = layers.Dense(7, activation="tanh", name="hidden")(layers.Flatten()(x))
    return layers.Dense(3, activation="softmax", name="answer")(x)


def strides_and_groups(x):
    x = layers.Conv2D(6, (3, 4), strides=2, padding="same", activation="gelu", name="wide")(x)
    x = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    x = layers.Conv2D(4, 3, dilation_rate=(2, 1), padding="same", groups=2, name="grouped")(x)
    x = layers.UpSampling2D((1, 2))(layers.ReLU(max_value=0.5, negative_slope=0.1)(x))
    x = layers.Conv2D(4, 2, strides=(1, 3), use_bias=False, activation="selu", name="bare")(x)
    return layers.Dense(3, name="answer")(layers.GlobalAveragePooling2D()(x))


def dense_net(x):
    for at in range(3):
        own = layers.Conv2D(4, 3, padding="same", activation="silu", name=f"grow{at}")(x)
        x = layers.Concatenate()([x, own])
    return layers.Dense(3, name="answer")(layers.GlobalMaxPooling2D()(x))


def residual(x):
    x = layers.Conv2D(4, 3, padding="same", activation="elu", name="stem")(
        layers.ZeroPadding2D(1)(x)
    )
    inner = layers.Conv2D(4, 3, padding="same", activation="softplus", name="inner")(x)
    x = layers.ReLU()(layers.Add()([x, inner]))
    x = layers.Conv2D(3, 1, activation="hard_sigmoid", name="after")(layers.Cropping2D((1, 2))(x))
    x = layers.Dense(5, activation="softsign", name="of_pixels")(x)
    return layers.Dense(3, name="answer")(layers.GlobalAveragePooling2D()(x))


def rows(x):
    x = layers.Conv1D(5, 4, padding="causal", dilation_rate=2, activation="relu6", name="causal")(x)
    x = layers.MaxPooling1D(2, padding="same")(layers.ZeroPadding1D((2, 1))(x))
    x = layers.Conv1D(4, 3, strides=2, padding="same", activation="leaky_relu", name="next")(x)
    return layers.Dense(3, name="answer")(layers.Flatten()(x))


def nested(x):
    inner_image = keras.Input(SHAPE)
    middle = layers.Conv2D(4, 3, activation="swish", name="a")(inner_image)
    inner = keras.Model(inner_image, layers.MaxPooling2D(3)(middle), name="inner")
    tail = keras.Sequential(
        [layers.Conv2D(5, 2, activation="exponential", name="b"), layers.Flatten()], name="tail"
    )
    return layers.Dense(3, name="answer")(tail(inner(x)))


MODELS = {
    "tutorial": tutorial,
    "strides and groups": strides_and_groups,
    "dense net": dense_net,
    "residual": residual,
    "rows": rows,
    "nested": nested,
}


@pytest.fixture(scope="module", params=MODELS)
def captured(request, tmp_path_factory):
    """A model with biases, and the store of all of its layers."""
    keras.utils.set_random_seed(1)
    is_row = request.param == "rows"
    image = keras.Input(ROWS.shape[1:] if is_row else SHAPE)
    model = keras.Model(image, MODELS[request.param](image))
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(RNG.normal(size=weight.shape))
    path = tmp_path_factory.mktemp("stores") / "s.h5"
    data = ROWS if is_row else IMAGES
    capture_activations(model, data, LABELS, path, kind="all", target="none")
    with open_store(path) as store:
        yield model, store


def layer_of(model, path):
    first, _, rest = path.partition("/")
    layer = model.get_layer(first)
    return layer_of(layer, rest) if rest else layer


@pytest.mark.share
def test_every_layer_with_a_kernel_makes_what_keras_predicts(captured):
    model, store = captured
    explained = {"Conv1D", "Conv2D", "Dense"}
    paths = [p for p, layer in store.layers.items() if layer.attributes["kind"] in explained]
    assert len(paths) >= 3
    for path in paths:
        layer, own = store.layers[path], layer_of(model, path)
        maps = layer.activation[:]
        for _ in range(count(12, 200)):
            sample, y, x, f = (int(RNG.integers(n)) for n in maps.shape)
            explained = arithmetic_of(store, path, sample, f, y, x)
            assert_array_equal(np.float32(explained.stored), maps[sample, y, x, f])
            assert_allclose(
                explained.value, maps[sample, y, x, f], rtol=1e-5, atol=explained.tolerance
            )
            if not np.isfinite(explained.stored):
                continue  # the model itself runs over; its value is the same
            sizes = np.abs(explained.products).sum() + abs(explained.bias) + 1
            assert explained.tolerance <= 1e-5 * sizes * max(1, abs(explained.stored))
            assert explained.is_equal
            kernel = own.get_weights()[0][..., f]
            assert_array_equal(explained.weights.reshape(kernel.shape), kernel)
            assert explained.has_bias == own.use_bias
            assert_allclose(explained.bias, own.get_weights()[1][f] if own.use_bias else 0)
            assert_allclose(
                explained.contributions.sum() + explained.bias, explained.sum, rtol=1e-9, atol=1e-9
            )
            assert not explained.patch[~explained.inside].any(), "padding is zero"


def test_origins_are_the_filters_whose_maps_a_plane_holds(captured):
    _, store = captured
    for path, layer in store.layers.items():
        if layer.attributes["kind"] not in ("Conv1D", "Conv2D", "Dense"):
            continue
        explained = arithmetic_of(store, path, 2, 0, 0, 0)
        assert len(explained.origins) in (0, explained.patch.shape[2])
        for plane, origin in enumerate(explained.origins):
            if not origin.layer or not origin.where:
                continue
            y, x = (int(part.split()[1]) for part in origin.where.split(", "))
            value = store.layers[origin.layer].feature_maps(2)[y, x, origin.plane]
            assert_allclose(explained.patch[0, 0, plane], value)


def of_model(build, tmp_path, **options):
    image = keras.Input(SHAPE)
    middle = build(image)
    model = keras.Model(image, layers.Dense(3, name="answer")(layers.Flatten()(middle)))
    path = tmp_path / "s.h5"
    capture_activations(model, IMAGES, LABELS, path, target="none", **options)
    return open_store(path)


def test_values_after_an_activation_layer_are_explained_with_it(tmp_path):
    def build(x):
        x = layers.ReLU(max_value=2)(layers.Dropout(0.5)(layers.Conv2D(4, 3, name="one")(x)))
        return layers.Activation("tanh")(layers.Conv2D(3, 3, name="two")(layers.MaxPooling2D()(x)))

    with of_model(build, tmp_path, tap="activation") as store:
        assert store.layers["one"].attributes["kind"] == "Conv2D + ReLU"
        for path, layer in store.layers.items():
            for _ in range(20):
                y, x, f = (int(RNG.integers(n)) for n in layer.shape)
                explained = arithmetic_of(store, path, 1, f, y, x)
                assert explained.is_equal
                assert_allclose(explained.value, explained.stored, rtol=1e-5, atol=1e-6)
        assert dict(explained.steps)["one"] == "stored maps 15×12×4"


def test_maps_of_float16_agree_as_far_as_they_are_rounded(tmp_path):
    with of_model(lambda x: layers.Conv2D(4, 3, name="two")(layers.Conv2D(4, 3, name="one")(x)),
                  tmp_path, policy="*=float16") as store:  # fmt: skip
        explained = arithmetic_of(store, "two", 0, 1, 2, 3)
        assert explained.is_equal
        assert "float16" in explained.note
        assert explained.value != explained.stored


WHY_NOT = {
    "batch normalization": (
        lambda x: layers.Conv2D(3, 3, name="b")(
            layers.ReLU()(layers.BatchNormalization(name="bn")(layers.Conv2D(3, 3, name="a")(x)))
        ),
        "b",
        "bn (BatchNormalization), which has weights that are not in the store",
    ),
    "depthwise": (
        lambda x: layers.DepthwiseConv2D(3, name="d")(x),
        "d",
        "d is a DepthwiseConv2D: its sum runs over other axes",
    ),
    "transposed": (
        lambda x: layers.Conv2DTranspose(3, 3, name="t")(x),
        "t",
        "t is a Conv2DTranspose",
    ),
    "interpolation": (
        lambda x: layers.Conv2D(2, 3, name="c")(
            layers.UpSampling2D(2, interpolation="bilinear", name="up")(x)
        ),
        "c",
        "up (UpSampling2D), which interpolates",
    ),
}


@pytest.mark.parametrize("name", WHY_NOT)
def test_what_cannot_be_explained_says_exactly_why(name, tmp_path):
    build, path, reason = WHY_NOT[name]
    with of_model(build, tmp_path) as store, pytest.raises(UnexplainedError) as caught:
        arithmetic_of(store, path, 0, 0, 0, 0)
    assert reason in str(caught.value)


def test_a_layer_that_is_called_twice_is_not_explained(tmp_path):
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    with of_model(lambda x: shared(shared(x)), tmp_path) as store:
        for path in store.layers:
            with pytest.raises(UnexplainedError, match="called"):
                arithmetic_of(store, path, 0, 0, 0, 0)


def test_an_image_that_cannot_be_preprocessed_again_says_so(tmp_path):
    with of_model(lambda x: layers.Conv2D(3, 3, name="c")(x), tmp_path) as store:
        about = store.about()
        about["dataset"]["preprocessing"] = "by a person"
        store.about = lambda: about
        with pytest.raises(UnexplainedError, match="the image, which cannot be preprocessed again"):
            arithmetic_of(store, "c", 0, 0, 0, 0)


def test_places_and_samples_outside_are_refused(tmp_path):
    with of_model(lambda x: layers.Conv2D(3, 3, name="c")(x), tmp_path, policy="c=pooled") as store:
        for y, x, f in ((15, 0, 0), (0, 12, 0), (0, 0, 3), (-1, 0, 0)):
            with pytest.raises(SelectionError):
                arithmetic_of(store, "c", 0, f, y, x)
        with pytest.raises(SampleNotFoundError):
            arithmetic_of(store, "c", 9, 0, 0, 0)
        with pytest.raises(MapsNotStoredError):
            arithmetic_of(store, "c", 0, 0, 0, 0)


HOSTILE = {
    "a huge window": {"class_name": "MaxPooling2D", "config": {"pool_size": [10**9] * 2}},
    "a huge padding": {"class_name": "ZeroPadding2D", "config": {"padding": 10**9}},
    "a huge map": {"class_name": "UpSampling2D", "config": {"size": [10**6, 10**6]}},
    "no settings": {"class_name": "AveragePooling2D", "config": {}},
    "words for numbers": {"class_name": "Cropping2D", "config": {"cropping": ["a", "b"]}},
    "another function": {"class_name": "Activation", "config": {"activation": {"x": 1}}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_configuration_ends_in_a_sentence(name, tmp_path):
    hostile = HOSTILE[name]
    with of_model(lambda x: layers.Conv2D(3, 3, name="c")(layers.MaxPooling2D(name="p")(x)),
                  tmp_path) as store:  # fmt: skip
        architecture = store.architecture()
        for layer in architecture["config"]["layers"]:
            if layer["config"]["name"] == "p":
                layer["class_name"] = hostile["class_name"]
                layer["config"] = {"name": "p", "padding": "valid", **hostile["config"]}
        store.architecture = lambda: architecture
        with pytest.raises(UnexplainedError, match=r"c reads p"):
            arithmetic_of(store, "c", 0, 0, 0, 0)
        for odd in ({}, {"config": []}, {"config": {"layers": [{"config": {"name": "c"}}]}}, []):
            store.architecture = lambda odd=odd: odd
            with pytest.raises(UnexplainedError):
                arithmetic_of(store, "c", 0, 0, 0, 0)
