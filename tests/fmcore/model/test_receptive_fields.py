"""Boxes are the bounding boxes of the pixels that move a unit, found by moving every pixel.

Models are in float64 here, so that what a pixel moves is told from rounding.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.factories import count
from keras import layers, ops
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
    # A ReLU that is zero everywhere would hide what a unit sees.
    return layers.Conv2D(filters, kernel, activation="leaky_relu", **options)


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


def patches(x, n_filters=4):
    """Embeds 6x5 patches of 2x2 pixels, as rows."""
    return layers.Reshape((30, n_filters))(layers.Conv2D(n_filters, 2, strides=2)(cropped(x)))


def cropped(x):
    return layers.Cropping2D(((1, 0), (0, 1)))(x)


def patches_by_operations(x):
    x = ops.reshape(cropped(x), (-1, 6, 2, 5, 2, 1))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 30, 4))
    return layers.Dense(3)(x)


def mixer(x):
    x = layers.Permute((2, 1))(layers.LayerNormalization()(patches(x)))
    return layers.Permute((2, 1))(layers.Dense(30)(x))


def wide_and_narrow(x):
    """Filters of one place that see different pixels."""
    narrow = conv(kernel=1)(layers.Cropping2D(1)(x))
    return layers.Concatenate()([conv()(x), narrow])


def shuffled(x):
    x = layers.Reshape((11, 9, 2, 2))(wide_and_narrow(x))
    x = layers.Reshape((11, 9, 4))(layers.Permute((1, 2, 4, 3))(x))
    return layers.DepthwiseConv2D(3)(x)


def offsets(merge):
    def build(x):
        parts = [((2, 0), (0, 2)), ((0, 2), (2, 0))]
        return conv()(merge([layers.Cropping2D(part)(x) for part in parts]))

    return build


def constant_added(x):
    return conv()(x + ops.cast(ops.arange(11), x.dtype)[None, None, :, None])


class Scaled(layers.Layer):
    """A layer of a kind that is not known, of operations that are."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale


def enlarged(interpolation):
    return lambda x: layers.UpSampling2D((2, 3), interpolation=interpolation)(conv(strides=2)(x))


def transposed(padding, output_padding):
    options = {"strides": (3, 2), "padding": padding, "output_padding": output_padding}
    return lambda x: layers.Conv2DTranspose(2, (4, 3), **options)(conv(strides=(3, 2))(x))


ARCHITECTURES = {
    "reshape": lambda x: conv()(layers.Reshape((11, 9, 3))(conv(3)(x))),
    "reshape that mixes": lambda x: conv()(layers.Reshape((12, 15, 2))(conv(3, 2)(x))),
    "permute": lambda x: conv()(layers.Permute((2, 1, 3))(conv(strides=(2, 1))(x))),
    "permuted filters": lambda x: conv()(layers.Permute((1, 3, 2))(conv(4)(x))),
    "flatten and back": lambda x: conv()(layers.Reshape((11, 9, 2))(layers.Flatten()(conv()(x)))),
    "dense": lambda x: layers.Dense(3)(layers.Flatten()(conv()(x))),
    "dense and back": lambda x: conv()(
        layers.Reshape((4, 4, 1))(layers.Dense(16)(layers.Flatten()(x)))
    ),
    "repeated": lambda x: layers.Conv1D(2, 3)(layers.RepeatVector(6)(layers.Flatten()(x))),
    "rows": lambda x: layers.Conv1D(2, 3, strides=2)(layers.Reshape((13, 11))(x)),
    "pixels as a row": lambda x: layers.Conv1D(2, 3)(layers.Reshape((143, 1))(x)),
    "space to depth": lambda x: conv()(
        layers.Lambda(lambda t: tf.nn.space_to_depth(t, 2))(cropped(x))
    ),
    "depth to space": lambda x: conv()(
        layers.Lambda(lambda t: tf.nn.depth_to_space(t, 2))(conv(4, strides=2)(x))
    ),
    "patches": patches,
    "patches by operations": patches_by_operations,
    "extracted patches": lambda x: layers.Dense(2)(ops.image.extract_patches(cropped(x), (2, 2))),
    "mixer": mixer,
    "shuffled filters": shuffled,
    "some filters": lambda x: conv()(wide_and_narrow(x)[..., 2:]),
    "filters in groups": lambda x: layers.Conv2D(4, 3, groups=2)(wide_and_narrow(x)),
    "padding by operations": lambda x: conv()(
        ops.pad(x, ((0, 0), (2, 1), (1, 3), (0, 0)), mode="reflect")
    ),
    "padding with a constant": lambda x: conv()(
        ops.pad(x, ((0, 0), (5, 0), (0, 0), (0, 0)), constant_values=3.0)
    ),
    "rolled and flipped": lambda x: conv()(ops.flip(ops.roll(conv()(x), 2, axis=1), axis=2)),
    "slices": lambda x: conv()(conv()(x)[:, 2:, ::2]),
    "bilinear": enlarged("bilinear"),
    "bicubic": enlarged("bicubic"),
    "resized": lambda x: conv()(layers.Resizing(9, 15)(x)),
    "resized, nearest": lambda x: conv()(layers.Resizing(9, 15, interpolation="nearest")(x)),
    "resized and cropped": lambda x: conv()(layers.Resizing(8, 8, crop_to_aspect_ratio=True)(x)),
    "resized by operations": lambda x: conv()(ops.image.resize(conv()(x), (7, 14))),
    "center": lambda x: conv()(layers.CenterCrop(7, 6)(x)),
    "offsets, concatenated": offsets(layers.Concatenate()),
    "offsets, added": offsets(layers.Add()),
    "rows of two maps": lambda x: conv()(
        layers.Concatenate(axis=1)([conv()(x), conv(kernel=1)(x)[:, :, 2:]])
    ),
    "normalized rows": lambda x: layers.LayerNormalization(axis=2)(conv(3)(x)),
    "normalized maps": lambda x: layers.GroupNormalization(1)(conv(4)(x)),
    "means of rows": lambda x: layers.Conv1D(2, 3)(ops.mean(conv()(x), axis=1)),
    "transposed, output padding": transposed("same", (1, 0)),
    "transposed, output padding, valid": transposed("valid", (0, 1)),
    "product of matrices": lambda x: ops.matmul(
        *(layers.Reshape((13, 11))(x)[:, start : start + 11] for start in (0, 2))
    ),
    "softmax of filters": lambda x: conv()(layers.Conv2D(3, 3, activation="softmax")(x)),
    "an unknown layer of known operations": lambda x: conv()(Scaled()(conv()(x))),
    "a function of known operations": lambda x: layers.Activation(
        lambda t: t - ops.mean(t, axis=1, keepdims=True)
    )(conv()(x)),
    "a constant for each column": constant_added,
    "a mask": lambda x: conv()(x * np.tri(13, 11)[None, :, :, None]),
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
    "operations": lambda x: ops.relu(conv(padding="same")(x) + conv(kernel=1)(x)),
    "dense of each unit": lambda x: conv(filters=3)(layers.Dense(2)(conv()(x))),
    "global pooling": lambda x: layers.GlobalMaxPooling2D(keepdims=True)(conv()(x)),
}


# What units see depends on the data, so boxes are bounds.
BOUNDS = {
    "attention": lambda x: layers.MultiHeadAttention(2, 2)(patches(x), patches(x)),
    "softmax of places": lambda x: layers.Softmax(axis=1)(conv()(x)),
    "after attention": lambda x: conv()(
        layers.Reshape((6, 5, 4))(layers.Attention()([patches(x), patches(x)]))
    ),
}


@pytest.fixture
def in_float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def fields_of(model) -> tuple:
    """(boxes, words) of the model's output."""
    found = []

    def choose(trace):
        fields = ReceptiveFields(trace, image=0, size=SHAPE[:2])
        found.append(fields.boxes(trace.outputs[0]))
        return trace.outputs

    trace_model(model, [tf.TensorSpec([None, *SHAPE], keras.config.floatx())], list, choose)
    return found[0]


def moved(model, n_pixels: int) -> np.ndarray:
    """Which units differ when a pixel is changed, <bool>[pixel, y, x]."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    images = np.repeat(rng.uniform(0.1, 1, (1, *SHAPE)), n_pixels + 1, axis=0)
    images[1:].reshape(n_pixels, n_pixels)[np.diag_indices(n_pixels)] += 1000
    found = np.asarray(model(images))
    differ = np.abs(found[1:] - found[:1]) > 1e-11 * np.abs(found[:1]).max()
    shape = differ.shape[1:]
    return differ.reshape(n_pixels, *[1] * (3 - len(shape)), *shape).any(axis=3)


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


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_boxes_of_every_unit_equal_those_found_by_moving_every_pixel(name):
    source = keras.Input(SHAPE)
    model = keras.Model(source, ARCHITECTURES[name](source))
    expected = bounding_boxes(moved(model, SHAPE[0] * SHAPE[1]))
    boxes, words = fields_of(model)
    assert words == "exact"
    assert_array_equal(boxes, expected)
    assert (expected >= 0).any()


def test_a_value_minus_itself_sees_at_most_what_the_value_sees():
    source = keras.Input(SHAPE)
    boxes, words = fields_of(keras.Model(source, layers.LayerNormalization()(source)))
    assert words.startswith("at most: layer_normalization")
    assert words.endswith("subtracts values from themselves")
    assert boxes[3, 4].tolist() == [3, 4, 3, 4]


@pytest.mark.usefixtures("in_float64")
def test_a_product_with_padding_is_a_bound():
    source = keras.Input(SHAPE)
    mean = layers.GlobalAveragePooling2D(keepdims=True)(source)
    model = keras.Model(source, layers.Multiply()([layers.ZeroPadding2D(1)(source), mean]))
    seen = bounding_boxes(moved(model, SHAPE[0] * SHAPE[1]))
    boxes, words = fields_of(model)
    assert words.startswith("at most: multiply")
    assert words.endswith("multiplies by padding, which may be zero")
    assert (seen[0, 0] == -1).all()
    assert (boxes == [0, 0, SHAPE[0] - 1, SHAPE[1] - 1]).all()


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("name", BOUNDS)
def test_a_box_that_depends_on_the_data_is_called_a_bound_and_holds_what_moves_a_unit(name):
    source = keras.Input(SHAPE)
    model = keras.Model(source, BOUNDS[name](source))
    seen = bounding_boxes(moved(model, SHAPE[0] * SHAPE[1]))
    boxes, words = fields_of(model)
    assert words.startswith("at most: ")
    assert words.endswith(" weighs places by what is in them")
    assert (boxes[..., :2] <= seen[..., :2]).all()
    assert (boxes[..., 2:] >= seen[..., 2:]).all()


def random_step(x, rng):
    """Any one of many layers and operations, with random settings that may not fit."""

    def few() -> int:
        return int(rng.integers(1, 4))

    filters, sizes = x.shape[3], list(range(1, 25))
    padding = str(rng.choice(["valid", "same"]))
    steps = [
        lambda: conv(few(), (few(), few()), padding=padding, strides=few())(x),
        lambda: conv(padding="same", dilation_rate=2)(x),
        lambda: layers.DepthwiseConv2D(few(), depth_multiplier=few(), padding="same")(x),
        lambda: layers.SeparableConv2D(2, 3, padding=padding)(x),
        lambda: layers.Conv2DTranspose(2, few(), strides=2, padding=padding)(x),
        lambda: layers.AveragePooling2D(2, strides=few(), padding=padding)(x),
        lambda: layers.UpSampling2D((few(), 2), interpolation="bilinear")(x),
        lambda: layers.Resizing(*rng.integers(3, 14, size=2).tolist())(x),
        lambda: layers.ZeroPadding2D(((few(), 0), (1, few())))(x),
        lambda: layers.Cropping2D(((1, 0), (0, 1)))(x),
        lambda: layers.Permute(tuple((1 + rng.permutation(3)).tolist()))(x),
        lambda: layers.Reshape((*rng.choice(sizes, size=2).tolist(), -1))(x),
        lambda: layers.LayerNormalization(axis=few())(x),
        lambda: layers.Concatenate()([conv(padding="same")(x), x]),
        lambda: layers.Add()([conv(filters, padding="same")(x), x]),
        lambda: ops.roll(x, few(), axis=few()),
        lambda: ops.transpose(ops.flip(x[:, few() - 1 :, ::2], axis=1), (0, 2, 1, 3)),
        lambda: ops.pad(x, ((0, 0), (1, 0), (0, few()), (0, 0)), mode="reflect"),
        lambda: layers.Lambda(lambda t: tf.nn.space_to_depth(t, 2))(x),
        lambda: x[..., ::-1][..., : max(1, filters - 1)],
    ]
    return steps[rng.integers(len(steps))]()


def random_model(seed: int):
    rng = np.random.default_rng(seed)
    source = x = keras.Input(SHAPE)
    n_steps = int(rng.integers(2, 6))
    while n_steps:
        try:
            following = random_step(x, rng)
            keras.Model(source, following)(np.zeros((1, *SHAPE)))
        except (ValueError, TypeError, NotImplementedError, tf.errors.OpError):
            continue  # does not fit
        if 0 < np.prod(following.shape[1:]) <= 3000:
            x, n_steps = following, n_steps - 1
    return keras.Model(source, x)


@pytest.mark.share
@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("seed", range(count(12, 600)))
def test_random_chains_of_layers_see_what_moves_them(seed):
    model = random_model(seed)
    expected = bounding_boxes(moved(model, SHAPE[0] * SHAPE[1]))
    boxes, words = fields_of(model)
    if words == "exact":
        assert_array_equal(boxes, expected)
    else:
        assert words.startswith("at most: ")
        inside = (boxes[..., :2] <= expected[..., :2]) & (boxes[..., 2:] >= expected[..., 2:])
        assert (inside.all(axis=-1) | (expected[..., 0] < 0)).all()


class OfTensorFlow(keras.Model):
    """A model whose own code moves maps between its layers."""

    def __init__(self):
        super().__init__()
        self.first, self.last = conv(), conv()

    def call(self, inputs, training=False):
        maps = tf.nn.relu(tf.transpose(self.first(inputs), [0, 2, 1, 3])) + 1
        maps = tf.pad(maps, [[0, 0], [1, 1], [0, 2], [0, 0]])
        return self.last(tf.nn.space_to_depth(maps[:, :10, :12], 2))


@pytest.mark.usefixtures("in_float64")
def test_what_a_model_does_between_its_layers_is_followed():
    model = OfTensorFlow()
    model(np.zeros((1, *SHAPE)))
    expected = bounding_boxes(moved(model, SHAPE[0] * SHAPE[1]))
    boxes, words = fields_of(model)
    assert words == "exact"
    assert_array_equal(boxes, expected)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_what_is_moved_is_followed_in_every_precision(precision):
    keras.config.set_dtype_policy(precision)
    try:
        image = keras.Input(SHAPE)
        model = keras.Model(image, layers.Reshape((18, 11, 1))(conv()(image)))
    finally:
        keras.config.set_dtype_policy("float32")
    boxes, words = fields_of(model)
    first, last = np.divmod(np.arange(18 * 11) // 2, 9)
    assert words == "exact"
    assert_array_equal(boxes.reshape(-1, 4), np.stack([first, last, first + 2, last + 2], axis=1))


def test_many_filters_are_concatenated_as_the_hull_of_all():
    def build(x):
        wide = layers.Conv2D(500, 3, padding="same")(x)
        both = layers.Concatenate()([wide, layers.Conv2D(500, 1)(x)])
        return layers.DepthwiseConv2D(1)(both), both[..., 500:]

    image = keras.Input(SHAPE)
    union, some = (fields_of(keras.Model(image, out)) for out in build(image))
    assert union[1] == "exact"
    assert union[0][5, 5].tolist() == [4, 4, 6, 6]
    assert some[1].startswith("at most: get_item")
    assert some[1].endswith("moves filters that see different pixels")
    assert some[0][5, 5].tolist() == [4, 4, 6, 6]


def classifier(*inner) -> keras.Model:
    scores = layers.Dense(3, activation="softmax")
    return keras.Sequential([keras.Input(SHAPE), *inner, layers.Flatten(), scores])


def test_a_layer_of_a_kind_that_is_not_known_is_named():
    model = classifier(conv(), layers.ConvLSTM1D(2, 3, return_sequences=True, name="steps"))
    boxes, words = fields_of(keras.Model(model.inputs, model.layers[1].output))
    assert boxes is None
    assert words == "unknown: steps is of the kind ConvLSTM1D"


class Rolled(layers.Conv2D):
    """Looks like a convolution, and sees elsewhere."""

    def call(self, inputs):
        return super().call(ops.roll(inputs, 3, axis=1))


@pytest.mark.parametrize(
    "layer",
    [
        Rolled(2, 3),
        layers.Conv2D(2, 3, activation=lambda x: x - ops.mean(x, axis=(1, 2), keepdims=True)),
        layers.Lambda(lambda x: ops.sort(x, axis=1)),
        layers.Lambda(lambda x: ops.sign(ops.mean(x)) * x),
        layers.TimeDistributed(layers.Conv1D(2, 3)),
    ],
)
def test_what_may_look_elsewhere_is_not_called_exact(layer):
    source = keras.Input(SHAPE)
    inner = conv()(source)
    model = keras.Model(source, layer(inner))
    seen, words = fields_of(model)
    assert seen is None
    assert words.startswith("unknown: ")


@pytest.mark.parametrize(
    ("layer", "words", "box"),
    [
        (layers.GroupNormalization(groups=1, axis=1), "exact", [0, 0, 12, 10]),
        (layers.BatchNormalization(axis=1), "exact", [4, 3, 8, 7]),
        (layers.LayerNormalization(axis=1), "exact", [4, 3, 8, 7]),
        (layers.LayerNormalization(axis=-1), "exact", [4, 0, 8, 10]),
        (layers.Softmax(), "at most", [4, 0, 8, 10]),
        (layers.Activation("softmax"), "at most", [4, 0, 8, 10]),
        (layers.Dense(11), "exact", [4, 0, 8, 10]),
    ],
)
def test_with_channels_first_the_last_axis_is_x(layer, words, box):
    source = keras.Input((1, *SHAPE[:2]))
    options = {"data_format": "channels_first", "padding": "same", "name": "last"}
    inner = layers.Conv2D(4, 3, data_format="channels_first", padding="same")(source)
    out = layers.Add()([layer(inner), inner])
    out = layers.Conv2D(2, 3, **options)(out)
    pooled = layers.GlobalAveragePooling2D(data_format="channels_first")(out)
    model = keras.Model(source, layers.Dense(3)(pooled))
    (found,) = KerasProbe(model, CaptureOptions(layers="last")).layers
    assert found.field_words.startswith(words)
    assert found.receptive_field[6, 5].tolist() == box


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
