"""Boxes are the bounding boxes of the pixels that move a unit, found by moving every pixel."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.testing import assert_array_equal

from fmcore import capture_activations, open_store
from fmcore.capture import CaptureOptions
from fmcore.errors import SelectionError
from fmcore.model.probe import KerasProbe
from fmcore.model.receptive_fields import ReceptiveFields
from fmcore.model.trace import trace_model

pytestmark = pytest.mark.keras
SHAPE = (13, 11, 1)


def conv(filters=2, kernel=3, **options):
    return layers.Conv2D(filters, kernel, activation="relu", **options)


def branch(x):
    wide = conv(kernel=5, padding="same")(x)
    return layers.Add()([conv(padding="same")(x), wide])


def residual(x):
    x = conv(padding="same")(x)
    inner = layers.BatchNormalization()(conv(padding="same", dilation_rate=2)(x))
    return layers.ReLU()(layers.Add()([x, inner]))


def inception(x):
    pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
    parts = [conv(kernel=1)(x), conv(kernel=(5, 1), padding="same")(x), conv(kernel=1)(pooled)]
    return conv(strides=2)(layers.Concatenate()(parts))


def squeeze_and_excite(x):
    x = conv(strides=2, padding="same")(x)
    scale = layers.Reshape((1, 1, 2))(layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    return conv()(layers.Multiply()([x, scale]))


def padded(x):
    x = layers.ZeroPadding2D(((4, 1), (0, 3)))(x)
    return layers.Cropping2D(((0, 1), (2, 0)))(conv(strides=(1, 2))(x))


def padded_branch(x):
    # Near the corners one branch sees only padding, and says nothing of the other one's box.
    far = layers.Cropping2D(((0, 6), (0, 6)))(layers.ZeroPadding2D(((6, 0), (6, 0)))(x))
    return layers.Add()([conv(kernel=1)(x), conv(kernel=1, use_bias=False)(far)])


ARCHITECTURES = {
    "valid": lambda x: conv()(conv(kernel=(3, 2))(x)),
    "same, even kernel": lambda x: conv(kernel=4, padding="same")(conv(padding="same")(x)),
    "strides": lambda x: conv(strides=2, padding="same")(conv(strides=(2, 1), padding="same")(x)),
    "dilation, valid": lambda x: conv(dilation_rate=2)(conv(dilation_rate=(3, 2))(x)),
    "dilation, same": lambda x: conv(padding="same", dilation_rate=3)(
        conv(padding="same", dilation_rate=2)(x)
    ),
    "max pooling": lambda x: conv()(layers.MaxPooling2D(2)(conv(padding="same")(x))),
    "average pooling, same": lambda x: conv(padding="same")(
        layers.AveragePooling2D(3, strides=2, padding="same")(x)
    ),
    "depthwise and separable": lambda x: layers.SeparableConv2D(2, 3, strides=2, padding="same")(
        layers.DepthwiseConv2D(3, depth_multiplier=2)(x)
    ),
    "transposed, same": lambda x: layers.Conv2DTranspose(2, 3, strides=2, padding="same")(
        conv(strides=2)(x)
    ),
    "transposed, valid": lambda x: layers.Conv2DTranspose(2, (2, 4), strides=(3, 2))(
        conv(strides=3)(x)
    ),
    "upsampling": lambda x: conv()(layers.UpSampling2D((2, 3))(conv(strides=2)(x))),
    "branch": branch,
    "residual": residual,
    "inception": inception,
    "squeeze and excite": squeeze_and_excite,
    "padding and cropping": padded,
    "padding in one branch": padded_branch,
    "operations": lambda x: keras.ops.relu(conv(padding="same")(x) + conv(kernel=1)(x)),
    "dense of each unit": lambda x: conv(filters=3)(layers.Dense(2)(conv()(x))),
    "global pooling": lambda x: layers.GlobalMaxPooling2D(keepdims=True)(conv()(x)),
}


def fields_of(model) -> tuple:
    """(boxes, words) of the model's output."""
    found = []

    def choose(trace):
        fields = ReceptiveFields(trace, image=0, size=tuple(model.inputs[0].shape[1:3]))
        found.append(fields.boxes(trace.outputs[0]))
        return trace.outputs

    trace_model(model, [tf.TensorSpec([None, *model.inputs[0].shape[1:]])], list, choose)
    return found[0]


def moved(model, n_pixels: int) -> np.ndarray:
    """Which units differ when a pixel is changed, <bool>[pixel, y, x]."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    images = np.repeat(rng.uniform(0.1, 1, (1, *SHAPE)), n_pixels + 1, axis=0).astype(np.float32)
    images[1:].reshape(n_pixels, n_pixels)[np.diag_indices(n_pixels)] += 1000
    found = model.predict(images, verbose=0)
    # Beyond rounding, which differs between the images of a batch; a pixel does far more.
    return (np.abs(found[1:] - found[:1]) > 1e-3 * found[:1].max()).any(axis=3)


def bounding_boxes(seen: np.ndarray) -> np.ndarray:
    """[y, x, side] of which pixels each unit sees, <bool>[pixel, y, x]."""
    _, height, width = seen.shape
    by_place = seen.reshape(*SHAPE[:2], height, width)
    found = np.full((height, width, 4), -1)
    for y, x in np.ndindex(height, width):
        rows, columns = np.nonzero(by_place[:, :, y, x])
        if len(rows):
            found[y, x] = rows.min(), columns.min(), rows.max(), columns.max()
    return found


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_boxes_of_every_unit_equal_those_found_by_moving_every_pixel(name):
    source = keras.Input(SHAPE)
    model = keras.Model(source, ARCHITECTURES[name](source))
    expected = bounding_boxes(moved(model, SHAPE[0] * SHAPE[1]))
    assert_array_equal(fields_of(model)[0], expected)
    assert (expected >= 0).any()


def classifier(*inner) -> keras.Model:
    scores = layers.Dense(3, activation="softmax")
    return keras.Sequential([keras.Input(SHAPE), *inner, layers.Flatten(), scores])


def test_a_layer_of_a_kind_that_is_not_known_is_named(tmp_path):
    model = classifier(conv(), layers.UpSampling2D(2, interpolation="bilinear", name="up"), conv())
    first, second = KerasProbe(model).layers
    assert first.field_words == "exact"
    assert second.receptive_field is None
    assert second.field_words == "unknown: up interpolates by bilinear"


class Rolled(layers.Conv2D):
    """Looks like a convolution, and sees elsewhere."""

    def call(self, inputs):
        return super().call(keras.ops.roll(inputs, 3, axis=1))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Softmax(axis=1),
        layers.Activation(lambda x: x - keras.ops.mean(x, axis=(1, 2), keepdims=True)),
        Rolled(2, 3),
        layers.Concatenate(axis=1),
    ],
)
def test_what_may_look_elsewhere_is_not_called_exact(layer):
    source = keras.Input(SHAPE)
    inner = conv()(source)
    model = keras.Model(source, layer([inner, inner] if "concat" in layer.name else inner))
    seen, words = fields_of(model)
    assert seen is None
    assert words.startswith("unknown: ")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (layers.GroupNormalization(groups=1, axis=1), "exact"),
        (layers.BatchNormalization(axis=1), "exact"),
        (layers.LayerNormalization(axis=1), "exact"),
        (layers.LayerNormalization(axis=-1), "unknown"),
        (layers.Softmax(), "unknown"),
        (layers.Activation("softmax"), "unknown"),
        (layers.Dense(11), "unknown"),
    ],
)
def test_with_channels_first_the_last_axis_is_x(layer, words):
    source = keras.Input((1, *SHAPE[:2]))
    options = {"data_format": "channels_first", "padding": "same", "name": "last"}
    inner = layers.Conv2D(4, 3, data_format="channels_first", padding="same")(source)
    out = layers.Add()([layer(inner), inner])
    out = layers.Conv2D(2, 3, **options)(out)
    pooled = layers.GlobalAveragePooling2D(data_format="channels_first")(out)
    model = keras.Model(source, layers.Dense(3)(pooled))
    (found,) = KerasProbe(model, CaptureOptions(layers="last")).layers
    assert found.field_words.startswith(words)
    if words == "exact":
        everywhere = isinstance(layer, layers.GroupNormalization)
        expected = [0, 0, 12, 10] if everywhere else [4, 3, 8, 7]
        assert found.receptive_field[6, 5].tolist() == expected


def test_a_deep_model_is_walked():
    source = x = keras.Input(SHAPE)
    for _ in range(600):
        x = layers.Identity()(x)
    model = keras.Model(source, conv()(x))
    assert fields_of(model)[0].shape == (11, 9, 4)


def test_a_store_keeps_the_box_of_each_unit(tmp_path):
    model = classifier(conv(name="one", strides=2), conv(name="two"))
    images = np.random.default_rng(0).random((5, *SHAPE), dtype=np.float32)
    capture_activations(model, images, np.array([0, 1, 2, 0, 1]), tmp_path / "s.h5")
    with open_store(tmp_path / "s.h5") as store:
        one, two = store.layers.values()
        assert one.receptive_field(0, 0) == (0, 0, 2, 2)
        assert one.receptive_field(5, 4) == (10, 8, 12, 10)
        assert two.receptive_field(1, 1) == (2, 2, 8, 8)
        assert two.attributes["receptive_field"] == "exact"
        with pytest.raises(SelectionError, match=r"no unit at row 6.*maps are 6x5"):
            one.receptive_field(6, 0)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_layers_that_do_nothing_are_walked_past_in_every_precision(precision):
    keras.config.set_dtype_policy(precision)
    try:
        image = keras.Input((8, 8, 1))
        x = layers.Dropout(0.5)(layers.RandomFlip()(layers.RandomRotation(0.1)(image)))
        model = keras.Model(image, layers.Conv2D(2, 3, name="conv")(x))
    finally:
        keras.config.set_dtype_policy("float32")
    (layer,) = KerasProbe(model).layers
    assert layer.field_words == "exact"
    assert layer.receptive_field[0, 0].tolist() == [0, 0, 2, 2]
