"""Random models, targets, labels, scalings and types: the store is what Keras computes, or it asks.

The labels are what the model itself says of the pixels that it is meant for, with some noise. So it
is known what is right, without training.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers.factories import count
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keras import layers, ops
from numpy.testing import assert_allclose

from fmcore.cli import main
from fmcore.records import Target
from fmcore.storage import open_store, problems

pytestmark = pytest.mark.keras

N, SIZE = 240, 12
# What a model does to pixels of 0 to 255 before its first convolution.
SCALINGS = {
    "unit": lambda x: x,
    "raw": lambda x: x,
    "rescaling layer": lambda x: layers.Rescaling(1 / 255)(x),
    "division": lambda x: x / 255.0,
    "keras.ops": lambda x: ops.divide(ops.cast(x, "float32"), 255.0),
    "around zero": lambda x: (x - 127.5) / 127.5,
    "augmented": lambda x: layers.Rescaling(1 / 255)(
        layers.RandomFlip()(layers.RandomTranslation(0.1, 0.1)(layers.RandomRotation(0.1)(x)))
    ),
}
CLASS_HEADS = ("softmax", "softmax activation", "logits", "log softmax", "mean of softmaxes")
BINARY_HEADS = ("sigmoid", "logit", "mean of sigmoids")
LABEL_HEADS = ("sigmoids", "label logits")
NUMBER_HEADS = ("number", "box")
FORMS = {
    "class": ("integers", "column", "floats", "one-hot", "one-hot floats", "text"),
    "binary": ("integers", "column", "floats", "bools", "bool column"),
    "labels": ("ints", "bools", "floats"),
    "number": ("floats", "doubles"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One draw: a model, and data for it."""

    head: str
    scaling: str
    form: str
    precision: str
    is_compiled: bool
    second_output: str
    channels: int
    seed: int

    @property
    def kind(self) -> str:
        if self.head in CLASS_HEADS:
            return "class"
        if self.head in BINARY_HEADS:
            return "binary"
        return "labels" if self.head in LABEL_HEADS else "number"

    @property
    def target(self) -> Target:
        return {"class": Target.CLASS, "binary": Target.CLASS, "labels": Target.LABELS,
                "number": Target.NUMBER}[self.kind]  # fmt: skip


@st.composite
def cases(draw) -> Case:
    head = draw(st.sampled_from([*CLASS_HEADS, *BINARY_HEADS, *LABEL_HEADS, *NUMBER_HEADS]))
    case = Case(
        head,
        draw(st.sampled_from(list(SCALINGS))),
        "",
        draw(st.sampled_from(["float32", "float32", "mixed_bfloat16", "mixed_float16"])),
        draw(st.booleans()),
        draw(st.sampled_from(["", "", "before", "after"])),
        draw(st.sampled_from([1, 3])),
        draw(st.integers(0, 2**16)),
    )
    return dataclasses.replace(case, form=draw(st.sampled_from(FORMS[case.kind])))


def images_of(case: Case) -> np.ndarray:
    """Smooth blobs on a dark ground, brightest 255."""
    rng = np.random.default_rng(case.seed)
    coarse = rng.random((N, 4, 4, case.channels)) ** 3
    images = np.kron(coarse, np.ones((1, SIZE // 4, SIZE // 4, 1)))
    return np.round(255 * images / images.max()).astype(np.uint8)


def n_outputs(case: Case) -> int:
    return {"class": 4, "binary": 1, "labels": 3}.get(case.kind, 1 if case.head == "number" else 4)


def build(case: Case) -> keras.Model:
    """The model; its answers differ between samples of the pixels that it is meant for."""
    keras.utils.set_random_seed(case.seed)
    keras.config.set_dtype_policy(case.precision)
    try:
        inputs = keras.Input((SIZE, SIZE, case.channels), name="image")
        x = SCALINGS[case.scaling](inputs)
        x = layers.Conv2D(6, 3, activation="relu", name="conv1")(x)
        x = layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2")(x)
        x = layers.Flatten(name="flatten")(x)
        scores = layers.Dense(n_outputs(case), name="scores")
        answer = head_of(case, scores, x)
        outputs = [answer]
        if case.second_output:
            other = layers.Dense(2, name="other", dtype="float32")(x)
            outputs = [other, answer] if case.second_output == "before" else [answer, other]
        model = keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0], name="drawn")
    finally:
        keras.config.set_dtype_policy("float32")
    spread(model, scores, right_pixels(case, images_of(case)))
    if case.is_compiled:
        model.compile(loss=loss_of(case, model))
    return model


def head_of(case: Case, scores: layers.Dense, x: Any) -> Any:
    """The output, from the features."""
    match case.head:
        case "softmax" | "softmax activation":
            return layers.Activation("softmax", name="answer", dtype="float32")(scores(x))
        case "log softmax":
            return layers.Activation("log_softmax", name="answer", dtype="float32")(scores(x))
        case "mean of softmaxes":
            value = layers.Softmax(dtype="float32")(scores(x))
            return layers.Average(name="answer", dtype="float32")(
                [value, layers.Softmax(dtype="float32")(2 * scores(x))]
            )
        case "sigmoid" | "sigmoids":
            return layers.Activation("sigmoid", name="answer", dtype="float32")(scores(x))
        case "mean of sigmoids":
            value = layers.Activation("sigmoid", dtype="float32")(scores(x))
            other = layers.Activation("sigmoid", dtype="float32")(2 * scores(x))
            return layers.Average(name="answer", dtype="float32")([value, other])
    return layers.Activation("linear", name="answer", dtype="float32")(scores(x))


def spread(model: keras.Model, scores: layers.Dense, pixels: np.ndarray) -> None:
    """Sets the last weights so that each score has mean 0 and standard deviation 3."""
    values = keras.Model(model.inputs, scores.output).predict(pixels, verbose=0).astype(np.float64)
    kernel, bias = scores.get_weights()
    deviation = values.std(axis=0)
    scores.set_weights([kernel * 3 / deviation, (bias - values.mean(axis=0)) * 3 / deviation])


def loss_of(case: Case, model: keras.Model) -> Any:
    """What such a model is trained with."""
    losses = keras.losses
    match case.kind:
        case "class" if case.head in ("logits",):
            loss: Any = losses.SparseCategoricalCrossentropy(from_logits=True)
        case "class":
            loss = "sparse_categorical_crossentropy"
        case "binary" | "labels":
            loss = losses.BinaryCrossentropy(from_logits="logit" in case.head)
        case _:
            loss = "mse"
    if not case.second_output:
        return loss
    return {name: loss if name == "answer" else "mse" for name in model.output_names}


def right_pixels(case: Case, images: np.ndarray) -> np.ndarray:
    """The pixels that the model is meant for."""
    return images.astype(np.float32) / (255 if case.scaling == "unit" else 1)


def answers_of(case: Case, model: keras.Model, images: np.ndarray) -> np.ndarray:
    """What Keras predicts, as probabilities or numbers, in float64."""
    outputs = model.predict(right_pixels(case, images), verbose=0)
    values = outputs
    if case.second_output:
        values = outputs[1 if case.second_output == "before" else 0]
    values = np.asarray(values, np.float64)
    if case.head == "logits":
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return values / values.sum(axis=1, keepdims=True)
    if case.head == "log softmax":
        return np.exp(values)
    if case.head in ("logit", "label logits"):
        return 1 / (1 + np.exp(-values))
    return values


def labels_of(case: Case, answers: np.ndarray) -> np.ndarray:
    """Labels that the answers mostly fit, in the form of the draw."""
    rng = np.random.default_rng(case.seed + 1)
    wrong = rng.random(N) < 0.05
    if case.kind == "class":
        labels = np.where(wrong, rng.integers(0, 4, N), answers.argmax(axis=1))
        labels[:4] = range(4)  # every class is there
        eye = np.eye(4, dtype=np.int64)[labels]
        names = np.array(["ant", "bee", "cat", "dog"])
        return {"integers": labels, "column": labels[:, None], "floats": labels.astype("f4"),
                "one-hot": eye, "one-hot floats": eye.astype("f4"), "text": names[labels]}[
            case.form]  # fmt: skip
    if case.kind == "binary":
        labels = (answers[:, 0] > 0.5) ^ wrong
        labels[:2] = [False, True]
        return {"integers": labels.astype(int), "column": labels.astype(int)[:, None],
                "floats": labels.astype("f4"), "bools": labels, "bool column": labels[:, None]}[
            case.form]  # fmt: skip
    if case.kind == "labels":
        rows = (answers > 0.5) ^ (rng.random(answers.shape) < 0.05)
        rows[:2] = [[False] * 3, [True] * 3]
        return rows.astype({"ints": int, "bools": bool, "floats": np.float32}[case.form])
    noise = answers + 0.1 * rng.normal(size=answers.shape)
    noise = noise[:, 0] if answers.shape[1] == 1 else noise
    return noise.astype(np.float32 if case.form == "floats" else np.float64)


def run(*arguments: str | Path) -> tuple[int, str]:
    """A command in this process: its exit code, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main([str(argument) for argument in arguments])
    return code, printed.getvalue()


# Every way to ask, with the answer that is right for the draw.
ADVICE = {
    "--target": lambda case: ("--target", case.target),
    "--output": lambda case: ("--output", "answer") if case.second_output else (),
    "--scale": lambda case: ("--scale", "255" if case.scaling == "unit" else "1"),
    "--class-names": lambda case: (),
}


@settings(
    max_examples=count(8, 300),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a draw takes a second: a failure is told as it is
)
@given(case=cases())
def test_a_store_is_what_keras_computes_or_the_command_asks_and_its_advice_works(case):
    images = images_of(case)
    model = build(case)
    answers = answers_of(case, model, images)
    labels = labels_of(case, answers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "drawn.keras")
        np.savez(folder / "drawn.npz", x_test=images, y_test=labels)
        command = ["capture", folder / "drawn.keras", "--data", folder / "drawn.npz", "--out",
                   folder / "s.h5"]  # fmt: skip
        code, printed = run(*command)
        if code:
            assert code == 1, printed
            asked = [option for option in ADVICE if option in printed]
            assert asked, printed
            assert "defect" not in printed, printed
            assert not (folder / "s.h5").exists()
            followed = [part for option in asked for part in ADVICE[option](case)]
            code, printed = run(*command, *followed)
        assert code == 0, printed
        check(case, model, images, answers, labels, folder / "s.h5", printed)


def check(case, model, images, answers, labels, path: Path, printed: str) -> None:
    """Compares a store with what Keras computes for the pixels that the model is meant for."""
    maps = keras.Model(model.inputs, [model.get_layer(f"conv{n}").output for n in (1, 2)]).predict(
        right_pixels(case, images), verbose=0
    )
    resolution = {"float32": 1e-5, "mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}[case.precision]
    with open_store(path) as store:
        assert store.target == case.target, printed
        for layer, expected in zip(store.layers.values(), maps, strict=True):
            expected = np.asarray(expected, np.float32)
            atol = resolution * np.abs(expected).max()
            assert_allclose(layer.activation[...], expected, rtol=resolution, atol=atol)
        loose = 100 * resolution
        if case.kind in ("class", "binary"):
            if case.kind == "binary":
                answers = np.concatenate([1 - answers, answers], axis=1)
            assert_allclose(store.probabilities, answers, atol=loose)
            truth = labels
            if case.form == "text":
                assert store.class_names == ("ant", "bee", "cat", "dog")
                truth = np.searchsorted(store.class_names, labels)
            truth = np.asarray(truth)
            truth = truth.argmax(axis=1) if truth.ndim == 2 and truth.shape[1] > 1 else truth
            truth = truth.reshape(-1).astype(int)
            assert (store.labels == truth).all()
            unsure = np.sort(answers, axis=1)
            near = unsure[:, -1] - unsure[:, -2] < 2 * loose
            same = store.predictions == answers.argmax(axis=1)
            assert (same | near).all()
            accuracy = (answers.argmax(axis=1) == truth).mean()
            stored = store.about()["model"]["test_accuracy"]
            assert abs(stored - accuracy) <= near.mean() + 1e-9
        else:
            size = max(1.0, float(np.abs(answers).max()))
            assert_allclose(store.answers, answers, atol=loose * size)
            rows = labels.reshape(N, -1)
            assert_allclose(store.truth, rows.astype(store.truth.dtype), rtol=1e-6)
    assert list(problems(path, quick=True)) == []
