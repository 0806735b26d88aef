"""What a model puts out is what Keras computes, of the kind that it is, or a person is asked."""

from __future__ import annotations

import functools
import logging
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import capture_activations, capture_callback, open_store
from fmcore.capture import CaptureOptions, plan_output
from fmcore.cli import main
from fmcore.dataset import AS_GIVEN, labelled_images
from fmcore.errors import FmcoreError, ModelError, SelectionError
from fmcore.model.opening import open_model
from fmcore.model.probe import KerasProbe
from fmcore.records import Ending, LossKind

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


# name: (output, loss, labels, words of the refusal)
ASKED = {
    "a softmax by hand, wrong sums": (
        lambda s: own_softmax(dense(s, CENTER)) * 0.9, None, BRIGHTEST, "their sums 0.9 to 0.9"),
    "untrained scores": (
        lambda s: dense(s, CENTER[::-1] / 90), None, BRIGHTEST,
        "it ends in a linear operation; labels are class indices; .* for 160 samples are"),
    "scores without labels": (
        lambda s: dense(s, CENTER), None, None, "there are no labels to compare with; its values"),
    "scores, and a loss of probabilities": (
        lambda s: dense(s, CENTER), "sparse_categorical_crossentropy", BRIGHTEST,
        "its loss is sparse_categorical_crossentropy; .* the loss takes probabilities, but values"),
    "classes as numbers": (
        lambda s: dense(s, np.eye(3)), "mse", np.eye(3)[BRIGHTEST], "its loss is mean_squared_err"),
    "one sigmoid without labels": (
        lambda s: dense(s, RED, -30, activation="sigmoid"), None, None, "ends in a sigmoid; there"),
    "one sigmoid, three classes": (
        lambda s: dense(s, RED, -30, activation="sigmoid"), None, BRIGHTEST, "need 3 classes"),
    "one softmax": (
        lambda s: dense(s, RED, activation="softmax"), None, IS_RED, "a softmax of one value"),
    "part of a softmax": (
        lambda s: dense(s, CENTER, activation="softmax")[:, :1], None, IS_RED,
        "ends in a softmax, then part"),
    "a weak logit": (
        lambda s: dense(s, RED / 120, -0.25), None, IS_RED, "as a logit it is right for 1.00"),
    "one logit, a loss of probabilities": (
        lambda s: dense(s, RED, -30), "binary_crossentropy", IS_RED, "contradict each other"),
    "sigmoids without labels": (
        lambda s: dense(s, CENTER, -20, activation="sigmoid"), None, None, "no labels to compare"),
    "sigmoids, one-hot": (
        lambda s: dense(s, CENTER, -20, activation="sigmoid"), None, np.eye(3)[BRIGHTEST],
        "labels are one-hot rows of 3; rows with a single 1 each may be one class, or several"),
    "sigmoids, classes": (
        lambda s: dense(s, CENTER, -20, activation="sigmoid"), "binary_crossentropy", BRIGHTEST,
        "3 values by themselves, for one class"),
    "softmax, several labels": (
        lambda s: dense(s, CENTER, activation="softmax"), None, ABOVE, "labels are rows of 3"),
    "softmax, numbers": (
        lambda s: dense(s, CENTER, activation="softmax"), None, MEANS, "labels are 3 numbers; val"),
    "softmax, other width": (
        lambda s: dense(s, CENTER, activation="softmax"), None, np.eye(4)[BRIGHTEST],
        "labels have 4 values for each sample, the output 3"),
    "a box, other numbers": (
        lambda s: dense(s, [[5, 0, 1, 2], [0, 5, 1, 0], [0, 0, 9, 9]]), None, MEANS,
        "labels have 3 values for each sample, the output 4"),
    "a box, classes": (
        lambda s: dense(s, [[5, 0, 1, 2], [0, 5, 1, 0], [0, 0, 9, 9]]), None, BRIGHTEST,
        "as scores of classes its values are right for"),
    "a box from 0 to 1, classes that its corner tells": (
        lambda s: dense(s, np.eye(3) * 0.99), None, BRIGHTEST, "right for 1.00 of 160 samples"),
    "a number, classes": (
        lambda s: dense(s, [[0], [3], [1]]), None, BRIGHTEST, "labels need 3 classes; as numbers"),
    "features": (lambda s: ops.relu(s), None, BRIGHTEST, "ends in a relu"),
    "margins": (lambda s: dense(s, RED, -30), "hinge", IS_RED, "its loss is hinge; labels are"),
    "a loss of one's own": (lambda s: dense(s, CENTER), lambda y, p: p[:, 0], BRIGHTEST, "<lam"),
    "not a number": (
        lambda s: dense(s, CENTER) / 0.0, None, BRIGHTEST, "values for 160 samples are not finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_where_evidence_is_not_enough_a_person_is_asked_with_what_was_seen(name):
    make, loss, labels, words = ASKED[name]
    made = model(make, loss)
    message = refusal(made, labels)
    assert message.startswith("model 'net': it is not clear what output '")
    assert "Give --target class, labels, number or none (target= in Python)" in message
    assert re.search(words, message), message
    # The advice works: each word is taken, or refused for a reason of its own.
    assert decided(made, labels, target="none")[0].target == "none"
    plan, captured = decided(made, labels, target="number")
    assert (plan.target, captured.probability) == ("number", None)
    values = made.predict(IMAGES, verbose=0).astype(np.float32)
    assert_allclose(captured.output, values, rtol=1e-5, atol=1e-6)


# name: (output, labels, target that a person says, what Keras' own output becomes)
SAID = {
    "logits": (lambda s: dense(s, CENTER / 90), BRIGHTEST, "class", softmax),
    "a logit": (lambda s: dense(s, RED / 120, -0.25), None, "class", lambda v: both(sigmoid(v))),
    "a sigmoid": (
        lambda s: dense(s, RED, -30, activation="sigmoid"), None, "class", both),
    "sigmoids as classes": (
        lambda s: dense(s, CENTER, -20, activation="sigmoid"), BRIGHTEST, "class", same),
    "sigmoids as labels": (
        lambda s: dense(s, CENTER, -20, activation="sigmoid"), BRIGHTEST, "labels", same),
    "sigmoids as numbers": (
        lambda s: dense(s, CENTER, -20, activation="sigmoid"), MEANS, "number", same),
    "logits of labels": (lambda s: dense(s, CENTER / 90), None, "labels", sigmoid),
    "a softmax as numbers": (
        lambda s: dense(s, CENTER, activation="softmax"), MEANS, "number", same),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_what_a_person_says_is_done_and_recorded(name):
    make, labels, target, expected = SAID[name]
    made = model(make)
    plan, captured = decided(made, labels, target=target)
    found = captured.probability if target == "class" else captured.output
    values = made.predict(IMAGES, verbose=0)
    assert_allclose(found, expected(values), rtol=1e-4, atol=1e-6)
    assert plan.record.endswith("(as was chosen)")


@pytest.mark.parametrize(
    ("make", "labels", "target", "words", "instead"),
    [
        (lambda s: dense(s, RED / 60), IS_RED, "class",
         "is no logit: as numbers its values explain 0.* give --target number", "number"),
        (lambda s: dense(s, RED, activation="softmax"), IS_RED, "class",
         "softmax of one value, .* give --target none", "none"),
        (lambda s: dense(s, CENTER, activation="softmax"), ABOVE[:, :2], "labels",
         "values sum to 1, .* give --target class", None),
        (lambda s: dense(s, CENTER, activation="softmax"), MEANS, "class",
         "labels are 3 numbers; give class indices, or no labels, or --target number", "number"),
        (lambda s: dense(s, CENTER), np.where(IS_RED, -1, 1), "class",
         "since label 1?-?1 of sample .* is not a class index", "number"),
        (lambda s: layers.Reshape((3, 1))(s), BRIGHTEST, "class",
         r"puts out \(3, 1\) for each image; a target other than none", "none"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_can(make, labels, target, words, instead):
    made = model(make)
    message = refusal(made, labels, target=target)
    assert re.search(words, message), message
    if instead:
        assert decided(made, labels, target=instead)[0].target == instead


def heads(loss=None, **make):
    return model(lambda seen: {name: head(seen) for name, head in make.items()}, loss)


def to_class(seen):
    return dense(seen, CENTER, activation="softmax")


def to_box(seen):
    return dense(seen, [[5, 0, 1, 2], [0, 5, 1, 0], [0, 0, 9, 9]])


def to_noise(seen):
    return dense(seen * 0, CENTER, activation="softmax")


def to_attention(seen):
    return dense(seen, np.ones((3, 4)), activation="softmax")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("make", "labels", "loss", "name", "target"),
    [
        ({"kind": to_class, "box": to_box}, BRIGHTEST, None, None, ""),
        ({"kind": to_class, "box": to_box}, BOX, None, "box", "number"),
        ({"kind": to_class, "box": to_box}, BRIGHTEST, {"box": "mse"}, "kind", "class"),
        ({"kind": to_class, "attention": to_attention}, BRIGHTEST, None, None, ""),
        ({"kind": to_class, "noise": to_noise}, BRIGHTEST, None, None, ""),
        ({"kind": to_class, "other": to_class}, BRIGHTEST, None, None, ""),
        ({"kind": to_class, "labels": lambda s: dense(s, CENTER, -20, activation="sigmoid")},
         ABOVE, None, "labels", "labels"),
        ({"kind": to_class, "red": lambda s: dense(s, RED, -30, activation="sigmoid")},
         BRIGHTEST, None, "kind", "class"),
        ({"kind": to_class, "box": to_box}, None, None, None, ""),
    ],
)  # fmt: skip
def test_of_several_outputs_the_only_fit_is_taken_or_its_name_is_asked_for(
    make, labels, loss, name, target, order
):
    made = heads(loss, **dict(list(make.items())[::order]))
    values = made.predict(IMAGES, verbose=0)
    if name is None:
        message = refusal(made, labels)
        assert "several outputs that may be its answer: " in message
        assert "Name one with --output NAME" in message
        for other in make:
            assert f"{other} (" in message
            plan, captured = decided(made, labels, output=other, target="number")
            assert_allclose(captured.output, values[other], rtol=1e-4, atol=1e-6)
            assert plan.words == f"output {other!r}, 1 of 2, own numbers"
        return
    plan, captured = decided(made, labels)
    assert (plan.output.name, plan.target) == (name, target)
    assert "the labels do not fit" in plan.evidence
    found = captured.probability if target == "class" else captured.output
    assert_allclose(found, values[name], rtol=1e-4, atol=1e-6)


def test_outputs_have_the_names_that_keras_and_people_use():
    x, seen = features()
    as_list = keras.Model(x, [to_class(seen), dense(seen, CENTER, name="b")])
    as_list.layers[-2]._name = "a"

    class Written(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(3, 1)
            self.dense = layers.Dense(2)

        def call(self, x):
            seen = ops.mean(self.conv(x), axis=(1, 2))
            return {"z": self.dense(seen), "y": (seen, seen[:, :1])}

    written = Written()
    written(IMAGES[:1])
    named = {}
    for name, made in {
        "list": as_list,
        "written": written,
        "dict": heads(a=to_box, c=to_class),
    }.items():
        named[name] = [output.name for output in KerasProbe(made, image_shape=(4, 4, 3)).outputs]
    assert named["list"] == as_list.output_names
    assert named["written"] == ["y/0", "y/1", "z"]
    assert named["dict"] == ["a", "c"]
    twice = keras.Model(x, [(head := layers.Dense(2, name="h"))(seen), head(seen)])
    assert [output.name for output in KerasProbe(twice).outputs] == ["h", "h#2"]
    with pytest.raises(SelectionError, match=r"output 'kin'; model 'net' has kind, other; did you"):
        decided(heads(kind=to_class, other=to_class), BRIGHTEST, output="kin")


LOSSES = {
    "text": ("sparse_categorical_crossentropy", LossKind.CLASSES, False),
    "short": ("mse", LossKind.NUMBERS, False),
    "a function": (keras.losses.binary_crossentropy, LossKind.LABELS, False),
    "an object": (BINARY(from_logits=True, label_smoothing=0.1), LossKind.LABELS, True),
    "another": (keras.losses.CategoricalFocalCrossentropy(), LossKind.CLASSES, False),
    "huber": (keras.losses.Huber(), LossKind.NUMBERS, False),
    "unknown": ("cosine_similarity", LossKind.UNKNOWN, False),
    "none": (None, LossKind.UNKNOWN, False),
}


def small_model(loss):
    made = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]
    )
    if loss is not None:
        made.compile(loss=loss)
    return made


@pytest.mark.parametrize("suffix", ["", ".keras", ".h5"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_read_from_the_model_and_from_its_file(name, suffix, tmp_path):
    loss, kind, from_logits = LOSSES[name]
    made = small_model(loss)
    if suffix:
        made.save(tmp_path / f"m{suffix}")
        made = open_model(tmp_path / f"m{suffix}")
        assert not made.compiled
    (output,) = KerasProbe(made).outputs
    assert (output.loss.kind, output.loss.from_logits) == (kind, from_logits)
    assert bool(output.loss.name) == (loss is not None)


@pytest.mark.parametrize("suffix", ["", ".keras", ".h5"])
def test_each_output_has_its_own_loss(suffix, tmp_path):
    for loss in (
        {"a": "mse", "b": SPARSE(from_logits=True)},
        ["mse", SPARSE(from_logits=True)],
    ):
        x = keras.Input((4, 4, 3))
        flat = layers.Flatten()(layers.Conv2D(2, 3)(x))
        heads_of = [layers.Dense(2, name="a")(flat), layers.Dense(3, name="b")(flat)]
        made = keras.Model(x, heads_of)
        made.compile(loss=loss)
        if suffix:
            made.save(tmp_path / f"m{suffix}")
            made = open_model(tmp_path / f"m{suffix}")
        first, second = KerasProbe(made).outputs
        assert (first.loss.kind, second.loss.kind) == (LossKind.NUMBERS, LossKind.CLASSES)
        assert second.loss.from_logits


def test_a_partial_function_is_a_loss_with_its_settings():
    made = small_model(functools.partial(keras.losses.binary_crossentropy, from_logits=True))
    (output,) = KerasProbe(made).outputs
    assert (output.loss.name, output.loss.from_logits) == ("binary_crossentropy", True)


def trained(head, loss, labels, tmp_path, *, epochs=60) -> Path:
    keras.utils.set_random_seed(1)
    made = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Conv2D(3, 1), layers.GlobalAveragePooling2D(), head]
    )
    made.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"])
    made.fit(IMAGES, labels, epochs=epochs, batch_size=32, verbose=0)
    made.save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


@pytest.mark.parametrize(
    ("head", "loss", "labels"),
    [
        (layers.Dense(3, activation="softmax"), "sparse_categorical_crossentropy", BRIGHTEST),
        (layers.Dense(3), SPARSE(from_logits=True), BRIGHTEST),
        (layers.Dense(1, activation="sigmoid"), "binary_crossentropy", IS_RED),
        (layers.Dense(1), BINARY(from_logits=True), IS_RED),
        (layers.Dense(3, activation="softmax"), "categorical_crossentropy", np.eye(3)[BRIGHTEST]),
    ],
)
def test_the_accuracy_of_a_store_is_that_of_evaluate(head, loss, labels, tmp_path, capsys):
    path = trained(head, loss, labels, tmp_path)
    made = keras.saving.load_model(path)
    values = made.predict(IMAGES, verbose=0)
    classes = values.argmax(axis=1) if values.shape[1] > 1 else (
        values[:, 0] > (0 if getattr(loss, "from_logits", False) else 0.5)).astype(int)  # fmt: skip
    truth = labels.argmax(axis=1) if labels.ndim == 2 else labels
    np.savez(tmp_path / "d.npz", x_test=IMAGES, y_test=labels)
    out = tmp_path / "s.h5"
    command = ["capture", path, "--data", tmp_path / "d.npz", "--out", out]
    assert main([str(word) for word in command]) == 0
    printed = capsys.readouterr().out
    with open_store(out) as store:
        assert_array_equal(store.predictions, classes)
        accuracy = store.about()["model"]["test_accuracy"]
        assert accuracy == pytest.approx((classes == truth).mean())
        assert accuracy > 0.8
        record = store.about()["model"]["output"]
        assert f"Target: class; {record}" in printed
        assert "its loss is" in record
        assert "labels are" in record
    assert main(["info", str(out)]) == 0
    assert record in capsys.readouterr().out


@pytest.mark.parametrize(
    ("head", "loss", "labels", "target"),
    [
        (layers.Dense(1), "mse", MIX, "number"),
        (layers.Dense(4), "mse", BOX, "number"),
        (layers.Dense(3, activation="sigmoid"), "binary_crossentropy", ABOVE, "labels"),
        (layers.Dense(3), BINARY(from_logits=True), ABOVE, "labels"),
    ],
)
def test_numbers_and_labels_get_no_accuracy(head, loss, labels, target, tmp_path, capsys):
    path = trained(head, loss, labels, tmp_path)
    np.savez(tmp_path / "d.npz", x_test=IMAGES, y_test=labels)
    out = tmp_path / "s.h5"
    command = ["capture", path, "--data", tmp_path / "d.npz", "--out", out]
    assert main([str(word) for word in command]) == 0
    assert f"Target: {target}; " in capsys.readouterr().out
    with open_store(out) as store:
        assert not store.has_predictions
        assert "test_accuracy" not in store.about()["model"]


def test_python_and_the_callback_take_target_and_output(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="fmcore")
    made = heads({"kind": "sparse_categorical_crossentropy", "box": "mse"},
                 kind=to_class, box=to_box)  # fmt: skip
    capture_activations(made, IMAGES, None, tmp_path / "s.h5", output="kind", target="class")
    assert "target class: output 'kind', 1 of 2, own probabilities (as was chosen)" in caplog.text
    expected = made.predict(IMAGES, verbose=0)["kind"]
    with open_store(tmp_path / "s.h5") as store:
        assert_allclose(store.probabilities, expected, rtol=1e-4, atol=1e-6)
    callback = capture_callback(IMAGES, None, tmp_path / "epochs", output="kind", target="class")
    made.fit(IMAGES, {"kind": BRIGHTEST, "box": BOX}, verbose=0, callbacks=[callback])
    with open_store(tmp_path / "epochs" / "epoch-001.h5") as store:
        assert store.about()["model"]["output"].startswith("output 'kind', 1 of 2")
    with pytest.raises(ModelError, match="has several outputs") as caught:
        capture_activations(made, IMAGES, None, tmp_path / "no.h5", target="class")
    assert caught.value.field == "output"


def test_the_outputs_of_a_model_are_listed(tmp_path, capsys):
    x = keras.Input((4, 4, 3))
    flat = layers.Flatten()(layers.Conv2D(2, 3)(x))
    made = keras.Model(
        x,
        [
            layers.Dense(3, name="kind", activation="softmax")(flat),
            layers.Dense(1, name="age")(flat),
        ],
    )
    made.compile(loss=["sparse_categorical_crossentropy", "mae"])
    made.save(tmp_path / "m.keras")
    assert main(["layers", str(tmp_path / "m.keras")]) == 0
    printed = capsys.readouterr().out
    assert "output kind: (3,) for each image, softmax, loss sparse_categorical_cross" in printed
    assert "output age: (1,) for each image, linear, loss mean_absolute_error" in printed


def test_endings_are_read_through_what_keeps_them():
    def ending(make):
        x, seen = features()
        probe = KerasProbe(keras.Model(x, make(seen)))
        return probe.outputs[0].ending

    assert ending(lambda s: dense(s, CENTER)) == Ending.LINEAR
    assert ending(lambda s: layers.BatchNormalization()(dense(s, CENTER))) == Ending.LINEAR
    assert ending(lambda s: dense(s, CENTER, activation="softmax") * 2) == Ending.OTHER
    assert ending(lambda s: 1 - dense(s, CENTER, activation="softmax")) == Ending.OTHER
    assert ending(lambda s: dense(s, CENTER, activation="sigmoid") * 4 + 1) == Ending.OTHER
    assert ending(lambda s: dense(s, CENTER, activation="tanh")) == Ending.OTHER
    assert ending(
        lambda s: ops.mean(dense(s, CENTER, activation="softmax"), -1, keepdims=True)
    ) == (Ending.OTHER)
    assert ending(
        lambda s: ops.transpose(ops.softmax(ops.stack([s, s, s], 1)), (0, 2, 1))[:, 0]
    ) == (Ending.OTHER)
    assert ending(lambda s: ops.softmax(ops.stack([s, s], 1))[:, 0]) == Ending.SOFTMAX
    assert ending(
        lambda s: ops.split(dense(s, np.ones((3, 4)), activation="softmax"), 2, 1)[0]
    ) == (Ending.OTHER)
    assert ending(lambda s: ops.split(dense(s, CENTER, activation="sigmoid"), 3, 1)[0]) == (
        Ending.SIGMOID
    )
    assert ending(lambda s: ops.max(dense(s, CENTER, activation="sigmoid"), 1, keepdims=True)) == (
        Ending.SIGMOID
    )
    assert ending(
        lambda s: dense(s, RED, activation="sigmoid") * dense(s, RED, activation="sigmoid")
    ) == (Ending.SIGMOID)
    assert ending(lambda s: layers.Activation("sigmoid")(dense(s, CENTER))) == Ending.SIGMOID
    assert ending(lambda s: layers.Dropout(0.5)(dense(s, CENTER, activation="softmax"))) == (
        Ending.SOFTMAX
    )


def test_what_comes_in_other_rows_than_images_is_no_answer():
    x, seen = features()
    mixed = ops.reshape(ops.concatenate([seen, seen], 1), (-1, 3))  # two rows for each image
    made = keras.Model(x, {"mixed": mixed, "kind": to_class(seen)})
    plan, captured = decided(made, BRIGHTEST)
    assert plan.output.name == "kind"
    assert captured.probability.shape == (N, 3)


def test_an_answer_inside_a_function_is_told_by_its_values():
    class Written(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(
                3, 1, kernel_initializer=lambda s, dtype: ops.eye(3)[None, None]
            )

        def call(self, x):
            return inside(ops.mean(self.conv(x), axis=(1, 2)) @ ops.cast(CENTER, "float32"))

    @tf.function
    def inside(scores):
        return tf.nn.softmax(scores)

    made = Written()
    expected = made.predict(IMAGES, verbose=0)
    samples = labelled_images(IMAGES, BRIGHTEST, where="here")
    probe = KerasProbe(made, image_shape=(4, 4, 3))
    plan = plan_output(probe, samples, preprocessing=AS_GIVEN)
    assert plan.target == "class"
    assert "its values sum to 1 for 160 samples" in plan.evidence
    probe.use_output(plan)
    assert_allclose(probe(IMAGES).probability, expected, rtol=1e-5, atol=1e-6)
    assert_allclose(probe.predict(IMAGES), expected, rtol=1e-5, atol=1e-6)


def test_a_model_that_predicts_no_class_says_so():
    x, seen = features()
    probe = KerasProbe(keras.Model(x, to_box(seen)))
    samples = labelled_images(IMAGES, BOX, where="here")
    probe.use_output(plan_output(probe, samples, preprocessing=AS_GIVEN))
    with pytest.raises(ModelError, match="predicts no class: the model's own numbers"):
        probe.predict(IMAGES)


def test_names_are_put_in_order_before_labels_are_looked_at(tmp_path):
    """In their sorted order `high` would be class 0, and the logit wrong for each sample."""
    made = model(lambda seen: dense(seen, RED, -30))
    names = np.where(IS_RED, "high", "low")
    path = capture_activations(made, IMAGES, names, tmp_path / "s.h5", class_names=["low", "high"])
    with open_store(path) as store:
        assert_array_equal(store.labels, IS_RED)
        assert store.class_names == ("low", "high")
        assert store.about()["model"]["test_accuracy"] == 1
        words = store.about()["model"]["output"]
    assert "names of classes, in the order of the class names" in words
    with pytest.raises(ModelError, match=r"as a logit it is right for 0\.00 of 160 samples"):
        capture_activations(made, IMAGES, names, tmp_path / "t.h5")
