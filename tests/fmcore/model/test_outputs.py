"""What a model puts out is what Keras computes, of the kind that it is, or a person is asked."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import capture_activations, capture_callback, open_store
from fmcore.capture import CaptureOptions, plan_output
from fmcore.cli import main
from fmcore.dataset import AS_GIVEN, labelled_images
from fmcore.errors import FmcoreError, ModelError, SelectionError
from fmcore.model.opening import open_model
from fmcore.model.outputs import read_outputs
from fmcore.model.probe import KerasProbe
from fmcore.records import Ending, LossKind, Target

pytestmark = pytest.mark.keras
N = 160
RNG = np.random.default_rng(0)
MEANS = RNG.random((N, 3)).astype(np.float32)  # of each channel
IMAGES = np.repeat(MEANS[:, np.newaxis], 16, axis=1).reshape(N, 4, 4, 3)
BRIGHTEST = MEANS.argmax(axis=1)  # class of three
IS_RED = (MEANS[:, 0] > 0.5).astype(int)  # class of two
ABOVE = (MEANS > 0.5).astype(int)  # several labels
MIX = MEANS @ np.array([[3.0], [-2.0], [1.0]], np.float32)  # a number
BOX = MEANS @ np.array([[5, 0, 1, 2], [0, 5, 1, 0], [0, 0, 9, 9]], np.float32)
CENTER, RED = np.eye(3) * 40, np.array([[60.0], [0], [0]])


def features():
    """The input, and the mean of each channel after a convolution that changes nothing."""
    x = keras.Input((4, 4, 3))
    conv = layers.Conv2D(
        3, 1, name="conv", kernel_initializer=lambda shape, dtype: ops.eye(3)[None, None]
    )
    return x, layers.GlobalAveragePooling2D()(conv(x))


def dense(inputs, kernel, bias=0.0, *, activation=None, name=None, **options):
    kernel = np.asarray(kernel, np.float32)
    return layers.Dense(
        kernel.shape[1],
        activation=activation,
        name=name,
        kernel_initializer=lambda shape, dtype: ops.cast(kernel, dtype),
        bias_initializer=lambda shape, dtype: ops.full(shape, bias, dtype),
        **options,
    )(inputs)


def model(make, loss=None):
    x, seen = features()
    made = keras.Model(x, make(seen), name="net")
    if loss is not None:
        made.compile(loss=loss)
    return made


def decided(made, labels, **options):
    """The plan for a model, and what the probe puts out of all images."""
    samples = labelled_images(IMAGES, labels, where="here")
    probe = KerasProbe(made)
    plan = plan_output(probe, samples, CaptureOptions(**options), preprocessing=AS_GIVEN)
    probe.use_output(plan)
    return plan, probe(IMAGES)


def refusal(made, labels, **options):
    with pytest.raises(FmcoreError) as caught:
        decided(made, labels, **options)
    return str(caught.value)


def softmax(values):
    powers = np.exp(values.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(values):
    return 1 / (1 + np.exp(-values.astype(np.float64)))


def both(values):
    return np.hstack([1 - values, values])


def same(values):
    return values


SPARSE = keras.losses.SparseCategoricalCrossentropy
BINARY = keras.losses.BinaryCrossentropy


def own_softmax(values):
    powers = ops.exp(values)
    return powers / ops.sum(powers, axis=-1, keepdims=True)


def own_sigmoid(values):
    return 1 / (1 + ops.exp(-values))


def half(dtype, activation):
    def make(seen):
        return layers.Activation("linear", dtype="float32")(
            dense(seen, CENTER / 8, activation=activation, dtype=f"mixed_{dtype}")
        )

    return make


def voices(activation, kernels, join=layers.Average):
    return lambda seen: join()(
        [dense(seen, k, -k.sum() / 4, activation=activation) for k in kernels]
    )


# name: (output, loss, labels, target, what Keras' own output becomes)
DECIDED = {
    "softmax": (lambda s: dense(s, CENTER, activation="softmax"), None, BRIGHTEST, "class", same),
    "softmax, nothing else": (
        lambda s: dense(s, CENTER, activation="softmax"), None, None, "class", same),
    "softmax layer": (
        lambda s: layers.Softmax()(dense(s, CENTER)), None, BRIGHTEST, "class", same),
    "softmax, bfloat16": (half("bfloat16", "softmax"), None, BRIGHTEST, "class", same),
    "softmax, float16": (half("float16", "softmax"), None, BRIGHTEST, "class", same),
    "softmax by hand": (lambda s: own_softmax(dense(s, CENTER)), None, BRIGHTEST, "class", same),
    "softmax by hand, bfloat16": (half("bfloat16", own_softmax), None, BRIGHTEST, "class", same),
    "mean of softmaxes": (
        voices("softmax", [CENTER, CENTER / 2]), None, BRIGHTEST, "class", same),
    "weighted softmaxes": (
        lambda s: 0.25 * dense(s, CENTER, activation="softmax")
        + 0.75 * dense(s, CENTER / 3, activation="softmax"), None, BRIGHTEST, "class", same),
    "clipped softmax": (
        lambda s: ops.clip(dense(s, CENTER, activation="softmax"), 1e-7, 1 - 1e-7),
        None, BRIGHTEST, "class", same),
    "log softmax": (
        lambda s: ops.log_softmax(dense(s, CENTER)), None, BRIGHTEST, "class", softmax),
    "softmax with mse": (
        lambda s: dense(s, CENTER, activation="softmax"), "mse", np.eye(3)[BRIGHTEST], "class",
        same),
    "logits by loss": (
        lambda s: dense(s, CENTER / 40), SPARSE(from_logits=True), BRIGHTEST, "class", softmax),
    "logits by loss, no labels": (
        lambda s: dense(s, CENTER / 40), SPARSE(from_logits=True), None, "class", softmax),
    "logits by values": (lambda s: dense(s, CENTER), None, BRIGHTEST, "class", softmax),
    "logits by values, one-hot": (
        lambda s: dense(s, CENTER, -20), None, np.eye(3)[BRIGHTEST], "class", softmax),
    "sigmoid": (
        lambda s: dense(s, RED, -30, activation="sigmoid"), None, IS_RED, "class", both),
    "sigmoid, bool labels": (
        lambda s: dense(s, RED, -30, activation="sigmoid"), "mse", IS_RED > 0, "class", both),
    "sigmoid of [sample]": (
        lambda s: ops.squeeze(dense(s, RED, -30, activation="sigmoid"), -1),
        None, IS_RED, "class", both),
    "mean of sigmoids": (
        voices("sigmoid", [RED, RED / 2]), None, IS_RED[:, np.newaxis], "class", both),
    "mean of stacked sigmoids": (
        lambda s: ops.mean(ops.stack([dense(s, RED / n, -30 / n, activation="sigmoid")
                                      for n in (1, 2)]), axis=0), None, IS_RED, "class", both),
    "mean of a row of sigmoids": (
        lambda s: ops.mean(dense(s, np.hstack([RED, RED / 2]), -20, activation="sigmoid"),
                           axis=1, keepdims=True), None, IS_RED, "class", both),
    "one minus a sigmoid": (
        lambda s: 1 - dense(s, -RED, 30, activation="sigmoid"), None, IS_RED, "class", both),
    "hard sigmoid": (
        lambda s: dense(s, RED / 10, -3, activation="hard_sigmoid"), None, IS_RED, "class", both),
    "tanh from 0 to 1": (
        lambda s: (dense(s, RED, -30, activation="tanh") + 1) / 2, None, IS_RED, "class", both),
    "sigmoid by hand": (
        lambda s: own_sigmoid(dense(s, RED, -30)), None, IS_RED, "class", both),
    "sigmoid, then clipped": (
        lambda s: ops.clip(dense(s, RED, -30, activation="sigmoid"), 0.01, 0.99),
        None, IS_RED.astype(float), "class", both),
    "two columns of a sigmoid": (
        lambda s: ops.concatenate([1 - (p := dense(s, RED, -30, activation="sigmoid")), p], axis=1),
        None, IS_RED, "class", same),
    "logit by loss": (
        lambda s: dense(s, RED / 60, -0.5), BINARY(from_logits=True), IS_RED, "class",
        lambda v: both(sigmoid(v))),
    "logit by values": (
        lambda s: dense(s, RED, -30), None, IS_RED, "class", lambda v: both(sigmoid(v))),
    "several labels": (
        lambda s: dense(s, CENTER, -20, activation="sigmoid"), None, ABOVE, "labels", same),
    "several labels, mean": (
        voices("sigmoid", [CENTER, CENTER / 2]), None, ABOVE.astype(float), "labels", same),
    "several labels, nothing else": (
        lambda s: dense(s, CENTER, -20, activation="sigmoid"), "binary_crossentropy", None,
        "labels", same),
    "several labels, side by side": (
        lambda s: ops.concatenate([dense(s, RED, -30, activation="sigmoid"),
                                   dense(s, CENTER[:, 1:], -20, activation="sigmoid")], axis=1),
        None, ABOVE > 0, "labels", same),
    "several logits by loss": (
        lambda s: dense(s, CENTER / 40, -0.5), BINARY(from_logits=True), ABOVE, "labels", sigmoid),
    "several logits by values": (
        lambda s: dense(s, CENTER, -20), None, ABOVE, "labels", sigmoid),
    "several labels by hand": (
        lambda s: own_sigmoid(dense(s, CENTER, -20)), None, ABOVE, "labels", same),
    "a number": (lambda s: dense(s, [[3], [-2], [1]]), None, MIX, "number", same),
    "a number of [sample]": (
        lambda s: ops.squeeze(dense(s, [[3], [-2], [1]]), -1), "mse", MIX[:, 0], "number", same),
    "a number by loss": (lambda s: dense(s, [[3], [-2], [1]]), "mae", None, "number", same),
    "a number near 0 and 1": (
        lambda s: dense(s, RED / 60), "mse", IS_RED, "number", same),
    "whole numbers": (
        lambda s: dense(s, RED / 6), None, np.round(MEANS[:, 0] * 10).astype(int), "number", same),
    "numbers below zero": (
        lambda s: dense(s, RED / 6, -5), None, np.round(MEANS[:, 0] * 10).astype(int) - 5, "number",
        same),
    "a number from 0 to 1": (
        lambda s: dense(s, RED / 10, -3, activation="sigmoid"), None,
        sigmoid(MEANS[:, :1] * 6 - 3).astype(np.float32), "number", same),
    "a box": (
        lambda s: dense(s, [[5, 0, 1, 2], [0, 5, 1, 0], [0, 0, 9, 9]]), None, BOX, "number", same),
    "a box of whole numbers": (
        lambda s: dense(s, [[5, 0, 1, 2], [0, 5, 1, 0], [0, 0, 9, 9]]), "huber",
        BOX.round().astype(int), "number", same),
    "a box by its loss": (
        lambda s: dense(s, [[5, 0, 1, 2], [0, 5, 1, 0], [0, 0, 9, 9]]), "mse", IS_RED, "number",
        same),
}  # fmt: skip


@pytest.mark.parametrize("name", DECIDED)
def test_what_all_evidence_says_is_what_keras_computes(name):
    make, loss, labels, target, expected = DECIDED[name]
    made = model(make, loss)
    plan, captured = decided(made, labels)
    assert plan.target == target, plan.record
    values = made.predict(IMAGES, verbose=0).astype(np.float32).reshape(N, -1)
    values = expected(values)
    found = captured.probability if target == "class" else captured.output
    assert (captured.probability is None) == (target != "class")
    assert (captured.output is None) == (target == "class")
    assert_allclose(found, values, rtol=1e-4, atol=1e-5)
    if target == "class" and labels is not None:
        truth = labelled_images(IMAGES, labels, where="here").known_labels
        assert (found.argmax(axis=1) == truth).mean() > 0.8
