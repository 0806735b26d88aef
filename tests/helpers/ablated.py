"""Models of several kinds, and each with a layer of its own that replaces one plane of another."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

from fmcore.model.tutorial import tutorial_network

SHAPE = (12, 12, 1)


def batch_norm() -> keras.Model:
    """Convolution, normalization and ReLU as layers of their own."""
    image = keras.Input(SHAPE)
    x = image
    for index, n_filters in enumerate((6, 8), start=1):
        x = L.Conv2D(n_filters, 3, use_bias=False, name=f"c{index}")(x)
        x = L.BatchNormalization(name=f"bn{index}")(x)
        x = L.ReLU(name=f"relu{index}")(x)
    x = L.GlobalAveragePooling2D()(x)
    model = keras.Model(image, L.Dense(4, activation="softmax")(x))
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):  # as after training
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def residual() -> keras.Model:
    image = keras.Input(SHAPE)
    first = L.Conv2D(6, 3, padding="same", activation="relu", name="c1")(image)
    x = L.Conv2D(6, 3, padding="same", activation="relu", name="c2")(first)
    x = L.Conv2D(6, 3, padding="same", name="c3")(x)
    x = L.Flatten()(L.MaxPooling2D(3)(L.ReLU()(L.Add()([first, x]))))
    return keras.Model(image, L.Dense(4, activation="softmax")(x))


def depthwise() -> keras.Model:
    """Ends in values before the softmax."""
    image = keras.Input(SHAPE)
    x = L.Conv2D(6, 3, activation="relu", name="c1")(image)
    x = L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="d1")(x)
    x = L.SeparableConv2D(8, 3, activation="gelu", name="s1")(x)
    return keras.Model(image, L.Dense(4)(L.GlobalMaxPooling2D()(x)))


def branches() -> keras.Model:
    """Layers that are called twice, and three branches that meet."""
    image = keras.Input(SHAPE)
    first = L.Conv2D(6, 3, padding="same", activation="relu", name="c1")
    second = L.Conv2D(6, 3, padding="same", activation="relu", name="c2")
    a, b = first(image), first(L.Rescaling(-1.0, offset=1.0)(image))
    pooled = L.AveragePooling2D(3, strides=1, padding="same")(a)
    x = L.MaxPooling2D()(L.Concatenate()([second(a), second(b), pooled]))
    x = L.Flatten()(L.Conv2D(5, 1, activation="swish", name="c3")(x))
    return keras.Model(image, L.Dense(4, activation="softmax")(x))


def nested() -> keras.Model:
    first = keras.Input(SHAPE)
    x = L.MaxPooling2D()(L.Conv2D(12, 3, activation="relu", name="c1")(first))
    inner = keras.Model(first, L.Conv2D(9, 3, activation="relu", name="c2")(x), name="inner")
    image = keras.Input(SHAPE)
    x = L.Flatten()(L.Dropout(0.5)(inner(image)))
    return keras.Model(image, L.Dense(4, activation="softmax")(x))


ARCHITECTURES = {
    "tutorial": lambda: tutorial_network(SHAPE, n_classes=4),
    "batch_norm": batch_norm,
    "residual": residual,
    "depthwise": depthwise,
    "branches": branches,
    "nested": nested,
}


class Replaced:
    """A copy of a model in which values take the place of planes that a layer puts out.

    Attributes:
        model: the copy; compiled functions of it follow `set`.
    """

    def __init__(self, model: keras.Model, layer: str, n_filters: int, *, call: int = 1) -> None:
        self._flags = tf.Variable(tf.zeros(n_filters, tf.bool), trainable=False)
        self._values = tf.Variable(tf.zeros(n_filters), trainable=False)
        flags, values, n_calls = self._flags, self._values, [0]

        class Replace(L.Layer):
            def call(self, planes):
                return tf.where(flags, tf.cast(values, planes.dtype), planes)

            def compute_output_shape(self, shape):
                return shape

        def run(operation, *arguments, **keywords):
            output = operation(*arguments, **keywords)
            n_calls[0] += operation.name == layer
            is_it = operation.name == layer and n_calls[0] == call
            return Replace()(output) if is_it else output

        self.model = keras.models.clone_model(model, call_function=run, recursive=True)
        self.model.set_weights(model.get_weights())
        assert n_calls[0] >= call

    def set(self, filters, values=0.0) -> None:
        """Chooses which planes are replaced, and by what."""
        flags = np.zeros(self._flags.shape[0], bool)
        flags[filters] = True
        self._flags.assign(flags)
        self._values.assign(np.broadcast_to(np.float32(values), flags.shape))
