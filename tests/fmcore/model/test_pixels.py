"""Which pixels a model sees: measured in its graph, on labels and moments, and always said."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import zipfile
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.factories import make_samples
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import capture_activations, capture_callback, open_store
from fmcore.capture import CaptureOptions, answers_before_pixels, plan_output
from fmcore.capture.plan import identity, plan_capture
from fmcore.cli import main
from fmcore.dataset import (
    AS_GIVEN,
    Decision,
    Preprocessing,
    default_preprocessing,
    labelled_images,
    preprocessing_named,
)
from fmcore.dataset.preprocessing import NAMES, without_reason
from fmcore.errors import ModelError
from fmcore.model.inputs import fit_to_model, inputs_of
from fmcore.model.keras_names import application_inside
from fmcore.model.probe import KerasProbe
from fmcore.model.scaling import decide
from fmcore.model.training_record import read_record, write_record

pytestmark = pytest.mark.keras
RNG = np.random.default_rng(0)
SHAPE = (12, 12, 3)
UNIT = Preprocessing(scale=255.0)
PIXELS = RNG.integers(0, 256, (24, *SHAPE), dtype=np.uint8)


def head(x, name: str = "conv"):
    x = layers.Conv2D(4, 3, activation="relu", name=name)(x)
    return layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def functional(prefix: Callable, shape=SHAPE, **options) -> keras.Model:
    image = keras.Input(shape, **options)
    return keras.Model(image, head(prefix(image)))


def decided(model: keras.Model, images=PIXELS, labels=None, **options) -> Decision:
    samples = labelled_images(images, labels, where="x")
    inputs = inputs_of(model, image_shape=samples.image_shape)
    samples = fit_to_model(inputs, samples, where="x")
    if labels is not None:
        first = [default_preprocessing(samples.images), AS_GIVEN]
        chosen = CaptureOptions(target="class")
        probe = KerasProbe(model)
        answer, target = answers_before_pixels(
            probe, lambda tried: plan_output(probe, samples, chosen, preprocessing=tried), first
        )
        options |= {"answer": answer, "target": target}
    return decide(model, samples, inputs, **options)


def normalization(mean: float, variance: float) -> layers.Normalization:
    return layers.Normalization(mean=[mean] * 3, variance=[variance] * 3)


def trained_batch_normalization(mean: float, variance: float) -> layers.BatchNormalization:
    layer = layers.BatchNormalization()
    layer.build((None, *SHAPE))
    gamma, beta = RNG.uniform(0.5, 1.5, 3), RNG.uniform(-0.3, 0.3, 3)
    layer.set_weights([gamma, beta, np.full(3, mean), np.full(3, variance)])
    return layer


def augmented(x):
    for layer in (
        layers.RandomFlip(),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomContrast(0.2, value_range=(0, 255)),
        layers.GaussianNoise(0.1),
    ):
        x = layer(x)
    return x


def standardized(x):
    centered = x - ops.mean(x, axis=(1, 2, 3), keepdims=True)
    return centered / (ops.std(x, axis=(1, 2, 3), keepdims=True) + 1e-6)


def caffe(x):
    return keras.applications.vgg16.preprocess_input(x)


SCALES_ITSELF = {
    "an operation": lambda x: x / 255.0,
    "operations": lambda x: (x - 127.5) / 127.5,
    "a product": lambda x: x * (1 / 255),
    "keras.ops": lambda x: ops.subtract(ops.divide(x, 127.5), 1.0),
    "inverted": lambda x: 1 - x / 255.0,
    "preprocess_input, tf": keras.applications.mobilenet_v2.preprocess_input,
    "preprocess_input, torch": keras.applications.densenet.preprocess_input,
    "preprocess_input, caffe": caffe,
    "Rescaling": layers.Rescaling(1 / 255),
    "Rescaling to -1": layers.Rescaling(1 / 127.5, offset=-1),
    "Rescaling in a model": keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255)]),
    "an operation in a model": lambda x: keras.Model(
        (inner := keras.Input(SHAPE)), (inner - 128.0) / 64.0
    )(x),
    "Rescaling after augmentation": lambda x: layers.Rescaling(1 / 255)(augmented(x)),
    "an operation after augmentation": lambda x: augmented(x) / 255.0,
    "Rescaling after padding": lambda x: layers.Rescaling(1 / 255)(layers.ZeroPadding2D(4)(x)),
    "Rescaling after resizing": lambda x: layers.Rescaling(1 / 255)(layers.Resizing(20, 9)(x)),
    "Rescaling after gray": lambda x: layers.Rescaling(1 / 255)(ops.image.rgb_to_grayscale(x)),
    "Normalization": normalization(120.0, 4000.0),
    "batch normalization": trained_batch_normalization(120.0, 4000.0),
    "batch normalization after one epoch": trained_batch_normalization(70.0, 2500.0),
    "Rescaling and batch normalization": lambda x: trained_batch_normalization(0.4, 0.06)(
        layers.Rescaling(1 / 255)(x)
    ),
    "each image by itself": standardized,
    "the largest of each image": lambda x: x / ops.max(x, axis=(1, 2, 3), keepdims=True),
}
TAKES_UNIT = {
    "nothing": lambda x: x,
    "augmentation": augmented,
    "an untrained batch normalization": layers.BatchNormalization(),
    "batch normalization": trained_batch_normalization(0.45, 0.07),
    "Normalization": normalization(0.45, 0.07),
    "operations": lambda x: (x - 0.5) / 0.5,
    "Rescaling to -1": layers.Rescaling(2.0, offset=-1.0),
    "up to 255": layers.Rescaling(255.0),
    "up to 255, then preprocess_input": lambda x: caffe(x * 255.0),
    "clipped": lambda x: ops.clip(x, 0.0, 1.0),
}


@pytest.mark.parametrize("form", SCALES_ITSELF)
def test_a_model_that_scales_pixels_gets_them_as_they_are(form):
    decision = decided(functional(SCALES_ITSELF[form]))
    assert decision.preprocessing == AS_GIVEN
    assert decision.reason.startswith("the model scales pixels itself: conv sees ")
    assert decision.warning == ""


@pytest.mark.parametrize("form", TAKES_UNIT)
def test_a_model_that_does_not_scale_pixels_gets_them_divided(form):
    decision = decided(functional(TAKES_UNIT[form]))
    assert decision.preprocessing == UNIT
    assert decision.warning == ""


class Subclassed(keras.Model):
    def __init__(self, divisor: float):
        super().__init__()
        self.divisor = divisor
        self.conv, self.out = layers.Conv2D(4, 3, name="conv"), layers.Dense(3)

    def call(self, images):
        return self.out(tf.reduce_mean(self.conv(images / self.divisor), axis=(1, 2)))


def channels_first(prefix):
    image = keras.Input((3, 12, 12))
    x = layers.Conv2D(4, 3, data_format="channels_first", name="conv")(prefix(image))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def rows(prefix):
    image = keras.Input((36, 12))
    x = layers.Conv1D(4, 3, name="conv")(prefix(image))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def dense_first(prefix):
    image = keras.Input(SHAPE)
    x = layers.Dense(8, name="conv")(layers.Reshape((12, 36))(prefix(image)))
    x = layers.Conv1D(4, 3)(x)
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def grouped(prefix):
    image = keras.Input((12, 12, 4))
    x = layers.Conv2D(4, 3, groups=2, dilation_rate=2, name="conv")(prefix(image))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def recurrent(prefix):
    image = keras.Input(SHAPE)
    x = layers.LSTM(4, return_sequences=True, name="conv")(layers.Reshape((12, 36))(prefix(image)))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Conv1D(4, 3)(x))))


def depthwise(prefix):
    image = keras.Input(SHAPE)
    x = layers.SeparableConv2D(4, 3, name="conv")(layers.DepthwiseConv2D(3)(prefix(image)))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def nested(prefix):
    image = keras.Input(SHAPE)
    return keras.Model(image, functional(prefix)(augmented(image)))


def two_stems(prefix):
    image = keras.Input(SHAPE)
    x = prefix(image)
    both = layers.concatenate([layers.Conv2D(4, size, padding="same")(x) for size in (1, 3)])
    return keras.Model(image, head(layers.concatenate([both, x])))


ARCHITECTURES = (channels_first, rows, dense_first, grouped, recurrent, depthwise, nested)
ARCHITECTURES += (two_stems,)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_image_is_followed_through_any_architecture(architecture):
    shape = {rows: (24, 36, 12), grouped: (24, 12, 12, 4)}.get(architecture, PIXELS.shape)
    images = RNG.integers(0, 256, shape, dtype=np.uint8)
    assert decided(architecture(lambda x: x / 255.0), images).preprocessing == AS_GIVEN
    assert decided(architecture(lambda x: x), images).preprocessing == UNIT


def test_the_image_is_followed_through_a_subclassed_model():
    for divisor, expected in ((255.0, AS_GIVEN), (1.0, UNIT)):
        model = Subclassed(divisor)
        model(np.zeros((1, *SHAPE), np.float32))
        assert decided(model).preprocessing == expected


def test_an_input_of_bytes_takes_bytes():
    model = functional(lambda x: ops.cast(x, "float32") / 255.0, dtype="uint8")
    assert decided(model).preprocessing == AS_GIVEN


def test_layers_of_the_same_class_elsewhere_say_nothing_of_the_image():
    def residual(image):
        x = layers.Conv2D(3, 3, padding="same", name="conv")(image)
        return keras.Model(image, head(image + layers.Rescaling(0.1)(x), "last"))

    def shortcut(image):
        x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
        short = layers.Conv2D(4, 1)(layers.Rescaling(0.1)(image))
        return keras.Model(image, head(x + short, "last"))

    def after_pooling(image):
        x = layers.Rescaling(1 / 255)(layers.MaxPooling2D()(layers.Conv2D(4, 3)(image)))
        return keras.Model(image, head(x, "last"))

    for make in (residual, shortcut, after_pooling):
        assert decided(make(keras.Input(SHAPE))).preprocessing == UNIT


@pytest.mark.parametrize("scaling", [
    layers.Rescaling(1 / 255), layers.Normalization(mean=[5.0, 3.0], variance=[90.0, 90.0]),
    lambda x: (x - 127.5) / 127.5,
])  # fmt: skip
@pytest.mark.parametrize(("of_image", "expected"), [(lambda x: x, UNIT), (caffe, AS_GIVEN)])
def test_scaling_of_another_input_says_nothing_of_the_image(scaling, of_image, expected):
    image, table = keras.Input(SHAPE, name="image"), keras.Input((2,), name="table")
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, name="conv")(of_image(image)))
    both = layers.concatenate([layers.Dense(3)(scaling(table)), x])
    for inputs in ([image, table], [table, image]):
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(both))
        values = {"image": PIXELS, "table": RNG.random((24, 2)) * 100}
        assert decided(model, values).preprocessing == expected


# Images of two classes, bright and dark, and models that tell them apart at one scale only.
BRIGHT = np.arange(120) % 2
CLASSES = np.where(BRIGHT[:, None, None, None], 150, 40) + RNG.integers(-30, 30, (120, *SHAPE))
CLASSES = CLASSES.astype(np.uint8)


def threshold(value: float, slope: float) -> keras.Model:
    """A model that takes an image for bright if its mean is above a value."""
    image = keras.Input(SHAPE)
    conv = layers.Conv2D(1, 1, name="conv")
    dense = layers.Dense(2, activation="softmax")
    model = keras.Model(image, dense(layers.GlobalAveragePooling2D()(conv(image))))
    conv.set_weights([np.full((1, 1, 3, 1), 1 / 3), np.zeros(1)])
    dense.set_weights([np.array([[-slope, slope]]), np.array([slope, -slope]) * value])
    return model


TRAINED_ON = {
    "raw": (threshold(95, 1), AS_GIVEN),
    "-1 to 1": (threshold(-0.25, 50), Preprocessing(127.5, (1.0,))),
    "caffe": (threshold(-20, 1), Preprocessing(mean=(103.939, 116.779, 123.68), reverse=True)),
}


@pytest.mark.parametrize("trained", TRAINED_ON)
def test_labels_tell_what_the_graph_does_not(trained):
    model, expected = TRAINED_ON[trained]
    decision = decided(model, CLASSES, BRIGHT)
    assert decision.preprocessing == expected
    feed = expected(CLASSES)
    accuracy = (model.predict(feed, verbose=0).argmax(axis=1) == BRIGHT).mean()
    assert accuracy == 1
    name = expected.steps or "as given"
    assert "of 120 labeled samples, pixels / 255: 50.0% right, loss " in decision.reason
    assert f"{name}: 100.0% right, loss " in decision.reason
    assert "preprocessed otherwise than usual" in decision.warning
    assert "--scale 255 divides them" in decision.warning


def sure_of(raw_gain: float) -> keras.Model:
    """A model without biases: its predictions are the same at any scale, its probabilities not."""
    image = keras.Input(SHAPE)
    conv = layers.Conv2D(2, 12, use_bias=False, name="conv")
    model = keras.Model(image, layers.Softmax()(layers.Flatten()(conv(image))))
    weights = np.zeros((12, 12, 3, 2))
    weights[:6, ..., 0], weights[6:, ..., 1] = raw_gain, raw_gain
    conv.set_weights([weights / (6 * 12 * 3)])
    return model


# The upper or the lower half is brighter, by 20 in the mean, which varies.
HALVES = RNG.integers(60, 140, (120, *SHAPE))
HALVES[BRIGHT == 0, :6] += RNG.integers(0, 41, (60, 1, 1, 1))
HALVES[BRIGHT == 1, 6:] += RNG.integers(0, 41, (60, 1, 1, 1))
HALVES = HALVES.astype(np.uint8)


@pytest.mark.parametrize(("gain", "expected"), [(0.5, AS_GIVEN), (60.0, UNIT)])
def test_probabilities_tell_the_scale_where_predictions_are_the_same(gain, expected):
    model = sure_of(gain)
    predictions = [
        model.predict(scale(HALVES), verbose=0).argmax(axis=1) for scale in (AS_GIVEN, UNIT)
    ]
    assert_array_equal(*predictions)
    model.compile(loss="sparse_categorical_crossentropy")
    loss = model.evaluate(expected(HALVES), BRIGHT, verbose=0)
    decision = decided(model, HALVES, BRIGHT)
    assert decision.preprocessing == expected
    assert f"right, loss {loss:.3g}" in decision.reason


def test_probabilities_that_tell_nothing_are_doubtful_where_predictions_are_right():
    decision = decided(sure_of(0.02), HALVES, BRIGHT)
    assert decision.preprocessing == UNIT
    assert "as on pixels that are too small: of 120 labeled samples, pixels" in decision.warning


def test_labels_that_the_usual_pixels_explain_change_nothing():
    decision = decided(threshold(0.37, 50), CLASSES, BRIGHT)
    assert decision.preprocessing == UNIT
    reason = "the default for uint8; of 120 labeled samples, pixels / 255: 100.0% right, loss "
    assert decision.reason.startswith(reason)
    assert decision.warning == ""


def test_labels_win_over_the_graph_but_not_in_silence():
    """A model with a Rescaling layer that was trained on pixels divided by 255 already."""
    image = keras.Input(SHAPE)
    model = keras.Model(image, threshold(0.37 / 255, 12_000)(layers.Rescaling(1 / 255)(image)))
    assert decided(model, CLASSES).preprocessing == AS_GIVEN
    decision = decided(model, CLASSES, BRIGHT)
    assert decision.preprocessing == UNIT
    assert re.search("as given: 50.0% right.*; pixels / 255: 100.0% right", decision.warning)


@pytest.mark.parametrize("seed", range(5))
def test_chance_does_not_change_the_default(seed):
    labels = np.random.default_rng(seed).integers(0, 2, 120)
    assert decided(threshold(95, 1), CLASSES, labels).preprocessing == UNIT
    few = slice(0, 4)
    assert decided(threshold(95, 1), CLASSES[few], BRIGHT[few]).preprocessing == UNIT


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    """A model that sees nothing is right for the frequent class: 80% here."""
    rows = np.sort(np.r_[np.flatnonzero(BRIGHT == 0), np.flatnonzero(BRIGHT)[:15]])
    decision = decided(threshold(95, 1), CLASSES[rows], BRIGHT[rows])
    assert decision.preprocessing == AS_GIVEN


def convolved(mean_of, variance_of) -> keras.Model:
    """A convolution and a batch normalization that has seen such pixels, for no classes."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    conv, normalize = layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization()
    model = keras.Model(image, layers.ReLU()(normalize(conv(image))))
    values = keras.Model(image, conv.output).predict(mean_of(CLASSES[:60]), verbose=0)
    mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))
    normalize.set_weights([np.ones(4), np.zeros(4), mean, variance * variance_of])
    return model


@pytest.mark.parametrize("expected", [AS_GIVEN, UNIT, Preprocessing(0.125), Preprocessing(64.0)])
def test_moments_of_a_batch_normalization_tell_without_labels(expected):
    decision = decided(convolved(expected, 0.8), CLASSES[60:])
    if expected in (AS_GIVEN, UNIT):
        assert decision.preprocessing == expected
        assert decision.reason.endswith("the batch normalization was trained on such pixels")
        assert bool(decision.warning) == (expected == AS_GIVEN)
    else:  # no candidate fits, so nothing is claimed
        assert decision.preprocessing == UNIT
        assert decision.reason == "the default for uint8; neither the model nor labels tell"


def test_what_cannot_be_told_is_said_to_be_a_default():
    decision = decided(functional(lambda x: x))
    assert decision.words == (
        "pixels / 255 (the default for uint8; neither the model nor labels tell)"
    )
    vgg = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    assert application_inside(vgg) == ("VGG16", Preprocessing(
        mean=(103.939, 116.779, 123.68), reverse=True, name="vgg16"))  # fmt: skip
    image = keras.Input((32, 32, 3))
    tuned = keras.Model(image, layers.Dense(2)(layers.Flatten()(vgg(image))))
    pixels = RNG.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    assert "--preprocess vgg16" in decided(tuned, pixels).warning
    assert application_inside(functional(lambda x: x)) is None


@pytest.mark.parametrize("form", ["raw", "unit"])
def test_pixels_that_reach_only_16_are_not_divided_by_255_without_a_word(form):
    digits = (CLASSES // 16).astype(np.uint8)
    usual = decided(functional(lambda x: x), digits)
    assert usual.preprocessing == UNIT
    assert f"none is above {digits.max()}" in usual.warning
    model = threshold(95 / 16, 5) if form == "raw" else threshold(0.6, 30)
    expected = AS_GIVEN if form == "raw" else Preprocessing(float(digits.max()))
    assert decided(model, digits, BRIGHT).preprocessing == expected


@pytest.mark.parametrize("form", ["npz", "hdf5", "folder"])
def test_pixels_of_0_and_1_are_never_divided(form, tmp_path, capsys):
    from h5py import File
    from PIL import Image

    masks = RNG.integers(0, 2, (6, *SHAPE), dtype=np.uint8)
    labels = np.arange(6) % 3
    model = functional(lambda x: x)
    model.save(tmp_path / "m.keras")
    data = {"npz": "d.npz", "hdf5": "d.h5", "folder": "d"}[form]
    np.savez(tmp_path / "d.npz", x_test=masks, y_test=labels)
    with File(tmp_path / "d.h5", "w") as file:
        file["x"], file["y"] = masks, labels
    for index, mask in enumerate(masks):
        (tmp_path / "d" / f"{labels[index]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "d" / f"{labels[index]}" / f"{index}.png")
    order = np.argsort(labels, kind="stable") if form == "folder" else np.arange(6)
    suffix = "::x,y" if form == "hdf5" else ""
    arguments = ("--data", f"{tmp_path / data}{suffix}", "--out", tmp_path / "s.h5")
    assert run("capture", tmp_path / "m.keras", *arguments) == 0
    words = "none: images as given (no uint8 pixel is above 1)"
    assert f"Preprocessing: {words}; conv will see 0 to 1, mean " in capsys.readouterr().out
    assert_maps(tmp_path / "s.h5", model, masks[order].astype(np.float32))
    with open_store(tmp_path / "s.h5") as store:
        assert store.about()["dataset"]["preprocessing"] == words


def test_pixels_of_0_and_1_for_a_model_that_scales_itself_are_doubtful():
    masks = RNG.integers(0, 2, (6, *SHAPE), dtype=np.uint8)
    decision = decided(functional(lambda x: x / 255.0), masks)
    assert decision.preprocessing == AS_GIVEN
    assert "the largest here is 1: give pixels that are not scaled yet" in decision.warning


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def assert_maps(path, model: keras.Model, fed: np.ndarray) -> None:
    """The stored maps are what Keras makes of these images."""
    expected = keras.Model(model.inputs, model.get_layer("conv").output).predict(fed, verbose=0)
    with open_store(path) as store:
        stored = store.layers["conv"].activation[: len(fed)]
    assert_allclose(stored, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


CAPTURED = {
    "batch normalization": ("batch normalization", AS_GIVEN),
    "operations": ("operations", AS_GIVEN),
    "preprocess_input": ("preprocess_input, tf", AS_GIVEN),
    "augmentation": ("Rescaling after augmentation", AS_GIVEN),
    "nothing": (None, UNIT),
}


@pytest.mark.parametrize("form", CAPTURED)
def test_the_command_stores_the_maps_of_the_right_pixels_and_says_why(form, tmp_path, capsys):
    prefix, expected = CAPTURED[form]
    model = functional(SCALES_ITSELF[prefix] if prefix else lambda x: x)
    model.save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=PIXELS, y_test=np.arange(24) % 3)
    arguments = ("--data", tmp_path / "d.npz", "--out", tmp_path / "s.h5")
    assert run("capture", tmp_path / "m.keras", *arguments, "--dry-run") == 0
    dry = capsys.readouterr().out
    assert run("capture", tmp_path / "m.keras", *arguments) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "Preprocessing" in line]
    assert line in dry
    assert_maps(tmp_path / "s.h5", model, expected(PIXELS))
    first = next(layer for layer in model.layers if layer.name == "conv")
    seen = keras.Model(model.inputs, first.input).predict(expected(PIXELS[:16]), verbose=0)
    numbers = f"{seen.min():.3g} to {seen.max():.3g}, mean {seen.mean():.3g}"
    assert line.endswith(f"; conv will see {numbers} (first 16 samples)")
    with open_store(tmp_path / "s.h5") as store:
        words = store.about()["dataset"]["preprocessing"]
        assert line.startswith(f"Preprocessing: {words}; ")
        assert_array_equal(np.stack([store.image(index) for index in range(24)]), PIXELS)


TRAINED = {
    "plain on 0 to 1": (lambda x: x, UNIT),
    "plain on bytes": (lambda x: x, AS_GIVEN),
    "plain on -1 to 1": (lambda x: x, Preprocessing(127.5, (1.0,))),
    "batch normalization on bytes": (layers.BatchNormalization(), AS_GIVEN),
    "batch normalization on 0 to 1": (layers.BatchNormalization(), UNIT),
    "an operation": (lambda x: x / 255.0, AS_GIVEN),
    "operations": (lambda x: (x - 127.5) / 127.5, AS_GIVEN),
    "Rescaling after augmentation": (
        lambda x: layers.Rescaling(1 / 255)(layers.GaussianNoise(0.1)(
            layers.RandomContrast(0.1, value_range=(0, 255))(layers.RandomZoom(0.05)(
                layers.RandomTranslation(0.05, 0.05)(layers.RandomRotation(0.02)(x)))))),
        AS_GIVEN),
}  # fmt: skip


@pytest.mark.parametrize("form", TRAINED)
def test_a_trained_model_keeps_its_accuracy(form, tmp_path, capsys):
    from sklearn.datasets import load_digits

    digits, classes = load_digits(return_X_y=True)
    images = np.round(digits.reshape(-1, 8, 8, 1) / 16 * 255).astype(np.uint8)
    prefix, trained_on = TRAINED[form]
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, activation="relu", name="conv")(prefix(image))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(trained_on(images[:1200]), classes[:1200], epochs=8, batch_size=32, verbose=0)
    expected = model.predict(trained_on(images[1200:]), verbose=0).argmax(axis=1)
    assert np.mean(expected == classes[1200:]) > 0.8
    model.save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=images[1200:], y_test=classes[1200:])
    arguments = ("--data", tmp_path / "d.npz", "--out", tmp_path / "s.h5")
    assert run("capture", tmp_path / "m.keras", *arguments) == 0
    assert_maps(tmp_path / "s.h5", model, trained_on(images[1200:]))
    with open_store(tmp_path / "s.h5") as store:
        assert_array_equal(store.predictions, expected)


def test_who_decides_is_not_asked_again(tmp_path, capsys):
    threshold(95, 1).save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=CLASSES, y_test=BRIGHT)
    capture = ("capture", tmp_path / "m.keras", "--data", tmp_path / "d.npz")
    assert run(*capture, "--out", tmp_path / "a.h5") == 0
    assert "(as given, not pixels / 255)" in capsys.readouterr().err
    assert run(*capture, "--out", tmp_path / "b.h5", "--scale", "255") == 0
    assert capsys.readouterr().err == ""
    with open_store(tmp_path / "a.h5") as measured, open_store(tmp_path / "b.h5") as declared:
        assert [np.mean(s.predictions == BRIGHT) for s in (measured, declared)] == [1, 0.5]
        assert declared.about()["dataset"]["preprocessing"] == "pixels / 255"


def test_a_mean_of_raw_pixels_is_not_subtracted_from_scaled_ones(tmp_path, capsys):
    functional(lambda x: x).save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=PIXELS, y_test=np.arange(24) % 3)
    capture = ("capture", tmp_path / "m.keras", "--data", tmp_path / "d.npz")
    mean = ("--out", tmp_path / "s.h5", "--mean", "123.7,116.8,103.9")
    assert run(*capture, *mean) == 1
    assert "give --scale 1 with them" in capsys.readouterr().err
    assert run(*capture, *mean, "--scale", "1") == 0
    assert "minus 123.7, 116.8, 103.9; conv will see -12" in capsys.readouterr().out


def test_a_trained_file_records_its_preprocessing_and_keras_does_not_mind(tmp_path, capsys):
    images = RNG.integers(0, 256, (40, 12, 12), dtype=np.uint8)
    labels = np.arange(40) % 3
    data, path = tmp_path / "d.npz", tmp_path / "m.keras"
    for pixels, expected in ((images, UNIT), (images % 2, AS_GIVEN), (images / 255.0, AS_GIVEN)):
        np.savez(data, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        train = ("train", "--data", data, "--epochs", 1, "--out", path, "--force")
        assert run(*train) == 0
        assert read_record(path) == expected
    assert run("train", "--data", data, "--epochs", 1, "--out", path, "--force") == 0
    np.savez(data, x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert run("train", "--data", data, "--epochs", 1, "--out", path, "--force") == 0
    model = keras.saving.load_model(path)
    capsys.readouterr()
    assert run("capture", path, "--data", data, "--out", tmp_path / "s.h5") == 0
    output = capsys.readouterr().out
    assert "pixels / 255 (as the model's file records of its training); conv1 will see " in output
    model.save(tmp_path / "again.keras")
    assert read_record(tmp_path / "again.keras") is None
    model.save(tmp_path / "again.h5")
    assert read_record(tmp_path / "again.h5") is None


def record_of(**fields) -> str:
    return json.dumps({"preprocessing": {"mean": [], "std": [], "reverse": False} | fields})


@pytest.mark.parametrize("record", [
    "{", "[]", "{}", '{"preprocessing": 3}', record_of(), record_of(scale=0), record_of(scale="x"),
    record_of(scale=float("nan")), record_of(scale=1, std=[0]), record_of(scale=1, mean=None),
    "[" * 100_000,
])  # fmt: skip
def test_a_record_that_says_nothing_is_refused(record, tmp_path, capsys):
    functional(lambda x: x).save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr("fmcore.json", record)
    with pytest.raises(ModelError, match=r"its record of the training, fmcore.json, cannot"):
        read_record(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=PIXELS, y_test=np.arange(24) % 3)
    arguments = ("--data", tmp_path / "d.npz", "--out", tmp_path / "s.h5")
    assert run("capture", tmp_path / "m.keras", *arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_record_comes_back_exactly(tmp_path):
    recorded = Preprocessing(1 / 3, (0.1234567890123,), (0.2, 1e-9, 3.0), reverse=True)
    functional(lambda x: x).save(tmp_path / "m.keras")
    write_record(tmp_path / "m.keras", recorded)
    assert read_record(tmp_path / "m.keras") == recorded
    decision = decided(functional(lambda x: x), source=tmp_path / "m.keras")
    assert decision.preprocessing == recorded
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert json.loads(archive.read("fmcore.json"))["preprocessing"]["reverse"] is True


def test_a_named_architecture_has_its_own_preprocessing():
    model = functional(lambda x: x)
    decision = decided(model, source="ResNet50V2")
    assert decision.preprocessing.name == "resnet_v2"
    assert decision.reason == "as ResNet50V2 was trained"
    assert decided(model, PIXELS / 255.0, source="ResNet50V2").preprocessing == AS_GIVEN


DOUBTFUL = {
    "bytes for a model of 0 to 1": (threshold(0.37, 50), CLASSES, "pixels / 255: 100.0% right"),
    "floats of 0 to 255": (threshold(0.37, 50), CLASSES * 1.0, "pixels / 255: 100.0% right"),
    "scaled for a model that scales": (
        functional(lambda x: x / 255.0), CLASSES / 255, "the model scales pixels itself"),
    "moments": (convolved(UNIT, 1.0), CLASSES, "was trained on other pixels (pixels / 255)"),
    "a graph": (functional(lambda x: (x - 0.5) / 0.5), CLASSES, "the model takes pixels of 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize("form", DOUBTFUL)
def test_python_feeds_images_as_they_are_and_warns_where_they_look_wrong(form, tmp_path, caplog):
    model, images, message = DOUBTFUL[form]
    labels = BRIGHT if "right" in message else None
    path = capture_activations(model, images, labels, tmp_path / "s.h5")
    assert message in caplog.text
    assert_maps(path, model, images.astype(np.float32))
    with open_store(path) as store:
        assert store.about()["dataset"]["preprocessing"] == "none: images as given"


@pytest.mark.parametrize("form", ["unit", "raw", "float raw", "scales itself", "-1 to 1"])
def test_python_says_nothing_where_images_are_right(form, tmp_path, caplog):
    model, images = {
        "unit": (threshold(0.37, 50), CLASSES / 255),
        "raw": (threshold(95, 1), CLASSES),
        "float raw": (threshold(95, 1), CLASSES * 1.0),
        "scales itself": (functional(lambda x: x / 255.0), CLASSES * 1.0),
        "-1 to 1": (threshold(-0.25, 50), CLASSES / 127.5 - 1),
    }[form]
    with caplog.at_level(logging.INFO):
        capture_activations(model, images, BRIGHT, tmp_path / "s.h5")
    records = [r for r in caplog.records if r.name == "fmcore.api"]
    assert {record.levelno for record in records} == {logging.INFO}
    (record,) = [record for record in records if record.getMessage().startswith("preprocessing")]
    assert "none: images as given; conv will see" in record.getMessage()


def test_the_callback_warns_as_python_does(tmp_path, caplog):
    model = threshold(0.37, 50)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    callback = capture_callback(CLASSES, BRIGHT, tmp_path / "epochs")
    model.fit(CLASSES / 255.0, BRIGHT, epochs=1, verbose=0, callbacks=[callback])
    message = "as given: 50.0% right.*; pixels / 255: 100.0% right.*; preprocess them as in"
    assert re.search(message, caplog.text)


def test_a_file_that_records_its_training_is_compared_with_the_images(tmp_path, caplog):
    functional(lambda x: x).save(tmp_path / "m.keras")
    write_record(tmp_path / "m.keras", UNIT)
    capture_activations(tmp_path / "m.keras", PIXELS, None, tmp_path / "s.h5")
    assert "but the model's file records pixels / 255 of its training" in caplog.text


def test_the_reason_does_not_keep_a_capture_from_going_on():
    model = functional(lambda x: x, (9, 8, 1))
    samples, probe = make_samples(8), KerasProbe(model)
    plans = [
        plan_capture(probe, samples, class_names=("a", "b", "c"), model=probe.info,
                     dataset_name="x", dataset_source="x",
                     preprocessing=preprocessing, preprocessing_words=words)
        for preprocessing, words in ((UNIT, "pixels / 255 (why)"), (UNIT, ""), (AS_GIVEN, ""))
    ]  # fmt: skip
    first, second, third = (identity(plan, samples)["preprocessing"] for plan in plans)
    assert plans[0].store.dataset.preprocessing == "pixels / 255 (why)"
    assert first == second != third


def test_a_decision_says_what_is_done_and_why():
    decision = Decision(UNIT, "because")
    assert decision.words == "pixels / 255 (because)"
    assert dataclasses.replace(decision, reason="").words == "pixels / 255"


@pytest.mark.parametrize("name", ["", *NAMES])
def test_the_words_of_a_decision_begin_with_those_of_its_preprocessing(name):
    preprocessing = preprocessing_named(name) if name else Preprocessing(3.0, (1 / 3, 0.1), (1e-9,))
    for reason in ("", "of 8 labeled samples (all), pixels / 255: 50% right"):
        assert without_reason(Decision(preprocessing, reason).words) == preprocessing.words
    if not name:
        assert preprocessing.words == "pixels / 3; minus 0.3333333333333333, 0.1; divided by 1e-09"
