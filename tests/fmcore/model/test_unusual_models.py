"""Recurrent layers, constants in the graph, channels first in rows: a sound store, or a reason."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import capture_activations, open_store
from fmcore.api import list_layers
from fmcore.capture import CaptureOptions
from fmcore.errors import ModelError
from fmcore.storage import problems

pytestmark = pytest.mark.keras
SHAPE = (12, 10, 3)
IMAGES = np.random.default_rng(0).random((6, *SHAPE), dtype=np.float32)
LABELS = np.arange(6) % 3


def model_of(build, shape=SHAPE):
    """A model that ends in classes, and one that puts out what `build` makes."""
    image = keras.Input(shape)
    middle = build(image)
    scores = layers.Dense(3, activation="softmax")(layers.Flatten()(middle))
    return keras.Model(image, scores), keras.Model(image, middle)


def frames(image):
    """An image cut into three frames, one after the other."""
    return layers.Reshape((3, 4, *SHAPE[1:]))(image)


def rows(image):
    return layers.Reshape((SHAPE[0], SHAPE[1] * SHAPE[2]))(image)


def last_layer_equals_keras(model, part, path, **options):
    """Captures a model, and compares the layer before its head with what Keras predicts."""
    capture_activations(model, IMAGES, LABELS, path, **options)
    assert list(problems(path)) == []
    expected = part.predict(IMAGES, verbose=0)
    name = part.output._keras_history.operation.name
    with open_store(path) as store:
        stored = store.layers[name].activation[:]
    assert_allclose(stored.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)


RECURRENT = {
    "LSTM": lambda x: layers.LSTM(4, return_sequences=True)(rows(x)),
    "GRU": lambda x: layers.GRU(4)(rows(x)),
    "SimpleRNN": lambda x: layers.SimpleRNN(4)(rows(x)),
    "stacked cells": lambda x: layers.RNN([layers.LSTMCell(5), layers.GRUCell(4)])(rows(x)),
    "both ways": lambda x: layers.Bidirectional(layers.GRU(4))(rows(x)),
    "both ways, joined": lambda x: layers.Bidirectional(layers.SimpleRNN(4))(rows(x)),
    "both ways, summed": lambda x: layers.Bidirectional(layers.LSTM(4), merge_mode="sum")(rows(x)),
    "ConvLSTM1D": lambda x: layers.ConvLSTM1D(4, 3)(x),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_are_captured_as_keras_predicts(name, tmp_path):
    last_layer_equals_keras(*model_of(RECURRENT[name]), tmp_path / "s.h5", kind="all")


def test_a_bias_is_stored_only_where_it_is_one_number_for_each_filter(tmp_path):
    model, _ = model_of(
        lambda x: layers.Dense(5, name="dense")(layers.LSTM(4, name="lstm")(rows(x)))
    )
    model.get_layer("dense").bias.assign(np.arange(5.0))
    capture_activations(model, IMAGES, LABELS, tmp_path / "s.h5", kind="all")
    with open_store(tmp_path / "s.h5") as store:
        assert store.layers["lstm"].bias is None
        assert_array_equal(store.layers["dense"].bias, np.arange(5.0))


WEIGHTS = np.arange(1, 5, dtype=np.float32)
CONSTANTS = {
    "a tensor": lambda x: ops.subtract(x, ops.convert_to_tensor(WEIGHTS[:3])),
    "a variable": lambda x: x * keras.Variable(WEIGHTS[:3]),
    "an array": lambda x: ops.subtract(WEIGHTS[:3], x),
    "vgg16's preprocessing": lambda x: keras.applications.vgg16.preprocess_input(x),
    "densenet's preprocessing": lambda x: keras.applications.densenet.preprocess_input(x),
    "the kernel of an operation": lambda x: ops.conv(
        x, keras.Variable(np.ones((3, 3, 3, 2), "f4"))
    ),
}


@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize("kind", ["conv", "all"])
@pytest.mark.parametrize("from_file", [False, True])
def test_constants_in_the_graph_are_no_images(name, kind, from_file, tmp_path):
    model, part = model_of(lambda x: layers.Conv2D(2, 3, name="maps")(CONSTANTS[name](x)))
    if from_file:
        if "variable" in name or "kernel" in name:
            pytest.skip("Keras does not save a variable that belongs to no layer")
        model.save(tmp_path / "m.keras")
        model = tmp_path / "m.keras"
    last_layer_equals_keras(model, part, tmp_path / "s.h5", kind=kind)


def test_a_constant_does_not_hide_which_pixels_a_unit_sees(tmp_path):
    tensor = ops.convert_to_tensor(WEIGHTS[:3])
    for name, build in (
        ("plain", lambda x: layers.Conv2D(2, 3, name="conv")(x)),
        ("constant", lambda x: layers.Conv2D(2, 3, name="conv")(ops.subtract(x, tensor))),
    ):
        capture_activations(model_of(build)[0], IMAGES, LABELS, tmp_path / f"{name}.h5")
    with open_store(tmp_path / "plain.h5") as plain, open_store(tmp_path / "constant.h5") as other:
        expected = plain.layers["conv"].receptive_fields()
        assert_array_equal(other.layers["conv"].receptive_fields(), expected)


def test_a_map_that_a_constant_enlarges_sees_the_same_at_every_place(tmp_path):
    def enlarged(x):
        return layers.GlobalAveragePooling2D(keepdims=True)(x) + np.ones((5, 4, 3), np.float32)

    model, part = model_of(enlarged)
    last_layer_equals_keras(model, part, tmp_path / "s.h5", kind="all")
    with open_store(tmp_path / "s.h5") as store:
        fields = store.layers[part.output._keras_history.operation.name].receptive_fields()
    assert fields.shape == (5, 4, 4)
    assert (fields == [0, 0, SHAPE[0] - 1, SHAPE[1] - 1]).all()


def test_rows_with_channels_first_are_captured(tmp_path):
    def build(x):
        return layers.Conv1D(4, 3, data_format="channels_first", name="conv")(x)

    image = keras.Input((12, 30))
    scores = layers.Dense(3, activation="softmax")(layers.Flatten()(build(image)))
    model = keras.Model(image, scores)
    images = IMAGES.reshape(6, 12, 30)
    capture_activations(model, images, LABELS, tmp_path / "s.h5")
    assert list(problems(tmp_path / "s.h5")) == []
    expected = np.transpose(keras.Model(image, model.layers[1].output)(images), (0, 2, 1))
    with open_store(tmp_path / "s.h5") as store:
        assert_allclose(store.layers["conv"].activation[:, 0], expected, rtol=1e-5, atol=1e-6)
        # Along what the model calls x the convolution has its channels, and sees all of it.
        assert (store.layers["conv"].receptive_fields() == [0, 0, 0, 11]).all()


def test_a_convolution_that_is_not_captured_is_listed_with_the_reason(tmp_path, caplog):
    def build(x):
        return layers.Conv2D(2, 2, name="conv")(layers.ConvLSTM2D(3, 2, name="steps")(frames(x)))

    model, _ = model_of(build)
    capture_activations(model, IMAGES, LABELS, tmp_path / "conv.h5")
    (warning,) = [
        record.getMessage() for record in caplog.records if "steps" in record.getMessage()
    ]
    assert "layer 'steps'" in warning
    assert "ConvLSTM2D is recurrent" in warning
    assert "--kind all --layer 'steps' captures it" in warning
    rows = {row.path: row for row in list_layers(model)}
    assert not rows["steps"].taken
    assert rows["steps"].problem in warning
    assert rows["steps"].shape is None
    assert rows["conv"].taken
    # What the message advises.
    capture_activations(model, IMAGES, LABELS, tmp_path / "all.h5", kind="all", layers="steps")
    with open_store(tmp_path / "all.h5") as store:
        assert list(store.layers) == ["steps"]
    assert {row.path for row in list_layers(model, CaptureOptions(kind="all")) if row.shape} >= {
        "steps"
    }


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda x: layers.Bidirectional(layers.ConvLSTM2D(3, 2))(frames(x)), "is recurrent"),
        (
            lambda x: ops.conv(x, keras.Variable(np.ones((3, 3, 3, 2), "f4"))),
            "Conv is none of Keras' convolutional layers",
        ),
    ],
)
def test_without_a_convolutional_layer_the_refusal_says_what_was_left_out(build, reason, tmp_path):
    model, _ = model_of(build)
    with pytest.raises(ModelError, match=f"is not captured: .*{reason}.*--kind all"):
        capture_activations(model, IMAGES, LABELS, tmp_path / "s.h5")


@pytest.mark.parametrize("wrap", [lambda layer: layer, layers.Bidirectional])
def test_a_model_with_a_state_is_refused_and_without_it_is_captured(wrap, tmp_path):
    def built(*, stateful: bool) -> keras.Model:
        image = keras.Input(batch_shape=(3 if stateful else None, *SHAPE))
        maps = layers.Conv2D(4, 3, name="conv")(image)
        row = layers.Reshape((10, 32))(maps)
        recurrent = wrap(layers.LSTM(4, stateful=stateful, name="memory"))(row)
        return keras.Model(image, layers.Dense(3, activation="softmax")(recurrent))

    model = built(stateful=True)
    for refused in (
        lambda: capture_activations(model, IMAGES, LABELS, tmp_path / "s.h5"),
        lambda: list_layers(model),
    ):
        with pytest.raises(ModelError, match=r"state from one batch to the next .*stateful=False"):
            refused()
    new = built(stateful=False)
    new.set_weights(model.get_weights())
    capture_activations(new, IMAGES, LABELS, tmp_path / "s.h5", layers="conv")
    expected = keras.Model(new.inputs, new.get_layer("conv").output).predict(IMAGES, verbose=0)
    with open_store(tmp_path / "s.h5") as store:
        assert_allclose(store.layers["conv"].activation[:], expected, rtol=1e-5, atol=1e-6)


def test_a_layer_without_maps_is_refused_without_advice_that_does_not_help(tmp_path):
    image = keras.Input(SHAPE)
    number = ops.mean(image, axis=(1, 2, 3))
    conv = layers.Flatten()(layers.Conv2D(2, 3, name="conv")(image))
    model = keras.Model(image, [layers.Dense(3, activation="softmax", name="scores")(conv), number])
    with pytest.raises(ModelError, match=r"one number for each image.*--layers") as caught:
        capture_activations(model, IMAGES, LABELS, tmp_path / "s.h5", kind="all")
    assert "--size" not in str(caught.value)
    named = {"kind": "all", "layers": "conv,flatten*,scores", "output": "scores"}
    capture_activations(model, IMAGES, LABELS, tmp_path / "s.h5", **named)
